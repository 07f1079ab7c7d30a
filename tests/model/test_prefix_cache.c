/*
 * test_prefix_cache.c - what a model remembers in memory: the longest common beginning is found and its rows come back to the last
 * bit; other images, types and ids are not mistaken for it; the bound holds, and the entry unused longest goes first; and many
 * threads may do all this at once.
 */
#include "model/prefix_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

enum { LAYERS = 3, HEADS = 4, KV_HEADS = 2, DIM = 32, CONTEXT = 64, WORDS = 5 };
#define ROW_BYTES ((size_t)2 * LAYERS * DIM / HEADS * KV_HEADS * 2) /* f16 */

static const struct llama_config sizes = {
    .dim = DIM, .n_layers = LAYERS, .n_heads = HEADS, .n_kv_heads = KV_HEADS
};
static const struct digest cat = { { 1 } }, dog = { { 2 } };
static const int32_t ids[] = { 1, 10, 11, 12, 13, 14, 15, 16 };

static void kv_open(struct kv_cache *kv, enum dtype dtype)
{
    struct err e = { 0 };

    assert_int_equal(kv_init(kv, &sizes, 1, CONTEXT, dtype, &e), STATUS_OK);
}

/* Fills `n` rows from `first` on with bytes that tell the seed, the layer and the row within the sequence. */
static void kv_fill(struct kv_cache *kv, int64_t first, int64_t n, unsigned seed)
{
    for (int i = 0; i < 2 * LAYERS; i++) {
        struct tensor *t = i < LAYERS ? &kv->k[i] : &kv->v[i - LAYERS];
        size_t row = dtype_bytes(t->dtype, (size_t)t->stride);

        for (int64_t r = 0; r < n; r++)
            memset((char *)t->data + row * (size_t)(first + r),
                   (int)(seed * 101 + (unsigned)i * 37 + (unsigned)r), row);
    }
}

/* How many rows from the beginning are as kv_fill left them. */
static int64_t kv_same(const struct kv_cache *a, int64_t a_first, const struct kv_cache *b, int64_t b_first,
                       int64_t n)
{
    for (int64_t r = 0; r < n; r++) {
        for (int i = 0; i < 2 * LAYERS; i++) {
            const struct tensor *t = i < LAYERS ? &a->k[i] : &a->v[i - LAYERS];
            const struct tensor *u = i < LAYERS ? &b->k[i] : &b->v[i - LAYERS];
            size_t row = dtype_bytes(t->dtype, (size_t)t->stride);

            if (memcmp((char *)t->data + row * (size_t)(a_first + r),
                       (char *)u->data + row * (size_t)(b_first + r), row) != 0)
                return r;
        }
    }
    return n;
}

static struct prefix_cache open_cache(size_t bytes)
{
    struct prefix_cache c;
    struct err e = { 0 };

    assert_int_equal(prefix_cache_init(&c, bytes, &e), STATUS_OK);
    return c;
}

static void test_longest_beginning(void **state)
{
    struct prefix_cache c = open_cache(1 << 20);
    struct prefix stored = { &cat, WORDS, ids, 8 }, wanted = { &cat, WORDS, ids, 5 };
    struct kv_cache from, to;
    int32_t other[] = { 1, 10, 11, 99 };

    (void)state;
    kv_open(&from, DTYPE_F16);
    kv_open(&to, DTYPE_F16);
    kv_fill(&from, 7, 8 + WORDS, 1);
    prefix_cache_put_rows(&c, &stored, &from, 7);
    kv_fill(&from, 7, 8 + WORDS, 2); /* what is remembered is a copy */

    assert_int_equal(prefix_cache_take_rows(&c, &wanted, 0, &to, 20), 5);
    kv_fill(&from, 7, 8 + WORDS, 1);
    assert_int_equal(kv_same(&from, 7, &to, 20, 5 + WORDS + 1), 5 + WORDS); /* and not one row more */

    /* Ids that go another way share what they share; rows that are there already are left alone. */
    kv_fill(&to, 20, 20, 3);
    wanted = (struct prefix){ &cat, WORDS, other, 4 };
    assert_int_equal(prefix_cache_take_rows(&c, &wanted, 2, &to, 20), 3);
    assert_int_equal(kv_same(&from, 7, &to, 20, 1), 0);
    assert_int_equal(kv_same(&from, 7 + 2 + WORDS, &to, 20 + 2 + WORDS, 2), 1);

    /* Nothing better than what the session has. */
    assert_int_equal(prefix_cache_take_rows(&c, &wanted, 3, &to, 20), 3);
    kv_free(&from);
    kv_free(&to);
    prefix_cache_free(&c);
}

static void test_not_mistaken(void **state)
{
    struct prefix_cache c = open_cache(1 << 20);
    struct prefix stored = { &cat, WORDS, ids, 8 }, other = { &dog, WORDS, ids, 8 },
                  none = { NULL, 0, ids, 8 };
    struct kv_cache f16, f32;

    (void)state;
    kv_open(&f16, DTYPE_F16);
    kv_open(&f32, DTYPE_F32);
    prefix_cache_put_rows(&c, &stored, &f16, 0);
    assert_int_equal(prefix_cache_take_rows(&c, &other, 0, &f16, 30), 0);
    assert_int_equal(prefix_cache_take_rows(&c, &none, 0, &f16, 30), 0);
    assert_int_equal(prefix_cache_take_rows(&c, &stored, 0, &f32, 30), 0);
    assert_int_equal(prefix_cache_take_rows(&c, &stored, 0, &f16, 30), 8);
    kv_free(&f16);
    kv_free(&f32);
    prefix_cache_free(&c);
}

static void test_bound(void **state)
{
    /* Room for three dialogues of eight ids without image. */
    size_t one = 8 * (ROW_BYTES + sizeof *ids);
    struct prefix_cache c = open_cache(3 * one + one / 2), off = open_cache(0);
    int32_t talk[4][8];
    struct kv_cache kv;

    (void)state;
    kv_open(&kv, DTYPE_F16);
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 8; j++) talk[i][j] = j == 0 ? 1 : 100 * i + j;
    }
    for (int i = 0; i < 3; i++) prefix_cache_put_rows(&c, &(struct prefix){ NULL, 0, talk[i], 8 }, &kv, 0);
    assert_int_equal(c.bytes, 3 * one);
    /* The first is used, so the second is the one to go. */
    assert_int_equal(prefix_cache_take_rows(&c, &(struct prefix){ NULL, 0, talk[0], 8 }, 0, &kv, 9), 8);
    prefix_cache_put_rows(&c, &(struct prefix){ NULL, 0, talk[3], 8 }, &kv, 0);
    assert_true(c.bytes <= c.bytes_max);
    assert_int_equal(prefix_cache_take_rows(&c, &(struct prefix){ NULL, 0, talk[0], 8 }, 0, &kv, 9), 8);
    assert_int_equal(prefix_cache_take_rows(&c, &(struct prefix){ NULL, 0, talk[1], 8 }, 0, &kv, 9),
                     1); /* BOS */
    assert_int_equal(prefix_cache_take_rows(&c, &(struct prefix){ NULL, 0, talk[3], 8 }, 0, &kv, 9), 8);

    /* A longer dialogue takes the place of its beginning; a beginning of one that is there adds nothing. */
    assert_int_equal(c.bytes, 3 * one);
    prefix_cache_put_rows(&c, &(struct prefix){ NULL, 0, talk[3], 5 }, &kv, 0);
    assert_int_equal(c.bytes, 3 * one);
    prefix_cache_free(&c);

    prefix_cache_put_rows(&off, &(struct prefix){ NULL, 0, talk[0], 8 }, &kv, 0);
    assert_int_equal(off.bytes, 0);
    assert_null(off.newest);
    prefix_cache_free(&off);
    kv_free(&kv);
}

static void test_words(void **state)
{
    struct prefix_cache c = open_cache(100 * sizeof(float));
    float a[50], b[50], got[50];

    (void)state;
    for (int i = 0; i < 50; i++) a[i] = (float)i, b[i] = -(float)i;
    prefix_cache_put_words(&c, &cat, a, 50);
    prefix_cache_put_words(&c, &dog, b, 50);
    prefix_cache_put_words(&c, &dog, b, 50);
    assert_true(prefix_cache_take_words(&c, &cat, got, 50));
    assert_memory_equal(got, a, sizeof a);
    assert_true(prefix_cache_take_words(&c, &dog, got, 50));
    assert_memory_equal(got, b, sizeof b);
    assert_false(prefix_cache_take_words(&c, &cat, got, 49));
    prefix_cache_put_words(&c, &(struct digest){ { 3 } }, a, 50); /* the cat was used longest ago */
    assert_false(prefix_cache_take_words(&c, &cat, got, 50));
    assert_true(prefix_cache_take_words(&c, &dog, got, 50));
    prefix_cache_free(&c);
}

/* ---- many threads ----------------------------------------------------------------------------------------------- */

enum { TALKERS = 4, ROUNDS = 300, DIALOGUES = 6 };

struct talker {
    struct prefix_cache *cache;
    unsigned number;
    bool ok;
};

/* Row r of dialogue d always holds the same bytes, so whatever comes back must be those. */
static void *talk(void *user)
{
    struct talker *t = user;
    struct kv_cache kv, want;
    unsigned random = t->number + 1;

    kv_open(&kv, DTYPE_F16);
    kv_open(&want, DTYPE_F16);
    t->ok = true;
    for (int round = 0; round < ROUNDS; round++) {
        unsigned d;
        int32_t talk_ids[12] = { 1 };
        struct prefix p = { NULL, 0, talk_ids, 12 };
        size_t n;

        random = random * 1664525u + 1013904223u;
        d = (random >> 16) % DIALOGUES;
        for (int j = 1; j < 12; j++) talk_ids[j] = (int32_t)d * 100 + j;
        kv_fill(&want, 0, 12, d);
        n = prefix_cache_take_rows(t->cache, &p, 0, &kv, 5);
        if (n > 1 && kv_same(&kv, 5, &want, 0, (int64_t)n) != (int64_t)n) t->ok = false;
        p.n = 2 + (random >> 8) % 11;
        prefix_cache_put_rows(t->cache, &p, &want, 0);
    }
    kv_free(&kv);
    kv_free(&want);
    return NULL;
}

static void test_threads(void **state)
{
    struct prefix_cache c =
        open_cache(30 * ROW_BYTES); /* two dialogues and a half: much goes while others copy */
    struct talker talkers[TALKERS];
    pthread_t threads[TALKERS];

    (void)state;
    for (unsigned i = 0; i < TALKERS; i++) {
        talkers[i] = (struct talker){ &c, i, false };
        assert_int_equal(pthread_create(&threads[i], NULL, talk, &talkers[i]), 0);
    }
    for (int i = 0; i < TALKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(talkers[i].ok);
    }
    assert_true(c.bytes <= c.bytes_max);
    prefix_cache_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longest_beginning),
        cmocka_unit_test(test_not_mistaken),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
