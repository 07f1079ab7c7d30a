/*
 * op_dropout.c - numbers that are left out at random in training (Srivastava et al. 2014); see ops.h.
 *
 * What is left out is a function of a key and of the number's place, so the way back, and a block that is computed again, leave out the same:
 * no mask is kept. In plain C: only the Q-Former has it, whose rows are few beside those of the encoder that it looks at.
 */
#include "core/mix64.h"
#include "tensor/op_common.h"

#include <math.h>

/* What number `place` is multiplied by: 0, or what makes up for those that are left out. */
static float kept(uint64_t key, uint64_t place, double rate)
{
    double draw = (double)(mix64(key + place) >> 11) * 0x1p-53;

    return draw < rate ? 0 : (float)(1 / (1 - rate));
}

/* Each op has a key of its own, drawn from the context's. */
static uint64_t take_key(struct ctx *c)
{
    return mix64(c->dropout_key++);
}

struct dropout_args {
    struct tensor *y, *x;
    uint64_t key;
    double rate;
};

static void dropout_backward(struct ctx *c, const void *args)
{
    const struct dropout_args *a = args;
    int64_t D = tensor_columns(a->y);

    (void)c;
    for (int64_t t = 0; t < tensor_rows(a->y); t++) {
        for (int64_t i = 0; i < D; i++)
            a->x->grad[t * a->x->stride + i] +=
                kept(a->key, (uint64_t)(t * D + i), a->rate) * a->y->grad[t * a->y->stride + i];
    }
}

struct tensor *dropout(struct ctx *c, struct tensor *x)
{
    struct dropout_args args = { NULL, x, 0, c->dropout };
    int64_t D;

    if (x == NULL || !(c->dropout > 0)) return x;
    D = tensor_columns(x);
    args.key = take_key(c);
    args.y = tensor_new(c, tensor_rows(x), D, has_grad(x));
    if (args.y == NULL) return NULL;
    for (int64_t t = 0; t < tensor_rows(x); t++) {
        for (int64_t i = 0; i < D; i++)
            tensor_f32(args.y)[t * D + i] =
                kept(args.key, (uint64_t)(t * D + i), args.rate) * tensor_f32(x)[t * x->stride + i];
    }
    return tape_record(c, args.y, dropout_backward, &args, sizeof args);
}

/* ---- attention whose weights are left out ------------------------------------------------------------------- */

struct attention_dropout_args {
    struct tensor *y, *q, *k, *v;
    struct attention_shape s;
    uint64_t key;
    double rate;
};

/* One row's head: where its numbers begin in each of the matrices. */
struct head {
    int64_t t;
    int head;
    int64_t q, k, v; /* offsets; k and v of the first position seen */
    int64_t count;
    uint64_t place; /* of its first weight */
};

static struct head head_of(const struct attention_dropout_args *a, int64_t t, int h)
{
    const struct attention_shape *s = &a->s;
    int64_t shared = h / (s->heads / s->kv_heads) * s->head_dim;

    return (struct head){ .t = t,
                          .head = h,
                          .q = t * a->q->stride + (int64_t)h * s->head_dim,
                          .k = s->first[t] * a->k->stride + shared,
                          .v = s->first[t] * a->v->stride + shared,
                          .count = s->count[t],
                          .place = ((uint64_t)t * (uint64_t)s->heads + (uint64_t)h) << 32 };
}

static double dot(const float *a, const float *b, int n)
{
    double sum = 0;

    for (int i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* forward: y = sum_j m_j p_j v_j   so: dv_j += m_j p_j dy,  dp_j = m_j dy.v_j,  ds_j = p_j (dp_j - sum_i p_i dp_i),
 *          dq += scale sum_j ds_j k_j,  dk_j += scale ds_j q.   p, dp [count] */
static void head_backward(const struct attention_dropout_args *a, const struct head *h, const float *dy,
                          double *p, double *dp)
{
    double sum = 0;
    int d = a->s.head_dim;

    attention_row_weights(a->q, a->k, &a->s, h->t, h->head, p);
    for (int64_t j = 0; j < h->count; j++) {
        double m = (double)kept(a->key, h->place + (uint64_t)j, a->rate);
        int64_t row = h->v + j * a->v->stride;

        dp[j] = m * dot(dy, tensor_f32(a->v) + row, d);
        sum += p[j] * dp[j];
        for (int i = 0; a->v->grad != NULL && i < d; i++) a->v->grad[row + i] += (float)(m * p[j]) * dy[i];
    }
    for (int64_t j = 0; j < h->count; j++) {
        float ds = (float)((double)a->s.scale * p[j] * (dp[j] - sum));
        int64_t row = h->k + j * a->k->stride;

        for (int i = 0; a->q->grad != NULL && i < d; i++)
            a->q->grad[h->q + i] += ds * tensor_f32(a->k)[row + i];
        for (int i = 0; a->k->grad != NULL && i < d; i++)
            a->k->grad[row + i] += ds * tensor_f32(a->q)[h->q + i];
    }
}

static void attention_dropout_backward(struct ctx *c, const void *args)
{
    const struct attention_dropout_args *a = args;
    double *p = ctx_alloc(c, 2 * (size_t)tensor_rows(a->k), sizeof *p);

    for (int64_t t = 0; p != NULL && t < tensor_rows(a->y); t++) {
        for (int h = 0; h < a->s.heads; h++) {
            struct head head = head_of(a, t, h);

            head_backward(a, &head, a->y->grad + t * a->y->stride + (int64_t)h * a->s.head_dim, p,
                          p + tensor_rows(a->k));
        }
    }
}

static void head_forward(const struct attention_dropout_args *a, const struct head *h, float *y, double *p)
{
    int d = a->s.head_dim;

    attention_row_weights(a->q, a->k, &a->s, h->t, h->head, p);
    for (int i = 0; i < d; i++) y[i] = 0;
    for (int64_t j = 0; j < h->count; j++) {
        float w = kept(a->key, h->place + (uint64_t)j, a->rate) * (float)p[j];

        for (int i = 0; i < d; i++) y[i] += w * tensor_f32(a->v)[h->v + j * a->v->stride + i];
    }
}

struct tensor *attention_dropout(struct ctx *c, struct tensor *q, struct tensor *k, struct tensor *v,
                                 const struct attention_shape *s)
{
    struct attention_dropout_args args = { NULL, q, k, v, *s, 0, c->dropout };
    double *p;

    if (!(c->dropout > 0)) return attention(c, q, k, v, s);
    if (q == NULL || k == NULL || v == NULL || ctx_stopped(c)) return NULL;
    assert(k->dtype == DTYPE_F32 && v->dtype == DTYPE_F32);
    args.key = take_key(c);
    args.y = tensor_new(c, tensor_rows(q), tensor_columns(q), has_grad(q) || has_grad(k) || has_grad(v));
    p = ctx_alloc(c, (size_t)tensor_rows(k), sizeof *p);
    if (args.y == NULL || p == NULL) return NULL;
    for (int64_t t = 0; t < tensor_rows(q); t++) {
        for (int h = 0; h < s->heads; h++) {
            struct head head = head_of(&args, t, h);

            head_forward(&args, &head, tensor_f32(args.y) + t * args.y->stride + (int64_t)h * s->head_dim, p);
        }
    }
    return tape_record(c, args.y, attention_dropout_backward, &args, sizeof args);
}
