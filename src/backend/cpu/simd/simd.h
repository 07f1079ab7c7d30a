/*
 * simd.h - the kernels of the level that is being compiled (vec.h), named kernel_<level>.
 */
#ifndef SPHINX_BACKEND_CPU_SIMD_H
#define SPHINX_BACKEND_CPU_SIMD_H

#include "backend/cpu/simd/vec.h"

#define SIMD_DECLARE(kernel) KERNEL_DECLARE(kernel, SIMD_NAME(kernel))
KERNELS_SIMD(SIMD_DECLARE)
#undef SIMD_DECLARE

#endif
