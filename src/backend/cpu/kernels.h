/*
 * kernels.h - the one list of kernels that drives the declarations, the level tables, the tests and the benchmark;
 * and the few lines that every kernel needs.
 */
#ifndef SPHINX_BACKEND_CPU_KERNELS_H
#define SPHINX_BACKEND_CPU_KERNELS_H

#include "tensor/backend.h"

#include <omp.h>

/* Written once with vector types (simd/), built for every level; their definition is in ref/. */
#define KERNELS_SIMD(X) X(linear) KERNELS_SIMD_REST(X)
#define KERNELS_SIMD_REST(X)                                                                                 \
    X(linear_transposed)                                                                                     \
    X(linear_weight_grad)                                                                                    \
    X(attention)                                                                                             \
    X(attention_grid)                                                                                        \
    X(attention_backward)                                                                                    \
    X(attention_grid_backward)                                                                               \
    X(layer_norm)                                                                                            \
    X(rms_norm)                                                                                              \
    X(activate)                                                                                              \
    X(swiglu)                                                                                                \
    X(depthwise_conv)                                                                                        \
    X(cross_entropy)                                                                                         \
    X(layer_norm_backward)                                                                                   \
    X(rms_norm_backward)                                                                                     \
    X(activate_backward)                                                                                     \
    X(swiglu_backward)                                                                                       \
    X(residual)                                                                                              \
    X(residual_backward)                                                                                     \
    X(add_periodic)                                                                                          \
    X(add_periodic_backward)                                                                                 \
    X(rope)                                                                                                  \
    X(rope_backward)                                                                                         \
    X(depthwise_conv_backward)                                                                               \
    X(store_rows)

/* Plain C at every level: little work, or work that waits for memory. */
#define KERNELS_PLAIN(X)                                                                                     \
    X(gather)                                                                                                \
    X(gather_backward)                                                                                       \
    X(combine)                                                                                               \
    X(combine_backward)                                                                                      \
    X(softmax_top_k)                                                                                         \
    X(softmax_top_k_backward)                                                                                \
    X(patches)                                                                                               \
    X(patches_backward)

/* Declares function `name` with the type that the backend table gives `kernel`. */
#define KERNEL_DECLARE(kernel, name) __typeof__(*((struct backend *)0)->kernel) name;

/* Starting threads that are awake costs some microseconds, waking them ten times that (several teams that share the processors sleep soon):
 * smaller work, in element operations, stays on the calling thread. */
enum { WORK_MIN = 1 << 17 };

static inline int threads_for(const struct exec *e, int64_t work)
{
    return work < WORK_MIN ? 1 : e->threads;
}

/* Whether `linear` rounds x to 8 bits and sums integers (ref/ref_quant.c) for weights of type t. */
static inline bool linear_rounds(const struct exec *e, enum dtype t)
{
    return !e->precise && (t == DTYPE_Q8_0 || t == DTYPE_Q4_0 || t == DTYPE_Q4_K || t == DTYPE_Q6_K);
}

/* This thread's scratch, inside a parallel region. */
static inline void *thread_scratch(const struct exec *e)
{
    return e->scratch + (size_t)omp_get_thread_num() * KERNEL_SCRATCH_BYTES;
}

static inline float *data_row(const struct tensor *t, int64_t row)
{
    return tensor_f32(t) + row * t->stride;
}

static inline float *grad_row(const struct tensor *t, int64_t row)
{
    return t->grad + row * t->stride;
}

static inline int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

#endif
