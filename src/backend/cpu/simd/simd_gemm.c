/*
 * simd_gemm.c - the blocked matrix product. Each thread has a rectangle of c and its own scratch:
 *
 *   for every K_BLOCK of k:
 *     pack a's rows                           [rows][K_BLOCK]     once
 *     for every N_BLOCK of columns:
 *       pack b's block                        [K_BLOCK][N_BLOCK]  once, unpacking the weight's dtype
 *       for every M_BLOCK of rows: tiles()
 */
#include "backend/cpu/simd/simd_gemm.h"

/* One thread's scratch, in floats. */
enum {
    SCRATCH = KERNEL_SCRATCH_BYTES / 4,
    B_PANELS = N_BLOCK * K_BLOCK,
    A_ROWS_MAX = (SCRATCH - 2 * B_PANELS) / K_BLOCK / ROWS * ROWS,
};

/* What c starts with in a stretch of columns: itself, the bias, or zeros. */
struct start {
    const float *add;
    int64_t ld;
};

static struct start start_of(const struct gemm *g, int64_t m, int64_t n, int64_t k)
{
    static const float zeros[N_BLOCK];

    if (k > 0 || g->accumulate) return (struct start){ g->c + m * g->ld_c + n, g->ld_c };
    return (struct start){ g->bias != NULL ? g->bias + n : zeros, 0 };
}

/* Rows m0 .. m1-1 (at most A_ROWS_MAX) and columns n0 .. n1-1 of c. */
static void rectangle(const struct gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1, float *scratch)
{
    float *b = scratch, *buffer = b + B_PANELS, *a = buffer + B_PANELS;

    for (int64_t k = 0; k < g->K; k += K_BLOCK) {
        int64_t count = min_i64(K_BLOCK, g->K - k);

        g->pack_a(g, m0, m1 - m0, k, count, a);
        for (int64_t n = n0; n < n1; n += N_BLOCK) {
            int64_t columns = min_i64(N_BLOCK, n1 - n);

            g->pack_b(g, n, columns, k, count, b, buffer);
            for (int64_t m = m0; m < m1; m += M_BLOCK) {
                struct start s = start_of(g, m, n, k);

                tiles(count, a + (m - m0) * count, b, s.add, s.ld, g->c + m * g->ld_c + n, g->ld_c,
                      min_i64(M_BLOCK, m1 - m), columns);
            }
        }
    }
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* How many of the threads divide the rows, the others dividing the columns: the split that packs least, which is the
 * one whose rectangles are nearest to squares. */
static int row_splits(int64_t M, int64_t m_grain, int64_t N, int64_t n_grain, int threads)
{
    int best = 1;
    int64_t least = INT64_MAX;

    for (int rows = 1; rows <= threads; rows++) {
        int64_t m, n, cost;

        if (threads % rows != 0) continue;
        m = ceil_div(ceil_div(M, m_grain), rows) * m_grain;
        n = ceil_div(ceil_div(N, n_grain), threads / rows) * n_grain;
        cost = m * n +
               8 * (m + n); /* the largest share of the work; packing an element costs about 8 products */
        if (cost < least) {
            least = cost;
            best = rows;
        }
    }
    return best;
}

/* Share i of n of `total`, in multiples of grain. */
static void share(int64_t total, int64_t grain, int i, int n, int64_t *first, int64_t *last)
{
    int64_t grains = ceil_div(total, grain);

    *first = min_i64(total, grains * i / n * grain);
    *last = min_i64(total, grains * (i + 1) / n * grain);
}

struct gemm_share SIMD_NAME(gemm_share)(int64_t M, int64_t m_grain, int64_t N, int64_t n_grain)
{
    int threads = omp_get_num_threads(), thread = omp_get_thread_num();
    int splits = row_splits(M, m_grain, N, n_grain, threads);
    struct gemm_share s;

    share(M, m_grain, thread % splits, splits, &s.m0, &s.m1);
    share(N, n_grain, thread / splits, threads / splits, &s.n0, &s.n1);
    return s;
}

void SIMD_NAME(gemm)(const struct exec *e, const struct gemm *g)
{
    if (g->K == 0) return;
#pragma omp parallel num_threads(threads_for(e, g->M * g->N * g->K / 8))
    {
        struct gemm_share s = SIMD_NAME(gemm_share)(g->M, ROWS, g->N, g->n_grain);

        for (int64_t m = s.m0; m < s.m1 && s.n0 < s.n1; m += A_ROWS_MAX)
            rectangle(g, m, min_i64(s.m1, m + A_ROWS_MAX), s.n0, s.n1, thread_scratch(e));
    }
}
