/*
 * op_common.h - what the op files share: making a result and recording its backward. Private to src/tensor.
 */
#ifndef SPHINX_TENSOR_OP_COMMON_H
#define SPHINX_TENSOR_OP_COMMON_H

#include "tensor/ops.h"

#include <assert.h>

static inline bool has_grad(const struct tensor *t)
{
    return t != NULL && t->grad != NULL;
}

/* Vectors (norm weights, biases) are contiguous float32; NULL stays NULL. */
static inline const float *vec(const struct tensor *t)
{
    assert(t == NULL || (t->dtype == DTYPE_F32 && t->pieces == NULL));
    return t != NULL ? tensor_f32(t) : NULL;
}

static inline float *vec_grad(const struct tensor *t)
{
    return t != NULL ? t->grad : NULL;
}

/* Appends a backward to the tape. `args` (size bytes) is copied into the arena. Without a tape, or when y has no
 * gradient to pass on, does nothing. Returns y, or NULL when memory runs out. */
struct tensor *tape_record(struct ctx *c, struct tensor *y, void (*backward)(struct ctx *, const void *),
                           const void *args, size_t size);

/* p [count[t]] = the weights that head `head` of row t gives the rows that it sees: the softmax of its scores. q f32, k of any type. */
void attention_row_weights(const struct tensor *q, const struct tensor *k, const struct attention_shape *s,
                           int64_t t, int head, double *p);

/* Counts one op's work, if anybody wants to know. */
static inline void count_work(struct ctx *c, double flop, double bytes)
{
    if (c->work == NULL) return;
    c->work->flop += flop;
    c->work->bytes += bytes;
}

/* T rows times a weight. */
static inline void count_product(struct ctx *c, int64_t T, const struct tensor *w)
{
    size_t elements = (size_t)(tensor_rows(w) * tensor_columns(w));

    count_work(c, 2.0 * (double)T * (double)elements, (double)dtype_bytes(w->dtype, elements));
}

/* True when the heavy ops should give up: failed before, or the caller cancelled (then the failure is recorded). */
bool ctx_stopped(struct ctx *c);

#endif
