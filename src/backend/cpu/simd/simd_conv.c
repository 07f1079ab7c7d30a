/*
 * simd_conv.c - depthwise convolution. A task is a square of one map and CHANNELS channels of it:
 *
 *   x [H, W, C] --copy with a border of zeros--> [SIDE + size - 1][SIDE + size - 1][CHANNELS] in scratch
 *   w [C, size, size] --turn--> [size * size][CHANNELS]
 *   every output cell is then size^2 products of whole vectors, without a question at the edges
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
_Static_assert(sizeof(struct conv_space) <= KERNEL_SCRATCH_BYTES, "a square fits a thread's scratch");

struct conv {
    struct tensor *y;
    const struct tensor *x;
    const float *w, *bias;
    int64_t height, width;
    int size;
};

/* The square at (i0, j0) of map `map`, channels c0 .. c0+channels-1. */
struct square {
    int64_t map, i0, j0, rows, columns, c0, channels;
};

static int64_t row_cells(const struct square *q, int size)
{
    return q->columns + size - 1 + CELLS;
}

static void copy_in(struct conv_space *z, const struct conv *g, const struct square *q)
{
    int64_t half = g->size / 2, across = row_cells(q, g->size);
    int taps = g->size * g->size;

    for (int t = 0; t < taps; t++) {
        memset(z->w[t], 0, sizeof z->w[t]);
        for (int64_t c = 0; c < q->channels; c++) z->w[t][c] = g->w[(q->c0 + c) * taps + t];
    }
    memset(z->x, 0, (size_t)(across * (q->rows + g->size - 1)) * sizeof z->x[0]);
    for (int64_t i = 0; i < q->rows + g->size - 1; i++) {
        int64_t from_i = q->i0 + i - half;

        for (int64_t j = 0; from_i >= 0 && from_i < g->height && j < q->columns + g->size - 1; j++) {
            int64_t from_j = q->j0 + j - half, row = (q->map * g->height + from_i) * g->width + from_j;

            if (from_j < 0 || from_j >= g->width) continue;
            memcpy(z->x[i * across + j], data_row(g->x, row) + q->c0, (size_t)q->channels * sizeof(float));
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

    memcpy(bias, g->bias + q->c0, (size_t)q->channels * sizeof *bias);
    for (int64_t i = 0; i < q->rows; i++) {
        for (int64_t j = 0; j < q->columns; j += CELLS) {
            int64_t row = (q->map * g->height + q->i0 + i) * g->width + q->j0 + j;

            for (int v = 0; v < VECTORS; v++) {
                int64_t left = q->channels - v * WIDTH;
                vf sum[CELLS];

                cells(z, i * across + j, across, size, v, bias, sum);
                for (int64_t n = 0; n < min_i64(CELLS, q->columns - j) && left > 0; n++) {
                    float *to = data_row(g->y, row + n) + q->c0 + v * WIDTH;

                    if (left >= WIDTH)
                        store(to, sum[n]);
                    else
                        store_part(to, sum[n], left);
                }
            }
        }
    }
}

static void run_square(const struct conv *g, int64_t task, struct conv_space *z)
{
    int64_t C = tensor_columns(g->x), blocks = (C + CHANNELS - 1) / CHANNELS;
    int64_t across = (g->width + SIDE - 1) / SIDE, down = (g->height + SIDE - 1) / SIDE;
    struct square q = { .c0 = task % blocks * CHANNELS };

    q.channels = min_i64(CHANNELS, C - q.c0);
    q.j0 = task / blocks % across * SIDE;
    q.columns = min_i64(SIDE, g->width - q.j0);
    q.i0 = task / blocks / across % down * SIDE;
    q.rows = min_i64(SIDE, g->height - q.i0);
    q.map = task / blocks / across / down;
    copy_in(z, g, &q);
    if (g->size == 7)
        convolve(z, g, &q, 7);
    else
        convolve(z, g, &q, g->size);
}

void SIMD_NAME(depthwise_conv)(const struct exec *e, struct tensor *y, const struct tensor *x, const float *w,
                               const float *bias, int64_t height, int64_t width, int size)
{
    struct conv g = { y, x, w, bias, height, width, size };
    int64_t C = tensor_columns(x), maps = tensor_rows(x) / (height * width);
    int64_t tasks =
        maps * ((height + SIDE - 1) / SIDE) * ((width + SIDE - 1) / SIDE) * ((C + CHANNELS - 1) / CHANNELS);

    if (size > SIZE_MAX_FAST || size % 2 == 0) {
        ref_depthwise_conv(e, y, x, w, bias, height, width, size);
        return;
    }
#pragma omp parallel for num_threads(threads_for(e, tensor_rows(x) * C * size * size)) schedule(dynamic)
    for (int64_t i = 0; i < tasks; i++) run_square(&g, i, thread_scratch(e));
}
