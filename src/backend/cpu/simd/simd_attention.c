/*
 * simd_attention.c - softmax attention without a score matrix (Milakov and Gimelshein 2018; Dao et al. 2022).
 *
 *   many queries: a task is one head and up to QUERIES rows of one sequence. KEYS keys at a time:
 *     scores [QUERIES, KEYS] = q k^T        tiles (tile.h), k turned into panels
 *     largest, sum, out      rescaled when a row meets a larger score
 *     out [QUERIES, d] += exp(scores) v     tiles
 *
 *   few queries (decoding): a task is one key/value head and one row, with all query heads that share it; each key
 *     and value is unpacked once, and read straight from the cache.
 *
 * Tasks depend on the shapes alone, so any number of threads gives the same sums.
 */
#include "backend/cpu/simd/simd.h"
#include "backend/cpu/simd/tile.h"

#include <math.h>
#include <stdatomic.h>

enum {
    QUERIES = 264, /* a multiple of every level's ROWS that covers the 257 rows of a view */
    KEYS = 128,    /* of COLUMNS */
    FEW = 3,       /* this many rows of a sequence are decoded one by one */
    FEW_KEYS = 32, /* a multiple of every WIDTH */
    FEW_HEADS = 64,
};

struct job {
    struct tensor *y;
    const struct tensor *q, *k, *v;
    const struct attention_shape *s;
};

/* Rows t0 .. t1-1: one sequence's, at most QUERIES. */
struct block {
    int64_t t0, t1;
};

static struct block block_from(const struct job *j, int64_t t0)
{
    struct block b = { t0, t0 + 1 };
    int64_t T = tensor_rows(j->q);

    while (b.t1 < T && b.t1 - t0 < QUERIES && j->s->first[b.t1] == j->s->first[t0]) b.t1++;
    return b;
}

/* Row p of k or v, the d columns of head `kv`, as float32. */
static const float *head_row(const struct tensor *t, int64_t p, int kv, int64_t d, float *buffer)
{
    size_t offset = dtype_bytes(t->dtype, (size_t)(p * t->stride + kv * d));

    return row_f32(t->dtype, (const char *)t->data + offset, d, buffer);
}

/* ---- many queries -------------------------------------------------------------------------------------------- */

/* One task's scratch. Rows are padded to ROWS, columns to COLUMNS. */
struct tile_space {
    float q[QUERIES * HEAD_DIM_MAX];   /* panels, scaled */
    float k[KEYS * HEAD_DIM_MAX];      /* panels */
    float v[KEYS * HEAD_DIM_MAX];      /* panels */
    float scores[QUERIES * KEYS];      /* then their exponentials */
    float p[QUERIES * KEYS];           /* the same as panels */
    float out[QUERIES * HEAD_DIM_MAX]; /* rows of pad(d) */
    float rows[4 * HEAD_DIM_MAX];      /* keys or values being unpacked */
    float largest[QUERIES], sum[QUERIES];
};
_Static_assert(sizeof(struct tile_space) <= KERNEL_SCRATCH_BYTES, "attention's tiles fit a thread's scratch");
_Static_assert(QUERIES % ROWS == 0 && KEYS % COLUMNS == 0 && HEAD_DIM_MAX % COLUMNS == 0, "whole tiles");

static const float zeros[KEYS];

static int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

static void pack_queries(struct tile_space *z, const struct job *j, struct block b, int head)
{
    int64_t d = j->s->head_dim, rows = b.t1 - b.t0;

    for (int64_t r = 0; r < rows; r += ROWS)
        panel_turn(data_row(j->q, b.t0 + r) + head * d, j->q->stride, min_i64(ROWS, rows - r), d,
                   z->q + r * d, ROWS);
    for (int64_t i = 0; i < round_up(rows, ROWS) * d; i++) z->q[i] *= j->s->scale;
}

/* Keys p0 .. p0+n-1 as panels [d][COLUMNS], values as panels [n][COLUMNS]. */
static void pack_keys(struct tile_space *z, const struct job *j, int64_t p0, int64_t n, int kv)
{
    int64_t d = j->s->head_dim;

    for (int64_t c = 0; c < n; c += 4) {
        const float *rows[4];

        for (int r = 0; r < 4; r++)
            rows[r] = head_row(j->k, p0 + min_i64(c + r, n - 1), kv, d, z->rows + r * HEAD_DIM_MAX);
        transpose_four(rows, d, z->k + c / COLUMNS * COLUMNS * d + c % COLUMNS, COLUMNS);
    }
    for (int64_t i = 0; i < n; i++)
        spread_row(head_row(j->v, p0 + i, kv, d, z->rows), d, n, z->v + i * COLUMNS);
}

/* Row r of the scores against keys p0 .. p0+n-1, of which it sees lo .. hi-1: scores become exponentials relative to the
 * largest so far, and what was summed before shrinks accordingly. */
static void softmax_row(struct tile_space *z, int64_t r, int64_t lo, int64_t hi, int64_t n, int64_t d_padded)
{
    float *s = z->scores + r * KEYS, *out = z->out + r * d_padded, before = z->largest[r], factor;
    vf largest = splat(before), sum = { 0 };
    int64_t width = round_up(n, WIDTH);

    if (hi <= lo) {
        memset(s, 0, (size_t)n * sizeof *s);
        return;
    }
    for (int64_t i = 0; i < lo; i++) s[i] = -INFINITY;
    for (int64_t i = hi; i < width; i++) s[i] = -INFINITY;
    for (int64_t i = 0; i < width; i += WIDTH) largest = vmax(largest, load(s + i));
    for (int i = 0; i < WIDTH; i++) z->largest[r] = largest[i] > z->largest[r] ? largest[i] : z->largest[r];
    largest = splat(z->largest[r]);
    for (int64_t i = 0; i < width; i += WIDTH) {
        vf p = vexp(load(s + i) - largest);

        store(s + i, p);
        sum += p;
    }
    factor = vexp(splat(before) - largest)[0];
    z->sum[r] = z->sum[r] * factor + sum_lanes(sum);
    if (factor == 1) return;
    for (int64_t i = 0; i < d_padded; i += WIDTH) store(out + i, load(out + i) * factor);
}

/* One tile of keys. Rows before `from` see none of them. */
static void tile_keys(struct tile_space *z, const struct job *j, struct block b, int64_t p0, int64_t n,
                      int64_t from)
{
    int64_t d = j->s->head_dim, d_padded = round_up(d, COLUMNS), rows = b.t1 - b.t0;
    int64_t padded = round_up(rows, ROWS) - from;

    tiles(d, z->q + from * d, z->k, zeros, 0, z->scores + from * KEYS, KEYS, padded, round_up(n, COLUMNS));
    for (int64_t r = from; r < rows; r++) {
        int64_t lo = j->s->first[b.t0 + r] - p0, hi = lo + j->s->count[b.t0 + r];

        softmax_row(z, r, lo > 0 ? lo : 0, min_i64(hi, n), n, d_padded);
    }
    for (int64_t r = from; r < rows; r += ROWS)
        panel_turn(z->scores + r * KEYS, KEYS, min_i64(ROWS, rows - r), n, z->p + r * n, ROWS);
    tiles(n, z->p + from * n, z->v, z->out + from * d_padded, d_padded, z->out + from * d_padded, d_padded,
          padded, d_padded);
}

static void many_queries(const struct job *j, struct block b, int head, struct tile_space *z)
{
    const struct attention_shape *s = j->s;
    int64_t d = s->head_dim, d_padded = round_up(d, COLUMNS), rows = b.t1 - b.t0, first = INT64_MAX, last = 0;
    int kv = head / (s->heads / s->kv_heads);

    pack_queries(z, j, b, head);
    memset(z->out, 0, (size_t)(round_up(rows, ROWS) * d_padded) * sizeof *z->out);
    memset(z->v, 0, (size_t)(KEYS * d_padded) * sizeof *z->v); /* the columns beyond d */
    for (int64_t r = 0; r < rows; r++) {
        z->largest[r] = -INFINITY;
        z->sum[r] = 0;
        first = min_i64(first, s->first[b.t0 + r]);
        last =
            s->first[b.t0 + r] + s->count[b.t0 + r] > last ? s->first[b.t0 + r] + s->count[b.t0 + r] : last;
    }
    for (int64_t p = first; p < last; p += KEYS) {
        int64_t from = 0;

        while (from < rows - 1 && s->first[b.t0 + from] + s->count[b.t0 + from] <= p) from++;
        pack_keys(z, j, p, min_i64(KEYS, last - p), kv);
        tile_keys(z, j, b, p, min_i64(KEYS, last - p), from / ROWS * ROWS);
    }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < d; i++)
            data_row(j->y, b.t0 + r)[head * d + i] = z->out[r * d_padded + i] / z->sum[r];
}

/* ---- few queries --------------------------------------------------------------------------------------------- */

/* One query head; q and out are padded to WIDTH with zeros. */
struct query_state {
    float q[HEAD_DIM_MAX], out[HEAD_DIM_MAX];
    float largest, sum;
};

struct row_space {
    float k[FEW_KEYS][HEAD_DIM_MAX], v[FEW_KEYS][HEAD_DIM_MAX];
    float scores[FEW_KEYS];
    struct query_state heads[FEW_HEADS];
};
_Static_assert(sizeof(struct row_space) <= KERNEL_SCRATCH_BYTES, "decoding fits a thread's scratch");

/* n rows from p0 on, unpacked and padded; the rows after them are fetched meanwhile. */
static void unpack_rows(float to[][HEAD_DIM_MAX], const struct tensor *t, int64_t p0, int64_t n, int kv,
                        int64_t d)
{
    size_t bytes = dtype_bytes(t->dtype, (size_t)d), stride = dtype_bytes(t->dtype, (size_t)t->stride);

    for (int64_t i = 0; i < n; i++) {
        const float *row = head_row(t, p0 + i, kv, d, to[i]);
        const char *ahead =
            (const char *)t->data + dtype_bytes(t->dtype, (size_t)((p0 + i) * t->stride + kv * d));

        if (row != to[i]) memcpy(to[i], row, (size_t)d * sizeof *row);
        if (p0 + i + FEW_KEYS < tensor_rows(t))
            for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(ahead + FEW_KEYS * stride + at);
    }
}

/* One tile of n unpacked keys and values for one query head. */
static void row_keys(struct row_space *z, struct query_state *h, int64_t n, int64_t d_padded)
{
    float before = h->largest, factor;

    for (int64_t i = 0; i < n; i++) {
        vf s0 = { 0 }, s1 = { 0 };
        int64_t c = 0;

        for (; c + 2 * WIDTH <= d_padded; c += 2 * WIDTH) {
            s0 += load(h->q + c) * load(z->k[i] + c);
            s1 += load(h->q + c + WIDTH) * load(z->k[i] + c + WIDTH);
        }
        if (c < d_padded) s0 += load(h->q + c) * load(z->k[i] + c);
        z->scores[i] = sum_lanes(s0 + s1);
        h->largest = z->scores[i] > h->largest ? z->scores[i] : h->largest;
    }
    for (int64_t i = n; i < FEW_KEYS; i++) z->scores[i] = -INFINITY;
    for (int i = 0; i < FEW_KEYS; i += WIDTH) store(z->scores + i, vexp(load(z->scores + i) - h->largest));
    factor = vexp(splat(before - h->largest))[0];
    h->sum *= factor;
    for (int64_t i = 0; i < n; i++) h->sum += z->scores[i];
    for (int64_t c = 0; c < d_padded; c += WIDTH) {
        vf out = load(h->out + c) * factor;

        for (int64_t i = 0; i < n; i++) out += z->scores[i] * load(z->v[i] + c);
        store(h->out + c, out);
    }
}

/* Row t, `heads` query heads from `head` on, which all share key/value head kv. */
static void few_heads(const struct job *j, int64_t t, int kv, int head, int heads, struct row_space *z)
{
    const struct attention_shape *s = j->s;
    int64_t d = s->head_dim, d_padded = round_up(d, WIDTH), end = s->first[t] + s->count[t];

    for (int64_t i = 0; i < FEW_KEYS; i++)
        for (int64_t c = d; c < d_padded; c++) z->k[i][c] = z->v[i][c] = 0;
    for (int h = 0; h < heads; h++) {
        const float *q = data_row(j->q, t) + (head + h) * d;

        memset(&z->heads[h], 0, sizeof z->heads[h]);
        for (int64_t c = 0; c < d; c++) z->heads[h].q[c] = q[c] * s->scale;
        z->heads[h].largest = -INFINITY;
    }
    for (int64_t p = s->first[t]; p < end; p += FEW_KEYS) {
        int64_t n = min_i64(FEW_KEYS, end - p);

        unpack_rows(z->k, j->k, p, n, kv, d);
        unpack_rows(z->v, j->v, p, n, kv, d);
        for (int h = 0; h < heads; h++) row_keys(z, &z->heads[h], n, d_padded);
    }
    for (int h = 0; h < heads; h++)
        for (int64_t c = 0; c < d; c++)
            data_row(j->y, t)[(head + h) * d + c] = z->heads[h].out[c] / z->heads[h].sum;
}

static void few_queries(const struct job *j, int64_t t, int kv, struct row_space *z)
{
    int group = j->s->heads / j->s->kv_heads;

    for (int h = 0; h < group; h += FEW_HEADS)
        few_heads(j, t, kv, kv * group + h, group - h < FEW_HEADS ? group - h : FEW_HEADS, z);
}

/* ---- tasks --------------------------------------------------------------------------------------------------- */

static bool block_is_few(struct block b)
{
    return b.t1 - b.t0 <= FEW;
}

static int64_t block_tasks(const struct job *j, struct block b)
{
    return block_is_few(b) ? (b.t1 - b.t0) * j->s->kv_heads : j->s->heads;
}

static void run_task(const struct job *j, struct block b, int64_t task, void *scratch)
{
    if (block_is_few(b))
        few_queries(j, b.t0 + task / j->s->kv_heads, (int)(task % j->s->kv_heads), scratch);
    else
        many_queries(j, b, (int)task, scratch);
}

void SIMD_NAME(attention)(const struct exec *e, struct tensor *y, const struct tensor *q,
                          const struct tensor *k, const struct tensor *v, const struct attention_shape *s)
{
    const struct job j = { y, q, k, v, s };
    int64_t T = tensor_rows(q), work = 0;
    atomic_llong next = 0;

    for (int64_t t = 0; t < T; t++) work += (int64_t)s->count[t] * s->heads * s->head_dim;
    if (T == 0) return;
        /* Each thread draws the next task and walks to its block, forward only. */
#pragma omp parallel num_threads(threads_for(e, work / 8))
    {
        struct block b = block_from(&j, 0);
        int64_t before = 0; /* tasks of earlier blocks */

        for (int64_t task = atomic_fetch_add(&next, 1); b.t0 < T; task = atomic_fetch_add(&next, 1)) {
            while (b.t0 < T && task - before >= block_tasks(&j, b)) {
                before += block_tasks(&j, b);
                b = b.t1 < T ? block_from(&j, b.t1) : (struct block){ T, T };
            }
            if (b.t0 < T) run_task(&j, b, task - before, thread_scratch(e));
        }
    }
}
