/* ref_attention.c - softmax attention and its gradient, one query and one key at a time. */
#include "backend/cpu/ref/ref.h"

#include <math.h>

/* One query row against its keys. Scores are computed twice rather than stored, so that any count works. */
struct query {
    const struct tensor *k, *v;
    const struct attention_shape *s;
    const float *q;      /* [d] this head's part */
    int64_t first, last; /* rows of k and v */
    int64_t column;      /* of this head in k and v */
    int64_t side;        /* of the map whose cells the rows are; 0: they are none */
    const float *row_term,
        *column_term; /* the term of a key in this query's row or column of the map is at 0, of the next at -1 */
};

static struct query query_of(const struct tensor *q, const struct tensor *k, const struct tensor *v,
                             const struct attention_shape *s, const struct grid_terms *g, int64_t t, int head)
{
    struct query r = { .k = k, .v = v, .s = s };

    r.q = data_row(q, t) + (int64_t)head * s->head_dim;
    r.first = s->first[t];
    r.last = r.first + s->count[t];
    r.column = (int64_t)(head / (s->heads / s->kv_heads)) * s->head_dim;
    if (g != NULL) {
        int64_t cell = t - r.first, row = t * s->heads + head;

        r.side = g->side;
        r.row_term = data_row(g->rows, row) + cell / g->side + g->side - 1;
        r.column_term = data_row(g->columns, row) + cell % g->side + g->side - 1;
    }
    return r;
}

static double dot(const float *a, const float *b, int n)
{
    double sum = 0;

    for (int i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static double score(const struct query *r, int64_t p)
{
    float key[HEAD_DIM_MAX];
    int64_t cell = p - r->first;
    double x;

    tensor_row_f32(r->k, p, r->column, r->s->head_dim, key);
    x = (double)r->s->scale * dot(r->q, key, r->s->head_dim);
    if (r->side > 0) x += (double)r->row_term[-(cell / r->side)] + (double)r->column_term[-(cell % r->side)];
    return x;
}

/* The largest score, and the sum of exp(score - largest). NaN anywhere makes both NaN. */
static void softmax_statistics(const struct query *r, double *largest, double *sum)
{
    *largest = score(r, r->first);
    *sum = 1;
    for (int64_t p = r->first + 1; p < r->last; p++) {
        double x = score(r, p);

        if (x <= *largest) {
            *sum += exp(x - *largest);
        } else {
            *sum = *sum * exp(*largest - x) + 1;
            *largest = x;
        }
    }
}

static void attend(const struct exec *e, struct tensor *y, const struct tensor *q, const struct tensor *k,
                   const struct tensor *v, const struct attention_shape *s, const struct grid_terms *g)
{
    int64_t T = tensor_rows(q), d = s->head_dim;

#pragma omp parallel for num_threads(threads_for(e, T *tensor_rows(k) * d)) schedule(dynamic)
    for (int64_t i = 0; i < T * s->heads; i++) {
        int64_t t = i / s->heads;
        int head = (int)(i % s->heads);
        struct query r = query_of(q, k, v, s, g, t, head);
        double largest, sum, out[HEAD_DIM_MAX] = { 0 };

        softmax_statistics(&r, &largest, &sum);
        for (int64_t p = r.first; p < r.last; p++) {
            double probability = exp(score(&r, p) - largest) / sum;
            float value[HEAD_DIM_MAX];

            tensor_row_f32(v, p, r.column, d, value);
            for (int64_t c = 0; c < d; c++) out[c] += probability * (double)value[c];
        }
        for (int64_t c = 0; c < d; c++) data_row(y, t)[head * d + c] = (float)out[c];
    }
}

void ref_attention(const struct exec *e, struct tensor *y, const struct tensor *q, const struct tensor *k,
                   const struct tensor *v, const struct attention_shape *s)
{
    attend(e, y, q, k, v, s, NULL);
}

void ref_attention_grid(const struct exec *e, struct tensor *y, const struct tensor *q,
                        const struct tensor *k, const struct tensor *v, const struct attention_shape *s,
                        const struct grid_terms *g)
{
    attend(e, y, q, k, v, s, g);
}

/* Where a query's gradients go; NULL: nowhere. */
struct query_grad {
    float *q, *k, *v;
    int64_t ld_k, ld_v;
    float *row_term, *column_term; /* as struct query's */
};

/* forward: y = sum_p P_p v_p, P = softmax(s), s_p = scale q . k_p + terms   so, with g_p = dy . v_p:
 *   dv_p += P_p dy    ds_p = P_p (g_p - dy . y)    dterms += ds_p    dq += scale ds_p k_p    dk_p += scale ds_p q */
static void query_backward(const struct query *r, const float *y, const float *dy,
                           const struct query_grad *to)
{
    int d = r->s->head_dim;
    double largest, sum, dy_y = dot(dy, y, d);

    softmax_statistics(r, &largest, &sum);
    for (int64_t p = r->first; p < r->last; p++) {
        double probability = exp(score(r, p) - largest) / sum, ds;
        float key[HEAD_DIM_MAX], value[HEAD_DIM_MAX];

        tensor_row_f32(r->k, p, r->column, d, key);
        tensor_row_f32(r->v, p, r->column, d, value);
        ds = probability * (dot(dy, value, d) - dy_y);
        if (to->row_term != NULL) to->row_term[-((p - r->first) / r->side)] += (float)ds;
        if (to->column_term != NULL) to->column_term[-((p - r->first) % r->side)] += (float)ds;
        ds *= (double)r->s->scale;
        for (int c = 0; c < d; c++) {
            if (to->q != NULL) to->q[c] += (float)(ds * (double)key[c]);
            if (to->k != NULL) to->k[p * to->ld_k + r->column + c] += (float)(ds * (double)r->q[c]);
            if (to->v != NULL) to->v[p * to->ld_v + r->column + c] += (float)(probability * (double)dy[c]);
        }
    }
}

/* Threads take whole key/value heads: the queries that share one add to the same gradients. */
static void attend_backward(const struct exec *e, const struct tensor *y, const struct tensor *q,
                            const struct tensor *k, const struct tensor *v, const struct attention_shape *s,
                            const struct grid_terms *g)
{
    int64_t T = tensor_rows(q), d = s->head_dim, group = s->heads / s->kv_heads;

#pragma omp parallel for num_threads(threads_for(e, T *tensor_rows(k) * d)) schedule(dynamic)
    for (int64_t kv = 0; kv < s->kv_heads; kv++) {
        for (int64_t head = kv * group; head < (kv + 1) * group; head++) {
            for (int64_t t = 0; t < T; t++) {
                struct query r = query_of(q, k, v, s, g, t, (int)head);
                struct query_grad to = { .k = k->grad, .v = v->grad, .ld_k = k->stride, .ld_v = v->stride };

                if (q->grad != NULL) to.q = grad_row(q, t) + head * d;
                if (g != NULL && g->rows->grad != NULL)
                    to.row_term = g->rows->grad + (r.row_term - tensor_f32(g->rows));
                if (g != NULL && g->columns->grad != NULL)
                    to.column_term = g->columns->grad + (r.column_term - tensor_f32(g->columns));
                query_backward(&r, data_row(y, t) + head * d, grad_row(y, t) + head * d, &to);
            }
        }
    }
}

void ref_attention_backward(const struct exec *e, const struct tensor *y, const struct tensor *q,
                            const struct tensor *k, const struct tensor *v, const struct attention_shape *s)
{
    attend_backward(e, y, q, k, v, s, NULL);
}

void ref_attention_grid_backward(const struct exec *e, const struct tensor *y, const struct tensor *q,
                                 const struct tensor *k, const struct tensor *v,
                                 const struct attention_shape *s, const struct grid_terms *g)
{
    attend_backward(e, y, q, k, v, s, g);
}
