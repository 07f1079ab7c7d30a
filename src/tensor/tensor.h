/*
 * tensor.h - what ops take and give: a row-major array of numbers somewhere in memory.
 *
 * Shapes read slowest to fastest as in PyTorch. Letters used throughout the program:
 *   B batch, V views, S view side, N image words, T tokens now, P positions cached, L layers, D width, H heads,
 *   K key/value heads, d head width, F ffn width, E experts; vocab in full.
 *
 * Ops see a tensor as a matrix: dim[n-1] columns, the product of the others rows, rows `stride` elements apart.
 * A column slice of a wider matrix (the q of a fused qkv) is thus a tensor too and needs no copy.
 */
#ifndef SPHINX_TENSOR_TENSOR_H
#define SPHINX_TENSOR_TENSOR_H

#include "tensor/dtype.h"

enum { TENSOR_DIMS_MAX = 4 };

/*
 * A weight that was saved in n shards and is used where the shards lie. All pieces have the same shape.
 *
 *   axis 0: rows are stacked,     piece = row / rows_per_piece          (wq, w1, output, ...)
 *   axis 1: columns stand abreast, piece = column / columns_per_piece   (wo, w2, tok_embeddings)
 */
struct tensor_pieces {
    int axis;
    int count;
    const void *const *data; /* [count] first element of each */
    const int64_t *stride;   /* [count] elements between rows inside each */
};

struct adapter;

struct tensor {
    enum dtype dtype;
    int n_dims;
    int64_t dim[TENSOR_DIMS_MAX];
    int64_t stride;                     /* elements between rows; 0 rows or 1 row: any */
    void *data;                         /* weights are mapped read-only: never written through */
    const struct tensor_pieces *pieces; /* set: data is NULL */
    float *grad;                        /* set: gradients are summed here, rows `stride` apart */
    struct adapter *adapter;            /* set: of a weight, what `linear` adds to its product */
};

/*
 * What was learned beside a weight W [N, K] that stays as it is, mapped or quantised (LoRA: Hu et al. 2021; spec 10 section 3):
 *
 *   y = W x + b + B (A x)      A [r, K], B [N, r]
 *
 * A factor that B is to be multiplied by is in B already, and several adapters are one: their A's stand below each other, their B's abreast.
 */
struct adapter {
    struct tensor a, b; /* weights of any dtype; n_dims 0: none, only a bias */
    struct tensor bias; /* [N] float32, of a layer that has none of its own; n_dims 0: none */
};

static inline int64_t tensor_columns(const struct tensor *t)
{
    return t->dim[t->n_dims - 1];
}

static inline int64_t tensor_rows(const struct tensor *t)
{
    int64_t n = 1;

    for (int i = 0; i + 1 < t->n_dims; i++) n *= t->dim[i];
    return n;
}

static inline float *tensor_f32(const struct tensor *t)
{
    return t->data;
}

/* A contiguous matrix over memory of the caller's. */
struct tensor tensor_matrix(enum dtype dtype, void *data, int64_t rows, int64_t columns);

/* The `count` columns from `first` on of row `row`, as contiguous bytes: in place where they lie in one piece, else
 * gathered into scratch (at least dtype_bytes(dtype, count)). first and count are multiples of the dtype's
 * block, as are the pieces' widths. */
const void *tensor_row(const struct tensor *t, int64_t row, int64_t first, int64_t count, void *scratch);

/* The same as float32, into out [count]. */
void tensor_row_f32(const struct tensor *t, int64_t row, int64_t first, int64_t count, float *out);

/* Rows first .. first+count-1 of a 2-D weight, pieces or not, as a tensor that borrows t's memory. For pieces
 * along axis 0, first and count must be multiples of the piece's rows or lie inside one piece; `pieces` is the
 * caller's storage for the result's piece table. */
struct tensor tensor_slice_rows(const struct tensor *t, int64_t first, int64_t count,
                                struct tensor_pieces *pieces);

#endif
