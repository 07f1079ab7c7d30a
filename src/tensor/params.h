/*
 * params.h - how a network says what weights it has.
 *
 * Each network has one function that visits all its parameters: their names in a checkpoint, full shapes, and how ranks
 * share them. Loading, checking, listing, writing synthetic checkpoints and training all walk through it, so that a
 * name or a shape stands in one place. Names carry no `llma.` prefix (spec 02 section 3).
 */
#ifndef SPHINX_TENSOR_PARAMS_H
#define SPHINX_TENSOR_PARAMS_H

#include "tensor/ops.h"

enum param_kind {
    PARAM_MATRIX, /* used in place, in any weight dtype; seen by ops as [dim[0], all the rest] */
    PARAM_VECTOR, /* small: norm weights, biases, embeddings; float32 in memory; dims are kept */
};

/* What ranks hold of a parameter (spec 02 section 3). */
enum param_split {
    SPLIT_NONE,    /* all of it */
    SPLIT_ROWS,    /* a slice of dim 0 */
    SPLIT_COLUMNS, /* a slice of dim 1 */
    SPLIT_EXPERTS, /* [E*F, D]: of every expert's F rows a slice */
};

struct param {
    const char *name;
    enum param_kind kind;
    enum param_split split;
    int experts; /* E: visited as so many matrices, which stand one below the other; else 1 */
    int n_dims;
    int64_t dim[TENSOR_DIMS_MAX]; /* full shape, as stored in an unsharded checkpoint */
};

struct param_visitor {
    /* `slot` is where the network keeps the tensors [experts]; NULL for tensors that upstream stores and nobody uses. */
    void (*visit)(struct param_visitor *v, const struct param *p, struct tensor *slot);
    void *user;
    char name[160]; /* the path so far; starts empty */
    size_t length;
};

/* A linear layer and a norm as networks hold them. A layer without bias has bias.n_dims == 0. */
struct dense {
    struct tensor weight, bias;
};

struct norm {
    struct tensor weight, bias;
};

#define SHAPE(...)                                                                                           \
    (int)(sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (const int64_t[])                     \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }

/* Puts a printf-like prefix before the names that follow, and takes it off again. */
size_t param_enter(struct param_visitor *v, const char *fmt, ...) PRINTF_LIKE(2, 3);
void param_leave(struct param_visitor *v, size_t length);

/* Visits one parameter: param(v, &w, PARAM_VECTOR, SPLIT_NONE, SHAPE(D), "norm.weight"). Behind "x.weight" with an adapter come its parts,
 * "x.lora_a.weight" [r, K], "x.lora_b.weight" [N, r] and "x.bias" [N], as far as it has them. */
void param(struct param_visitor *v, struct tensor *slot, enum param_kind kind, enum param_split split,
           int n_dims, const int64_t *dim, const char *name);
/* [experts * n_rows, n_columns] as so many matrices, shared by SPLIT_EXPERTS or SPLIT_COLUMNS. */
void param_experts(struct param_visitor *v, struct tensor *slots, enum param_split split, int64_t experts,
                   int64_t n_rows, int64_t n_columns, const char *name);
/* name.weight [n, k] and name.bias [n], replicated. */
void param_dense(struct param_visitor *v, struct dense *d, int64_t n, int64_t k, const char *name);
/* name.weight [n] and name.bias [n]. */
void param_norm(struct param_visitor *v, struct norm *m, int64_t n, const char *name);

/* linear and layer_norm of the above. */
struct tensor *apply_dense(struct ctx *c, struct tensor *x, const struct dense *d);
struct tensor *apply_norm(struct ctx *c, struct tensor *x, const struct norm *n, float eps);

#endif
