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
#include "backend/cpu/simd/simd_quant.h"

/* ---- few rows: dot products ---------------------------------------------------------------------------------- */

enum {
    FEW_ROWS = 32,    /* of x: beyond, unpacking the weight into panels pays */
    DOT_WEIGHTS = 4,  /* rows of w that run together: as many streams as the memory controller likes */
    DOT_TOGETHER = 3, /* rows of x in registers: 3 x 4 sums, 3 of x and one of w make 16 registers */
    DOT_BLOCK = 2048, /* terms that 32 rows of x meet while 4 of w stay in the first cache */
    DOT_PIECE = 64,   /* rows of w that a thread takes at a time */
    LINE = 64,        /* bytes of a cache line */
    AHEAD = 1024,     /* bytes that each stream is fetched ahead of its use */
};

/* Sums of FEW_ROWS rows of x with DOT_WEIGHTS rows of w, kept by lanes over all of k: term k goes to lane k mod WIDTH,
 * wherever pieces and blocks begin. */
struct dots {
    vf lanes[FEW_ROWS][DOT_WEIGHTS];
};

/* Lines `first` .. `last`-1 of each row of w. The same line of `ahead` is fetched meanwhile. */
INLINE void dot_lines(enum dtype t, int together, const float *x, int64_t ld_x, const char *const *w,
                      const char *const *ahead, int64_t first, int64_t last,
                      vf sum[DOT_TOGETHER][DOT_WEIGHTS])
{
    const int size = t == DTYPE_F32 ? 4 : 2, steps = LINE / size / WIDTH;

    for (int64_t i = first; i < last; i++) {
        const float *xi = x + i * (LINE / size);

        UNROLL
        for (int r = 0; r < DOT_WEIGHTS; r++) {
            __builtin_prefetch(ahead[r] + i * LINE);
            UNROLL
            for (int k = 0; k < steps; k++) {
                vf v = load_as(t, w[r] + i * LINE + k * WIDTH * size);

                UNROLL
                for (int j = 0; j < together; j++) sum[j][r] += load(xi + j * ld_x + k * WIDTH) * v;
            }
        }
    }
}

/* n terms, a multiple of WIDTH, of `together` rows of x. `next` is where the rows of w go on after these. */
INLINE void dot_block(enum dtype t, int together, const float *x, int64_t ld_x, const char *const *w,
                      const char *const *next, int64_t n, vf lanes[][DOT_WEIGHTS])
{
    const int size = t == DTYPE_F32 ? 4 : 2;
    int64_t lines = n * size / LINE, here = lines > AHEAD / LINE ? lines - AHEAD / LINE : 0;
    const char *same[DOT_WEIGHTS], *other[DOT_WEIGHTS];
    vf sum[DOT_TOGETHER][DOT_WEIGHTS];

    UNROLL
    for (int r = 0; r < DOT_WEIGHTS; r++) {
        same[r] = w[r] + AHEAD;
        other[r] = next[r] - here * LINE;
        UNROLL
        for (int j = 0; j < together; j++) sum[j][r] = lanes[j][r];
    }
    dot_lines(t, together, x, ld_x, w, same, 0, here, sum);
    dot_lines(t, together, x, ld_x, w, other, here, lines, sum);
    for (int64_t k = lines * LINE / size; k < n; k += WIDTH) UNROLL
    for (int r = 0; r < DOT_WEIGHTS; r++) UNROLL
    for (int j = 0; j < together; j++) sum[j][r] += load(x + j * ld_x + k) * load_as(t, w[r] + k * size);
    UNROLL
    for (int r = 0; r < DOT_WEIGHTS; r++) UNROLL
    for (int j = 0; j < together; j++) lanes[j][r] = sum[j][r];
}

/* T rows of x, as many together as registers allow. */
INLINE void dot_rows(enum dtype t, int64_t T, const float *x, int64_t ld_x, const char *const *w,
                     const char *const *next, int64_t n, struct dots *d)
{
    int64_t j = 0;

    for (; j + 3 <= T; j += 3) dot_block(t, 3, x + j * ld_x, ld_x, w, next, n, d->lanes + j);
    if (T - j == 2) dot_block(t, 2, x + j * ld_x, ld_x, w, next, n, d->lanes + j);
    if (T - j == 1) dot_block(t, 1, x + j * ld_x, ld_x, w, next, n, d->lanes + j);
}

/* How far the columns from k on lie in one piece: less than `count` where pieces stand abreast. Pieces whose width is no
 * multiple of WIDTH are gathered by tensor_row instead. */
static int64_t run_length(const struct tensor *w, int64_t k, int64_t count)
{
    int64_t width;

    if (w->pieces == NULL || w->pieces->axis == 0) return count;
    width = tensor_columns(w) / w->pieces->count;
    return width % WIDTH == 0 ? min_i64(count, width - k % width) : count;
}

/* Row n + r from column k on, for every stream r; past the last row, the last again. */
static void dot_pointers(const struct tensor *w, int64_t n, int64_t k, const char *p[DOT_WEIGHTS])
{
    int64_t block = (int64_t)dtype_info(w->dtype)->block_elements;

    for (int r = 0; r < DOT_WEIGHTS; r++)
        p[r] = tensor_row(w, min_i64(n + r, tensor_rows(w) - 1), k, block, NULL);
}

/* Columns k .. k+count-1 of rows n .. of the weight, all of x's rows. Only the last stretch of a row may end in
 * less than a vector, which is filled up with zeros. */
static void dot_stretch(struct dots *d, const struct tensor *x, const struct tensor *w, int64_t n, int64_t k,
                        int64_t count, char *scratch)
{
    /* Halves that more rows of x will read again are unpacked once; the sums are the same. */
    bool direct = dtype_loads(w->dtype) && tensor_rows(x) <= DOT_TOGETHER;
    enum dtype t = direct ? w->dtype : DTYPE_F32;
    int64_t T = tensor_rows(x), whole = count / WIDTH * WIDTH;
    const char *rows[DOT_WEIGHTS], *next[DOT_WEIGHTS];
    const float *xk = tensor_f32(x) + k;

    if (k + count < tensor_columns(w))
        dot_pointers(w, n, k + count, next);
    else
        dot_pointers(w, n + DOT_WEIGHTS, 0, next);
    for (int r = 0; r < DOT_WEIGHTS; r++) {
        size_t room = DOT_BLOCK * sizeof(double); /* the widest plain dtype */
        char *gathered = scratch + 2 * (size_t)r * room, *unpacked = gathered + room;

        rows[r] = tensor_row(w, min_i64(n + r, tensor_rows(w) - 1), k, count, gathered);
        if (t != w->dtype) rows[r] = row_f32(w->dtype, rows[r], count, (float *)(void *)unpacked);
    }
    if (t == DTYPE_F32) dot_rows(DTYPE_F32, T, xk, x->stride, rows, next, whole, d);
    if (t == DTYPE_F16) dot_rows(DTYPE_F16, T, xk, x->stride, rows, next, whole, d);
    if (t == DTYPE_BF16) dot_rows(DTYPE_BF16, T, xk, x->stride, rows, next, whole, d);
    for (int r = 0; r < DOT_WEIGHTS && whole < count; r++) {
        float rest[WIDTH] = { 0 };

        dtype_info(t)->to_f32(rest, rows[r] + dtype_bytes(t, (size_t)whole), (size_t)(count - whole));
        for (int64_t j = 0; j < T; j++)
            d->lanes[j][r] += load_part(xk + j * x->stride + whole, count - whole) * load(rest);
    }
}

static void linear_few(const struct exec *e, struct tensor *y, const struct tensor *x, const struct tensor *w,
                       const float *bias)
{
    int64_t T = tensor_rows(x), N = tensor_columns(y), K = tensor_columns(x);

    /* Memory comes faster to one thread than to the other, from moment to moment: whoever is ready takes the next rows. */
#pragma omp parallel for num_threads(threads_for(e, N *K)) schedule(dynamic, DOT_PIECE / DOT_WEIGHTS)
    for (int64_t n = 0; n < N; n += DOT_WEIGHTS) {
        struct dots d;

        memset(d.lanes, 0, (size_t)T * sizeof d.lanes[0]);
        for (int64_t k = 0, count; k < K; k += count) {
            count = run_length(w, k, min_i64(DOT_BLOCK, K - k));
            dot_stretch(&d, x, w, n, k, count, thread_scratch(e));
        }
        for (int64_t t = 0; t < T; t++)
            for (int64_t r = 0; r < min_i64(DOT_WEIGHTS, N - n); r++)
                data_row(y, t)[n + r] = sum_lanes(d.lanes[t][r]) + (bias != NULL ? bias[n + r] : 0);
    }
}

/* ---- many rows: panels --------------------------------------------------------------------------------------- */

static void pack_rows(const struct gemm *g, int64_t m, int64_t rows, int64_t k, int64_t count, float *dst)
{
    for (int64_t r = 0; r < rows; r += ROWS, dst += ROWS * count)
        panel_turn(g->a + (m + r) * g->ld_a + k, g->ld_a, min_i64(ROWS, rows - r), count, dst, ROWS, ROWS);
}

/* a's element (m, k) lies at a[k * ld + m]. A few of a's rows at a time, so that their lines are still in the first cache when the next
 * panel takes its part of them. */
static void pack_columns(const struct gemm *g, int64_t m, int64_t rows, int64_t k, int64_t count, float *dst)
{
    enum { TOGETHER = 16 };
    int64_t whole = rows / ROWS * ROWS;

    for (int64_t i0 = 0; i0 < count; i0 += TOGETHER) {
        int64_t i1 = min_i64(count, i0 + TOGETHER);
        const float *from = g->a + k * g->ld_a + m;

        for (int64_t r = 0; r < whole; r += ROWS)
            for (int64_t i = i0; i < i1; i++)
                memcpy(dst + r * count + i * ROWS, from + i * g->ld_a + r, ROWS * sizeof *dst);
        for (int64_t i = i0; i < i1 && whole < rows; i++) {
            float *to = dst + whole * count + i * ROWS;

            memset(to, 0, ROWS * sizeof *to);
            memcpy(to, from + i * g->ld_a + whole, (size_t)(rows - whole) * sizeof *to);
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

    if (linear_rounds(e, w->dtype)) {
        SIMD_NAME(quant_linear)(e, y, x, w, bias);
        return;
    }
    if (g.M <= FEW_ROWS) {
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

/* ---- few rows, transposed: rows of the weight are added up ---------------------------------------------------- */

enum { ADD_COLUMNS = 1024, ADD_ROWS = 8, ADD_FEW = BATCH_ROWS /* rows of in */ };

/* out[k] += sum over r < ADD_ROWS of scale[r] w[r][k]; eight streams, one pass over out. */
INLINE void add_rows(enum dtype t, float *out, const float *scale, const char *const *w, int64_t n)
{
    const int size = t == DTYPE_F32 ? 4 : 2;
    int64_t k = 0;

    for (; k + WIDTH <= n; k += WIDTH) {
        vf s = load(out + k);

        UNROLL
        for (int r = 0; r < ADD_ROWS; r++) s += scale[r] * load_as(t, w[r] + k * size);
        store(out + k, s);
    }
    for (; k < n; k++) {
        for (int r = 0; r < ADD_ROWS; r++) {
            float v;

            dtype_info(t)->to_f32(&v, w[r] + k * size, 1);
            out[k] += scale[r] * v;
        }
    }
}

/* Columns k .. k+count-1 of out. A last group of fewer rows repeats its last row, scaled by zero. */
static void add_columns(float *out, int64_t ld_out, const float *in, int64_t ld_in, int64_t rows,
                        const struct tensor *w, int64_t k, int64_t count, char *scratch)
{
    enum dtype t = dtype_loads(w->dtype) ? w->dtype : DTYPE_F32;
    int64_t N = tensor_rows(w);

    for (int64_t n = 0; n < N; n += ADD_ROWS) {
        const char *p[ADD_ROWS];

        for (int r = 0; r < ADD_ROWS; r++) {
            size_t room = ADD_COLUMNS * sizeof(double);
            char *gathered = scratch + 2 * (size_t)r * room, *unpacked = gathered + room;

            p[r] = tensor_row(w, min_i64(n + r, N - 1), k, count, gathered);
            if (t != w->dtype) p[r] = row_f32(w->dtype, p[r], count, (float *)(void *)unpacked);
        }
        for (int64_t j = 0; j < rows; j++) {
            float scale[ADD_ROWS] = { 0 };

            memcpy(scale, in + j * ld_in + n, (size_t)min_i64(ADD_ROWS, N - n) * sizeof *scale);
            if (t == DTYPE_F32) add_rows(DTYPE_F32, out + j * ld_out + k, scale, p, count);
            if (t == DTYPE_F16) add_rows(DTYPE_F16, out + j * ld_out + k, scale, p, count);
            if (t == DTYPE_BF16) add_rows(DTYPE_BF16, out + j * ld_out + k, scale, p, count);
        }
    }
}

static void linear_transposed_few(const struct exec *e, float *out, int64_t ld_out, const float *in,
                                  int64_t ld_in, int64_t rows, const struct tensor *w, bool accumulate)
{
    int64_t K = tensor_columns(w);

#pragma omp parallel for num_threads(threads_for(e, K *tensor_rows(w))) schedule(static)
    for (int64_t k = 0; k < K; k += ADD_COLUMNS) {
        int64_t count = min_i64(ADD_COLUMNS, K - k);

        for (int64_t j = 0; j < rows && !accumulate; j++)
            memset(out + j * ld_out + k, 0, (size_t)count * sizeof *out);
        add_columns(out, ld_out, in, ld_in, rows, w, k, count, thread_scratch(e));
    }
}

void SIMD_NAME(linear_transposed)(const struct exec *e, float *out, int64_t ld_out, const float *in,
                                  int64_t ld_in, int64_t rows, const struct tensor *w, bool accumulate)
{
    struct gemm g = { .M = rows, .N = tensor_columns(w), .K = tensor_rows(w) };

    if (rows <= ADD_FEW) {
        linear_transposed_few(e, out, ld_out, in, ld_in, rows, w, accumulate);
        return;
    }
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

/* dw [n, 1] += dy^T x of one column, which a bias is. Threads take columns of dy; rows are summed by K_BLOCK, as in the product. */
static void column_grad(const struct exec *e, float *dw, int64_t ld_dw, const float *dy, int64_t ld_dy,
                        const float *x, int64_t ld_x, int64_t rows, int64_t n)
{
    enum { WIDE = 64 };

#pragma omp parallel for num_threads(threads_for(e, rows *n)) schedule(static)
    for (int64_t c = 0; c < n; c += WIDE) {
        int64_t wide = min_i64(WIDE, n - c);

        for (int64_t t0 = 0; t0 < rows; t0 += K_BLOCK) {
            float sum[WIDE] = { 0 };

            for (int64_t t = t0; t < min_i64(rows, t0 + K_BLOCK); t++) {
                const float *from = dy + t * ld_dy + c;
                float by = x[t * ld_x];

                if (wide == WIDE)
                    for (int i = 0; i < WIDE; i++) sum[i] += by * from[i];
                else
                    for (int64_t i = 0; i < wide; i++) sum[i] += by * from[i];
            }
            for (int64_t i = 0; i < wide; i++) dw[(c + i) * ld_dw] += sum[i];
        }
    }
}

void SIMD_NAME(linear_weight_grad)(const struct exec *e, float *dw, int64_t ld_dw, const float *dy,
                                   int64_t ld_dy, const float *x, int64_t ld_x, int64_t rows, int64_t n,
                                   int64_t k)
{
    struct gemm g = { .M = n, .N = k, .K = rows };

    if (k == 1) {
        column_grad(e, dw, ld_dw, dy, ld_dy, x, ld_x, rows, n);
        return;
    }
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
