/*
 * simd_gemm.h - one blocked matrix product for everything: c [M, N] (+)= a [M, K] . b [K, N], where a and b are
 * whatever their pack functions read: float32 rows or columns, weights of any dtype in any number of pieces.
 */
#ifndef SPHINX_BACKEND_CPU_SIMD_GEMM_H
#define SPHINX_BACKEND_CPU_SIMD_GEMM_H

#include "backend/cpu/simd/tile.h"

/* K_BLOCK terms are summed in registers, then added to c: so sums do not depend on M, N, threads or pieces. A panel of
 * b (K_BLOCK x COLUMNS) fits the first cache, N_BLOCK columns of b beside M_BLOCK rows of a the second. */
enum { K_BLOCK = 256, N_BLOCK = 256, M_BLOCK = ROWS * 16 };

struct gemm {
    int64_t M, N, K;
    float *c;
    int64_t ld_c;
    const float *bias; /* [N] that c starts with, or NULL: zeros. Not with accumulate. */
    bool accumulate;   /* c starts with what it holds */
    int64_t n_grain;   /* threads split N at multiples of it; divides N_BLOCK */

    /* dst = panels of a, ROWS wide: rows m .. m+rows-1, columns k .. k+count-1 */
    void (*pack_a)(const struct gemm *g, int64_t m, int64_t rows, int64_t k, int64_t count, float *dst);
    const float *a;
    int64_t ld_a;

    /* dst = panels of b, COLUMNS wide: rows k .. k+count-1, columns n .. n+columns-1 (at most N_BLOCK).
     * buffer: N_BLOCK * K_BLOCK floats of scratch */
    void (*pack_b)(const struct gemm *g, int64_t n, int64_t columns, int64_t k, int64_t count, float *dst,
                   float *buffer);
    const float *b;
    int64_t ld_b;
    const struct tensor *w;
};

void SIMD_NAME(gemm)(const struct exec *e, const struct gemm *g);

/* Inside a parallel region: the rectangle of a product's M x N results that is this thread's, maybe empty. */
struct gemm_share {
    int64_t m0, m1, n0, n1;
};

struct gemm_share SIMD_NAME(gemm_share)(int64_t M, int64_t m_grain, int64_t N, int64_t n_grain);

#endif
