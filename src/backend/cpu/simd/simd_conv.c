/*
 * simd_conv.c - depthwise convolution and its gradients. A task is a square of one map and CHANNELS channels of it:
 *
 *   x [H, W, C] --copy with a border of zeros--> [SIDE + size - 1][SIDE + size - 1][CHANNELS] in scratch
 *   w [C, size, size] --turn--> [size * size][CHANNELS]
 *   every output cell is then size^2 products of whole vectors, without a question at the edges
 *
 * The gradient of x is the same with dy for x and the kernel's taps in reverse. That of w: for each tap the sum, over all cells of a
 * square, of dy times the x that the tap reads; summed by groups of maps, whose number the shape alone decides, then over the groups.
 */
#include "backend/cpu/ref/ref.h"
#include "backend/cpu/simd/simd.h"

enum {
    CHANNELS = 16, /* one cache line: at any level the copy reads whole lines */
    VECTORS = CHANNELS / WIDTH,
    SIDE = 64,
    SIZE_MAX_FAST = 15,         /* of the kernel; our networks have 7 */
    CELLS = WIDTH >= 8 ? 4 : 2, /* neighbours whose sums are in registers together */
};

struct conv_space {
    float w[SIZE_MAX_FAST * SIZE_MAX_FAST][CHANNELS];
    float x[(SIDE + SIZE_MAX_FAST - 1) * (SIDE + SIZE_MAX_FAST + CELLS)][CHANNELS];
};
/* Behind it, in the first thread's scratch: the groups' sums. */
enum { GROUPS_MAX = 8, SUMS = (KERNEL_SCRATCH_BYTES - (int)sizeof(struct conv_space)) / (int)sizeof(float) };
_Static_assert(SUMS > KERNEL_SCRATCH_BYTES / 8,
               "a square fits a thread's scratch, and as much again for sums");

/* Rows of C channels, one a cell. */
struct conv {
    const float *from;
    float *to;
    int64_t from_stride, to_stride, C;
    const float *w, *bias; /* bias NULL: zeros */
    int64_t height, width;
    int size;
    bool reverse, add; /* the taps; to what `to` holds */
};

/* The square at (i0, j0) of map `map`, channels c0 .. c0+channels-1. */
struct square {
    int64_t map, i0, j0, rows, columns, c0, channels;
};

static int64_t row_cells(const struct square *q, int size)
{
    return q->columns + size - 1 + CELLS;
}

static void copy_taps(struct conv_space *z, const struct conv *g, const struct square *q)
{
    int taps = g->size * g->size;

    for (int t = 0; t < taps; t++) {
        memset(z->w[t], 0, sizeof z->w[t]);
        for (int64_t c = 0; c < q->channels; c++)
            z->w[t][c] = g->w[(q->c0 + c) * taps + (g->reverse ? taps - 1 - t : t)];
    }
}

static void copy_cells(struct conv_space *z, const struct conv *g, const struct square *q)
{
    int64_t half = g->size / 2, across = row_cells(q, g->size);

    memset(z->x, 0, (size_t)(across * (q->rows + g->size - 1)) * sizeof z->x[0]);
    for (int64_t i = 0; i < q->rows + g->size - 1; i++) {
        int64_t from_i = q->i0 + i - half;

        for (int64_t j = 0; from_i >= 0 && from_i < g->height && j < q->columns + g->size - 1; j++) {
            int64_t from_j = q->j0 + j - half, row = (q->map * g->height + from_i) * g->width + from_j;

            if (from_j < 0 || from_j >= g->width) continue;
            memcpy(z->x[i * across + j], g->from + row * g->from_stride + q->c0,
                   (size_t)q->channels * sizeof(float));
        }
    }
}

/* CELLS neighbouring outputs, one vector of channels: each input is loaded once for all of them. */
INLINE void cells(const struct conv_space *z, int64_t at, int64_t across, int size, int v, const float *bias,
                  vf sum[CELLS])
{
    UNROLL
    for (int n = 0; n < CELLS; n++) sum[n] = load(bias + v * WIDTH);
    for (int i = 0; i < size; i++) {
        const float *x = z->x[at + i * across] + v * WIDTH, *w = z->w[i * size] + v * WIDTH;

        UNROLL
        for (int j = 0; j < size; j++) {
            UNROLL
            for (int n = 0; n < CELLS; n++) sum[n] += load(w + j * CHANNELS) * load(x + (j + n) * CHANNELS);
        }
    }
}

INLINE void convolve(const struct conv_space *z, const struct conv *g, const struct square *q, int size)
{
    int64_t across = row_cells(q, size);
    float bias[CHANNELS] = { 0 };

    if (g->bias != NULL) memcpy(bias, g->bias + q->c0, (size_t)q->channels * sizeof *bias);
    for (int64_t i = 0; i < q->rows; i++) {
        for (int64_t j = 0; j < q->columns; j += CELLS) {
            int64_t row = (q->map * g->height + q->i0 + i) * g->width + q->j0 + j;

            for (int v = 0; v < VECTORS; v++) {
                int64_t left = q->channels - v * WIDTH;
                vf sum[CELLS];

                cells(z, i * across + j, across, size, v, bias, sum);
                for (int64_t n = 0; n < min_i64(CELLS, q->columns - j) && left > 0; n++) {
                    float *to = g->to + (row + n) * g->to_stride + q->c0 + v * WIDTH;

                    if (left >= WIDTH)
                        store(to, g->add ? load(to) + sum[n] : sum[n]);
                    else
                        store_part(to, g->add ? load_part(to, left) + sum[n] : sum[n], left);
                }
            }
        }
    }
}

/* Square `i` of those that the maps and the channels are cut into, map after map, channels innermost. */
static struct square square_at(const struct conv *g, int64_t i)
{
    int64_t blocks = (g->C + CHANNELS - 1) / CHANNELS;
    int64_t across = (g->width + SIDE - 1) / SIDE, down = (g->height + SIDE - 1) / SIDE;
    struct square q = { .c0 = i % blocks * CHANNELS };

    q.channels = min_i64(CHANNELS, g->C - q.c0);
    q.j0 = i / blocks % across * SIDE;
    q.columns = min_i64(SIDE, g->width - q.j0);
    q.i0 = i / blocks / across % down * SIDE;
    q.rows = min_i64(SIDE, g->height - q.i0);
    q.map = i / blocks / across / down;
    return q;
}

static void run_square(const struct conv *g, int64_t i, struct conv_space *z)
{
    struct square q = square_at(g, i);

    copy_taps(z, g, &q);
    copy_cells(z, g, &q);
    if (g->size == 7)
        convolve(z, g, &q, 7);
    else
        convolve(z, g, &q, g->size);
}

static int64_t squares_of_map(const struct conv *g)
{
    return (g->height + SIDE - 1) / SIDE * ((g->width + SIDE - 1) / SIDE) *
           ((g->C + CHANNELS - 1) / CHANNELS);
}

static void run(const struct exec *e, const struct conv *g, int64_t maps)
{
    int64_t squares = maps * squares_of_map(g), work = maps * g->height * g->width * g->C * g->size * g->size;

#pragma omp parallel for num_threads(threads_for(e, work)) schedule(dynamic)
    for (int64_t i = 0; i < squares; i++) run_square(g, i, thread_scratch(e));
}

static bool fast(int size)
{
    return size <= SIZE_MAX_FAST && size % 2 == 1;
}

void SIMD_NAME(depthwise_conv)(const struct exec *e, struct tensor *y, const struct tensor *x, const float *w,
                               const float *bias, int64_t height, int64_t width, int size)
{
    const struct conv g = {
        tensor_f32(x), tensor_f32(y), x->stride, y->stride, tensor_columns(x), w, bias, height,
        width,         size,          false,     false
    };

    if (!fast(size)) {
        ref_depthwise_conv(e, y, x, w, bias, height, width, size);
        return;
    }
    run(e, &g, tensor_rows(x) / (height * width));
}

/* ---- the gradient of the kernel -------------------------------------------------------------------------------- */

/* dy of one cell; what lies beyond the last channel is zero. */
INLINE void load_cell(vf dy[VECTORS], const float *from, int64_t channels)
{
    for (int v = 0; v < VECTORS; v++) {
        int64_t left = channels - v * WIDTH;

        dy[v] = left >= WIDTH ? load(from + v * WIDTH)
                : left > 0    ? load_part(from + v * WIDTH, left)
                              : (vf){ 0 };
    }
}

/* sums[tap][channel] of one square: a row of taps is in registers while all cells pass by; at the end, dy's own sum. x is in z. */
INLINE void sum_taps(const struct conv_space *z, const struct conv *g, const struct square *q, int size,
                     int64_t channels, const float *dy, int64_t dy_stride, float *sums)
{
    int64_t across = row_cells(q, size), row0 = (q->map * g->height + q->i0) * g->width + q->j0;

    for (int i = 0; i <= size; i++) {
        vf sum[SIZE_MAX_FAST][VECTORS] = { { { 0 } } };
        bool bias = i == size;
        float *to = sums + (int64_t)i * size * g->C + q->c0;

        for (int64_t cell = 0; cell < q->rows * q->columns; cell++) {
            int64_t y = cell / q->columns, x = cell % q->columns;
            const float *from = z->x[(bias ? 0 : y + i) * across + x];
            vf d[VECTORS];

            load_cell(d, dy + (row0 + y * g->width + x) * dy_stride + q->c0, channels);
            for (int v = 0; bias && v < VECTORS; v++) sum[0][v] += d[v];
            if (bias) continue;
            UNROLL
            for (int j = 0; j < size; j++) {
                UNROLL
                for (int v = 0; v < VECTORS; v++) sum[j][v] += d[v] * load(from + j * CHANNELS + v * WIDTH);
            }
        }
        for (int j = 0; j < (bias ? 1 : size); j++, to += g->C) {
            float flat[CHANNELS];

            for (int v = 0; v < VECTORS; v++) store(flat + v * WIDTH, sum[j][v]);
            for (int64_t c = 0; c < channels; c++) to[c] += flat[c];
        }
    }
}

struct tap_sums {
    float *part; /* [groups][taps + 1][C], the last that of dy */
    int64_t groups, size;
};

/* Maps of one group, one block of channels. */
static void run_group(const struct conv *g, const struct tap_sums *s, int64_t maps, int64_t task,
                      const struct tensor *y, struct conv_space *z)
{
    int64_t blocks = (g->C + CHANNELS - 1) / CHANNELS, block = task % blocks, group = task / blocks;
    int64_t each = squares_of_map(g), first = maps * group / s->groups * each,
            last = maps * (group + 1) / s->groups * each;
    float *sums = s->part + group * s->size;

    for (int64_t i = first + block; i < last; i += blocks) {
        struct square q = square_at(g, i);

        copy_cells(z, g, &q);
        if (g->size == 7 && q.channels == CHANNELS)
            sum_taps(z, g, &q, 7, CHANNELS, y->grad, y->stride, sums);
        else
            sum_taps(z, g, &q, g->size, q.channels, y->grad, y->stride, sums);
    }
}

static void kernel_backward(const struct exec *e, const struct conv *g, int64_t maps, const struct tensor *y,
                            float *dw, float *dbias)
{
    int64_t taps = g->size * g->size, blocks = (g->C + CHANNELS - 1) / CHANNELS,
            work = maps * g->height * g->width * g->C;
    struct tap_sums s = { (float *)(void *)(e->scratch + sizeof(struct conv_space)), 0, (taps + 1) * g->C };

    s.groups = min_i64(min_i64(maps, GROUPS_MAX), SUMS / s.size);
#pragma omp parallel num_threads(threads_for(e, work *taps))
    {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < s.groups; i++)
            memset(s.part + i * s.size, 0, (size_t)s.size * sizeof *s.part);
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < s.groups * blocks; i++) run_group(g, &s, maps, i, y, thread_scratch(e));
#pragma omp for schedule(static)
        for (int64_t c = 0; c < g->C; c++) {
            for (int64_t i = 0; i < s.groups; i++) {
                const float *part = s.part + i * s.size + c;

                for (int64_t t = 0; dw != NULL && t < taps; t++) dw[c * taps + t] += part[t * g->C];
                if (dbias != NULL) dbias[c] += part[taps * g->C];
            }
        }
    }
}

/* forward: y[r] += w[tap] x[r + tap]   so: dx[r + tap] += w[tap] dy[r], dw[tap] += dy[r] x[r + tap], dbias += dy */
void SIMD_NAME(depthwise_conv_backward)(const struct exec *e, const struct tensor *y, const struct tensor *x,
                                        const float *w, float *dw, float *dbias, int64_t height,
                                        int64_t width, int size)
{
    int64_t C = tensor_columns(x), maps = tensor_rows(x) / (height * width);
    const struct conv back = { y->grad, x->grad, y->stride, x->stride, C,    w,
                               NULL,    height,  width,     size,      true, true };
    const struct conv forth = { .from = tensor_f32(x),
                                .from_stride = x->stride,
                                .C = C,
                                .height = height,
                                .width = width,
                                .size = size };

    if (!fast(size) || C > SUMS / (SIZE_MAX_FAST * SIZE_MAX_FAST + 1)) {
        ref_depthwise_conv_backward(e, y, x, w, dw, dbias, height, width, size);
        return;
    }
    if (x->grad != NULL) run(e, &back, maps);
    if (dw != NULL || dbias != NULL) kernel_backward(e, &forth, maps, y, dw, dbias);
}
