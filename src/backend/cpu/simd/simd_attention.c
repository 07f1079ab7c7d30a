/*
 * simd_attention.c - softmax attention without a score matrix (Milakov and Gimelshein 2018; Dao et al. 2022), in two ways:
 *
 *   many rows of a sequence (encoders, prefill)   simd_attention_many.c   a task is one head: bound by arithmetic
 *   or any number of cells of a map (SAM)
 *   few (decoding, checking guessed tokens)       simd_attention_few.c    a task is a share of the key/value heads: bound by
 *                                                                         reading keys and values, once
 *
 * No sum is ever shared between tasks, so any number of threads gives the same bits. A row's bits depend on which of the two
 * ways its sequence goes, but not on the other rows.
 */
#include "backend/cpu/simd/simd_attention.h"
#include "backend/cpu/simd/simd.h"

#include <stdatomic.h>

static bool block_is_few(const struct attention_job *j, struct attention_block b)
{
    return b.t1 - b.t0 <= BATCH_ROWS && j->g == NULL;
}

/* The block that begins with row t0. A sequence too long for one is cut into equal ones. */
static struct attention_block block_from(const struct attention_job *j, int64_t t0)
{
    const int32_t *first = j->s->first;
    int64_t start = t0, end = t0, blocks;

    while (start > 0 && first[start - 1] == first[t0]) start--;
    while (end < tensor_rows(j->q) && first[end] == first[t0]) end++;
    blocks = (end - start + MANY_ROWS - 1) / MANY_ROWS;
    return (struct attention_block){ t0, min_i64(end, t0 + (end - start + blocks - 1) / blocks) };
}

static int64_t block_count(const struct attention_job *j)
{
    int64_t T = tensor_rows(j->q), n = 0;

    for (int64_t t = 0; t < T; t = block_from(j, t).t1) n++;
    return n;
}

struct tasks {
    struct attention_cut cut; /* of few rows */
    int64_t count;
};

static struct tasks block_tasks(const struct attention_job *j, struct attention_block b, int64_t want)
{
    struct tasks k = { .count = j->s->heads };

    if (!block_is_few(j, b)) return k;
    k.cut = SIMD_NAME(attention_few_cut)(j, b, want);
    k.count = (j->s->kv_heads + k.cut.share - 1) / k.cut.share * k.cut.parts;
    return k;
}

static void attend(const struct exec *e, const struct attention_job *j)
{
    const struct attention_shape *s = j->s;
    int64_t T = tensor_rows(j->q), work = 0, blocks = block_count(j);
    atomic_llong next = 0;

    for (int64_t t = 0; t < T; t++) work += (int64_t)s->count[t] * s->heads * s->head_dim;
    if (T == 0) return;
        /* Each thread draws the next task and walks to its block, forward only. */
#pragma omp parallel num_threads(threads_for(e, work / 8))
    {
        int64_t want = (omp_get_num_threads() + blocks - 1) / blocks,
                before = 0; /* tasks of earlier blocks */
        struct attention_block b = block_from(j, 0);
        struct tasks here = block_tasks(j, b, want);

        for (int64_t task = atomic_fetch_add(&next, 1); b.t0 < T; task = atomic_fetch_add(&next, 1)) {
            while (b.t0 < T && task - before >= here.count) {
                before += here.count;
                b = b.t1 < T ? block_from(j, b.t1) : (struct attention_block){ T, T };
                if (b.t0 < T) here = block_tasks(j, b, want);
            }
            if (b.t0 >= T) break;
            if (block_is_few(j, b))
                SIMD_NAME(attention_few)(j, b, here.cut, task - before, thread_scratch(e));
            else
                SIMD_NAME(attention_many)(j, b, (int)(task - before), thread_scratch(e));
        }
    }
}

void SIMD_NAME(attention)(const struct exec *e, struct tensor *y, const struct tensor *q,
                          const struct tensor *k, const struct tensor *v, const struct attention_shape *s)
{
    const struct attention_job j = { y, q, k, v, s, NULL };

    attend(e, &j);
}

void SIMD_NAME(attention_grid)(const struct exec *e, struct tensor *y, const struct tensor *q,
                               const struct tensor *k, const struct tensor *v,
                               const struct attention_shape *s, const struct grid_terms *g)
{
    const struct attention_job j = { y, q, k, v, s, g };

    attend(e, &j);
}
