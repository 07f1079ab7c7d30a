/*
 * simd_matrix.c - linear on the matrix unit. The weight is the left operand, C^T = W X^T: its rows run along k as tiles want
 * them, whatever dtype they are unpacked from, and only x, which is smaller, has to be turned.
 *
 *   for every M_BLOCK rows of x:
 *     all threads: pack x                      right panels, all of K       shared, streams from the third cache
 *     for every N_BLOCK of this thread's rows of w, for every K_BLOCK of k:
 *       pack w                                 left panels                  393 KB of the second cache
 *       for every pair of right panels:                                     32 KB of the first cache
 *         for every pair of left panels: 2 x 2 tiles of sums                786 KB of the second cache
 *
 * Two by two, a product costs a load, half of them from the first cache: by the measured 150 GB/s of the second one at
 * 3 GHz, 2 KB in 41 cycles while the products take 64. Tiles of sums are loaded and stored once a K_BLOCK, that is, once
 * in 16 products.
 *
 * bf16 weights are copied like the others, though their rows could be loaded in place: rows some KB apart share few sets of the
 * first cache, in a file they begin at odd lines, and the copy is 1/M of the work.
 *
 * Integer tiles do not pay for blocks of 32 numbers with a scale each: a product of int8 tiles 32 deep takes as long as
 * one of bf16, and its sums would have to leave the tile, be scaled and added after every single one: 16 cycles of product
 * against 16 to store the tile and some 50 to scale it.
 */
#include "backend/cpu/simd/simd_matrix.h"

#include "backend/cpu/simd/matrix_panels.h"

enum {
    K_BLOCK = 512, /* a multiple of every dtype's block */
    N_BLOCK = 384,
    M_BLOCK = 512,
    PAIR = 2 * TILE,
    STEPS = K_BLOCK / TILE_K,
};

/* One thread's part of its scratch. The rest of it holds panels of x. */
struct space {
    uint16_t left[N_BLOCK / TILE][STEPS][TILE_ELEMENTS];
    float sums[M_BLOCK / TILE][N_BLOCK / TILE][TILE * TILE];
    float unpacked[K_BLOCK];
    double gathered[K_BLOCK]; /* a row that lies in pieces, of the widest plain dtype */
};

enum { PANELS_BYTES = KERNEL_SCRATCH_BYTES - sizeof(struct space) };

/* One product, M_BLOCK rows of it at a time. */
struct product {
    const struct exec *e;
    const struct tensor *w;
    const float *bias, *x;
    float *y;
    int64_t ld_x, ld_y, K;
    int64_t rows;       /* of x and y, these being the first */
    int64_t pair_bytes; /* of two right panels */
    int threads;
};

/* The right panel of rows 16 i .. 16 i + 15. Pairs are dealt out to the threads' scratch in turn. */
static uint16_t *right_panel(const struct product *p, int64_t i)
{
    int64_t pair = i / 2;
    unsigned char *scratch = p->e->scratch + (size_t)(pair % p->threads) * KERNEL_SCRATCH_BYTES;

    return (uint16_t *)(void *)(scratch + sizeof(struct space) +
                                (size_t)(pair / p->threads * p->pair_bytes + i % 2 * (p->pair_bytes / 2)));
}

/* Fetches `count` columns from k on of a row of the weight; in pieces side by side, perhaps too few. */
static void fetch_row(const struct tensor *w, int64_t row, int64_t k, int64_t count)
{
    const struct dtype_info *info = dtype_info(w->dtype);
    const char *from = tensor_row(w, row, k, (int64_t)info->block_elements, NULL);
    size_t bytes = dtype_bytes(w->dtype, (size_t)count);

    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i, 0, 2);
}

/* Left panels of rows n .. n+rows-1, columns k .. k+count-1. */
static void pack_left(const struct product *p, struct space *s, int64_t n, int64_t rows, int64_t k,
                      int64_t count)
{
    int64_t steps = (count + TILE_K - 1) / TILE_K;

    for (int64_t r = 0; r < rows; r++) {
        const void *from = tensor_row(p->w, n + r, k, count, s->gathered);

        put_row(p->w->dtype, s->left[r / TILE][0] + r % TILE * TILE_K, from, count, s->unpacked);
    }
    for (int64_t r = rows; r % TILE != 0; r++)
        for (int64_t i = 0; i < steps; i++)
            memset(s->left[r / TILE][i] + r % TILE * TILE_K, 0, TILE_ROW_BYTES);
}

/* Sums of `wide` left panels with `high` right ones (1 or 2, constants), `steps` tiles deep. */
INLINE void tiles_of(struct matrix_unit *u, int wide, int high, const uint16_t *left, const uint16_t *right,
                     const uint16_t *right1, int64_t steps, bool first, float *sum, float *sum1)
{
    const uint16_t *left1 = left + STEPS * TILE_ELEMENTS;

    (void)u; /* the processor's own is in its registers */
    matrix_unit_fence();
    if (first) {
        tile_zero(u, 0);
        if (wide == 2) tile_zero(u, 1);
        if (high == 2) tile_zero(u, 2);
        if (wide == 2 && high == 2) tile_zero(u, 3);
    } else {
        tile_load(u, 0, sum);
        if (wide == 2) tile_load(u, 1, sum + TILE * TILE);
        if (high == 2) tile_load(u, 2, sum1);
        if (wide == 2 && high == 2) tile_load(u, 3, sum1 + TILE * TILE);
    }
    for (int64_t i = 0; i < steps * TILE_ELEMENTS; i += TILE_ELEMENTS) {
        tile_load(u, 4, left + i);
        tile_load(u, 6, right + i);
        tile_product(u, 0, 4, 6);
        if (wide == 2) {
            tile_load(u, 5, left1 + i);
            tile_product(u, 1, 5, 6);
        }
        if (high == 2) {
            tile_load(u, 7, right1 + i);
            tile_product(u, 2, 4, 7);
        }
        if (wide == 2 && high == 2) tile_product(u, 3, 5, 7);
    }
    tile_store(u, 0, sum);
    if (wide == 2) tile_store(u, 1, sum + TILE * TILE);
    if (high == 2) tile_store(u, 2, sum1);
    if (wide == 2 && high == 2) tile_store(u, 3, sum1 + TILE * TILE);
    matrix_unit_fence();
}

/* Left panels i .. i+wide-1 with right panels j .. j+high-1, over columns k .. k+count-1. */
static void multiply(const struct product *p, struct space *s, struct matrix_unit *u, int64_t i, int64_t wide,
                     int64_t j, int64_t high, int64_t k, int64_t count)
{
    int64_t steps = (count + TILE_K - 1) / TILE_K, at = k / TILE_K * TILE_ELEMENTS;
    const uint16_t *left = s->left[i][0], *right = right_panel(p, j) + at;
    const uint16_t *right1 = right_panel(p, j + high - 1) + at;
    float *sum = s->sums[j][i], *sum1 = s->sums[j + high - 1][i];
    bool first = k == 0;

    if (wide == 2 && high == 2)
        tiles_of(u, 2, 2, left, right, right1, steps, first, sum, sum1);
    else if (wide == 2)
        tiles_of(u, 2, 1, left, right, right1, steps, first, sum, sum1);
    else if (high == 2)
        tiles_of(u, 1, 2, left, right, right1, steps, first, sum, sum1);
    else
        tiles_of(u, 1, 1, left, right, right1, steps, first, sum, sum1);
}

/* What is complete goes to y: left panel i with right panel j, where i's first row of the weight is n. */
static void finish(const struct product *p, const struct space *s, int64_t i, int64_t j, int64_t n,
                   int64_t n1)
{
    put_results(p->y + j * TILE * p->ld_y + n, p->ld_y, min_i64(TILE, p->rows - j * TILE),
                min_i64(TILE, n1 - n), s->sums[j][i], p->bias != NULL ? p->bias + n : NULL);
}

/* Rows n .. n1-1 of the weight (at most N_BLOCK). While one block of it is multiplied, the next one comes from memory,
 * some rows with every pair of tiles; after the last block of k, that is the first of rows n1 .. */
static void columns(const struct product *p, struct space *s, struct matrix_unit *u, int64_t n, int64_t n1,
                    int64_t n_end)
{
    int64_t lefts = (n1 - n + TILE - 1) / TILE, rights = (p->rows + TILE - 1) / TILE;
    int64_t pairs = (lefts + 1) / 2 * ((rights + 1) / 2), share = (N_BLOCK + pairs - 1) / pairs;

    for (int64_t k = 0; k < p->K; k += K_BLOCK) {
        int64_t count = min_i64(K_BLOCK, p->K - k), next = k + count;
        int64_t row = next < p->K ? n : n1, row_end = next < p->K ? n1 : min_i64(n_end, n1 + N_BLOCK);

        if (next == p->K) next = 0;
        pack_left(p, s, n, n1 - n, k, count);
        for (int64_t j = 0; j < rights; j += 2) {
            for (int64_t i = 0; i < lefts; i += 2) {
                for (int64_t r = 0; r < share && row < row_end; r++)
                    fetch_row(p->w, row++, next, min_i64(K_BLOCK, p->K - next));
                multiply(p, s, u, i, min_i64(2, lefts - i), j, min_i64(2, rights - j), k, count);
                for (int64_t t = 0; k + count == p->K && t < 4; t++)
                    if (i + t % 2 < lefts && j + t / 2 < rights)
                        finish(p, s, i + t % 2, j + t / 2, n + (i + t % 2) * TILE, n1);
            }
        }
    }
}

/* One thread's work on p->rows rows: its share of the packing, then its share of the weight's rows. */
static void share_of(const struct product *p, struct matrix_unit *u, int64_t N)
{
    int64_t panels = (p->rows + TILE - 1) / TILE, pairs = (N + PAIR - 1) / PAIR;
    int thread = omp_get_thread_num();
    int64_t n = pairs * thread / p->threads * PAIR, n_end = pairs * (thread + 1) / p->threads * PAIR;

#pragma omp for schedule(static)
    for (int64_t i = 0; i < panels; i++)
        put_columns(right_panel(p, i), p->x + i * TILE * p->ld_x, p->ld_x, min_i64(TILE, p->rows - i * TILE),
                    p->K);
    n_end = min_i64(n_end, N);
    for (; n < n_end; n += N_BLOCK)
        columns(p, thread_scratch(p->e), u, n, min_i64(n_end, n + N_BLOCK), n_end);
#pragma omp barrier /* before x is packed again */
}

/* Rows of x whose panels find room in all threads' scratch, M in equal parts. */
static int64_t rows_together(const struct product *p, int64_t M)
{
    int64_t room = min_i64(M_BLOCK, p->threads * (PANELS_BYTES / p->pair_bytes) * PAIR);
    int64_t parts = (M + room - 1) / room;

    return ((M + parts - 1) / parts + PAIR - 1) / PAIR * PAIR;
}

bool SIMD_NAME(matrix_linear)(const struct exec *e, struct tensor *y, const struct tensor *x,
                              const struct tensor *w, const float *bias)
{
    int64_t M = tensor_rows(x), N = tensor_columns(y), K = tensor_columns(x);
    int64_t pair_bytes = (K + TILE_K - 1) / TILE_K * 2 * TILE_ELEMENTS * (int64_t)sizeof(uint16_t);

    if (e->precise || M <= BATCH_ROWS || w->dtype == DTYPE_F32 || w->dtype == DTYPE_F64) return false;
    if (K == 0 || pair_bytes > PANELS_BYTES) return false;
#pragma omp parallel num_threads(threads_for(e, M *N *K / 64))
    {
        struct matrix_unit u;
        struct product p = { .e = e, .w = w, .bias = bias, .ld_x = x->stride, .ld_y = y->stride, .K = K };
        int64_t together;

        p.threads = omp_get_num_threads();
        p.pair_bytes = pair_bytes;
        together = rows_together(&p, M);
        matrix_unit_begin(&u);
        for (int64_t m = 0; m < M; m += together) {
            p.x = data_row(x, m);
            p.y = data_row(y, m);
            p.rows = min_i64(together, M - m);
            share_of(&p, &u, N);
        }
        matrix_unit_end(&u);
    }
    return true;
}
