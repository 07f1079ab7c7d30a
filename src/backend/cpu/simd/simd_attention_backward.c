/*
 * simd_attention_backward.c - the gradient of attention, a panel of keys at a time: the panel's keys, values and their gradients
 * stay in the first cache while all queries that see them pass by.
 *
 *   scores of PANEL keys at once:  keys turned [d][PANEL], a query's numbers broadcast
 *   first pass:   largest score, sum of exp, dy . y of every query
 *   second pass:  P, ds (formulas: ref/ref_attention.c) -> dq at once, dk and dv turned, added at the panel's end
 *
 * Threads take whole key/value heads, for the queries that share one add to the same gradients.
 */
#include "backend/cpu/simd/simd.h"

#include "backend/cpu/ref/ref.h"

#include <math.h>

enum { PANEL_VECTORS = 4, PANEL = PANEL_VECTORS * WIDTH };

struct query_numbers {
    float largest, sum, dy_y;
};

/* One head's work: panels of d numbers by PANEL keys, and what is known of each query. */
struct backward {
    const struct tensor *y, *q, *k, *v;
    const struct attention_shape *s;
    int64_t d, kv, group;
    float *keys, *values, *d_keys, *d_values; /* [d][PANEL] */
    float *key_rows;                          /* [PANEL][d] */
    struct query_numbers *known;              /* [group][rows of a sequence] */
};

/* Rows t0 .. t1-1 of q, which see the same keys from `first` on, at most `seen`. */
struct sequence {
    int64_t t0, t1, first, seen;
};

static void turn(float *to, const struct tensor *x, int64_t first, int64_t n, int64_t column, int64_t d)
{
    for (int64_t p = 0; p < PANEL; p++)
        for (int64_t c = 0; c < d; c++) to[c * PANEL + p] = p < n ? data_row(x, first + p)[column + c] : 0;
}

static void add_turned(const struct tensor *x, const float *from, int64_t first, int64_t n, int64_t column,
                       int64_t d)
{
    for (int64_t p = 0; x->grad != NULL && p < n; p++)
        for (int64_t c = 0; c < d; c++) grad_row(x, first + p)[column + c] += from[c * PANEL + p];
}

/* out[p] = sum_c a[c] panel[c][p] */
INLINE void products(vf out[PANEL_VECTORS], const float *a, const float *panel, int64_t d)
{
    vf sum[PANEL_VECTORS] = { { 0 } };

    for (int64_t c = 0; c < d; c++) {
        vf x = splat(a[c]);

        UNROLL
        for (int i = 0; i < PANEL_VECTORS; i++) sum[i] += x * load(panel + c * PANEL + i * WIDTH);
    }
    for (int i = 0; i < PANEL_VECTORS; i++) out[i] = sum[i];
}

/* panel[c][p] += a[c] x[p] */
INLINE void add_products(float *panel, const float *a, const vf x[PANEL_VECTORS], int64_t d)
{
    for (int64_t c = 0; c < d; c++) {
        vf s = splat(a[c]);

        UNROLL
        for (int i = 0; i < PANEL_VECTORS; i++) {
            float *to = panel + c * PANEL + i * WIDTH;

            store(to, load(to) + s * x[i]);
        }
    }
}

/* What the panel's first n keys add to a query's statistics; the rest of `score` is not read. */
static void statistics(struct query_numbers *k, vf score[PANEL_VECTORS], float scale, int64_t n)
{
    float s[PANEL], top = k->largest, sum = 0;

    for (int i = 0; i < PANEL_VECTORS; i++) store(s + i * WIDTH, score[i] * scale);
    for (int64_t p = n; p < PANEL; p++) s[p] = -INFINITY;
    for (int64_t p = 0; p < n; p++) top = s[p] > top ? s[p] : top;
    for (int i = 0; i < PANEL_VECTORS; i++) sum += sum_lanes(vexp(load(s + i * WIDTH) - top));
    k->sum = k->sum * expf(k->largest - top) + sum;
    k->largest = top;
}

/* dq += sum_p ds[p] key_rows[p] */
static void add_to_query(float *dq, const float *ds, const float *key_rows, int64_t n, int64_t d)
{
    int64_t c = 0;

    for (; c + WIDTH <= d; c += WIDTH) {
        vf sum = load(dq + c);

        for (int64_t p = 0; p < n; p++) sum += splat(ds[p]) * load(key_rows + p * d + c);
        store(dq + c, sum);
    }
    for (; c < d; c++)
        for (int64_t p = 0; p < n; p++) dq[c] += ds[p] * key_rows[p * d + c];
}

/* The panel's first n keys and one query: P and ds, and what follows from them. */
static void query_panel(const struct backward *b, const struct query_numbers *known, const float *q,
                        const float *dy, float *dq, int64_t n)
{
    vf probability[PANEL_VECTORS], ds[PANEL_VECTORS];
    float buffer[PANEL], scale = b->s->scale, share = 1 / known->sum;

    products(probability, q, b->keys, b->d);
    products(ds, dy, b->values, b->d);
    for (int i = 0; i < PANEL_VECTORS; i++)
        probability[i] = vexp(probability[i] * scale - known->largest) * share;
    if (n < PANEL) { /* keys that this query does not see */
        for (int i = 0; i < PANEL_VECTORS; i++) store(buffer + i * WIDTH, probability[i]);
        memset(buffer + n, 0, (size_t)(PANEL - n) * sizeof *buffer);
        for (int i = 0; i < PANEL_VECTORS; i++) probability[i] = load(buffer + i * WIDTH);
    }
    for (int i = 0; i < PANEL_VECTORS; i++) {
        ds[i] = probability[i] * (ds[i] - known->dy_y) * scale;
        store(buffer + i * WIDTH, ds[i]);
    }
    add_products(b->d_values, dy, probability, b->d);
    add_products(b->d_keys, q, ds, b->d);
    if (dq != NULL) add_to_query(dq, buffer, b->key_rows, n, b->d);
}

/* How many keys of the panel from p0 on row t sees. */
static int64_t seen_of(const struct backward *b, int64_t t, int64_t p0)
{
    return min_i64(PANEL, (int64_t)b->s->count[t] - p0);
}

static void first_pass(const struct backward *b, const struct sequence *g, int64_t p0, int64_t head)
{
    struct query_numbers *known = b->known + (head - b->kv * b->group) * (g->t1 - g->t0);
    vf score[PANEL_VECTORS];

    for (int64_t t = g->t0; t < g->t1; t++) {
        int64_t n = seen_of(b, t, p0);

        if (n <= 0) continue;
        products(score, data_row(b->q, t) + head * b->d, b->keys, b->d);
        statistics(&known[t - g->t0], score, b->s->scale, n);
    }
}

static void second_pass(const struct backward *b, const struct sequence *g, int64_t p0, int64_t head)
{
    const struct query_numbers *known = b->known + (head - b->kv * b->group) * (g->t1 - g->t0);

    for (int64_t t = g->t0; t < g->t1; t++) {
        int64_t n = seen_of(b, t, p0);

        if (n <= 0) continue;
        query_panel(b, &known[t - g->t0], data_row(b->q, t) + head * b->d, grad_row(b->y, t) + head * b->d,
                    b->q->grad != NULL ? grad_row(b->q, t) + head * b->d : NULL, n);
    }
}

static void begin_sequence(const struct backward *b, const struct sequence *g)
{
    for (int64_t i = 0; i < b->group; i++) {
        for (int64_t t = g->t0; t < g->t1; t++) {
            int64_t column = (b->kv * b->group + i) * b->d;
            const float *y = data_row(b->y, t) + column, *dy = grad_row(b->y, t) + column;
            float dot = 0;

            for (int64_t c = 0; c < b->d; c++) dot += y[c] * dy[c];
            b->known[i * (g->t1 - g->t0) + t - g->t0] = (struct query_numbers){ -INFINITY, 0, dot };
        }
    }
}

static void sequence_backward(const struct backward *b, const struct sequence *g)
{
    int64_t column = b->kv * b->d, head0 = b->kv * b->group;

    begin_sequence(b, g);
    for (int64_t p0 = 0; p0 < g->seen; p0 += PANEL) {
        turn(b->keys, b->k, g->first + p0, min_i64(PANEL, g->seen - p0), column, b->d);
        for (int64_t i = 0; i < b->group; i++) first_pass(b, g, p0, head0 + i);
    }
    for (int64_t p0 = 0; p0 < g->seen; p0 += PANEL) {
        int64_t n = min_i64(PANEL, g->seen - p0), at = g->first + p0;

        turn(b->keys, b->k, at, n, column, b->d);
        turn(b->values, b->v, at, n, column, b->d);
        for (int64_t p = 0; p < n; p++)
            memcpy(b->key_rows + p * b->d, data_row(b->k, at + p) + column, (size_t)b->d * sizeof(float));
        memset(b->d_keys, 0, (size_t)(b->d * PANEL) * sizeof(float));
        memset(b->d_values, 0, (size_t)(b->d * PANEL) * sizeof(float));
        for (int64_t i = 0; i < b->group; i++) second_pass(b, g, p0, head0 + i);
        add_turned(b->k, b->d_keys, at, n, column, b->d);
        add_turned(b->v, b->d_values, at, n, column, b->d);
    }
}

/* The run of rows from t0 on that begin at the same key. */
static struct sequence sequence_at(const struct attention_shape *s, int64_t t0, int64_t T)
{
    struct sequence g = { t0, t0, s->first[t0], 0 };

    for (; g.t1 < T && s->first[g.t1] == g.first; g.t1++)
        g.seen = s->count[g.t1] > g.seen ? s->count[g.t1] : g.seen;
    return g;
}

/* The panels, and after them room for what is known of `most` queries. */
static struct backward backward_in(float *memory, const struct tensor *y, const struct tensor *q,
                                   const struct tensor *k, const struct tensor *v,
                                   const struct attention_shape *s)
{
    int64_t d = s->head_dim, size = d * PANEL;

    return (struct backward){ .y = y,
                              .q = q,
                              .k = k,
                              .v = v,
                              .s = s,
                              .d = d,
                              .group = s->heads / s->kv_heads,
                              .keys = memory,
                              .values = memory + size,
                              .d_keys = memory + 2 * size,
                              .d_values = memory + 3 * size,
                              .key_rows = memory + 4 * size,
                              .known = (struct query_numbers *)(void *)(memory + 5 * size) };
}

void SIMD_NAME(attention_backward)(const struct exec *e, const struct tensor *y, const struct tensor *q,
                                   const struct tensor *k, const struct tensor *v,
                                   const struct attention_shape *s)
{
    int64_t T = tensor_rows(q), d = s->head_dim, most = 0;
    size_t panels = 5 * (size_t)d * PANEL * sizeof(float);

    for (int64_t t = 0; t < T;) {
        struct sequence g = sequence_at(s, t, T);

        most = g.t1 - g.t0 > most ? g.t1 - g.t0 : most;
        t = g.t1;
    }
    if (k->dtype != DTYPE_F32 || v->dtype != DTYPE_F32 ||
        panels + (size_t)(most * (s->heads / s->kv_heads)) * sizeof(struct query_numbers) >
            KERNEL_SCRATCH_BYTES) {
        ref_attention_backward(e, y, q, k, v, s);
        return;
    }
#pragma omp parallel for num_threads(threads_for(e, T *tensor_rows(k) * d)) schedule(dynamic)
    for (int64_t kv = 0; kv < s->kv_heads; kv++) {
        struct backward b = backward_in(thread_scratch(e), y, q, k, v, s);

        b.kv = kv;
        for (int64_t t = 0; t < T;) {
            struct sequence g = sequence_at(s, t, T);

            sequence_backward(&b, &g);
            t = g.t1;
        }
    }
}
