/* test_sampler.c - cuts against their definition, draws against their probabilities, and what must be
 * refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text/sampler.h"

enum { VOCAB_MAX = 32000 };

static uint32_t random_next(uint32_t *x)
{
    return (*x = *x * 1664525u + 1013904223u) >> 8;
}

static float random_float(uint32_t *x)
{
    return (float)random_next(x) / (float)(1 << 24);
}

static struct sampler sampler_make(struct sampler_options o, int32_t vocab)
{
    struct sampler s;
    struct err e = { 0 };

    if (sampler_init(&s, &o, vocab, &e) != STATUS_OK) fail_msg("%s", e.text);
    return s;
}

static int32_t draw(struct sampler *s, const float *logits)
{
    int32_t id = -1;
    struct err e = { 0 };

    if (sampler_next(s, logits, NULL, 0, &id, NULL, &e) != STATUS_OK) fail_msg("%s", e.text);
    return id;
}

/* How often each id is drawn in n tries. */
static void histogram(struct sampler_options o, const float *logits, int32_t vocab, size_t n, size_t *counts)
{
    struct sampler s = sampler_make(o, vocab);
    size_t i;

    memset(counts, 0, (size_t)vocab * sizeof *counts);
    for (i = 0; i < n; i++) counts[draw(&s, logits)]++;
    sampler_free(&s);
}

static void test_greedy(void **state)
{
    const float logits[] = { -1.0f, 3.0f, 2.0f, 3.0f };
    struct sampler s = sampler_make(sampler_options_default(), 4);
    float logprob;
    int32_t id;
    double sum = exp(-4.0) + 1.0 + exp(-1.0) + 1.0;

    (void)state;
    assert_int_equal(draw(&s, logits), 1); /* the lowest of equals */
    assert_int_equal(sampler_next(&s, logits, NULL, 0, &id, &logprob, NULL), STATUS_OK);
    assert_true(fabs((double)logprob + log(sum)) < 1e-6);
    sampler_free(&s);
}

static void expect_kept(const float *p, int32_t n, struct sampler_options o, unsigned want)
{
    float logits[8];
    size_t counts[8];
    unsigned kept = 0;
    int32_t i;

    for (i = 0; i < n; i++) logits[i] = logf(p[i]);
    histogram(o, logits, n, 4000, counts);
    for (i = 0; i < n; i++) kept |= (counts[i] > 0 ? 1u : 0u) << i;
    assert_int_equal(kept, want);
}

/* Entry i survives when the mass before it is at most top_p: values from upstream's function. */
static void test_top_p(void **state)
{
    const float p[] = { 0.05f, 0.4f, 0.3f, 0.25f }, equal[] = { 0.25f, 0.25f, 0.25f, 0.25f };
    struct sampler_options o = sampler_options_default();

    (void)state;
    o.temperature = 1.0f;
    o.top_p = 0.5f;
    expect_kept(p, 4, o, 0x6);
    o.top_p = 0.75f;
    expect_kept(p, 4, o, 0xe);
    o.top_p = 0.0f;
    expect_kept(p, 4, o, 0x2);
    o.top_p = 0.99f;
    expect_kept(p, 4, o, 0xf);
    o.top_p = 0.3f;
    expect_kept(equal, 4, o, 0x3); /* of equals the lower ids come first */
    o.top_p = 0.5f;
    o.temperature = 0.1f; /* .4^10 against .3^10 is 95% against 5% */
    expect_kept(p, 4, o, 0x2);
}

static void test_top_k_and_min_p(void **state)
{
    const float p[] = { 0.05f, 0.4f, 0.3f, 0.25f };
    struct sampler_options o = sampler_options_default();

    (void)state;
    o.temperature = 1.0f;
    o.top_k = 1;
    expect_kept(p, 4, o, 0x2);
    o.top_k = 3;
    expect_kept(p, 4, o, 0xe);
    o.top_k = 100;
    expect_kept(p, 4, o, 0xf);
    o.top_k = 2;
    o.top_p = 0.5f; /* of what top-k left: .57 and .43 */
    expect_kept(p, 4, o, 0x2);
    o.top_k = 0;
    o.top_p = 1.0f;
    o.min_p = 0.7f;
    expect_kept(p, 4, o, 0x6);
}

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return x > y ? -1 : x < y ? 1 : 0;
}

/* On large vocabularies the border is found without sorting; here it is found by sorting. */
static void test_border_of_many(void **state)
{
    static float logits[VOCAB_MAX], sorted[VOCAB_MAX];
    static size_t counts[VOCAB_MAX];
    static const float top_p[] = { 0.1f, 0.5f, 0.75f, 0.95f };
    uint32_t x = 5;
    size_t round;

    (void)state;
    for (round = 0; round < 40; round++) {
        int32_t vocab = (int32_t)(1 + random_next(&x) % (round < 36 ? 200 : VOCAB_MAX)), i, kept = 0, lowest;
        struct sampler_options o = sampler_options_default();
        double mass = 0.0, before = 0.0;

        for (i = 0; i < vocab; i++) sorted[i] = logits[i] = 6.0f * random_float(&x) - 3.0f;
        qsort(sorted, (size_t)vocab, sizeof *sorted, descending);
        for (i = 0; i < vocab; i++) mass += exp((double)sorted[i]);
        while (kept < vocab && before <= (double)top_p[round % 4] * mass)
            before += exp((double)sorted[kept++]);
        o.temperature = 1.0f;
        o.top_p = top_p[round % 4];
        o.seed = round;
        histogram(o, logits, vocab, vocab < 200 ? 2000 : 200, counts);
        for (i = 0, lowest = -1; i < vocab; i++) {
            if (counts[i] == 0) continue;
            assert_true(logits[i] >= sorted[kept - 1]);
            if (lowest < 0 || logits[i] < logits[lowest]) lowest = i;
        }
        /* with few entries each one that was kept comes up */
        if (kept < 40) assert_true(logits[lowest] == sorted[kept - 1]);
    }
}

/* Chi-square over 16 entries; 37.7 is exceeded with probability 0.001. The seed is fixed. */
static void test_frequencies(void **state)
{
    float logits[16];
    size_t counts[16], n = 200000;
    struct sampler_options o = sampler_options_default();
    double mass = 0.0, chi = 0.0;
    uint32_t x = 9;
    int32_t i;

    (void)state;
    o.temperature = 0.7f;
    o.seed = 42;
    for (i = 0; i < 16; i++) logits[i] = 2.0f * random_float(&x);
    for (i = 0; i < 16; i++) mass += exp((double)logits[i] / 0.7);
    histogram(o, logits, 16, n, counts);
    for (i = 0; i < 16; i++) {
        double want = (double)n * exp((double)logits[i] / 0.7) / mass, off = (double)counts[i] - want;

        chi += off * off / want;
    }
    assert_true(chi < 37.7 && chi > 3.5);
}

static void test_seed(void **state)
{
    float logits[100] = { 0 };
    struct sampler_options o = sampler_options_default();
    struct sampler a, b, c;
    size_t i, n_equal = 0;

    (void)state;
    o.temperature = 1.0f;
    a = sampler_make(o, 100);
    b = sampler_make(o, 100);
    o.seed = 1;
    c = sampler_make(o, 100);
    for (i = 0; i < 1000; i++) {
        int32_t id = draw(&a, logits);

        assert_int_equal(id, draw(&b, logits));
        n_equal += id == draw(&c, logits);
    }
    assert_true(n_equal < 40); /* 10 are expected */
    o.seed = 0;
    assert_int_equal(sampler_options_set(&a, &o, NULL), STATUS_OK); /* starts again */
    assert_int_equal(sampler_options_set(&b, &o, NULL), STATUS_OK);
    assert_int_equal(a.n_draws, 0);
    assert_int_equal(draw(&a, logits), draw(&b, logits));
    sampler_free(&a);
    sampler_free(&b);
    sampler_free(&c);
}

static void test_repeat_penalty(void **state)
{
    const float logits[] = { 2.0f, 3.0f, -1.0f, 2.5f };
    const int32_t recent[] = { 3, 1, 1, -5, 99 };
    struct sampler_options o = sampler_options_default();
    struct sampler s;
    float logprob, plain;
    int32_t id;

    (void)state;
    s = sampler_make(o, 4);
    assert_int_equal(sampler_next(&s, logits, recent, 5, &id, &plain, NULL), STATUS_OK);
    assert_int_equal(id, 1);
    o.repeat_penalty = 2.0f;
    assert_int_equal(sampler_options_set(&s, &o, NULL), STATUS_OK);
    assert_int_equal(sampler_next(&s, logits, recent, 5, &id, &logprob, NULL), STATUS_OK);
    assert_int_equal(id, 0); /* 1.5 and 1.25, once each */
    assert_true(fabsf(logprob - (plain - 1.0f)) < 1e-6f);
    o.repeat_penalty = 1.4f;
    assert_int_equal(sampler_options_set(&s, &o, NULL), STATUS_OK);
    assert_int_equal(sampler_next(&s, logits, recent, 5, &id, NULL, NULL), STATUS_OK);
    assert_int_equal(id, 1); /* 2.14; penalised twice it would be 1.53 and lose to 2 */
    o.repeat_penalty = 2.0f;
    o.repeat_last_n = 4;
    assert_int_equal(sampler_options_set(&s, &o, NULL), STATUS_OK);
    assert_int_equal(sampler_next(&s, logits, recent, 5, &id, NULL, NULL), STATUS_OK);
    assert_int_equal(id, 3); /* 3 is too long ago */
    o.repeat_last_n = 0;
    assert_int_equal(sampler_options_set(&s, &o, NULL), STATUS_OK);
    assert_int_equal(sampler_next(&s, logits, recent, 5, &id, NULL, NULL), STATUS_OK);
    assert_int_equal(id, 1);
    o.repeat_last_n = -1;
    assert_int_equal(sampler_options_set(&s, &o, NULL), STATUS_OK);
    assert_int_equal(sampler_next(&s, logits, recent, 5, &id, NULL, NULL), STATUS_OK);
    assert_int_equal(id, 0);
    sampler_free(&s);
}

static void test_top(void **state)
{
    static float logits[VOCAB_MAX];
    static struct sampler_candidate top[VOCAB_MAX];
    struct sampler s = sampler_make(sampler_options_default(), VOCAB_MAX);
    uint32_t x = 3;
    double sum = 0.0;
    int32_t i;

    (void)state;
    for (i = 0; i < VOCAB_MAX; i++) logits[i] = (float)(random_next(&x) % 1000) / 100.0f; /* many are equal */
    assert_int_equal(sampler_top(&s, logits, VOCAB_MAX, top, NULL), STATUS_OK);
    for (i = 0; i < VOCAB_MAX; i++) {
        sum += exp((double)top[i].logprob);
        if (i == 0) continue;
        assert_true(logits[top[i].id] < logits[top[i - 1].id] ||
                    (logits[top[i].id] == logits[top[i - 1].id] && top[i].id > top[i - 1].id));
    }
    assert_true(fabs(sum - 1.0) < 1e-5);
    assert_int_equal(sampler_top(&s, logits, 5, top + 10, NULL), STATUS_OK);
    assert_memory_equal(top, top + 10, 5 * sizeof *top);
    sampler_free(&s);
}

static void test_not_numbers(void **state)
{
    struct sampler_options o = sampler_options_default();
    struct sampler s;
    const float masked[] = { -INFINITY, 1.0f, -INFINITY };
    const float bad[][3] = { { 0.0f, NAN, 1.0f },
                             { NAN, 0.0f, 0.0f },
                             { 0.0f, 0.0f, INFINITY },
                             { -INFINITY, -INFINITY, -INFINITY } };
    size_t i;
    int32_t id;
    float temperature;

    (void)state;
    for (temperature = 0.0f; temperature < 2.0f; temperature += 1.0f) {
        o.temperature = temperature;
        s = sampler_make(o, 3);
        for (i = 0; i < sizeof bad / sizeof *bad; i++) {
            struct err e = { 0 };

            assert_int_equal(sampler_next(&s, bad[i], NULL, 0, &id, NULL, &e), STATUS_NUMERIC);
            assert_int_equal(strncmp(e.text, "the model's output ", 19), 0);
            assert_int_equal(sampler_top(&s, bad[i], 1, &(struct sampler_candidate){ 0 }, NULL),
                             STATUS_NUMERIC);
        }
        for (i = 0; i < 50; i++) assert_int_equal(draw(&s, masked), 1);
        sampler_free(&s);
    }
    o.temperature = 1e-38f; /* as good as greedy */
    s = sampler_make(o, 3);
    assert_int_equal(draw(&s, (const float[]){ 1.0f, 2.0f, 1.9f }), 1);
    sampler_free(&s);
}

static void test_options(void **state)
{
    static const struct sampler_options bad[] = {
        { .temperature = -1.0f, .top_p = 1.0f, .repeat_penalty = 1.0f },
        { .temperature = NAN, .top_p = 1.0f, .repeat_penalty = 1.0f },
        { .temperature = INFINITY, .top_p = 1.0f, .repeat_penalty = 1.0f },
        { .top_p = 1.5f, .repeat_penalty = 1.0f },
        { .top_p = NAN, .repeat_penalty = 1.0f },
        { .top_p = 1.0f, .repeat_penalty = 1.0f, .top_k = -1 },
        { .top_p = 1.0f, .repeat_penalty = 1.0f, .min_p = 1.0f },
        { .top_p = 1.0f, .repeat_penalty = 1.0f, .min_p = NAN },
        { .top_p = 1.0f, .repeat_penalty = 0.0f },
        { .top_p = 1.0f, .repeat_penalty = NAN },
        { .top_p = 1.0f, .repeat_penalty = 1.0f, .repeat_last_n = -2 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sampler s;
        struct err e = { 0 };

        assert_int_equal(sampler_init(&s, &bad[i], 4, &e), STATUS_BAD_ARGUMENT);
        assert_non_null(strstr(e.text, " must be "));
        sampler_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy),          cmocka_unit_test(test_top_p),
        cmocka_unit_test(test_top_k_and_min_p), cmocka_unit_test(test_border_of_many),
        cmocka_unit_test(test_frequencies),     cmocka_unit_test(test_seed),
        cmocka_unit_test(test_repeat_penalty),  cmocka_unit_test(test_top),
        cmocka_unit_test(test_not_numbers),     cmocka_unit_test(test_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
