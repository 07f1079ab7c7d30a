/*
 * simd_attention.c - softmax attention without a score matrix (Milakov and Gimelshein 2018; Dao et al. 2022).
 *
 *   many queries: a task is one head and up to QUERIES rows of one sequence. KEYS keys at a time:
 *     scores [QUERIES, KEYS] = q k^T        tiles (tile.h), k turned into panels
 *     largest, sum, out      rescaled when a row meets a larger score
 *     out [QUERIES, d] += exp(scores) v     tiles
 *
 *   few queries (decoding, checking guessed tokens): a task is a share of the heads, and each key and value is read once,
 *     straight from its dtype and in the order of memory, for all rows of the sequence. A row's sums are those of that row alone.
 *
 * No sum is ever shared between tasks, so any number of threads gives the same bits.
 */
#include "backend/cpu/simd/simd.h"
#include "backend/cpu/simd/tile.h"

#include <math.h>
#include <stdatomic.h>

enum {
    QUERIES = 264, /* a multiple of every level's ROWS that covers the 257 rows of a view */
    KEYS = 160,    /* of COLUMNS; 257 rows make two tiles */
    FEW_KEYS = 16, /* a multiple of every WIDTH */
    FEW_STATES = 1024,
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
    int64_t d = s->head_dim, d_padded = round_up(d, COLUMNS), rows = b.t1 - b.t0;
    int64_t first = INT64_MAX, last = 0, tiles_count, tile;
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
    tiles_count = (last - first + KEYS - 1) / KEYS;
    tile = round_up((last - first + tiles_count - 1) / tiles_count, COLUMNS); /* all nearly as long */
    for (int64_t p = first; p < last; p += tile) {
        int64_t from = 0, n = min_i64(tile, last - p);

        while (from < rows - 1 && s->first[b.t0 + from] + s->count[b.t0 + from] <= p) from++;
        pack_keys(z, j, p, n, kv);
        tile_keys(z, j, b, p, n, from / ROWS * ROWS);
    }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < d; i++)
            data_row(j->y, b.t0 + r)[head * d + i] = z->out[r * d_padded + i] / z->sum[r];
}

/* ---- few queries --------------------------------------------------------------------------------------------- */

/* One query head; columns beyond d are zero up to a multiple of WIDTH. */
struct query_state {
    float q[HEAD_DIM_MAX], out[HEAD_DIM_MAX];
    float scores[FEW_KEYS];
    float largest, sum;
};
_Static_assert(FEW_STATES * sizeof(struct query_state) <= KERNEL_SCRATCH_BYTES,
               "decoding fits a thread's scratch");

/* The vector at column c of a row of d columns, zeros after the end. */
INLINE vf head_vector(enum dtype t, const char *row, int64_t c, int64_t d)
{
    const char *p = row + c * (t == DTYPE_F32 ? 4 : 2);
    float rest[WIDTH] = { 0 };

    if (c + WIDTH <= d) return load_as(t, p);
    dtype_info(t)->to_f32(rest, p, (size_t)(d - c));
    return load(rest);
}

/* Where head h reads row p of k or v. */
INLINE const char *head_at(enum dtype t, const struct tensor *x, int64_t p, int64_t kv, int64_t d)
{
    return (const char *)x->data + (p * x->stride + kv * d) * (t == DTYPE_F32 ? 4 : 2);
}

INLINE void few_scores(enum dtype t, const struct job *j, int64_t p, int64_t n, int64_t head, int64_t heads,
                       struct query_state *z)
{
    int64_t d = j->s->head_dim, group = j->s->heads / j->s->kv_heads;

    for (int64_t i = 0; i < n; i++) {
        for (int64_t h = 0; h < heads; h++) {
            const char *key = head_at(t, j->k, p + i, (head + h) / group, d);
            vf s0 = { 0 }, s1 = { 0 };

            for (int64_t c = 0; c < d; c += 2 * WIDTH) {
                s0 += load(z[h].q + c) * head_vector(t, key, c, d);
                if (c + WIDTH < d) s1 += load(z[h].q + c + WIDTH) * head_vector(t, key, c + WIDTH, d);
            }
            z[h].scores[i] = sum_lanes(s0 + s1);
        }
    }
}

/* Scores to exponentials; what was summed before shrinks when a larger score comes. */
static void few_softmax(struct query_state *z, int64_t n, int64_t d)
{
    float before = z->largest, factor;

    for (int64_t i = 0; i < n; i++) z->largest = z->scores[i] > z->largest ? z->scores[i] : z->largest;
    for (int64_t i = n; i < FEW_KEYS; i++) z->scores[i] = -INFINITY;
    for (int i = 0; i < FEW_KEYS; i += WIDTH) store(z->scores + i, vexp(load(z->scores + i) - z->largest));
    factor = vexp(splat(before - z->largest))[0];
    z->sum *= factor;
    for (int64_t i = 0; i < n; i++) z->sum += z->scores[i];
    for (int64_t c = 0; c < d; c += WIDTH) store(z->out + c, load(z->out + c) * factor);
}

INLINE void few_values(enum dtype t, const struct job *j, int64_t p, int64_t n, int64_t head, int64_t heads,
                       struct query_state *z)
{
    int64_t d = j->s->head_dim, group = j->s->heads / j->s->kv_heads;

    for (int64_t i = 0; i < n; i += 4) {
        for (int64_t h = 0; h < heads; h++) {
            const char *value[4];
            float share[4];

            for (int r = 0; r < 4; r++) {
                value[r] = head_at(t, j->v, p + min_i64(i + r, n - 1), (head + h) / group, d);
                share[r] = i + r < n ? z[h].scores[i + r] : 0;
            }
            for (int64_t c = 0; c < d; c += WIDTH) {
                vf out = load(z[h].out + c);

                UNROLL
                for (int r = 0; r < 4; r++) out += share[r] * head_vector(t, value[r], c, d);
                store(z[h].out + c, out);
            }
        }
    }
}

INLINE void few_tile(enum dtype t, const struct job *j, int64_t p, int64_t n, int64_t head, int64_t heads,
                     struct query_state *z)
{
    few_scores(t, j, p, n, head, heads, z);
    for (int64_t h = 0; h < heads; h++) few_softmax(&z[h], n, j->s->head_dim);
    few_values(t, j, p, n, head, heads, z);
}

/* Query heads head .. head+heads-1 of row t, before any key. */
static void few_begin(const struct job *j, int64_t t, int64_t head, int64_t heads, struct query_state *z)
{
    int64_t d = j->s->head_dim;

    for (int64_t h = 0; h < heads; h++) {
        const float *q = data_row(j->q, t) + (head + h) * d;

        memset(&z[h], 0, sizeof z[h]);
        for (int64_t c = 0; c < d; c++) z[h].q[c] = q[c] * j->s->scale;
        z[h].largest = -INFINITY;
    }
}

/* Rows b of one sequence, query heads head .. head+heads-1, z [rows][heads]. The cache is walked row by row over all of them, as it
 * lies in memory; what a later row of q reads again is in the processor's cache by then. */
static void few_queries(const struct job *j, struct block b, int64_t head, int64_t heads,
                        struct query_state *z)
{
    const struct attention_shape *s = j->s;
    int64_t d = s->head_dim, first = s->first[b.t0], last = 0;

    for (int64_t t = b.t0; t < b.t1; t++) {
        few_begin(j, t, head, heads, z + (t - b.t0) * heads);
        last = first + s->count[t] > last ? first + s->count[t] : last;
    }
    for (int64_t p = first; p < last; p += FEW_KEYS) {
        for (int64_t t = b.t0; t < b.t1; t++) {
            struct query_state *row = z + (t - b.t0) * heads;
            int64_t n = min_i64(FEW_KEYS, first + s->count[t] - p);

            if (n <= 0) continue;
            if (j->k->dtype == DTYPE_F32) few_tile(DTYPE_F32, j, p, n, head, heads, row);
            if (j->k->dtype == DTYPE_F16) few_tile(DTYPE_F16, j, p, n, head, heads, row);
            if (j->k->dtype == DTYPE_BF16) few_tile(DTYPE_BF16, j, p, n, head, heads, row);
        }
    }
    for (int64_t t = b.t0; t < b.t1; t++, z += heads)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t c = 0; c < d; c++) data_row(j->y, t)[(head + h) * d + c] = z[h].out[c] / z[h].sum;
}

/* ---- tasks --------------------------------------------------------------------------------------------------- */

static bool block_is_few(struct block b)
{
    return b.t1 - b.t0 <= BATCH_ROWS;
}

/* How a block of few rows is cut up: each thread gets a share of the heads, for the sums of a head do not meet those of others, and
 * as many rows as its scratch has room for. */
struct few_cut {
    int64_t heads, rows, shares, groups;
};

static struct few_cut few_cut(const struct job *j, struct block b, int threads)
{
    struct few_cut c = { .heads = min_i64(FEW_STATES, (j->s->heads + threads - 1) / threads) };

    c.rows = min_i64(b.t1 - b.t0, FEW_STATES / c.heads);
    c.shares = (j->s->heads + c.heads - 1) / c.heads;
    c.groups = (b.t1 - b.t0 + c.rows - 1) / c.rows;
    return c;
}

static int64_t block_tasks(const struct job *j, struct block b, int threads)
{
    struct few_cut c = few_cut(j, b, threads);

    return block_is_few(b) ? c.shares * c.groups : j->s->heads;
}

static void run_task(const struct job *j, struct block b, int64_t task, int threads, void *scratch)
{
    struct few_cut c = few_cut(j, b, threads);
    int64_t head = task / c.groups * c.heads, t0 = b.t0 + task % c.groups * c.rows;
    struct block part = { t0, min_i64(b.t1, t0 + c.rows) };

    if (block_is_few(b))
        few_queries(j, part, head, min_i64(c.heads, j->s->heads - head), scratch);
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
        int threads = omp_get_num_threads();

        for (int64_t task = atomic_fetch_add(&next, 1); b.t0 < T; task = atomic_fetch_add(&next, 1)) {
            while (b.t0 < T && task - before >= block_tasks(&j, b, threads)) {
                before += block_tasks(&j, b, threads);
                b = b.t1 < T ? block_from(&j, b.t1) : (struct block){ T, T };
            }
            if (b.t0 < T) run_task(&j, b, task - before, threads, thread_scratch(e));
        }
    }
}
