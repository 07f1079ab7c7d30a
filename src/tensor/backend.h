/*
 * backend.h - what a device must be able to do: a table of kernels, one per op and direction.
 *
 * Kernels cannot fail and do not allocate: shapes, types and memory were settled by the op that calls them (ops.h).
 * They see matrices (tensor.h): rows, columns, stride. Activations are float32; weights of `linear` and the sources of
 * `gather` may have any weight dtype and may lie in pieces; every `const float *` is contiguous.
 *
 * The result must not depend on the number of threads: work is divided by outputs, never by the terms of a sum.
 *
 * The *_backward kernels read the gradient of the output from y->grad and ADD to the gradients of the inputs that have one
 * (x->grad != NULL; a parameter gradient `float *dw` may be NULL). `forward` formulas stand in ops.h.
 *
 * backend/cpu/ref/ is the definition of each kernel in plain C; every other implementation is checked against it.
 */
#ifndef SPHINX_TENSOR_BACKEND_H
#define SPHINX_TENSOR_BACKEND_H

#include "tensor/tensor.h"

enum { KERNEL_SCRATCH_BYTES = 8 << 20, HEAD_DIM_MAX = 512, GRID_SIDE_MAX = 128 };

/* What a row comes to in `linear`, `linear_transposed` and `attention` must not depend on the other rows of the call, as long as x has at most
 * this many rows and, for attention, each run of equal `first` has. Batches and the checking of guessed tokens rely on it: they
 * give the same bits as one token at a time. */
enum { BATCH_ROWS = 32 };

/* How a kernel may use the machine. */
struct exec {
    int threads;
    unsigned char *scratch; /* [threads][KERNEL_SCRATCH_BYTES], 64-byte aligned, contents arbitrary */
    bool precise;           /* forbids rounding activations to 16 or 8 bits inside `linear` */
};

enum activation { ACT_GELU_ERF, ACT_GELU_QUICK, ACT_SILU, ACT_RELU };

/* Softmax attention. Row t of q sees the rows first[t] .. first[t]+count[t]-1 of k and v, count[t] >= 1.
 * Encoders: every row of a view sees that view's rows. Causal: first is the sequence's start, count the position + 1.
 * Rows with equal `first` stand together and their counts do not decrease; kernels may rely on it for speed only.
 *   q, y [T, H*d]   k, v [P, K*d] (f32, f16, bf16, q8_0)   query head j uses key/value head j / (H / K)
 *   y[t, j] = sum_p softmax_p(scale * q[t, j] . k[p, j']) v[p, j']
 * With q8_0, d is a multiple of its block: heads do not share one. */
struct attention_shape {
    int heads, kv_heads, head_dim;
    float scale;
    const int32_t *first, *count; /* [T] */
};

/* What is added to the scores where queries and keys are the cells of square maps, for how far apart they lie. Each segment of
 * attention_shape is one map, row by row: q, k and v have the same rows, and row t is cell t - first[t].
 *   rows, columns [T*H, 2*side-1]   to the score of the cells (y, x) and (y', x') of head j come
 *   rows[t*H + j, y - y' + side - 1] + columns[t*H + j, x - x' + side - 1] */
struct grid_terms {
    int side; /* <= GRID_SIDE_MAX */
    const struct tensor *rows, *columns;
};

/* A stack of V maps of H x W cells with C channels. Element (v, y, x, c) is at
 * v * map_stride + y * row_stride + x * column_stride + c * channel_stride. */
struct map_shape {
    int64_t maps, height, width, channels;
    int64_t map_stride, row_stride, column_stride, channel_stride;
};

/* One row of gather: row `row` of source `part`. */
struct row_ref {
    int32_t part, row;
};

struct backend {
    const char *name;  /* "cpu" */
    const char *level; /* "ref", "portable", "avx2", "avx512", "avx512vnni", "amx" */

    /* y [T, N] = x [T, K] . w [N, K]^T + bias [N] (bias may be NULL) */
    void (*linear)(const struct exec *e, struct tensor *y, const struct tensor *x, const struct tensor *w,
                   const float *bias);
    /* out [T, K] (+)= in [T, N] . w [N, K]; T rows each, ld floats apart. Forward of the experts' w2, dx of linear. */
    void (*linear_transposed)(const struct exec *e, float *out, int64_t ld_out, const float *in,
                              int64_t ld_in, int64_t rows, const struct tensor *w, bool accumulate);
    /* dw [N, K] += dy [T, N]^T . x [T, K]; all float32, row strides in floats */
    void (*linear_weight_grad)(const struct exec *e, float *dw, int64_t ld_dw, const float *dy, int64_t ld_dy,
                               const float *x, int64_t ld_x, int64_t rows, int64_t n, int64_t k);

    void (*attention)(const struct exec *e, struct tensor *y, const struct tensor *q, const struct tensor *k,
                      const struct tensor *v, const struct attention_shape *s);
    void (*attention_backward)(const struct exec *e, const struct tensor *y, const struct tensor *q,
                               const struct tensor *k, const struct tensor *v,
                               const struct attention_shape *s);
    /* The same with grid_terms; heads == kv_heads, k and v float32. */
    void (*attention_grid)(const struct exec *e, struct tensor *y, const struct tensor *q,
                           const struct tensor *k, const struct tensor *v, const struct attention_shape *s,
                           const struct grid_terms *g);
    void (*attention_grid_backward)(const struct exec *e, const struct tensor *y, const struct tensor *q,
                                    const struct tensor *k, const struct tensor *v,
                                    const struct attention_shape *s, const struct grid_terms *g);

    void (*layer_norm)(const struct exec *e, struct tensor *y, const struct tensor *x, const float *w,
                       const float *b, float eps);
    void (*layer_norm_backward)(const struct exec *e, const struct tensor *y, const struct tensor *x,
                                const float *w, float *dw, float *db, float eps);
    void (*rms_norm)(const struct exec *e, struct tensor *y, const struct tensor *x, const float *w,
                     float eps);
    void (*rms_norm_backward)(const struct exec *e, const struct tensor *y, const struct tensor *x,
                              const float *w, float *dw, float eps);

    void (*activate)(const struct exec *e, struct tensor *y, const struct tensor *x, enum activation a);
    void (*activate_backward)(const struct exec *e, const struct tensor *y, const struct tensor *x,
                              enum activation a);
    /* y = silu(gate) * up */
    void (*swiglu)(const struct exec *e, struct tensor *y, const struct tensor *gate,
                   const struct tensor *up);
    void (*swiglu_backward)(const struct exec *e, const struct tensor *y, const struct tensor *gate,
                            const struct tensor *up);

    /* y = h + gamma * x; gamma [D] may be NULL (ones); y may be h. */
    void (*residual)(const struct exec *e, struct tensor *y, const struct tensor *h, const struct tensor *x,
                     const float *gamma);
    void (*residual_backward)(const struct exec *e, const struct tensor *y, const struct tensor *h,
                              const struct tensor *x, const float *gamma, float *dgamma);
    /* y[t] = x[t] + p[t mod rows(p)] */
    void (*add_periodic)(const struct exec *e, struct tensor *y, const struct tensor *x,
                         const struct tensor *p);
    void (*add_periodic_backward)(const struct exec *e, const struct tensor *y, const struct tensor *x,
                                  const struct tensor *p);

    /* Rotates pairs (2i, 2i+1) of every head: angles [T, d] holds cos, sin of pair i at 2i, 2i+1.
     * y may be x. */
    void (*rope)(const struct exec *e, struct tensor *y, const struct tensor *x, const float *angles,
                 int head_dim);
    void (*rope_backward)(const struct exec *e, const struct tensor *y, const struct tensor *x,
                          const float *angles, int head_dim);

    /* y[t] = source[ref[t].part] row ref[t].row, any weight dtype, converted. */
    void (*gather)(const struct exec *e, struct tensor *y, const struct tensor *const *sources,
                   const struct row_ref *ref);
    void (*gather_backward)(const struct exec *e, const struct tensor *y, const struct tensor *const *sources,
                            const struct row_ref *ref);
    /* y[t] = sum_j weight[t, j] * x[index[t * taps + j]]; index < 0 skips the tap. weight [T, taps] float32 */
    void (*combine)(const struct exec *e, struct tensor *y, const struct tensor *x,
                    const struct tensor *weight, const int32_t *index, int taps);
    void (*combine_backward)(const struct exec *e, const struct tensor *y, const struct tensor *x,
                             const struct tensor *weight, const int32_t *index, int taps);
    /* The k largest of each row of x [T, E] (ties: lowest index), largest first, and their softmax among themselves.
     *   index [T, k]   y [T, k] */
    void (*softmax_top_k)(const struct exec *e, struct tensor *y, int32_t *index, const struct tensor *x);
    void (*softmax_top_k_backward)(const struct exec *e, const struct tensor *y, const int32_t *index,
                                   const struct tensor *x);

    /* Non-overlapping patches: y row (v, i, j), column (c, dy, dx) = x(v, i*patch+dy, j*patch+dx, c). Rows are ordered
     * v, i, j and columns c, dy, dx, as convolution weights [N, C, patch, patch] are, so that a convolution
     * whose stride is its size is a linear of the patches. Cells beyond floor(size / patch) are left out. */
    void (*patches)(const struct exec *e, struct tensor *y, const float *x, const struct map_shape *s,
                    int patch);
    void (*patches_backward)(const struct exec *e, const struct tensor *y, float *dx,
                             const struct map_shape *s, int patch);
    /* Depthwise k x k convolution (cross-correlation), zero padding k/2, stride 1.
     *   x, y [V*height*width, C]   w [C, k*k]   bias [C] */
    void (*depthwise_conv)(const struct exec *e, struct tensor *y, const struct tensor *x, const float *w,
                           const float *bias, int64_t height, int64_t width, int size);
    void (*depthwise_conv_backward)(const struct exec *e, const struct tensor *y, const struct tensor *x,
                                    const float *w, float *dw, float *dbias, int64_t height, int64_t width,
                                    int size);

    /* loss[t] = -log softmax(logits[t])[target[t]]; where logits has a gradient, `weight` times that of loss[t] is added to it, so
     * that neither direction needs memory of its own.   logits [T, vocab]   loss [T] */
    void (*cross_entropy)(const struct exec *e, float *loss, const struct tensor *logits,
                          const int32_t *target, float weight);

    /* Row row[t] of dst = row t of x, rounded to dst's dtype (f32, f16, bf16, q8_0). Fills the key/value cache. */
    void (*store_rows)(const struct exec *e, struct tensor *dst, const int32_t *row, const struct tensor *x);
};

#endif
