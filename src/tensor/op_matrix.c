/*
 * op_matrix.c - products with weights, and the same products where ranks hold slices of the weights.
 *
 *   column-parallel:  x ──┬── x w_0^T ─ [T, N/2]      row-parallel:  x_0 w_0^T ──┐
 *                         └── x w_1^T ─ [T, N/2]                      x_1 w_1^T ──┴─ sum ─ [T, N]
 *
 * A weight's adapter adds B (A x). Ranks hold of it what the sums leave them to: column-parallel all of A and their rows of B, row-parallel
 * their columns of A and all of B.
 */
#include "tensor/op_common.h"

struct linear_args {
    struct tensor *x, *y;
    const struct tensor *w, *b;
};

/* forward:  y[t,n] = sum_k x[t,k] w[n,k] + b[n]
 * so:       dx[t,k] += sum_n dy[t,n] w[n,k],  dw[n,k] += sum_t dy[t,n] x[t,k],  db[n] += sum_t dy[t,n] */
static void linear_backward(struct ctx *c, const void *args)
{
    const struct linear_args *a = args;
    const struct backend *b = c->backend;
    int64_t T = tensor_rows(a->y), n = tensor_columns(a->y), k = tensor_columns(a->x);

    if (has_grad(a->x)) {
        b->linear_transposed(&c->exec, a->x->grad, a->x->stride, a->y->grad, a->y->stride, T, a->w, true);
    }
    if (has_grad(a->w)) {
        b->linear_weight_grad(&c->exec, a->w->grad, a->w->stride, a->y->grad, a->y->stride, tensor_f32(a->x),
                              a->x->stride, T, n, k);
    }
    if (has_grad(a->b)) {
        float *ones = ctx_alloc(c, (size_t)T, sizeof *ones); /* a column of ones makes the sum a product */

        if (ones == NULL) return;
        for (int64_t t = 0; t < T; t++) ones[t] = 1;
        b->linear_weight_grad(&c->exec, a->b->grad, 1, a->y->grad, a->y->stride, ones, 1, T, n, 1);
    }
}

static bool adapter_learns(const struct adapter *a)
{
    return a != NULL && (has_grad(&a->a) || has_grad(&a->b));
}

/* The layer's own bias, else the one that was learned beside it. */
static const struct tensor *bias_of(const struct tensor *w, const struct tensor *b)
{
    return b == NULL && w != NULL && w->adapter != NULL && w->adapter->bias.n_dims != 0 ? &w->adapter->bias
                                                                                        : b;
}

/* x w^T + b, without what the adapter adds; but if that learns, the result has a gradient. */
static struct tensor *product(struct ctx *c, struct tensor *x, const struct tensor *w, const struct tensor *b)
{
    struct linear_args args = { x, NULL, w, b };

    if (x == NULL || w == NULL || ctx_stopped(c)) return NULL;
    assert(w->n_dims == 2 && tensor_columns(x) == w->dim[1] && (b == NULL || tensor_columns(b) == w->dim[0]));
    args.y = tensor_new(c, tensor_rows(x), w->dim[0],
                        has_grad(x) || has_grad(w) || has_grad(b) || adapter_learns(w->adapter));
    if (args.y == NULL) return NULL;
    count_product(c, tensor_rows(x), w);
    c->backend->linear(&c->exec, args.y, x, w, vec(b));
    return tape_record(c, args.y, linear_backward, &args, sizeof args);
}

static bool adapted(const struct tensor *w)
{
    return w != NULL && w->adapter != NULL && w->adapter->a.n_dims != 0;
}

/* y += x w^T over y, which nothing before needs the values of: the gradient of y is that of both terms.   x [T, r]   w [N, r] */
static struct tensor *add_product(struct ctx *c, struct tensor *y, struct tensor *x, const struct tensor *w)
{
    struct linear_args args = { x, y, w, NULL };
    struct arena_mark mark = arena_mark(c->arena);
    struct tensor *term;

    if (x == NULL || y == NULL) return NULL;
    term = tensor_new(c, tensor_rows(y), tensor_columns(y), false);
    if (term == NULL) return NULL;
    count_product(c, tensor_rows(x), w);
    c->backend->linear(&c->exec, term, x, w, NULL);
    c->backend->residual(&c->exec, y, y, term, NULL);
    arena_reset(c->arena, mark);
    return tape_record(c, y, linear_backward, &args, sizeof args);
}

struct tensor *linear(struct ctx *c, struct tensor *x, const struct tensor *w, const struct tensor *b)
{
    struct tensor *y = product(c, x, w, bias_of(w, b));

    if (!adapted(w)) return y;
    return add_product(c, y, product(c, x, &w->adapter->a, NULL), &w->adapter->b);
}

/* forward:  y[t,k] = sum_n x[t,n] w[n,k]
 * so:       dx[t,n] += sum_k dy[t,k] w[n,k],  dw[n,k] += sum_t x[t,n] dy[t,k] */
static void linear_transposed_backward(struct ctx *c, const void *args)
{
    const struct linear_args *a = args;
    int64_t T = tensor_rows(a->x), n = tensor_columns(a->x), k = tensor_columns(a->y);

    if (has_grad(a->x)) {
        struct tensor dy = tensor_matrix(DTYPE_F32, a->y->grad, T, k);
        struct tensor *product = tensor_new(c, T, n, false);

        if (product == NULL) return;
        c->backend->linear(&c->exec, product, &dy, a->w, NULL);
        for (int64_t t = 0; t < T; t++) {
            for (int64_t i = 0; i < n; i++)
                a->x->grad[t * a->x->stride + i] += tensor_f32(product)[t * n + i];
        }
    }
    if (has_grad(a->w)) {
        c->backend->linear_weight_grad(&c->exec, a->w->grad, a->w->stride, tensor_f32(a->x), a->x->stride,
                                       a->y->grad, a->y->stride, T, n, k);
    }
}

struct tensor *linear_transposed(struct ctx *c, struct tensor *x, const struct tensor *w)
{
    struct linear_args args = { x, NULL, w, NULL };

    if (x == NULL || w == NULL || ctx_stopped(c)) return NULL;
    assert(w->n_dims == 2 && tensor_columns(x) == w->dim[0] && w->adapter == NULL);
    args.y = tensor_new(c, tensor_rows(x), w->dim[1], has_grad(x) || has_grad(w));
    if (args.y == NULL) return NULL;
    count_product(c, tensor_rows(x), w);
    c->backend->linear_transposed(&c->exec, tensor_f32(args.y), args.y->stride, tensor_f32(x), x->stride,
                                  tensor_rows(x), w, false);
    return tape_record(c, args.y, linear_transposed_backward, &args, sizeof args);
}

struct comm_args {
    struct tensor *x, *y;
};

static bool ranks_one(const struct ctx *c)
{
    return c->comm == NULL || c->comm->size == 1;
}

/* dx += dy, elementwise. */
static void pass_gradient(const struct tensor *x, const struct tensor *y)
{
    for (int64_t t = 0; t < tensor_rows(y); t++) {
        for (int64_t i = 0; i < tensor_columns(y); i++)
            x->grad[t * x->stride + i] += y->grad[t * y->stride + i];
    }
}

/* forward: every rank has all of x.   so: x's gradient is the sum of what the ranks' slices contribute */
static void copy_to_ranks_backward(struct ctx *c, const void *args)
{
    const struct comm_args *a = args;
    size_t n = (size_t)tensor_rows(a->y) * (size_t)tensor_columns(a->y);

    if (c->comm->all_reduce(c->comm, a->y->grad, n, &c->err) == STATUS_OK) pass_gradient(a->x, a->y);
}

struct tensor *copy_to_ranks(struct ctx *c, struct tensor *x)
{
    struct comm_args args = { x, NULL };

    if (x == NULL || ranks_one(c) || c->tape == NULL || !has_grad(x)) return x;
    args.y = tensor_new(c, tensor_rows(x), tensor_columns(x), true);
    if (args.y == NULL) return NULL;
    for (int64_t t = 0; t < tensor_rows(x); t++) {
        memcpy(tensor_f32(args.y) + t * args.y->stride, tensor_f32(x) + t * x->stride,
               (size_t)tensor_columns(x) * sizeof(float));
    }
    return tape_record(c, args.y, copy_to_ranks_backward, &args, sizeof args);
}

static void sum_ranks_backward(struct ctx *c, const void *args)
{
    const struct comm_args *a = args;

    (void)c;
    pass_gradient(a->x, a->y);
}

struct tensor *sum_ranks(struct ctx *c, struct tensor *x)
{
    struct comm_args args = { x, x };
    size_t n;

    if (x == NULL || ranks_one(c)) return x;
    assert(x->stride == tensor_columns(x));
    n = (size_t)tensor_rows(x) * (size_t)tensor_columns(x);
    if (c->tape != NULL) {
        args.y = tensor_new(c, tensor_rows(x), tensor_columns(x), has_grad(x));
        if (args.y == NULL) return NULL;
        memcpy(args.y->data, x->data, n * sizeof(float));
    }
    if (c->comm->all_reduce(c->comm, tensor_f32(args.y), n, &c->err) != STATUS_OK) return NULL;
    return tape_record(c, args.y, sum_ranks_backward, &args, sizeof args);
}

/* All ranks have the same A x, of which each uses its rows of B: A's gradient, and x's by this way, is what their parts add up to. */
struct tensor *linear_column(struct ctx *c, struct tensor *x, const struct tensor *w, const struct tensor *b)
{
    struct tensor *y = product(c, copy_to_ranks(c, x), w, bias_of(w, b));

    if (!adapted(w)) return y;
    return add_product(c, y, copy_to_ranks(c, product(c, x, &w->adapter->a, NULL)), &w->adapter->b);
}

struct tensor *linear_row(struct ctx *c, struct tensor *x, const struct tensor *w, const struct tensor *b)
{
    struct tensor *y;

    if (ranks_one(c)) return linear(c, x, w, b);
    y = sum_ranks(c, product(c, x, w, NULL));
    b = bias_of(w, b);
    if (b != NULL) y = add_periodic(c, y, b);
    if (!adapted(w)) return y;
    return add_product(c, y, sum_ranks(c, product(c, x, &w->adapter->a, NULL)), &w->adapter->b);
}

/* forward: y[t, r*n + i] = rank r's x[t, i].   so: dx[t, i] += dy[t, rank*n + i] */
static void gather_columns_backward(struct ctx *c, const void *args)
{
    const struct comm_args *a = args;
    int64_t n = tensor_columns(a->x);

    for (int64_t t = 0; t < tensor_rows(a->x); t++) {
        const float *dy = a->y->grad + t * a->y->stride + c->comm->rank * n;

        for (int64_t i = 0; i < n; i++) a->x->grad[t * a->x->stride + i] += dy[i];
    }
}

struct tensor *gather_columns(struct ctx *c, struct tensor *x)
{
    struct comm_args args = { x, NULL };
    int64_t T, n;
    float *all;

    if (x == NULL || ranks_one(c)) return x;
    T = tensor_rows(x);
    n = tensor_columns(x);
    assert(x->stride == n);
    all = ctx_alloc(c, (size_t)(T * n * c->comm->size), sizeof *all);
    args.y = tensor_new(c, T, n * c->comm->size, has_grad(x));
    if (all == NULL || args.y == NULL) return NULL;
    if (c->comm->all_gather(c->comm, all, tensor_f32(x), (size_t)(T * n), &c->err) != STATUS_OK) return NULL;
    for (int r = 0; r < c->comm->size; r++) {
        for (int64_t t = 0; t < T; t++) {
            memcpy(tensor_f32(args.y) + t * args.y->stride + r * n, all + (r * T + t) * n,
                   (size_t)n * sizeof *all);
        }
    }
    return tape_record(c, args.y, gather_columns_backward, &args, sizeof args);
}

struct tensor *embed(struct ctx *c, const struct tensor *w, const int32_t *ids, int64_t T)
{
    struct tensor **sources = ctx_alloc(c, 1, sizeof(struct tensor *));
    struct row_ref *ref = ctx_alloc(c, (size_t)T, sizeof *ref);

    if (sources == NULL || ref == NULL) return NULL;
    *sources = (struct tensor *)(uintptr_t)w;
    for (int64_t t = 0; t < T; t++) {
        assert(ids[t] >= 0 && ids[t] < w->dim[0]);
        ref[t] = (struct row_ref){ 0, ids[t] };
    }
    return gather_columns(c, gather(c, sources, ref, T));
}
