/*
 * ref.h - every kernel in plain C: the definition that the fast ones are tested against. Sums are double.
 * Shapes and formulas: tensor/backend.h.
 */
#ifndef SPHINX_BACKEND_CPU_REF_H
#define SPHINX_BACKEND_CPU_REF_H

#include "backend/cpu/kernels.h"

#define REF_DECLARE(kernel) KERNEL_DECLARE(kernel, ref_##kernel)
KERNELS_SIMD(REF_DECLARE)
KERNELS_PLAIN(REF_DECLARE)
#undef REF_DECLARE

/* `linear` where linear_rounds() says so: for weights of type q8_0, q4_0, q4_K, q6_K. */
KERNEL_DECLARE(linear, ref_linear_rounded)

/* Rounds 32 numbers to 8 bits: x = scale * q, q to the nearest, halves to even; returns the scale. The largest magnitude becomes
 * 127. A block of numbers below 1.5e-36 counts as zeros; one with an infinity or a NaN has the scale NaN, and so spoils the row's
 * results. */
float ref_round_block(const float *x, int8_t *q);

#endif
