/*
 * simd_quant.h - products of quantised weights in integers: `linear` where the weight's type is q8_0, q4_0, q4_K or q6_K and
 * activations may be rounded. The definition is ref/ref_quant.c.
 */
#ifndef SPHINX_BACKEND_CPU_SIMD_QUANT_H
#define SPHINX_BACKEND_CPU_SIMD_QUANT_H

#include "backend/cpu/simd/vec.h"

KERNEL_DECLARE(linear, SIMD_NAME(quant_linear))

#endif
