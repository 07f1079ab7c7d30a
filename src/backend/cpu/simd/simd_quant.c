/*
 * simd_quant.c - x [M, K] . w [N, K]^T for quantised w, in integers.
 *
 *   every thread has a rectangle of y; for every stretch of rows of x that fits the second cache:
 *     round x to 8 bits                         [rows][K/32] blocks
 *     for every group of w's rows:
 *       one row of x: stream()
 *       more: for every 256 columns:
 *         unpack w                              [256][group]  in the first cache, read once from memory
 *         for every few rows of x: tile()
 *
 * A lane is a row of w, so that each number of y is summed block after block in the order of k, whatever M, the threads,
 * and the pieces of the weight: its bits depend on its row of x and its row of w only.
 */
#include "backend/cpu/simd/simd_quant.h"

#include "backend/cpu/simd/simd_gemm.h"
#include "backend/cpu/simd/simd_quant_weights.h"

#include <float.h>
#include <math.h>

/* A block of 32 of one row of x. */
struct x_block {
    int8_t q[QUANT_SHORT];
    float scale;
    float sum; /* scale times the sum of q, for weights with an offset */
    int32_t start
        [2]; /* what the sums of the block, or of its halves for q6_K, start with: minus the weight's bias
                         times the sums of q */
};

enum {
    TILE_ROWS = WIDTH == 16 ? 8 : 4, /* of x, whose sums are held in registers: 16 of 32, 8 of 16 */
    X_ROWS = 128,                    /* of x, that are multiplied by a group unpacked once */
    X_BYTES = 256 << 10,             /* of x, blocks that stay in the second cache */
    LINE = 64,                       /* bytes of a cache line */
    X_COLUMNS = X_BYTES / (int)sizeof(struct x_block) * QUANT_SHORT / STRETCH * STRETCH, /* of one row */
    PIECE = 4 * GROUP, /* rows of w that a thread takes at a time, for one row of x */
};

/* ---- x -------------------------------------------------------------------------------------------------------- */

typedef int32_t v4i __attribute__((vector_size(16)));

/* Rounds 32 numbers as ref_round_block does. sums: of each 16 of q, four sums of every fourth. */
INLINE float round_block(const float *x, int8_t *q, v4i sums[2])
{
    vf v[QUANT_SHORT / WIDTH];
    vi top = { 0 };
    v4i fours[QUANT_SHORT / 4];
    int32_t most = 0;
    float scale, inverse;

    UNROLL
    for (int i = 0; i < QUANT_SHORT / WIDTH; i++) {
        v[i] = load(x + i * WIDTH);
        top = max_int(top,
                      (vi)vabs(v[i])); /* as integers, NaN is beyond infinity and that beyond all numbers */
    }
    most = largest_lane(top);
    memcpy(&scale, &most, sizeof scale);
    scale = scale / 127;
    sums[0] = sums[1] = (v4i){ 0 };
    if (!(scale >= FLT_MIN && scale <= FLT_MAX)) {
        memset(q, 0, QUANT_SHORT);
        return scale < FLT_MIN ? 0 : (float)NAN;
    }
    inverse = 1 / scale;
    UNROLL
    for (int i = 0; i < QUANT_SHORT / WIDTH; i++) {
        vi rounded = round_int(v[i] * inverse);

        store_bytes(q + i * WIDTH, rounded);
        memcpy(fours + i * (WIDTH / 4), &rounded, sizeof rounded);
    }
    UNROLL
    for (int i = 0; i < QUANT_SHORT / 4; i++) sums[i / 4] += fours[i];
    return scale;
}

static int32_t start_of_sums(enum dtype t, int low, int high)
{
    int bias = bias_of(t);

    if (SUMS_WIDE) return -bias * (low + high);
    return (int32_t)((uint32_t)(-bias * high) << 16 | ((uint32_t)(-bias * low) & 0xffffu));
}

static void round_blocks(enum dtype t, const float *x, int64_t blocks, int64_t step, struct x_block *to)
{
    for (int64_t b = 0; b < blocks; b++, to += step) {
        int low[2], high[2]; /* of each 16, the sums of those that meet a lane's low half, and its high one */
        v4i sums[2];

        to->scale = round_block(x + b * QUANT_SHORT, to->q, sums);
        for (int i = 0; i < 2; i++) {
            low[i] = sums[i][0] + sums[i][1];
            high[i] = sums[i][2] + sums[i][3];
        }
        to->sum = to->scale * (float)(low[0] + low[1] + high[0] + high[1]);
        if (t == DTYPE_Q6_K) {
            to->start[0] = start_of_sums(t, low[0], high[0]);
            to->start[1] = start_of_sums(t, low[1], high[1]);
        } else {
            to->start[0] = start_of_sums(t, low[0] + low[1], high[0] + high[1]);
        }
    }
}

/* The rows of the next tile, of `left`: the largest power of two that fits. */
static int64_t tile_rows(int64_t left)
{
    int64_t rows = TILE_ROWS;

    while (rows > left) rows /= 2;
    return rows;
}

/* Rows of x tile by tile; a tile's blocks with equal k stand together. */
static void round_rows(enum dtype t, const struct tensor *x, int64_t m, int64_t rows, int64_t k,
                       int64_t count, struct x_block *to)
{
    int64_t blocks = count / QUANT_SHORT;

    for (int64_t r = 0, tile; r < rows; r += tile) {
        tile = tile_rows(rows - r);
        for (int64_t i = 0; i < tile; i++)
            round_blocks(t, data_row(x, m + r + i) + k, blocks, tile, to + r * blocks + i);
    }
}

/* ---- the register tile ---------------------------------------------------------------------------------------- */

INLINE void tile_steps(enum dtype t, int rows, int first, int last, const vi (*q)[2], const struct x_block *x,
                       vi sum[][2])
{
    UNROLL
    for (int i = first; i < last; i++) {
        vi w[2], m[2];

        UNROLL
        for (int v = 0; v < 2; v++) {
            w[v] = q[i][v];
            m[v] = byte_magnitudes(w[v]);
        }
        UNROLL
        for (int r = 0; r < rows; r++) {
            vi xi = splat_four(x[r].q + 4 * i);

            UNROLL
            for (int v = 0; v < 2; v++) {
                sum[r][v] =
                    has_signs(t) ? add_signed(sum[r][v], w[v], m[v], xi) : add_products(sum[r][v], w[v], xi);
                settle(&sum[r][v]);
            }
        }
    }
}

/* The sums of one block of w with one of each row of x: integers, exact. */
INLINE void tile_block(enum dtype t, int rows, const struct quant_weights *w, int b, const struct x_block *x,
                       vi total[][2])
{
    const int parts = parts_of(t);

    UNROLL
    for (int p = 0; p < parts; p++) {
        vi sum[TILE_ROWS][2];

        UNROLL
        for (int r = 0; r < rows; r++) UNROLL
        for (int v = 0; v < 2; v++) sum[r][v] = splat_int(bias_of(t) == 0 ? 0 : x[r].start[p]);
        tile_steps(t, rows, p * STEPS / parts, (p + 1) * STEPS / parts, w->q[b], x, sum);
        UNROLL
        for (int r = 0; r < rows; r++) {
            UNROLL
            for (int v = 0; v < 2; v++) {
                vi s = sum[r][v];

                if (!sums_ready(t))
                    s = total_of(s, has_factors(t) ? w->factor[b][p][v] : factor_of(splat_int(1)));

                total[r][v] = p == 0 ? s : total[r][v] + s;
            }
        }
    }
}

/* sums [rows][GROUP] += a stretch's products. They wait in memory while integers fill the registers. */
INLINE void tile(enum dtype t, int rows, int blocks, const struct quant_weights *w, const struct x_block *x,
                 float *sums)
{
    for (int b = 0; b < blocks; b++, x += rows) {
        vi total[TILE_ROWS][2];

        tile_block(t, rows, w, b, x, total);
        UNROLL
        for (int r = 0; r < rows; r++) {
            UNROLL
            for (int v = 0; v < 2; v++) {
                float *to = sums + r * GROUP + v * WIDTH;
                vf sum = load(to) + w->scale[b][v] * x[r].scale * to_float(total[r][v]);

                if (t == DTYPE_Q4_K) sum -= w->offset[b][v] * x[r].sum;
                store(to, sum);
            }
        }
    }
}

/* ---- one row of x --------------------------------------------------------------------------------------------- */

/* Bytes `first` .. `last`-1 of what is used soon. Rows that are used abreast lie one behind the other in memory; fetched in
 * that order they come up to twice as fast as abreast, where no processor's own prefetching follows. */
INLINE void fetch(const unsigned char *ahead, size_t first, size_t last)
{
    for (size_t i = (first + LINE - 1) / LINE * LINE; i < last; i += LINE) __builtin_prefetch(ahead + i);
}

/* The sums of one block of WIDTH rows of w with one of x. w stays in registers and is not turned: each row's products are
 * summed in its four lanes, and only these sums are turned. */
INLINE vi stream_block(enum dtype t, const unsigned char *const *row, size_t at, int block,
                       const struct quant_weights *w, const struct x_block *x)
{
    const int parts = parts_of(t), halves = 2 / parts;
    vi total = { 0 };

    UNROLL
    for (int p = 0; p < parts; p++) {
        vi four[4], sum;

        UNROLL
        for (int i = 0; i < 4; i++) {
            four[i] = splat_int(0);
            UNROLL
            for (int half = 0; half < halves; half++) {
                vi q = load_columns(t, row + i, at, block, p + half);
                vi xi = splat_sixteen(x->q + 16 * (p + half));

                four[i] = has_signs(t) ? add_signed(four[i], q, byte_magnitudes(q), xi)
                                       : add_products(four[i], q, xi);
            }
        }
        sum = sum_fours(four, has_signs(t));
        if (bias_of(t) != 0) sum = add_sums(sum, splat_int(x->start[p]), false);
        if (!sums_ready(t))
            sum = total_of(sum, has_factors(t) ? w->factor[block][p][0] : factor_of(splat_int(1)));
        total += sum;
    }
    return total;
}

/* sums [WIDTH] += `blocks` blocks of WIDTH rows of w, times one row of x. As many bytes of `ahead` are fetched. */
INLINE void stream(enum dtype t, int64_t blocks, const unsigned char *const *row, const unsigned char *ahead,
                   const struct x_block *x, float *sums)
{
    const int inside = has_factors(t) ? BLOCKS : 1;
    const size_t bytes = block_bytes(t);
    struct quant_weights w;
    vf sum = load(sums);

    for (int64_t i = 0; i < blocks / inside; i++) {
        size_t at = (size_t)i * bytes;

        unpack_scales(t, &w, row, at);
        UNROLL
        for (int b = 0; b < inside; b++, x++) {
            vi total = stream_block(t, row, at, b, &w, x);

            sum += w.scale[b][0] * x->scale * to_float(total);
            if (t == DTYPE_Q4_K) sum -= w.offset[b][0] * x->sum;
            fetch(ahead, WIDTH * (at + bytes * (size_t)b / (size_t)inside),
                  WIDTH * (at + bytes * (size_t)(b + 1) / (size_t)inside));
        }
    }
    store(sums, sum);
}

/* What differs from type to type: functions of their own, which keeps each small enough for a compiler to do well. */
struct quant_kernel {
    void (*unpack)(struct quant_weights *w, int part, int blocks, const unsigned char *const *row, size_t at);
    /* of 1, 2, 4, 8 rows of x */
    void (*tile[4])(int blocks, const struct quant_weights *w, const struct x_block *x, float *sums);
    /* both, of WIDTH rows of w and 1 row of x */
    void (*stream)(int64_t blocks, const unsigned char *const *row, const unsigned char *ahead,
                   const struct x_block *x, float *sums);
};

#define DEFINE_TILE(type, rows)                                                                              \
    static void tile_##type##_##rows(int blocks, const struct quant_weights *w, const struct x_block *x,     \
                                     float *sums)                                                            \
    {                                                                                                        \
        tile(DTYPE_##type, rows, blocks, w, x, sums);                                                        \
    }
#if SIMD_WIDTH == 16
#define DEFINE_LARGE_TILE(type) DEFINE_TILE(type, 8)
#define LARGE_TILE(type)        tile_##type##_8
#else
#define DEFINE_LARGE_TILE(type)
#define LARGE_TILE(type) NULL
#endif
#define DEFINE_KERNEL(type)                                                                                  \
    static void unpack_##type(struct quant_weights *w, int part, int blocks,                                 \
                              const unsigned char *const *row, size_t at)                                    \
    {                                                                                                        \
        unpack_part(DTYPE_##type, w, part, blocks, row, at);                                                 \
    }                                                                                                        \
    static void stream_##type(int64_t blocks, const unsigned char *const *row, const unsigned char *ahead,   \
                              const struct x_block *x, float *sums)                                          \
    {                                                                                                        \
        stream(DTYPE_##type, blocks, row, ahead, x, sums);                                                   \
    }                                                                                                        \
    DEFINE_TILE(type, 1) DEFINE_TILE(type, 2) DEFINE_TILE(type, 4) DEFINE_LARGE_TILE(type)
#define KERNEL(type)                                                                                         \
    [DTYPE_##type] = { unpack_##type,                                                                        \
                       { tile_##type##_1, tile_##type##_2, tile_##type##_4, LARGE_TILE(type) },              \
                       stream_##type }

DEFINE_KERNEL(Q4_0)
DEFINE_KERNEL(Q8_0)
DEFINE_KERNEL(Q4_K)
DEFINE_KERNEL(Q6_K)

static const struct quant_kernel kernels[DTYPE_COUNT] = { KERNEL(Q4_0), KERNEL(Q8_0), KERNEL(Q4_K),
                                                          KERNEL(Q6_K) };

/* All rows of x times one stretch; x from block `first` of `all` on. */
static void tiles_of_stretch(const struct quant_kernel *kernel, int64_t rows, int blocks,
                             const struct quant_weights *w, const struct x_block *x, int64_t first,
                             int64_t all, float *sums)
{
    for (int64_t r = 0, step; r < rows; r += step) {
        step = tile_rows(rows - r);
        kernel->tile[step == 8 ? 3 : step / 2](blocks, w, x + r * all + first * step, sums + r * GROUP);
    }
}

/* ---- blocks --------------------------------------------------------------------------------------------------- */

/* A product of rows of x, rounded, with rows of w. */
struct quant_product {
    struct tensor *y;
    const struct tensor *w;
    const float *bias;
    int64_t m, rows;  /* of x and y, at most X_ROWS */
    int64_t after;    /* the row of w that comes after this group */
    int64_t k, count; /* columns of w that x now holds: whole stretches but for the last */
    const struct x_block *x;
    float *sums;             /* [rows][GROUP] */
    unsigned char *gathered; /* [GROUP] stretches */
};

/* How many columns from k on lie in one piece: all, or a multiple of STRETCH, or one stretch that is to be gathered. */
static int64_t columns_together(const struct tensor *w, int64_t k, int64_t count)
{
    int64_t width;

    if (w->pieces == NULL || w->pieces->axis == 0) return count;
    width = tensor_columns(w) / w->pieces->count;
    return min_i64(count, width % STRETCH == 0 ? width - k % width : STRETCH);
}

/* Columns k .. k+count-1 of a group's rows from n on; beyond the last row, the last again. */
static void find_rows(const struct quant_product *g, int64_t n, int64_t k, int64_t count,
                      const unsigned char **row)
{
    const struct tensor *w = g->w;
    size_t room = dtype_bytes(w->dtype, STRETCH);
    int64_t last = tensor_rows(w) - 1;

    if (w->pieces == NULL) { /* without a call for each */
        size_t step = dtype_bytes(w->dtype, (size_t)w->stride);

        row[0] = tensor_row(w, min_i64(n, last), k, count, NULL);
        for (int r = 1; r < GROUP; r++) row[r] = row[r - 1] + (n + r <= last ? step : 0);
        return;
    }
    for (int r = 0; r < GROUP; r++)
        row[r] = tensor_row(w, min_i64(n + r, last), k, count, g->gathered + (size_t)r * room);
}

/* Columns k .. k+count-1, which lie together, of the rows from n on. */
static void multiply_run(const struct quant_product *g, int64_t n, int64_t k, int64_t count)
{
    const size_t stretch = dtype_bytes(g->w->dtype, STRETCH);
    const struct quant_kernel *kernel = &kernels[g->w->dtype];
    const unsigned char *row[GROUP], *next[2];
    int64_t first = (k - g->k) / QUANT_SHORT;
    struct quant_weights w;

    find_rows(g, n, k, count, row);
    next[0] = row[WIDTH];
    next[1] = row[0] + (g->after - n) * (row[1] - row[0]);
    if (g->rows == 1) {
        for (int v = 0; v < 2; v++)
            kernel->stream(count / QUANT_SHORT, row + v * WIDTH, next[v], g->x + first, g->sums + v * WIDTH);
        return;
    }
    for (int64_t i = 0; i < count; i += STRETCH, first += BLOCKS) {
        int blocks = (int)(min_i64(STRETCH, count - i) / QUANT_SHORT);
        size_t at = (size_t)(i / STRETCH) * stretch;

        for (int part = 0; part < BLOCKS / 2; part++) {
            size_t bytes = GROUP * stretch / (BLOCKS / 2), from = GROUP * at + bytes * (size_t)part;

            fetch(next[1], from, from + bytes);
            kernel->unpack(&w, part, blocks, row, at);
        }
        tiles_of_stretch(kernel, g->rows, blocks, &w, g->x, first, g->count / QUANT_SHORT, g->sums);
    }
}

/* Rows n .. n+group-1 of w, `columns` of them there. */
static void multiply_group(const struct quant_product *g, int64_t n, int64_t columns)
{
    bool last = g->k + g->count == tensor_columns(g->w);

    for (int64_t r = 0; r < g->rows; r++) {
        float *sums = g->sums + r * GROUP;

        memset(sums, 0, (size_t)GROUP * sizeof *sums);
        if (g->k > 0) memcpy(sums, data_row(g->y, g->m + r) + n, (size_t)columns * sizeof *sums);
    }
    for (int64_t k = g->k, run; k < g->k + g->count; k += run) {
        run = columns_together(g->w, k, g->k + g->count - k);
        multiply_run(g, n, k, run);
    }
    for (int64_t r = 0; r < g->rows; r++) {
        const float *sums = g->sums + r * GROUP;
        float *y = data_row(g->y, g->m + r) + n;

        for (int64_t c = 0; c < columns; c++) y[c] = sums[c] + (last && g->bias != NULL ? g->bias[n + c] : 0);
    }
}

/* Rows n0 .. n1-1 of w, and maybe `after` after these, times what x now holds. */
static void multiply_groups(struct quant_product *g, int64_t n0, int64_t n1, int64_t after)
{
    for (int64_t n = n0; n < n1; n += GROUP) {
        g->after = n + GROUP < n1 ? n + GROUP : after;
        multiply_group(g, n, min_i64(GROUP, n1 - n));
    }
}

/* Makes x hold columns from k on of its rows m0 .. m1-1, at most X_ROWS: as many columns as it has room for. */
static void round_columns(const struct tensor *x, struct quant_product *g, int64_t m0, int64_t m1, int64_t k,
                          unsigned char *scratch)
{
    int64_t together = X_BYTES / (int64_t)sizeof(struct x_block) / (m1 - m0);
    struct x_block *blocks = (void *)scratch;

    g->m = m0;
    g->rows = m1 - m0;
    g->x = blocks;
    g->sums = (void *)(scratch + X_BYTES);
    g->gathered = (void *)(g->sums + X_ROWS * GROUP);
    g->k = k;
    g->count = min_i64(together * QUANT_SHORT / STRETCH * STRETCH, tensor_columns(x) - k);
    round_rows(g->w->dtype, x, m0, m1 - m0, k, g->count, blocks);
}

/* The first of PIECE rows of w that no thread has taken yet. */
static int64_t take_rows(int64_t *taken)
{
    int64_t n;

#pragma omp atomic capture
    {
        n = *taken;
        *taken += PIECE;
    }
    return n;
}

/* One row of x is bound by memory, which comes faster to one thread than to the other, from moment to moment: whoever is
 * ready takes the next rows of w, and fetches them while it finishes the last. */
static void multiply_row(const struct tensor *x, struct quant_product *g, int64_t *taken,
                         unsigned char *scratch)
{
    enum dtype t = g->w->dtype;
    int64_t N = tensor_columns(g->y), next = take_rows(taken);
    const unsigned char *first;

    if (next >= N) return;
    first = tensor_row(g->w, next, 0, (int64_t)dtype_info(t)->block_elements, scratch);
    fetch(first, 0, WIDTH * dtype_bytes(t, (size_t)tensor_columns(x)));
    round_columns(x, g, 0, 1, 0, scratch);
    for (int64_t n = next; n < N; n = next) {
        next = take_rows(taken);
        multiply_groups(g, n, min_i64(N, n + PIECE), next < N ? next : n);
    }
}

void SIMD_NAME(quant_linear)(const struct exec *e, struct tensor *y, const struct tensor *x,
                             const struct tensor *w, const float *bias)
{
    int64_t M = tensor_rows(x), N = tensor_columns(y), K = tensor_columns(x), taken = 0;

#pragma omp parallel num_threads(threads_for(e, M *N *K / 8))
    {
        struct quant_product g = { .y = y, .w = w, .bias = bias };
        struct gemm_share s = SIMD_NAME(gemm_share)(M, TILE_ROWS, N, GROUP);
        unsigned char *scratch = thread_scratch(e);

        if (M == 1 && K <= X_COLUMNS) {
            multiply_row(x, &g, &taken, scratch);
            s.m1 = 0;
        }
        for (int64_t m = s.m0; m < s.m1; m += X_ROWS) {
            for (int64_t k = 0; k < K; k += g.count) {
                round_columns(x, &g, m, min_i64(s.m1, m + X_ROWS), k, scratch);
                multiply_groups(&g, s.n0, s.n1, s.n0);
            }
        }
    }
}
