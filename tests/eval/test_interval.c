/* Confidence intervals and paired tests against the reference and their own definitions. */
#include "metric_cases.h"

#include "core/mix64.h"
#include "eval/interval.h"

static json_t *golden(const char *part)
{
    json_t *root = json_load_file("tests/data/eval/intervals.json", 0, NULL);
    json_t *list = json_incref(json_object_get(root, part));

    assert_true(json_array_size(list) >= 7);
    json_decref(root);
    return list;
}

static double number_at(const json_t *list, size_t i)
{
    return json_number_value(json_array_get(list, i));
}

static void shares(void **state)
{
    json_t *list = golden("shares");

    (void)state;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);
        struct interval got = interval_share(number_at(c, 0), (size_t)number_at(c, 1));

        assert_near(got.low, number_at(c, 2), 1e-9);
        assert_near(got.high, number_at(c, 3), 1e-9);
    }
    assert_true(isnan(interval_share(0, 0).low));
    json_decref(list);
}

enum { SCORES_MAX = 1000 };

static void coins(void **state)
{
    static double a[SCORES_MAX], b[SCORES_MAX];
    json_t *list = golden("coins");
    struct arena memory = { 0 };

    (void)state;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);
        size_t better = (size_t)number_at(c, 0), worse = (size_t)number_at(c, 1);
        struct paired_test t;

        for (size_t k = 0; k < SCORES_MAX; k++) {
            a[k] = k < worse;
            b[k] = k >= worse && k < worse + better;
        }
        assert_int_equal(paired_test(&t, a, b, SCORES_MAX, &memory, NULL), STATUS_OK);
        assert_string_equal(t.method, "McNemar, exact");
        assert_true(t.n_better == better && t.n_worse == worse);
        assert_near(t.p, number_at(c, 2), 1e-9 * number_at(c, 2) + 1e-300);
        assert_near(t.difference, ((double)better - (double)worse) / SCORES_MAX, 1e-12);
        assert_true(t.interval.low <= t.difference && t.difference <= t.interval.high);
    }
    json_decref(list);
    arena_free(&memory);
}

static void flips(void **state)
{
    json_t *list = golden("flips");
    struct arena memory = { 0 };

    (void)state;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *d = json_array_get(json_array_get(list, i), 0);
        double a[20] = { 0 }, b[20] = { 0 };
        struct paired_test t;

        for (size_t k = 0; k < json_array_size(d); k++) b[k] = number_at(d, k);
        assert_int_equal(paired_test(&t, a, b, json_array_size(d) + 3, &memory, NULL), STATUS_OK);
        assert_string_equal(t.method, "sign flips, exact");
        assert_near(t.p, number_at(json_array_get(list, i), 1), 1e-12);
    }
    json_decref(list);
    arena_free(&memory);
}

static double uniform(uint64_t i)
{
    return (double)(mix64(i) >> 11) * 0x1p-53;
}

/* Random flips agree with the normal approximation, which is good for a thousand differences; equal runs do not differ. */
static void flips_random(void **state)
{
    static double a[SCORES_MAX], b[SCORES_MAX];
    struct arena memory = { 0 };
    struct paired_test t, again;
    double square = 0, z;

    (void)state;
    for (size_t k = 0; k < SCORES_MAX; k++) {
        a[k] = uniform(2 * k);
        b[k] = uniform(2 * k + 1) + 0.025;
        square += (b[k] - a[k]) * (b[k] - a[k]);
    }
    assert_int_equal(paired_test(&t, a, b, SCORES_MAX, &memory, NULL), STATUS_OK);
    z = t.difference * SCORES_MAX / sqrt(square);
    assert_near(t.p, erfc(fabs(z) / sqrt(2)), 0.015);
    assert_int_equal(paired_test(&again, a, b, SCORES_MAX, &memory, NULL), STATUS_OK);
    assert_true(t.p == again.p && t.interval.low == again.interval.low);
    assert_int_equal(paired_test(&t, a, a, SCORES_MAX, &memory, NULL), STATUS_OK);
    assert_near(t.p, 1, 0);
    assert_int_equal(paired_test(&t, a, a, 0, &memory, NULL), STATUS_OK);
    assert_true(isnan(t.difference) && isnan(t.interval.low));
    arena_free(&memory);
}

/* The bootstrap's interval of a mean is the normal one, and about 95 of 100 such intervals hold the truth. */
static void means(void **state)
{
    struct arena memory = { 0 };
    double x[300], sum, square;
    struct interval got;
    int n_held = 0;

    (void)state;
    for (uint64_t trial = 0; trial < 200; trial++) {
        sum = square = 0;
        for (size_t i = 0; i < 300; i++) {
            x[i] = uniform(trial * 1000 + i);
            sum += x[i];
            square += x[i] * x[i];
        }
        assert_int_equal(interval_mean(&got, x, 300, &memory, NULL), STATUS_OK);
        n_held += got.low <= 0.5 && 0.5 <= got.high;
        square = sqrt((square / 300 - sum / 300 * (sum / 300)) / 300);
        assert_near((got.high - got.low) / (2 * 1.96 * square), 1, 0.15);
    }
    assert_in_range(n_held, 180, 198);
    assert_int_equal(interval_mean(&got, x, 1, &memory, NULL), STATUS_OK);
    assert_true(isnan(got.low) && isnan(got.high));
    assert_int_equal(memory.used, 0); /* all work memory was given back */
    arena_free(&memory);
}

struct seen {
    size_t n, n_resamples;
};

static void check_strata(void *user, const uint32_t *count, double *figure)
{
    struct seen *s = user;

    assert_int_equal(count[0] + count[1], 2);
    assert_int_equal(count[2], 1);
    assert_int_equal(count[3] + count[4] + count[5], 3);
    figure[0] = count[0];
    figure[1] = s->n_resamples % 3 == 0 ? NAN : 7;
    figure[2] = s->n_resamples % 3 == 0 ? 7 : NAN;
    s->n_resamples++;
}

static void strata(void **state)
{
    uint32_t stratum[] = { 0, 0, 1, 2, 2, 2 };
    struct interval got[3];
    struct arena memory = { 0 };
    struct seen s = { 6, 0 };

    (void)state;
    assert_int_equal(interval_bootstrap(got, 3, 6, stratum, 300, check_strata, &s, &memory, NULL), STATUS_OK);
    assert_int_equal(s.n_resamples, 300);
    assert_near(got[0].low, 0, 0);
    assert_near(got[0].high, 2, 0);
    assert_near(got[1].low, 7, 0);  /* a third could not be computed, */
    assert_true(isnan(got[2].low)); /* and two thirds */
    arena_free(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares),       cmocka_unit_test(coins), cmocka_unit_test(flips),
        cmocka_unit_test(flips_random), cmocka_unit_test(means), cmocka_unit_test(strata),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
