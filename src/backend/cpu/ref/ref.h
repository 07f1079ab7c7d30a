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

#endif
