/* op_rows.c - ops that treat every row alike: norms, activations, sums. See ops.h. */
#include "tensor/op_common.h"

struct norm_args {
    struct tensor *y, *x;
    const struct tensor *w, *b;
    float eps;
};

static void layer_norm_backward(struct ctx *c, const void *args)
{
    const struct norm_args *a = args;

    c->backend->layer_norm_backward(&c->exec, a->y, a->x, vec(a->w), vec_grad(a->w), vec_grad(a->b), a->eps);
}

struct tensor *layer_norm(struct ctx *c, struct tensor *x, const struct tensor *w, const struct tensor *b,
                          float eps)
{
    struct norm_args args = { NULL, x, w, b, eps };

    if (x == NULL || w == NULL || b == NULL) return NULL;
    assert(tensor_columns(w) == tensor_columns(x) && tensor_columns(b) == tensor_columns(x));
    args.y = tensor_new(c, tensor_rows(x), tensor_columns(x), has_grad(x) || has_grad(w) || has_grad(b));
    if (args.y == NULL) return NULL;
    c->backend->layer_norm(&c->exec, args.y, x, vec(w), vec(b), eps);
    return tape_record(c, args.y, layer_norm_backward, &args, sizeof args);
}

static void rms_norm_backward(struct ctx *c, const void *args)
{
    const struct norm_args *a = args;

    c->backend->rms_norm_backward(&c->exec, a->y, a->x, vec(a->w), vec_grad(a->w), a->eps);
}

struct tensor *rms_norm(struct ctx *c, struct tensor *x, const struct tensor *w, float eps)
{
    struct norm_args args = { NULL, x, w, NULL, eps };

    if (x == NULL || w == NULL) return NULL;
    assert(tensor_columns(w) == tensor_columns(x));
    args.y = tensor_new(c, tensor_rows(x), tensor_columns(x), has_grad(x) || has_grad(w));
    if (args.y == NULL) return NULL;
    c->backend->rms_norm(&c->exec, args.y, x, vec(w), eps);
    return tape_record(c, args.y, rms_norm_backward, &args, sizeof args);
}

struct activation_args {
    struct tensor *y, *x, *up;
    enum activation a;
};

static void activate_backward(struct ctx *c, const void *args)
{
    const struct activation_args *a = args;

    c->backend->activate_backward(&c->exec, a->y, a->x, a->a);
}

struct tensor *activate(struct ctx *c, struct tensor *x, enum activation a)
{
    struct activation_args args = { x, x, NULL, a };

    if (x == NULL) return NULL;
    if (c->tape != NULL) args.y = tensor_new(c, tensor_rows(x), tensor_columns(x), has_grad(x));
    if (args.y == NULL) return NULL;
    c->backend->activate(&c->exec, args.y, x, a);
    return tape_record(c, args.y, activate_backward, &args, sizeof args);
}

static void swiglu_backward(struct ctx *c, const void *args)
{
    const struct activation_args *a = args;

    c->backend->swiglu_backward(&c->exec, a->y, a->x, a->up);
}

struct tensor *swiglu(struct ctx *c, struct tensor *gate, struct tensor *up)
{
    struct activation_args args = { gate, gate, up, ACT_SILU };

    if (gate == NULL || up == NULL) return NULL;
    assert(tensor_columns(gate) == tensor_columns(up) && tensor_rows(gate) == tensor_rows(up));
    if (c->tape != NULL)
        args.y = tensor_new(c, tensor_rows(gate), tensor_columns(gate), has_grad(gate) || has_grad(up));
    if (args.y == NULL) return NULL;
    c->backend->swiglu(&c->exec, args.y, gate, up);
    return tape_record(c, args.y, swiglu_backward, &args, sizeof args);
}

struct residual_args {
    struct tensor *y, *h, *x;
    const struct tensor *gamma;
};

static void residual_backward(struct ctx *c, const void *args)
{
    const struct residual_args *a = args;

    c->backend->residual_backward(&c->exec, a->y, a->h, a->x, vec(a->gamma), vec_grad(a->gamma));
}

struct tensor *residual(struct ctx *c, struct tensor *h, struct tensor *x, const struct tensor *gamma)
{
    struct residual_args args = { h, h, x, gamma };

    if (h == NULL || x == NULL) return NULL;
    assert(tensor_rows(h) == tensor_rows(x) && tensor_columns(h) == tensor_columns(x));
    if (c->tape != NULL) {
        args.y =
            tensor_new(c, tensor_rows(h), tensor_columns(h), has_grad(h) || has_grad(x) || has_grad(gamma));
    }
    if (args.y == NULL) return NULL;
    c->backend->residual(&c->exec, args.y, h, x, vec(gamma));
    return tape_record(c, args.y, residual_backward, &args, sizeof args);
}

static void add_periodic_backward(struct ctx *c, const void *args)
{
    const struct residual_args *a = args;

    c->backend->add_periodic_backward(&c->exec, a->y, a->h, a->x);
}

struct tensor *add_periodic(struct ctx *c, struct tensor *x, const struct tensor *p)
{
    struct residual_args args = { x, x, (struct tensor *)(uintptr_t)p, NULL };

    if (x == NULL || p == NULL) return NULL;
    assert(tensor_columns(x) == tensor_columns(p) && p->dtype == DTYPE_F32);
    if (c->tape != NULL)
        args.y = tensor_new(c, tensor_rows(x), tensor_columns(x), has_grad(x) || has_grad(p));
    if (args.y == NULL) return NULL;
    c->backend->add_periodic(&c->exec, args.y, x, p);
    return tape_record(c, args.y, add_periodic_backward, &args, sizeof args);
}
