/*
 * simd_attention_backward.c - the gradient of attention, as products of small matrices: a block of keys stays in the second cache while
 * all queries that see them pass by, QUERIES at a time.
 *
 *   P = softmax(q k^T)   dP = dy v^T   ds = P (dP - dy . y) scale        (formulas: ref/ref_attention.c)
 *   dv += P^T dy         dk += ds^T q  dq += ds k
 *
 * A sequence of more keys than a block holds passes twice: first for the largest score and the sum of exp of every query.
 * Terms of a grid (struct grid_terms) are added to the scores, divided by the scale that these are multiplied by; their gradient is ds without it.
 * A task is a key/value head of a sequence, for the queries that share one add to the same gradients. No sum is shared between tasks.
 */
#include "backend/cpu/ref/ref.h"
#include "backend/cpu/simd/simd.h"
#include "backend/cpu/simd/tile.h"

#include <math.h>
#include <stdatomic.h>

enum {
    QUERIES = 24,
    KEYS_MAX = 256,
    KEY_NUMBERS = 16384, /* of a block of keys, if more than one vector of them */
    GAP =
        16, /* numbers between rows in scratch: strides of whole kilobytes meet in the same lines of the first cache */
};

struct query_numbers {
    float largest, sum, dy_y;
};

/* Rows t0 .. t1-1 of q, which see the same keys from `first` on, at most `seen`. */
struct sequence {
    int64_t t0, t1, first, seen;
};

/* One task's work. Rows of d numbers are `ld` apart, rows of keys `ld_keys`. */
struct backward {
    const struct tensor *y, *q, *k, *v;
    const struct attention_shape *s;
    const struct grid_terms *g; /* NULL: none */
    struct sequence at;
    int64_t d, padded, group, kv, block; /* padded: d, whole vectors; block: keys together */
    int64_t ld, ld_keys;
    float *key_rows, *d_keys, *d_values; /* [block][ld] */
    float *keys, *values;                /* [padded][ld_keys] */
    float *query, *dy, *dq;              /* [QUERIES][ld] */
    float *p, *ds;                       /* [QUERIES][ld_keys] */
    struct query_numbers *known;         /* [group][rows of the sequence] */
};

/* ---- products -------------------------------------------------------------------------------------------------- */

/* a's element (r, i) lies at from[r * row + i * step]. */
struct left {
    const float *from;
    int64_t row, step;
};

/* rows x `vectors` vectors of c (+)= a b, n terms */
INLINE void tile(int rows, int vectors, int64_t n, struct left a, const float *b, int64_t ld_b, float *c,
                 int64_t ld_c, bool add)
{
    vf sum[ROWS][2];

    UNROLL
    for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = (vf){ 0 };
    for (int64_t i = 0; i < n; i++) {
        vf b0 = load(b + i * ld_b), b1 = vectors > 1 ? load(b + i * ld_b + WIDTH) : b0;

        UNROLL
        for (int r = 0; r < rows; r++) {
            sum[r][0] += a.from[r * a.row + i * a.step] * b0;
            if (vectors > 1) sum[r][1] += a.from[r * a.row + i * a.step] * b1;
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int j = 0; j < vectors; j++) {
            float *to = c + r * ld_c + j * WIDTH;

            store(to, add ? load(to) + sum[r][j] : sum[r][j]);
        }
    }
}

INLINE void column(int vectors, int64_t rows, int64_t n, struct left a, const float *b, int64_t ld_b,
                   float *c, int64_t ld_c, bool add)
{
    int64_t r = 0;

#define TILES(size)                                                                                          \
    for (; r + size <= rows; r += size)                                                                      \
    tile(size, vectors, n, (struct left){ a.from + r * a.row, a.row, a.step }, b, ld_b, c + r * ld_c, ld_c,  \
         add)
    TILES(ROWS);
    TILES(4);
    TILES(2);
    TILES(1);
#undef TILES
}

/* c [rows, columns] (+)= a [rows, n] b [n, columns]; columns is a multiple of WIDTH. */
static void product(int64_t rows, int64_t columns, int64_t n, struct left a, const float *b, int64_t ld_b,
                    float *c, int64_t ld_c, bool add)
{
    int64_t k = 0;

    for (; k + COLUMNS <= columns; k += COLUMNS) column(2, rows, n, a, b + k, ld_b, c + k, ld_c, add);
    for (; k < columns; k += WIDTH) column(1, rows, n, a, b + k, ld_b, c + k, ld_c, add);
}

/* ---- rows in and out ------------------------------------------------------------------------------------------- */

/* Rows of one head, filled up to whole vectors with zeros. */
static void copy_rows(const struct backward *b, float *to, const float *from, int64_t stride, int64_t n)
{
    for (int64_t r = 0; r < n; r++) {
        memcpy(to + r * b->ld, from + r * stride, (size_t)b->d * sizeof *to);
        memset(to + r * b->ld + b->d, 0, (size_t)(b->padded - b->d) * sizeof *to);
    }
}

/* The same, turned: to[c][p] of keys 0 .. n-1, zero up to whole vectors of keys. */
static void turn(const struct backward *b, float *to, const float *from, int64_t stride, int64_t n)
{
    for (int64_t p = 0; p < n; p += WIDTH)
        panel_turn(from + p * stride, stride, min_i64(WIDTH, n - p), b->d, to + p, WIDTH, b->ld_keys);
}

static void add_rows(const struct backward *b, const struct tensor *x, int64_t row, int64_t column,
                     const float *from, int64_t n)
{
    for (int64_t r = 0; x->grad != NULL && r < n; r++) {
        float *to = grad_row(x, row + r) + column;

        for (int64_t c = 0; c < b->d; c++) to[c] += from[r * b->ld + c];
    }
}

/* ---- softmax --------------------------------------------------------------------------------------------------- */

/* What the scores of n more keys add to a query's statistics. */
static void statistics(struct query_numbers *k, const float *score, float scale, int64_t n)
{
    vf tops = splat(-INFINITY), sums = { 0 };
    float top = k->largest, sum = 0;
    int64_t p = 0;

    for (; p + WIDTH <= n; p += WIDTH) tops = vmax(load(score + p) * scale, tops);
    for (int i = 0; i < WIDTH; i++) top = tops[i] > top ? tops[i] : top;
    for (; p < n; p++) top = score[p] * scale > top ? score[p] * scale : top;
    for (p = 0; p + WIDTH <= n; p += WIDTH) sums += vexp(load(score + p) * scale - top);
    for (; p < n; p++) sum += expf(score[p] * scale - top);
    k->sum = k->sum * expf(k->largest - top) + sum_lanes(sums) + sum;
    k->largest = top;
}

/* Scores become P, dP becomes ds; zero from n on, up to `end`. */
static void weigh(const struct query_numbers *k, float *p, float *ds, float scale, int64_t n, int64_t end)
{
    float share = 1 / k->sum;

    for (int64_t i = 0; i < n; i += WIDTH) {
        vf probability = vexp(load(p + i) * scale - k->largest) * share;

        store(p + i, probability);
        store(ds + i, probability * (load(ds + i) - k->dy_y) * scale);
    }
    for (int64_t i = n > 0 ? n : 0; i < end; i++) p[i] = ds[i] = 0;
}

/* ---- blocks ---------------------------------------------------------------------------------------------------- */

/* Keys p0 .. p0+n-1 of the sequence, and `rows` queries from row t on of which none sees more than `most` of these. */
struct meeting {
    int64_t head, t, rows, p0, n, most;
};

static int64_t seen_of(const struct backward *b, const struct meeting *m, int64_t r)
{
    return min_i64(m->n, (int64_t)b->s->count[m->t + r] - m->p0);
}

static struct query_numbers *known_of(const struct backward *b, const struct meeting *m)
{
    return b->known + (m->head - b->kv * b->group) * (b->at.t1 - b->at.t0) + m->t - b->at.t0;
}

/* Of row t + r of the queries, whose place on one axis of the map is `place`: the term of the keys at 0 there; those of the keys at 1 stand
 * before it. */
static void terms_of(const struct backward *b, const struct meeting *m, int64_t r, const struct tensor *t,
                     int64_t place, float **value, float **grad)
{
    int64_t at = (m->t + r) * b->s->heads + m->head, shift = place + b->g->side - 1;

    *value = data_row(t, at) + shift;
    *grad = t->grad != NULL ? grad_row(t, at) + shift : NULL;
}

/* The terms that each of a query's keys gets, row by row of the map; `ds` NULL: added to the scores, else from ds to their gradients. */
static void grid_terms(const struct backward *b, const struct meeting *m, int64_t r, const float *ds)
{
    int64_t side = b->g->side, cell = m->t + r - b->at.first, n = seen_of(b, m, r);
    float *row, *column, *d_row, *d_column, *p = b->p + r * b->ld_keys, back = 1 / b->s->scale;

    terms_of(b, m, r, b->g->rows, cell / side, &row, &d_row);
    terms_of(b, m, r, b->g->columns, cell % side, &column, &d_column);
    for (int64_t i = 0, y = m->p0 / side, x = m->p0 % side; i < n; x = 0, y++) {
        int64_t end = min_i64(n, i + side - x);
        float sum = 0;

        for (; i < end; i++, x++) {
            if (ds == NULL) {
                p[i] += (row[-y] + column[-x]) * back;
                continue;
            }
            sum += ds[i] * back;
            if (d_column != NULL) d_column[-x] += ds[i] * back;
        }
        if (ds != NULL && d_row != NULL) d_row[-y] += sum;
    }
}

static void scores(const struct backward *b, const struct meeting *m)
{
    copy_rows(b, b->query, data_row(b->q, m->t) + m->head * b->d, b->q->stride, m->rows);
    product(m->rows, (m->most + WIDTH - 1) / WIDTH * WIDTH, b->d, (struct left){ b->query, b->ld, 1 },
            b->keys, b->ld_keys, b->p, b->ld_keys, false);
    for (int64_t r = 0; b->g != NULL && r < m->rows; r++) grid_terms(b, m, r, NULL);
}

static void add_statistics(const struct backward *b, const struct meeting *m)
{
    struct query_numbers *known = known_of(b, m);

    for (int64_t r = 0; r < m->rows; r++)
        if (seen_of(b, m, r) > 0) statistics(&known[r], b->p + r * b->ld_keys, b->s->scale, seen_of(b, m, r));
}

static void gradients(const struct backward *b, const struct meeting *m)
{
    int64_t column_of_head = m->head * b->d, end = (m->most + WIDTH - 1) / WIDTH * WIDTH;
    const struct left p = { b->p, 1, b->ld_keys }, ds = { b->ds, 1, b->ld_keys };

    copy_rows(b, b->dy, grad_row(b->y, m->t) + column_of_head, b->y->stride, m->rows);
    product(m->rows, end, b->d, (struct left){ b->dy, b->ld, 1 }, b->values, b->ld_keys, b->ds, b->ld_keys,
            false);
    for (int64_t r = 0; r < m->rows; r++)
        weigh(&known_of(b, m)[r], b->p + r * b->ld_keys, b->ds + r * b->ld_keys, b->s->scale,
              seen_of(b, m, r), end);
    for (int64_t r = 0; b->g != NULL && r < m->rows; r++) grid_terms(b, m, r, b->ds + r * b->ld_keys);
    product(m->most, b->padded, m->rows, p, b->dy, b->ld, b->d_values, b->ld, true);
    product(m->most, b->padded, m->rows, ds, b->query, b->ld, b->d_keys, b->ld, true);
    if (b->q->grad == NULL) return;
    product(m->rows, b->padded, m->most, (struct left){ b->ds, b->ld_keys, 1 }, b->key_rows, b->ld, b->dq,
            b->ld, false);
    add_rows(b, b->q, m->t, column_of_head, b->dq, m->rows);
}

/* All queries and the keys p0 .. p0+n-1: their statistics, their gradients, or both. */
static void meet(const struct backward *b, int64_t p0, int64_t n, bool first_pass, bool second_pass)
{
    for (int64_t i = 0; i < b->group; i++) {
        struct meeting m = { b->kv * b->group + i, b->at.t0, 0, p0, n, 0 };

        for (; m.t < b->at.t1; m.t += m.rows) {
            m.rows = min_i64(QUERIES, b->at.t1 - m.t);
            m.most = 0;
            for (int64_t r = 0; r < m.rows; r++)
                m.most = seen_of(b, &m, r) > m.most ? seen_of(b, &m, r) : m.most;
            if (m.most == 0) continue;
            scores(b, &m);
            if (first_pass) add_statistics(b, &m);
            if (second_pass) gradients(b, &m);
        }
    }
}

static void begin(const struct backward *b)
{
    for (int64_t i = 0; i < b->group; i++) {
        for (int64_t t = b->at.t0; t < b->at.t1; t++) {
            int64_t column_of_head = (b->kv * b->group + i) * b->d;
            const float *y = data_row(b->y, t) + column_of_head, *dy = grad_row(b->y, t) + column_of_head;
            float dot = 0;

            for (int64_t c = 0; c < b->d; c++) dot += y[c] * dy[c];
            b->known[i * (b->at.t1 - b->at.t0) + t - b->at.t0] = (struct query_numbers){ -INFINITY, 0, dot };
        }
    }
}

static void sequence_backward(const struct backward *b)
{
    int64_t column_of_head = b->kv * b->d, seen = b->at.seen;
    bool once = seen <= b->block;

    begin(b);
    for (int64_t p0 = 0; !once && p0 < seen; p0 += b->block) {
        int64_t n = min_i64(b->block, seen - p0);

        turn(b, b->keys, data_row(b->k, b->at.first + p0) + column_of_head, b->k->stride, n);
        meet(b, p0, n, true, false);
    }
    for (int64_t p0 = 0; p0 < seen; p0 += b->block) {
        int64_t n = min_i64(b->block, seen - p0), row = b->at.first + p0;

        turn(b, b->keys, data_row(b->k, row) + column_of_head, b->k->stride, n);
        turn(b, b->values, data_row(b->v, row) + column_of_head, b->v->stride, n);
        copy_rows(b, b->key_rows, data_row(b->k, row) + column_of_head, b->k->stride, n);
        memset(b->d_keys, 0, (size_t)(n * b->ld) * sizeof(float));
        memset(b->d_values, 0, (size_t)(n * b->ld) * sizeof(float));
        meet(b, p0, n, once, true);
        add_rows(b, b->k, row, column_of_head, b->d_keys, n);
        add_rows(b, b->v, row, column_of_head, b->d_values, n);
    }
}

/* ---- tasks ----------------------------------------------------------------------------------------------------- */

/* The run of rows from t0 on that begin at the same key. */
static struct sequence sequence_at(const struct attention_shape *s, int64_t t0, int64_t T)
{
    struct sequence g = { t0, t0, t0 < T ? s->first[t0] : 0, 0 };

    for (; g.t1 < T && s->first[g.t1] == g.first; g.t1++)
        g.seen = s->count[g.t1] > g.seen ? s->count[g.t1] : g.seen;
    return g;
}

/* The numbers of b but for its memory. */
static struct backward plan(const struct tensor *y, const struct tensor *q, const struct tensor *k,
                            const struct tensor *v, const struct attention_shape *s)
{
    struct backward b = { .y = y, .q = q, .k = k, .v = v, .s = s, .d = s->head_dim };

    b.padded = (b.d + WIDTH - 1) / WIDTH * WIDTH;
    b.group = s->heads / s->kv_heads;
    b.block = min_i64(KEYS_MAX, KEY_NUMBERS / b.padded / WIDTH * WIDTH);
    b.ld = b.padded + GAP;
    b.ld_keys = b.block + GAP;
    return b;
}

/* Carves the scratch; returns how many queries it has room for. */
static int64_t place(struct backward *b, void *scratch)
{
    float *at = scratch, *end = at + KERNEL_SCRATCH_BYTES / sizeof(float);
    const int64_t keys = b->block * b->ld, turned = b->padded * b->ld_keys, queries = QUERIES * b->ld;

    b->key_rows = at;
    b->d_keys = b->key_rows + keys;
    b->d_values = b->d_keys + keys;
    b->keys = b->d_values + keys;
    b->values = b->keys + turned;
    b->query = b->values + turned;
    b->dy = b->query + queries;
    b->dq = b->dy + queries;
    b->p = b->dq + queries;
    b->ds = b->p + QUERIES * b->ld_keys;
    at = b->ds + QUERIES * b->ld_keys;
    b->known = (struct query_numbers *)(void *)at;
    return (int64_t)((size_t)(end - at) * sizeof(float) / sizeof *b->known);
}

/* Whether tasks share no gradient and fit the scratch. */
static bool fits(const struct backward *b, int64_t room)
{
    int64_t T = tensor_rows(b->q), end = 0;

    if (b->k->dtype != DTYPE_F32 || b->v->dtype != DTYPE_F32) return false;
    for (int64_t t = 0; t < T;) {
        struct sequence g = sequence_at(b->s, t, T);

        if (g.first < end || (g.t1 - g.t0) * b->group > room) return false;
        end = g.first + g.seen;
        t = g.t1;
    }
    return true;
}

/* False: they do not fit, and nothing was done. */
static bool attend_backward(const struct exec *e, const struct backward *planned)
{
    const struct attention_shape *s = planned->s;
    struct backward first = *planned;
    int64_t T = tensor_rows(planned->q), work = 0;
    atomic_llong next = 0;

    if (!fits(planned, place(&first, e->scratch))) return false;
    for (int64_t t = 0; t < T; t++) work += (int64_t)s->count[t] * s->heads * s->head_dim;
#pragma omp parallel num_threads(threads_for(e, work / 4))
    {
        struct backward b = *planned;
        int64_t before = 0; /* tasks of earlier sequences */

        place(&b, thread_scratch(e));
        b.at = sequence_at(s, 0, T);
        for (int64_t task = atomic_fetch_add(&next, 1); b.at.t0 < T; task = atomic_fetch_add(&next, 1)) {
            while (b.at.t0 < T && task - before >= s->kv_heads) {
                before += s->kv_heads;
                b.at = sequence_at(s, b.at.t1, T);
            }
            if (b.at.t0 >= T) break;
            b.kv = task - before;
            sequence_backward(&b);
        }
    }
    return true;
}

void SIMD_NAME(attention_backward)(const struct exec *e, const struct tensor *y, const struct tensor *q,
                                   const struct tensor *k, const struct tensor *v,
                                   const struct attention_shape *s)
{
    const struct backward b = plan(y, q, k, v, s);

    if (!attend_backward(e, &b)) ref_attention_backward(e, y, q, k, v, s);
}

void SIMD_NAME(attention_grid_backward)(const struct exec *e, const struct tensor *y, const struct tensor *q,
                                        const struct tensor *k, const struct tensor *v,
                                        const struct attention_shape *s, const struct grid_terms *g)
{
    struct backward b = plan(y, q, k, v, s);

    b.g = g;
    if (!attend_backward(e, &b)) ref_attention_grid_backward(e, y, q, k, v, s, g);
}
