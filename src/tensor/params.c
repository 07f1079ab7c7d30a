/* params.c - see params.h. */
#include "tensor/params.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

size_t param_enter(struct param_visitor *v, const char *fmt, ...)
{
    size_t before = v->length;
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(v->name + before, sizeof v->name - before, fmt, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < sizeof v->name - before);
    v->length += (size_t)n;
    return before;
}

void param_leave(struct param_visitor *v, size_t length)
{
    v->length = length;
    v->name[length] = '\0';
}

static void visit(struct param_visitor *v, struct tensor *slot, struct param *p, const char *name)
{
    size_t length = param_enter(v, "%s", name);

    p->name = v->name;
    v->visit(v, p, slot);
    param_leave(v, length);
}

/* Of a matrix whose rows are split A is whole and B split like it; of one whose columns are split the other way round. */
static void visit_adapter(struct param_visitor *v, struct adapter *x, const struct param *of,
                          const char *name)
{
    struct param a = { .kind = PARAM_MATRIX, .experts = 1, .n_dims = 2, .dim = { x->a.dim[0], 1 } };
    struct param b = { .kind = PARAM_MATRIX, .experts = 1, .n_dims = 2, .dim = { of->dim[0], x->a.dim[0] } };
    struct param bias = { .kind = PARAM_VECTOR, .experts = 1, .n_dims = 1, .dim = { of->dim[0] } };
    size_t n = strlen(name), length;

    assert(n >= strlen(".weight") && strcmp(name + n - strlen("weight"), "weight") == 0);
    for (int i = 1; i < of->n_dims; i++) a.dim[1] *= of->dim[i];
    if (of->split == SPLIT_COLUMNS) a.split = SPLIT_COLUMNS;
    if (of->split == SPLIT_ROWS) b.split = bias.split = SPLIT_ROWS;
    length = param_enter(v, "%.*s", (int)(n - strlen(".weight")), name);
    if (x->a.n_dims != 0) {
        visit(v, &x->a, &a, ".lora_a.weight");
        visit(v, &x->b, &b, ".lora_b.weight");
    }
    if (x->bias.n_dims != 0) visit(v, &x->bias, &bias, ".bias");
    param_leave(v, length);
}

void param(struct param_visitor *v, struct tensor *slot, enum param_kind kind, enum param_split split,
           int n_dims, const int64_t *dim, const char *name)
{
    struct param p = { .kind = kind, .split = split, .experts = 1, .n_dims = n_dims };

    assert(n_dims <= TENSOR_DIMS_MAX);
    for (int i = 0; i < n_dims; i++) p.dim[i] = dim[i];
    visit(v, slot, &p, name);
    if (slot != NULL && slot->adapter != NULL) visit_adapter(v, slot->adapter, &p, name);
}

void param_experts(struct param_visitor *v, struct tensor *slots, enum param_split split, int64_t experts,
                   int64_t n_rows, int64_t n_columns, const char *name)
{
    struct param p = { .kind = PARAM_MATRIX,
                       .split = split,
                       .experts = (int)experts,
                       .n_dims = 2,
                       .dim = { experts * n_rows, n_columns } };

    visit(v, slots, &p, name);
}

void param_dense(struct param_visitor *v, struct dense *d, int64_t n, int64_t k, const char *name)
{
    size_t length = param_enter(v, "%s", name);

    param(v, &d->weight, PARAM_MATRIX, SPLIT_NONE, SHAPE(n, k), ".weight");
    param(v, &d->bias, PARAM_VECTOR, SPLIT_NONE, SHAPE(n), ".bias");
    param_leave(v, length);
}

void param_norm(struct param_visitor *v, struct norm *m, int64_t n, const char *name)
{
    size_t length = param_enter(v, "%s", name);

    param(v, &m->weight, PARAM_VECTOR, SPLIT_NONE, SHAPE(n), ".weight");
    param(v, &m->bias, PARAM_VECTOR, SPLIT_NONE, SHAPE(n), ".bias");
    param_leave(v, length);
}

struct tensor *apply_dense(struct ctx *c, struct tensor *x, const struct dense *d)
{
    return linear(c, x, &d->weight, d->bias.n_dims != 0 ? &d->bias : NULL);
}

struct tensor *apply_norm(struct ctx *c, struct tensor *x, const struct norm *n, float eps)
{
    return layer_norm(c, x, &n->weight, &n->bias, eps);
}
