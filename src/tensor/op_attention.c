/* op_attention.c - attention, rotary embedding, and the key/value cache's one write. See ops.h. */
#include "tensor/op_common.h"

#include <math.h>

struct attention_args {
    struct tensor *y, *q, *k, *v;
    struct attention_shape s;
};

static void attention_backward(struct ctx *c, const void *args)
{
    const struct attention_args *a = args;

    c->backend->attention_backward(&c->exec, a->y, a->q, a->k, a->v, &a->s);
}

static double dtype_bytes_each(enum dtype t)
{
    return (double)dtype_info(t)->block_bytes / (double)dtype_info(t)->block_elements;
}

/* Two products with every position seen; the rows of a segment are read once. */
static void count_attention(struct ctx *c, int64_t T, const struct tensor *k, const struct tensor *v,
                            const struct attention_shape *s)
{
    double seen = 0, positions = 0, width = (double)tensor_columns(k);

    for (int64_t t = 0; t < T; t++) {
        seen += s->count[t];
        if (t + 1 == T || s->first[t + 1] != s->first[t]) positions += s->count[t];
    }
    count_work(c, 4.0 * seen * s->heads * s->head_dim,
               positions * width * (dtype_bytes_each(k->dtype) + dtype_bytes_each(v->dtype)));
}

struct tensor *attention(struct ctx *c, struct tensor *q, struct tensor *k, struct tensor *v,
                         const struct attention_shape *s)
{
    struct attention_args args = { NULL, q, k, v, *s };

    if (q == NULL || k == NULL || v == NULL || ctx_stopped(c)) return NULL;
    assert(s->head_dim <= HEAD_DIM_MAX && s->heads % s->kv_heads == 0);
    assert(tensor_columns(q) == (int64_t)s->heads * s->head_dim);
    assert(tensor_columns(k) == (int64_t)s->kv_heads * s->head_dim && tensor_columns(v) == tensor_columns(k));
    args.y = tensor_new(c, tensor_rows(q), tensor_columns(q), has_grad(q) || has_grad(k) || has_grad(v));
    if (args.y == NULL) return NULL;
    if (c->work != NULL) count_attention(c, tensor_rows(q), k, v, s);
    c->backend->attention(&c->exec, args.y, q, k, v, s);
    return tape_record(c, args.y, attention_backward, &args, sizeof args);
}

void attention_row_weights(const struct tensor *q, const struct tensor *k, const struct attention_shape *s,
                           int64_t t, int head, double *p)
{
    const float *query = tensor_f32(q) + t * q->stride + (int64_t)head * s->head_dim;
    int64_t column = (int64_t)(head / (s->heads / s->kv_heads)) * s->head_dim;
    double top = -INFINITY, sum = 0;

    for (int64_t j = 0; j < s->count[t]; j++) {
        float key[HEAD_DIM_MAX];

        tensor_row_f32(k, s->first[t] + j, column, s->head_dim, key);
        p[j] = 0;
        for (int i = 0; i < s->head_dim; i++) p[j] += (double)query[i] * (double)key[i];
        p[j] *= (double)s->scale;
        if (p[j] > top) top = p[j];
    }
    for (int64_t j = 0; j < s->count[t]; j++) sum += p[j] = exp(p[j] - top);
    for (int64_t j = 0; j < s->count[t]; j++) p[j] /= sum;
}

struct tensor *attention_weights(struct ctx *c, const struct tensor *q, const struct tensor *k,
                                 const struct attention_shape *s, int64_t columns, double share)
{
    struct tensor *y;
    int64_t most = 0;
    double *p;

    if (q == NULL || k == NULL) return NULL;
    assert(s->head_dim <= HEAD_DIM_MAX && s->heads % s->kv_heads == 0);
    for (int64_t t = 0; t < tensor_rows(q); t++)
        if (s->count[t] > most) most = s->count[t];
    p = ctx_alloc(c, (size_t)most, sizeof *p);
    y = tensor_new(c, tensor_rows(q), columns, false);
    if (p == NULL || y == NULL) return NULL;
    memset(tensor_f32(y), 0, (size_t)(tensor_rows(q) * columns) * sizeof(float));
    for (int64_t t = 0; t < tensor_rows(q); t++) {
        for (int head = 0; head < s->heads; head++) {
            attention_row_weights(q, k, s, t, head, p);
            for (int64_t j = 0; j < s->count[t] && j < columns; j++)
                tensor_f32(y)[t * columns + j] += (float)(share * p[j]);
        }
    }
    return y;
}

struct attention_grid_args {
    struct tensor *y, *q, *k, *v;
    struct attention_shape s;
    struct grid_terms g;
};

static void attention_grid_backward(struct ctx *c, const void *args)
{
    const struct attention_grid_args *a = args;

    c->backend->attention_grid_backward(&c->exec, a->y, a->q, a->k, a->v, &a->s, &a->g);
}

struct tensor *attention_grid(struct ctx *c, struct tensor *q, struct tensor *k, struct tensor *v,
                              const struct attention_shape *s, const struct grid_terms *g)
{
    struct attention_grid_args args = { NULL, q, k, v, *s, *g };
    int64_t T;

    if (q == NULL || k == NULL || v == NULL || g->rows == NULL || g->columns == NULL || ctx_stopped(c))
        return NULL;
    T = tensor_rows(q);
    assert(s->head_dim <= HEAD_DIM_MAX && s->heads == s->kv_heads && g->side <= GRID_SIDE_MAX);
    assert(T % (g->side * g->side) == 0 && tensor_rows(k) == T && tensor_rows(v) == T);
    assert(tensor_rows(g->rows) == T * s->heads && tensor_columns(g->rows) == 2 * g->side - 1);
    assert(tensor_rows(g->columns) == T * s->heads && tensor_columns(g->columns) == 2 * g->side - 1);
    args.y =
        tensor_new(c, T, tensor_columns(q),
                   has_grad(q) || has_grad(k) || has_grad(v) || has_grad(g->rows) || has_grad(g->columns));
    if (args.y == NULL) return NULL;
    if (c->work != NULL) count_attention(c, T, k, v, s);
    c->backend->attention_grid(&c->exec, args.y, q, k, v, s, g);
    return tape_record(c, args.y, attention_grid_backward, &args, sizeof args);
}

bool attention_segments(struct ctx *c, struct attention_shape *s, int64_t segments, int64_t length,
                        int64_t seen)
{
    int32_t *first = ctx_alloc(c, (size_t)(segments * length), sizeof *first);
    int32_t *count = ctx_alloc(c, (size_t)(segments * length), sizeof *count);

    if (first == NULL || count == NULL) return false;
    for (int64_t t = 0; t < segments * length; t++) {
        first[t] = (int32_t)(t / length * seen);
        count[t] = (int32_t)seen;
    }
    s->first = first;
    s->count = count;
    return true;
}

struct rope_args {
    struct tensor *y, *x;
    const float *angles;
    int head_dim;
};

static void rope_backward(struct ctx *c, const void *args)
{
    const struct rope_args *a = args;

    c->backend->rope_backward(&c->exec, a->y, a->x, a->angles, a->head_dim);
}

struct tensor *rope(struct ctx *c, struct tensor *x, const struct tensor *angles, int head_dim)
{
    struct rope_args args = { x, x, NULL, head_dim };

    if (x == NULL || angles == NULL) return NULL;
    assert(head_dim % 2 == 0 && tensor_columns(x) % head_dim == 0 && tensor_rows(angles) == tensor_rows(x));
    args.angles = tensor_f32(angles);
    if (c->tape != NULL) args.y = tensor_new(c, tensor_rows(x), tensor_columns(x), has_grad(x));
    if (args.y == NULL) return NULL;
    c->backend->rope(&c->exec, args.y, x, args.angles, head_dim);
    return tape_record(c, args.y, rope_backward, &args, sizeof args);
}

struct tensor *rope_angles(struct ctx *c, const int32_t *position, int64_t T, int head_dim, float theta,
                           float scale, bool round_bf16)
{
    struct tensor *t = tensor_new(c, T, head_dim, false);

    if (t == NULL) return NULL;
    for (int i = 0; i < head_dim / 2; i++) {
        float frequency = 1.0f / powf(theta, (float)(2 * i) / (float)head_dim);

        for (int64_t p = 0; p < T; p++) {
            float at = (float)position[p] * scale, angle;

            if (round_bf16) at = bf16_to_f32(f32_to_bf16(at));
            angle = at * frequency; /* rounded to float32 here, as PyTorch's outer product is */
            tensor_f32(t)[p * head_dim + 2 * i] = (float)cos((double)angle);
            tensor_f32(t)[p * head_dim + 2 * i + 1] = (float)sin((double)angle);
        }
    }
    return t;
}

void store_rows(struct ctx *c, struct tensor *cache, const int32_t *row, const struct tensor *x)
{
    if (cache == NULL || x == NULL) return;
    assert(c->tape == NULL && tensor_columns(cache) == tensor_columns(x));
    c->backend->store_rows(&c->exec, cache, row, x);
}
