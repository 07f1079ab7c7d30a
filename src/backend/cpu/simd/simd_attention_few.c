/*
 * simd_attention_few.c - the few rows of one sequence: decoding, checking guessed tokens. A task has some key/value heads and
 * all queries that read them; FEW_KEYS keys at a time:
 *
 *   scores of each query with the keys
 *   2^(score - largest so far)
 *   out of each query = out * (what a larger score shrinks it by) + probabilities . values
 *
 * Where a head's keys are read by one query, the rows are walked in the order of memory, over all heads of the task, straight
 * from their dtype; what comes next is fetched meanwhile, so that reading never waits. Where several queries read them, they
 * are unpacked head by head.
 *
 * Each score is summed in WIDTH lanes over the head, each element of out over the keys in order, from the sequence's first: the
 * same whatever the dtype, the other rows and the cut into tasks.
 */
#include "backend/cpu/simd/simd_attention.h"

#include <math.h>

enum {
    FEW_KEYS = 64,
    FEW_QUERIES = 128, /* of a task: with d 128, they and their sums take 128 KB */
    TOGETHER =
        WIDTH >= 8 ? WIDTH : 8, /* keys whose sums are in registers together, and streams through memory */
    AHEAD = 2,                  /* heads, TOGETHER keys or values each, that are being fetched */
    LINE = 64,
};
_Static_assert(FEW_KEYS % TOGETHER == 0 && TOGETHER % WIDTH == 0 && QUANT_SHORT % WIDTH == 0 &&
                   HEAD_DIM_MAX % WIDTH == 0,
               "whole vectors");

struct few_space {
    float q[FEW_QUERIES * HEAD_DIM_MAX], out[FEW_QUERIES * HEAD_DIM_MAX]; /* rows of d_padded */
    float p[FEW_QUERIES][FEW_KEYS];
    float sum[FEW_QUERIES][WIDTH]; /* by lanes */
    float largest[FEW_QUERIES], shrink[FEW_QUERIES];
    int32_t count[FEW_QUERIES];                                   /* keys that the query sees */
    float k[FEW_KEYS * HEAD_DIM_MAX], v[FEW_KEYS * HEAD_DIM_MAX]; /* unpacked, rows of d_padded */
};
_Static_assert(sizeof(struct few_space) <= KERNEL_SCRATCH_BYTES, "decoding fits a thread's scratch");

/* Where the heads of k or v lie: bytes from a row, and from a head, to the next. */
struct heads {
    enum dtype t;
    const char *at;
    int64_t row, head;
};

/* Rows of one head of k or v. */
struct head_rows {
    enum dtype t;
    const char *at;
    int64_t step; /* bytes */
};

/* What a task works on. Queries are numbered row after row, in each the query heads of one key/value head. */
struct few {
    struct few_space *z;
    const struct attention_job *j;
    int64_t t0, first, last; /* the block's first row; rows of k and v that any of its rows sees */
    int64_t kv, heads;       /* key/value heads */
    int64_t query, queries;  /* of each of them */
    int64_t d, d_padded, group;
    struct heads k, v; /* of a walk */
};

static struct heads heads_of(const struct tensor *x, int64_t d)
{
    return (struct heads){ x->dtype, x->data, (int64_t)dtype_bytes(x->dtype, (size_t)x->stride),
                           (int64_t)dtype_bytes(x->dtype, (size_t)d) };
}

static struct head_rows head_at(const struct heads *x, int64_t p, int64_t kv)
{
    return (struct head_rows){ x->t, x->at + p * x->row + kv * x->head, x->row };
}

/* ---- keys ---------------------------------------------------------------------------------------------------- */

/* Lanes of one vector with those of another: in groups of s lanes, the sums of each group's halves, a's before b's. */
#define FOLD_LANE(j, s, half)                                                                                \
    ((j) / (s) * (s) + (j) % ((s) / 2) + (half) * (s) / 2 + ((j) % (s) < (s) / 2 ? 0 : WIDTH))
#define FOLD_LANES_4(j, s, half)                                                                             \
    FOLD_LANE(j, s, half), FOLD_LANE((j) + 1, s, half), FOLD_LANE((j) + 2, s, half),                         \
        FOLD_LANE((j) + 3, s, half)
#if SIMD_WIDTH == 4
#define FOLD_LANES(s, half) FOLD_LANES_4(0, s, half)
#elif SIMD_WIDTH == 8
#define FOLD_LANES(s, half) FOLD_LANES_4(0, s, half), FOLD_LANES_4(4, s, half)
#else
#define FOLD_LANES(s, half)                                                                                  \
    FOLD_LANES_4(0, s, half), FOLD_LANES_4(4, s, half), FOLD_LANES_4(8, s, half), FOLD_LANES_4(12, s, half)
#endif
#define FOLD(a, b, s)                                                                                        \
    (__builtin_shufflevector(a, b, FOLD_LANES(s, 0)) + __builtin_shufflevector(a, b, FOLD_LANES(s, 1)))

/* Lane i of the result is the sum of the lanes of v[i]. */
INLINE vf sums_of(vf v[WIDTH])
{
#if SIMD_WIDTH >= 16
    UNROLL
    for (int i = 0; i < 8; i++) v[i] = FOLD(v[i], v[i + 8], 16);
#endif
#if SIMD_WIDTH >= 8
    UNROLL
    for (int i = 0; i < 4; i++) v[i] = FOLD(v[i], v[i + 4], 8);
#endif
    UNROLL
    for (int i = 0; i < 2; i++) v[i] = FOLD(v[i], v[i + 2], 4);
    return FOLD(v[0], v[1], 2);
}

/* sum[r] += q . key[r] over n elements, which lie `offset` bytes behind key[r]; n is a constant. */
INLINE void dots(enum dtype t, int n, const float *q, const char *const *key, int64_t offset, vf *sum)
{
    const int size = t == DTYPE_F32 ? 4 : 2;

    UNROLL
    for (int r = 0; r < TOGETHER; r++) {
        const struct quant_q8_0 *b = (const void *)(key[r] + offset);
        vf scale = t == DTYPE_Q8_0 ? load_scale(b) : (vf){ 0 };

        UNROLL
        for (int x = 0; x < n; x += WIDTH)
            sum[r] += load(q + x) * (t == DTYPE_Q8_0 ? load_bytes(b->q + x) * scale
                                                     : load_as(t, key[r] + offset + x * size));
    }
}

/* Scores of a query with n <= TOGETHER keys. `ahead` are rows to be fetched meanwhile; at NULL: none. */
INLINE void scores(enum dtype t, const float *q, struct head_rows k, int64_t n, int64_t d,
                   struct head_rows ahead, float *out)
{
    const int line = t == DTYPE_Q8_0 ? QUANT_SHORT : t == DTYPE_F32 ? LINE / 4 : LINE / 2;
    int64_t c = 0, offset = 0;
    const char *key[TOGETHER];
    vf sum[TOGETHER];

    UNROLL
    for (int r = 0; r < TOGETHER; r++) {
        key[r] = k.at + min_i64(r, n - 1) * k.step;
        sum[r] = (vf){ 0 };
    }
    for (; c + line <= d; c += line, offset += t == DTYPE_Q8_0 ? (int)sizeof(struct quant_q8_0) : LINE) {
        for (int r = 0; ahead.at != NULL && r < TOGETHER; r++)
            __builtin_prefetch(ahead.at + r * ahead.step + offset);
        dots(t, line, q + c, key, offset, sum);
    }
    for (; c < d; c += WIDTH, offset += WIDTH * (t == DTYPE_F32 ? 4 : 2))
        dots(t, WIDTH, q + c, key, offset, sum);
    UNROLL
    for (int r = 0; r < TOGETHER; r += WIDTH) store(out + r, sums_of(sum + r));
}

/* Scores to probabilities relative to the largest so far; what was summed before will shrink by the result. */
static float soften(float *p, int64_t n, float *sum, float *largest)
{
    vf most = splat(*largest), total = { 0 };
    float before = *largest;
    vf shrink;

    for (int64_t i = n; i < round_up(n, WIDTH); i++) p[i] = -INFINITY;
    for (int64_t i = 0; i < n; i += WIDTH) most = vmax(most, load(p + i));
    for (int i = 0; i < WIDTH; i++) *largest = most[i] > *largest ? most[i] : *largest;
    for (int64_t i = 0; i < n; i += WIDTH) {
        vf share = vexp2(load(p + i) - *largest);

        store(p + i, share);
        total += share;
    }
    shrink = vexp2(splat(before - *largest));
    store(sum, load(sum) * shrink + total);
    return shrink[0];
}

/* ---- values -------------------------------------------------------------------------------------------------- */

/* `vectors` vectors of out, from column c on. */
INLINE void weighted(enum dtype t, int vectors, const float *p, struct head_rows v, int64_t n, int64_t c,
                     struct head_rows ahead, float shrink, float *out)
{
    const int size = t == DTYPE_F32 ? 4 : 2, line = t == DTYPE_Q8_0 ? QUANT_SHORT : LINE / size;
    const int64_t offset = t == DTYPE_Q8_0 ? c / QUANT_SHORT * (int64_t)sizeof(struct quant_q8_0) : c * size;
    const char *value = v.at + offset;
    vf sum[8];

    UNROLL
    for (int i = 0; i < vectors; i++) sum[i] = load(out + c + i * WIDTH) * shrink;
    for (int64_t r = 0; r < n; r++, value += v.step) {
        vf scale = { 0 };

        UNROLL
        for (int i = 0; i < vectors; i++) {
            const struct quant_q8_0 *b =
                (const struct quant_q8_0 *)(const void *)value + i * WIDTH / QUANT_SHORT;

            if (i * WIDTH % line == 0) {
                if (t == DTYPE_Q8_0) scale = load_scale(b);
                if (ahead.at != NULL)
                    __builtin_prefetch(ahead.at + r * ahead.step + offset + i * WIDTH / line * LINE);
            }
            sum[i] += p[r] * (t == DTYPE_Q8_0 ? load_bytes(b->q + (c + i * WIDTH) % QUANT_SHORT) * scale
                                              : load_as(t, value + i * WIDTH * size));
        }
    }
    UNROLL
    for (int i = 0; i < vectors; i++) store(out + c + i * WIDTH, sum[i]);
}

/* out [d] = out * shrink + the sum of n values, each times its probability. */
INLINE void values(enum dtype t, const float *p, struct head_rows v, int64_t n, int64_t d,
                   struct head_rows ahead, float shrink, float *out)
{
    int64_t c = 0;

    for (; c + 8 * WIDTH <= d; c += 8 * WIDTH) weighted(t, 8, p, v, n, c, ahead, shrink, out);
    for (; c + 4 * WIDTH <= d; c += 4 * WIDTH) weighted(t, 4, p, v, n, c, ahead, shrink, out);
    for (; c < d; c += WIDTH) weighted(t, 1, p, v, n, c, ahead, shrink, out);
}

/* ---- every key is read by one query -------------------------------------------------------------------------- */

/* Where the walk is AHEAD heads later: in the same rows, in the TOGETHER rows after them, or among the first of `then`, at row p. */
static struct head_rows ahead_of(const struct few *f, const struct heads *x, int64_t row, int64_t h,
                                 int64_t end, const struct heads *then, int64_t p)
{
    struct head_rows a;

    for (h += AHEAD; h >= f->heads; h -= f->heads) row += TOGETHER;
    if (row >= end) {
        x = then;
        row = min_i64(p + row - end, f->last - 1);
    }
    a = head_at(x, row, f->kv + h);
    if (row + TOGETHER > f->last) a.step = 0;
    return a;
}

INLINE void walk_keys(enum dtype t, const struct few *f, int64_t p, int64_t end)
{
    for (int64_t i = p; i < end; i += TOGETHER)
        for (int64_t h = 0; h < f->heads; h++)
            scores(t, f->z->q + h * f->d, head_at(&f->k, i, f->kv + h), min_i64(TOGETHER, end - i), f->d,
                   ahead_of(f, &f->k, i, h, end, &f->v, p), f->z->p[h] + (i - p));
}

INLINE void walk_values(enum dtype t, const struct few *f, int64_t p, int64_t end)
{
    for (int64_t i = p; i < end; i += TOGETHER)
        for (int64_t h = 0; h < f->heads; h++)
            values(t, f->z->p[h] + (i - p), head_at(&f->v, i, f->kv + h), min_i64(TOGETHER, end - i), f->d,
                   ahead_of(f, &f->v, i, h, end, &f->k, end), i == p ? f->z->shrink[h] : 1,
                   f->z->out + h * f->d);
}

/* Keys p .. end-1. */
static void walk(const struct few *f, int64_t p, int64_t end)
{
    switch (f->j->k->dtype) {
    case DTYPE_F16: walk_keys(DTYPE_F16, f, p, end); break;
    case DTYPE_BF16: walk_keys(DTYPE_BF16, f, p, end); break;
    case DTYPE_Q8_0: walk_keys(DTYPE_Q8_0, f, p, end); break;
    default: walk_keys(DTYPE_F32, f, p, end);
    }
    for (int64_t h = 0; h < f->heads; h++)
        f->z->shrink[h] = soften(f->z->p[h], end - p, f->z->sum[h], &f->z->largest[h]);
    switch (f->j->v->dtype) {
    case DTYPE_F16: walk_values(DTYPE_F16, f, p, end); break;
    case DTYPE_BF16: walk_values(DTYPE_BF16, f, p, end); break;
    case DTYPE_Q8_0: walk_values(DTYPE_Q8_0, f, p, end); break;
    default: walk_values(DTYPE_F32, f, p, end);
    }
}

/* ---- a key is read by several -------------------------------------------------------------------------------- */

/* Rows p .. end-1 of head kv, unpacked. */
static struct head_rows unpack(const struct few *f, const struct tensor *x, int64_t p, int64_t end,
                               int64_t kv, float *to)
{
    for (int64_t i = p; i < end; i++) unpack_head(x, i, kv, f->d, to + (i - p) * f->d_padded, f->d_padded);
    return (struct head_rows){ DTYPE_F32, (const char *)to, f->d_padded * (int64_t)sizeof *to };
}

/* Head kv's keys p .. end-1 and queries x0 .. of the task's. */
static void share(const struct few *f, int64_t p, int64_t end, int64_t kv, int64_t x0)
{
    const struct head_rows none = { 0 };
    struct few_space *z = f->z;
    struct head_rows k = unpack(f, f->j->k, p, end, kv, z->k), v = unpack(f, f->j->v, p, end, kv, z->v);

    for (int64_t x = x0; x < x0 + f->queries; x++) {
        int64_t seen = min_i64(end, f->first + z->count[x]) - p;

        for (int64_t i = 0; i < seen; i += TOGETHER) {
            struct head_rows rows = { k.t, k.at + i * k.step, k.step };

            scores(DTYPE_F32, z->q + x * f->d_padded, rows, min_i64(TOGETHER, seen - i), f->d_padded, none,
                   z->p[x] + i);
        }
        if (seen > 0) z->shrink[x] = soften(z->p[x], seen, z->sum[x], &z->largest[x]);
    }
    for (int64_t x = x0; x < x0 + f->queries; x++) {
        int64_t seen = min_i64(end, f->first + z->count[x]) - p;

        if (seen > 0)
            values(DTYPE_F32, z->p[x], v, seen, f->d_padded, none, z->shrink[x], z->out + x * f->d_padded);
    }
}

/* ---- a task -------------------------------------------------------------------------------------------------- */

/* Columns of q and y where query x of the task stands; *row its row. */
static int64_t query_column(const struct few *f, int64_t x, int64_t *row)
{
    int64_t kv = f->kv + x / f->queries, query = f->query + x % f->queries;

    *row = f->t0 + query / f->group;
    return (kv * f->group + query % f->group) * f->d;
}

static void begin(struct few *f)
{
    struct few_space *z = f->z;

    for (int64_t x = 0; x < f->heads * f->queries; x++) {
        int64_t row, column = query_column(f, x, &row);
        const float *from = data_row(f->j->q, row) + column;
        float *q = z->q + x * f->d_padded;

        memset(q, 0, (size_t)f->d_padded * sizeof *q);
        memset(z->out + x * f->d_padded, 0, (size_t)f->d_padded * sizeof *z->out);
        memset(z->sum[x], 0, sizeof z->sum[x]);
        for (int64_t c = 0; c < f->d; c++) q[c] = from[c] * (f->j->s->scale * LOG2_E);
        z->largest[x] = -INFINITY;
        z->count[x] = f->j->s->count[row];
    }
}

static void end(const struct few *f)
{
    for (int64_t x = 0; x < f->heads * f->queries; x++) {
        int64_t row, column = query_column(f, x, &row);
        float *y = data_row(f->j->y, row) + column, by = 1 / sum_lanes(load(f->z->sum[x]));

        for (int64_t c = 0; c < f->d; c++) y[c] = f->z->out[x * f->d_padded + c] * by;
    }
}

struct attention_cut SIMD_NAME(attention_few_cut)(const struct attention_job *j, struct attention_block b,
                                                  int64_t want)
{
    int64_t K = j->s->kv_heads, queries = (b.t1 - b.t0) * (j->s->heads / K);
    struct attention_cut c = { min_i64(FEW_QUERIES / queries, (K + want - 1) / want),
                               (queries + FEW_QUERIES - 1) / FEW_QUERIES };

    if (c.share < 1) c.share = 1;
    if (K * c.parts < want) c.parts = min_i64(queries, (want + K - 1) / K);
    return c;
}

void SIMD_NAME(attention_few)(const struct attention_job *j, struct attention_block b, struct attention_cut c,
                              int64_t task, void *scratch)
{
    const struct attention_shape *s = j->s;
    struct few f = { .z = scratch, .j = j, .t0 = b.t0, .first = s->first[b.t0], .d = s->head_dim };
    int64_t queries, part = task % c.parts;
    bool walks;

    f.group = s->heads / s->kv_heads;
    f.d_padded = round_up(f.d, WIDTH);
    queries = (b.t1 - b.t0) * f.group;
    f.kv = task / c.parts * c.share;
    f.heads = min_i64(c.share, s->kv_heads - f.kv);
    f.query = queries * part / c.parts;
    f.queries = queries * (part + 1) / c.parts - f.query;
    walks = f.queries == 1 && f.d == f.d_padded;
    if (walks) {
        f.k = heads_of(j->k, f.d);
        f.v = heads_of(j->v, f.d);
    }
    begin(&f);
    for (int64_t x = 0; x < f.queries; x++)
        if (f.first + f.z->count[x] > f.last) f.last = f.first + f.z->count[x];
    for (int64_t p = f.first; p < f.last; p += FEW_KEYS) {
        int64_t end = min_i64(f.last, p + FEW_KEYS);

        if (walks)
            walk(&f, p, end);
        else
            for (int64_t h = 0; h < f.heads; h++) share(&f, p, end, f.kv + h, h * f.queries);
    }
    end(&f);
}
