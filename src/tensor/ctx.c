/* ctx.c - the context that ops run in: memory, scopes, names of intermediates. See ops.h. */
#include "tensor/ops.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum status ctx_init(struct ctx *c, const struct backend *b, struct arena *a, int threads, struct err *e)
{
    assert(threads >= 1);
    memset(c, 0, sizeof *c);
    c->backend = b;
    c->arena = a;
    c->exec.threads = threads;
    c->exec.scratch = aligned_alloc(64, (size_t)threads * KERNEL_SCRATCH_BYTES);
    if (c->exec.scratch == NULL) return err_no_memory(e, "kernel scratch");
    return STATUS_OK;
}

void ctx_free(struct ctx *c)
{
    free(c->exec.scratch);
    memset(c, 0, sizeof *c);
}

struct arena_mark scope_begin(struct ctx *c)
{
    return arena_mark(c->arena);
}

void scope_end(struct ctx *c, struct arena_mark m)
{
    if (c->tape == NULL) arena_reset(c->arena, m);
}

struct tensor *observe(struct ctx *c, struct tensor *x, const char *fmt, ...)
{
    char name[128];
    va_list args;

    if (x == NULL || c->observer == NULL) return x;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    c->observer(c->observer_user, name, x);
    return x;
}

void *ctx_alloc(struct ctx *c, size_t count, size_t size)
{
    void *p = NULL;

    if (size == 0 || count <= SIZE_MAX / size) p = arena_alloc(c->arena, count * size);
    if (p == NULL) err_no_memory(&c->err, "activations");
    return p;
}

struct tensor *tensor_new(struct ctx *c, int64_t n_rows, int64_t n_columns, bool grad)
{
    size_t count = (size_t)n_rows * (size_t)n_columns;
    struct tensor *t = ctx_alloc(c, 1, sizeof *t);
    float *data = ctx_alloc(c, count, sizeof *data);

    if (t == NULL || data == NULL) return NULL;
    *t = tensor_matrix(DTYPE_F32, data, n_rows, n_columns);
    return grad && c->tape != NULL ? tensor_add_grad(c, t) : t;
}

struct tensor *tensor_add_grad(struct ctx *c, struct tensor *x)
{
    size_t count = (size_t)tensor_rows(x) * (size_t)tensor_columns(x);

    x->grad = ctx_alloc(c, count, sizeof *x->grad);
    if (x->grad == NULL) return NULL;
    memset(x->grad, 0, count * sizeof *x->grad);
    return x;
}

struct tensor *columns(struct ctx *c, struct tensor *x, int64_t first, int64_t count)
{
    struct tensor *t;

    if (x == NULL) return NULL;
    assert(x->dtype == DTYPE_F32 && first >= 0 && first + count <= tensor_columns(x));
    t = ctx_alloc(c, 1, sizeof *t);
    if (t == NULL) return NULL;
    *t = tensor_matrix(DTYPE_F32, tensor_f32(x) + first, tensor_rows(x), count);
    t->stride = x->stride;
    t->grad = x->grad != NULL ? x->grad + first : NULL;
    return t;
}

struct tensor *rows(struct ctx *c, struct tensor *x, int64_t first, int64_t count)
{
    struct tensor *t;

    if (x == NULL) return NULL;
    assert(x->dtype == DTYPE_F32 && first >= 0 && first + count <= tensor_rows(x));
    t = ctx_alloc(c, 1, sizeof *t);
    if (t == NULL) return NULL;
    *t = tensor_matrix(DTYPE_F32, tensor_f32(x) + first * x->stride, count, tensor_columns(x));
    t->stride = x->stride;
    t->grad = x->grad != NULL ? x->grad + first * x->stride : NULL;
    return t;
}

struct tensor *reshape(struct ctx *c, struct tensor *x, int64_t n_rows)
{
    struct tensor *t;
    int64_t n;

    if (x == NULL) return NULL;
    n = tensor_rows(x) * tensor_columns(x);
    assert(x->dtype == DTYPE_F32 && n_rows >= 1 && n % n_rows == 0);
    assert(tensor_rows(x) <= 1 || x->stride == tensor_columns(x));
    t = ctx_alloc(c, 1, sizeof *t);
    if (t == NULL) return NULL;
    *t = tensor_matrix(DTYPE_F32, x->data, n_rows, n / n_rows);
    t->grad = x->grad;
    return t;
}
