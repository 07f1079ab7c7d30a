/*
 * simd_matrix.h - products of many rows with weights of 16 bits and less, on the matrix unit.
 */
#ifndef SPHINX_BACKEND_CPU_SIMD_MATRIX_H
#define SPHINX_BACKEND_CPU_SIMD_MATRIX_H

#include "backend/cpu/simd/vec.h"

/* The product that linear asks for, if it is one for the matrix unit: x and w are rounded to bf16, sums are float32. Sums run
 * along k in order, whatever the number of rows and threads and however the weight is cut. False, and nothing
 * done: it is not one. So it is for a precise product, for float32 weights, and for few rows, for which other kernels
 * are made. */
bool SIMD_NAME(matrix_linear)(const struct exec *e, struct tensor *y, const struct tensor *x,
                              const struct tensor *w, const float *bias);

#endif
