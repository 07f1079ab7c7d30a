/*
 * test_ranks.c - sums, gathers and agreement over processes, compared with what each can work out alone. mpirun starts it (tests.cmake).
 */
#include "ranks/ranks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct ranks ranks;

/* What rank r has at i: sums of these depend on the order. */
static float number(int r, size_t i)
{
    return (float)(r + 1) / 3.0f + (float)(i % 1013) / 7.0f;
}

static float *numbers(size_t n)
{
    float *x = calloc(n + 1, sizeof *x);

    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = number(ranks.rank, i);
    x[n] = 12345;
    return x;
}

static float sum_at(size_t i)
{
    float sum = number(0, i);

    for (int r = 1; r < ranks.count; r++) sum += number(r, i);
    return sum;
}

static const size_t sizes[] = { 0, 1, 7, 1000, (1 << 18) + 3 }; /* the last is more than one message */

static void test_comm(void **state)
{
    struct comm c = ranks_comm(&ranks);
    size_t size = (size_t)ranks.count;
    struct err e = { 0 };

    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t n = sizes[s];
        float *x = numbers(n), *all = numbers(size * n);

        assert_int_equal(c.all_reduce(&c, x, n, &e), STATUS_OK);
        for (size_t i = 0; i < n; i++) assert_true(x[i] == sum_at(i));
        assert_true(x[n] == 12345);
        free(x);

        x = numbers(n);
        assert_int_equal(c.all_gather(&c, all, x, n, &e), STATUS_OK);
        for (size_t i = 0; i < size * n; i++) assert_true(all[i] == number((int)(i / n), i % n));
        for (size_t i = 0; i < n; i++) all[(size_t)c.rank * n + i]++;
        assert_int_equal(c.all_gather(&c, all, all + (size_t)c.rank * n, n, &e), STATUS_OK);
        for (size_t i = 0; i < size * n; i++) assert_true(all[i] == number((int)(i / n), i % n) + 1);
        free(all);
        free(x);

        all = numbers(size * n);
        assert_int_equal(c.reduce_scatter(&c, all, n, &e), STATUS_OK);
        for (size_t i = 0; i < size * n; i++)
            assert_true(all[i] == (i / n == (size_t)c.rank ? sum_at(i) : number(c.rank, i)));
        assert_true(all[size * n] == 12345);
        free(all);
    }
}

static void test_sum(void **state)
{
    double x[2] = { 1, ranks.rank };

    (void)state;
    ranks_sum(&ranks, x, 2);
    assert_true(x[0] == ranks.count && x[1] == ranks.count * (ranks.count - 1) / 2.0);
}

static void test_agree(void **state)
{
    bool last = ranks.rank + 1 == ranks.count;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(ranks_agree(&ranks, STATUS_OK, &e), STATUS_OK);
    if (last) err_set(&e, STATUS_IO, "mine");
    assert_int_equal(ranks_agree(&ranks, e.code, &e), last ? STATUS_IO : STATUS_CANCELLED);
    assert_true(e.code == (last ? STATUS_IO : STATUS_CANCELLED));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_comm), cmocka_unit_test(test_sum),
                                        cmocka_unit_test(test_agree) };
    struct err e = { 0 };
    int failed;

    if (ranks_begin(&ranks, &e) != STATUS_OK || ranks.count == 1) {
        fprintf(stderr, "skipped: %s\n", e.code != STATUS_OK ? e.text : "not started by mpirun");
        return 77;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ranks_end(&ranks);
    return failed;
}
