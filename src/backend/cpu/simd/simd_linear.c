/*
 * simd_linear.c - products with weights.
 *
 *   few rows of x    the weight streams from memory once, straight from its dtype, and every row is a dot product
 *   many rows        the blocked product (simd_gemm.h), the weight unpacked to float32 block by block
 *
 * A row's result depends on which of the two it took, but not on the other rows, threads, or the weight's pieces.
 */
#include "backend/cpu/simd/simd.h"
#include "backend/cpu/simd/simd_gemm.h"

/* ---- few rows: dot products ---------------------------------------------------------------------------------- */

enum {
    DOT_ROWS_MAX = 8, /* of x: beyond, unpacking the weight into panels pays */
    DOT_WEIGHTS = 4,  /* rows of w that run together: as many streams as the memory controller likes */
    DOT_TOGETHER = 3, /* rows of x in registers: 3 x 4 sums, 3 of x and one of w make 16 registers */
    DOT_BLOCK = 4096, /* terms between sums over lanes: the rows of x meanwhile stay in the second cache */
    DOT_AHEAD = 1024, /* bytes that each stream is fetched ahead */
};

/* y[j] += sum over k < n of x_j[k] w_r[k], for `together` rows of x and the DOT_WEIGHTS rows of w. */
INLINE void dot_block(enum dtype t, int together, const float *x, int64_t ld_x, const void *const *w,
                      int64_t n, float *y, int64_t ld_y)
{
    vf sum[DOT_TOGETHER][DOT_WEIGHTS];
    const size_t size = t == DTYPE_F32 ? 4 : 2;
    int64_t k = 0;

    UNROLL
    for (int j = 0; j < together; j++) UNROLL
    for (int r = 0; r < DOT_WEIGHTS; r++) sum[j][r] = (vf){ 0 };
    for (; k + WIDTH <= n; k += WIDTH) {
        vf xs[DOT_TOGETHER];

        UNROLL
        for (int j = 0; j < together; j++) xs[j] = load(x + j * ld_x + k);
        UNROLL
        for (int r = 0; r < DOT_WEIGHTS; r++) {
            const char *p = (const char *)w[r] + (size_t)k * size;
            vf v = load_as(t, p);

            if (together == 1) __builtin_prefetch(p + DOT_AHEAD);
            UNROLL
            for (int j = 0; j < together; j++) sum[j][r] += xs[j] * v;
        }
    }
    for (int r = 0; r < DOT_WEIGHTS; r++) {
        float rest[WIDTH];

        if (k < n) dtype_info(t)->to_f32(rest, (const char *)w[r] + (size_t)k * size, (size_t)(n - k));
        for (int j = 0; j < together; j++) {
            float s = sum_lanes(sum[j][r]);

            for (int64_t i = k; i < n; i++) s += x[j * ld_x + i] * rest[i - k];
            y[j * ld_y + r] += s;
        }
    }
}

/* T rows of x, as many together as registers allow. */
INLINE void dot_rows(enum dtype t, int64_t T, const float *x, int64_t ld_x, const void *const *w, int64_t n,
                     float *y, int64_t ld_y)
{
    int64_t j = 0;

    for (; j + 3 <= T; j += 3) dot_block(t, 3, x + j * ld_x, ld_x, w, n, y + j * ld_y, ld_y);
    if (T - j == 2) dot_block(t, 2, x + j * ld_x, ld_x, w, n, y + j * ld_y, ld_y);
    if (T - j == 1) dot_block(t, 1, x + j * ld_x, ld_x, w, n, y + j * ld_y, ld_y);
}

/* y [T][DOT_WEIGHTS] = products of x with rows n .. of w; past the last row, the last again. */
static void dot_weights(float *y, const struct tensor *x, const struct tensor *w, int64_t n, char *scratch)
{
    int64_t T = tensor_rows(x), K = tensor_columns(x), N = tensor_rows(w);
    size_t block_bytes = DOT_BLOCK * sizeof(double); /* the widest plain dtype */

    for (int64_t k = 0; k < K; k += DOT_BLOCK) {
        const void *rows[DOT_WEIGHTS];
        int64_t count = min_i64(DOT_BLOCK, K - k);
        enum dtype t = dtype_loads(w->dtype) ? w->dtype : DTYPE_F32;

        for (int r = 0; r < DOT_WEIGHTS; r++) {
            char *gathered = scratch + 2 * (size_t)r * block_bytes, *unpacked = gathered + block_bytes;

            rows[r] = tensor_row(w, min_i64(n + r, N - 1), k, count, gathered);
            if (t != w->dtype) rows[r] = row_f32(w->dtype, rows[r], count, (float *)(void *)unpacked);
        }
        if (t == DTYPE_F32) dot_rows(DTYPE_F32, T, tensor_f32(x) + k, x->stride, rows, count, y, DOT_WEIGHTS);
        if (t == DTYPE_F16) dot_rows(DTYPE_F16, T, tensor_f32(x) + k, x->stride, rows, count, y, DOT_WEIGHTS);
        if (t == DTYPE_BF16)
            dot_rows(DTYPE_BF16, T, tensor_f32(x) + k, x->stride, rows, count, y, DOT_WEIGHTS);
    }
}

static void linear_few(const struct exec *e, struct tensor *y, const struct tensor *x, const struct tensor *w,
                       const float *bias)
{
    int64_t T = tensor_rows(x), N = tensor_columns(y), groups = (N + DOT_WEIGHTS - 1) / DOT_WEIGHTS;

#pragma omp parallel for num_threads(threads_for(e, N *tensor_columns(x))) schedule(static)
    for (int64_t i = 0; i < groups; i++) {
        int64_t n = i * DOT_WEIGHTS, columns = min_i64(DOT_WEIGHTS, N - n);
        float part[DOT_ROWS_MAX * DOT_WEIGHTS] = { 0 };

        dot_weights(part, x, w, n, thread_scratch(e));
        for (int64_t t = 0; t < T; t++)
            for (int64_t r = 0; r < columns; r++)
                data_row(y, t)[n + r] = part[t * DOT_WEIGHTS + r] + (bias != NULL ? bias[n + r] : 0);
    }
}

/* ---- many rows: panels --------------------------------------------------------------------------------------- */

static void pack_rows(const struct gemm *g, int64_t m, int64_t rows, int64_t k, int64_t count, float *dst)
{
    for (int64_t r = 0; r < rows; r += ROWS, dst += ROWS * count)
        panel_turn(g->a + (m + r) * g->ld_a + k, g->ld_a, min_i64(ROWS, rows - r), count, dst, ROWS);
}

/* a's element (m, k) lies at a[k * ld + m]. */
static void pack_columns(const struct gemm *g, int64_t m, int64_t rows, int64_t k, int64_t count, float *dst)
{
    for (int64_t r = 0; r < rows; r += ROWS) {
        int64_t wide = min_i64(ROWS, rows - r);

        for (int64_t i = 0; i < count; i++, dst += ROWS) {
            memset(dst, 0, ROWS * sizeof *dst);
            memcpy(dst, g->a + (k + i) * g->ld_a + m + r, (size_t)wide * sizeof *dst);
        }
    }
}

/* The next rows are fetched while these are turned: they lie in as many pages, which no prefetcher guesses. */
static void fetch_ahead(const struct tensor *w, int64_t row, int64_t k, int64_t count)
{
    size_t block = dtype_info(w->dtype)->block_elements, bytes = dtype_bytes(w->dtype, (size_t)count);
    const char *p = tensor_row(w, row, k, (int64_t)block, NULL); /* one block never straddles pieces */

    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i);
}

/* Column n of b is row n of the weight: unpacked four rows at a time, and turned. */
static void pack_weight_rows(const struct gemm *g, int64_t n, int64_t columns, int64_t k, int64_t count,
                             float *dst, float *buffer)
{
    for (int64_t c = 0; c < columns; c += 4) {
        const float *rows[4];
        float *to = dst + c / COLUMNS * COLUMNS * count + c % COLUMNS;

        for (int r = 0; r < 4; r++) {
            float *gathered = buffer + 3 * r * K_BLOCK, *unpacked = gathered + 2 * K_BLOCK;
            const void *row = tensor_row(g->w, n + min_i64(c + r, columns - 1), k, count, gathered);

            rows[r] = row_f32(g->w->dtype, row, count, unpacked);
            fetch_ahead(g->w, n + min_i64(c + r + 4, columns - 1), k, count);
        }
        transpose_four(rows, count, to, COLUMNS);
    }
}

/* Row k of b is row k of the weight. */
static void pack_weight_columns(const struct gemm *g, int64_t n, int64_t columns, int64_t k, int64_t count,
                                float *dst, float *buffer)
{
    for (int64_t i = 0; i < count; i++) {
        const void *row = tensor_row(g->w, k + i, n, columns, buffer);

        spread_row(row_f32(g->w->dtype, row, columns, buffer + 2 * N_BLOCK), columns, count,
                   dst + i * COLUMNS);
    }
}

static void pack_floats(const struct gemm *g, int64_t n, int64_t columns, int64_t k, int64_t count,
                        float *dst, float *buffer)
{
    (void)buffer;
    for (int64_t i = 0; i < count; i++)
        spread_row(g->b + (k + i) * g->ld_b + n, columns, count, dst + i * COLUMNS);
}

void SIMD_NAME(linear)(const struct exec *e, struct tensor *y, const struct tensor *x, const struct tensor *w,
                       const float *bias)
{
    struct gemm g = { .M = tensor_rows(x), .N = tensor_columns(y), .K = tensor_columns(x) };

    if (g.M <= DOT_ROWS_MAX) {
        linear_few(e, y, x, w, bias);
        return;
    }
    g.c = tensor_f32(y);
    g.ld_c = y->stride;
    g.bias = bias;
    g.n_grain = COLUMNS;
    g.pack_a = pack_rows;
    g.a = tensor_f32(x);
    g.ld_a = x->stride;
    g.pack_b = pack_weight_rows;
    g.w = w;
    SIMD_NAME(gemm)(e, &g);
}

void SIMD_NAME(linear_transposed)(const struct exec *e, float *out, int64_t ld_out, const float *in,
                                  int64_t ld_in, int64_t rows, const struct tensor *w, bool accumulate)
{
    struct gemm g = { .M = rows, .N = tensor_columns(w), .K = tensor_rows(w) };

    g.c = out;
    g.ld_c = ld_out;
    g.accumulate = accumulate;
    g.n_grain = N_BLOCK; /* whole blocks of a quantised row */
    g.pack_a = pack_rows;
    g.a = in;
    g.ld_a = ld_in;
    g.pack_b = pack_weight_columns;
    g.w = w;
    SIMD_NAME(gemm)(e, &g);
}

void SIMD_NAME(linear_weight_grad)(const struct exec *e, float *dw, int64_t ld_dw, const float *dy,
                                   int64_t ld_dy, const float *x, int64_t ld_x, int64_t rows, int64_t n,
                                   int64_t k)
{
    struct gemm g = { .M = n, .N = k, .K = rows };

    g.c = dw;
    g.ld_c = ld_dw;
    g.accumulate = true;
    g.n_grain = COLUMNS;
    g.pack_a = pack_columns;
    g.a = dy;
    g.ld_a = ld_dy;
    g.pack_b = pack_floats;
    g.b = x;
    g.ld_b = ld_x;
    SIMD_NAME(gemm)(e, &g);
}
