/* op_move.c - ops that pick, mix and join rows. See ops.h. */
#include "tensor/op_common.h"

struct gather_args {
    struct tensor *y;
    const struct tensor *const *sources;
    const struct row_ref *ref;
};

static void gather_backward(struct ctx *c, const void *args)
{
    const struct gather_args *a = args;

    c->backend->gather_backward(&c->exec, a->y, a->sources, a->ref);
}

struct tensor *gather(struct ctx *c, struct tensor *const *sources, const struct row_ref *ref, int64_t T)
{
    struct gather_args args = { NULL, (const struct tensor *const *)sources, ref };
    int64_t width = -1;
    bool grad = false;

    if (c->err.code != STATUS_OK) return NULL;
    for (int64_t t = 0; t < T; t++) {
        const struct tensor *s = sources[ref[t].part];

        if (s == NULL) return NULL;
        if (width < 0) width = tensor_columns(s);
        assert(tensor_columns(s) == width && ref[t].row >= 0 && ref[t].row < tensor_rows(s));
        grad = grad || has_grad(s);
    }
    args.y = tensor_new(c, T, width < 0 ? 0 : width, grad);
    if (args.y == NULL) return NULL;
    c->backend->gather(&c->exec, args.y, args.sources, ref);
    return tape_record(c, args.y, gather_backward, &args, sizeof args);
}

struct combine_args {
    struct tensor *y, *x, *weight;
    const int32_t *index;
    int taps;
};

static void combine_backward(struct ctx *c, const void *args)
{
    const struct combine_args *a = args;

    c->backend->combine_backward(&c->exec, a->y, a->x, a->weight, a->index, a->taps);
}

struct tensor *combine(struct ctx *c, struct tensor *x, struct tensor *weight, const int32_t *index, int taps)
{
    struct combine_args args = { NULL, x, weight, index, taps };

    if (x == NULL || weight == NULL) return NULL;
    assert(tensor_columns(weight) == taps && x->dtype == DTYPE_F32);
    args.y = tensor_new(c, tensor_rows(weight), tensor_columns(x), has_grad(x) || has_grad(weight));
    if (args.y == NULL) return NULL;
    c->backend->combine(&c->exec, args.y, x, weight, index, taps);
    return tape_record(c, args.y, combine_backward, &args, sizeof args);
}

struct concat_args {
    struct tensor *y;
    struct tensor *const *parts;
    int n;
};

/* forward: y's columns are the parts' columns.   so: each part's gradient is its columns of dy */
static void concat_backward(struct ctx *c, const void *args)
{
    const struct concat_args *a = args;
    int64_t first = 0;

    (void)c;
    for (int i = 0; i < a->n; i++) {
        struct tensor *p = a->parts[i];
        int64_t width = tensor_columns(p);

        for (int64_t t = 0; p->grad != NULL && t < tensor_rows(p); t++) {
            const float *dy = a->y->grad + t * a->y->stride + first;

            for (int64_t j = 0; j < width; j++) p->grad[t * p->stride + j] += dy[j];
        }
        first += width;
    }
}

struct tensor *concat_columns(struct ctx *c, struct tensor *const *parts, int n)
{
    struct tensor **kept = ctx_alloc(c, (size_t)n, sizeof(struct tensor *));
    struct concat_args args = { NULL, kept, n };
    int64_t width = 0, first = 0;
    bool grad = false;

    if (kept == NULL) return NULL;
    for (int i = 0; i < n; i++) {
        if (parts[i] == NULL) return NULL;
        assert(tensor_rows(parts[i]) == tensor_rows(parts[0]));
        kept[i] = parts[i];
        width += tensor_columns(parts[i]);
        grad = grad || has_grad(parts[i]);
    }
    args.y = tensor_new(c, tensor_rows(parts[0]), width, grad);
    if (args.y == NULL) return NULL;
    for (int i = 0; i < n; i++) {
        for (int64_t t = 0; t < tensor_rows(parts[i]); t++) {
            memcpy(tensor_f32(args.y) + t * width + first, tensor_f32(parts[i]) + t * parts[i]->stride,
                   (size_t)tensor_columns(parts[i]) * sizeof(float));
        }
        first += tensor_columns(parts[i]);
    }
    return tape_record(c, args.y, concat_backward, &args, sizeof args);
}

struct top_k_args {
    struct tensor *y, *x;
    const int32_t *index;
};

static void softmax_top_k_backward(struct ctx *c, const void *args)
{
    const struct top_k_args *a = args;

    c->backend->softmax_top_k_backward(&c->exec, a->y, a->index, a->x);
}

struct tensor *softmax_top_k(struct ctx *c, struct tensor *x, int k, int32_t **index)
{
    struct top_k_args args = { NULL, x, NULL };

    if (x == NULL) return NULL;
    assert(k >= 1 && k <= tensor_columns(x));
    args.y = tensor_new(c, tensor_rows(x), k, has_grad(x));
    *index = ctx_alloc(c, (size_t)(tensor_rows(x) * k), sizeof **index);
    if (args.y == NULL || *index == NULL) return NULL;
    c->backend->softmax_top_k(&c->exec, args.y, *index, x);
    args.index = *index;
    return tape_record(c, args.y, softmax_top_k_backward, &args, sizeof args);
}
