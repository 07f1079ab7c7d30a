/* test_order.c - every step's items are of one type, each item comes once an epoch, and only the seed and the epoch decide the order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "train/order.h"

static const struct corpus_type types[] = { { "a", 0, 103, true },
                                            { "b", 103, 111, false },
                                            { "c", 111, 1000, true } };
enum { N = 1000, BATCH = 8, N_STEPS = 103 / BATCH + 1 + 889 / BATCH };

static void test_once(void **state)
{
    struct order o;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(order_init(&o, types, 3, BATCH, 7, &e), STATUS_OK);
    assert_int_equal(o.n_steps, N_STEPS);
    for (uint64_t epoch = 0; epoch < 3; epoch++) {
        int seen[N] = { 0 };

        order_shuffle(&o, types, 3, epoch);
        for (size_t i = 0; i < o.n_steps; i++) {
            size_t at = o.chunk[i], type = at < 103 ? 0 : at < 111 ? 1 : 2;

            assert_true(at + BATCH <= types[type].end);
            for (size_t j = 0; j < BATCH; j++) seen[at + j]++;
        }
        for (size_t i = 0; i < N; i++) { /* the longest that fill no step are left out */
            size_t type = i < 103 ? 0 : i < 111 ? 1 : 2, n = types[type].end - types[type].first;

            assert_int_equal(seen[i], i - types[type].first < n / BATCH * BATCH);
        }
    }
    order_free(&o);
}

static void test_seed(void **state)
{
    struct order a, b;
    struct err e = { 0 };
    size_t n_moved = 0;

    (void)state;
    assert_int_equal(order_init(&a, types, 3, BATCH, 7, &e), STATUS_OK);
    assert_int_equal(order_init(&b, types, 3, BATCH, 7, &e), STATUS_OK);
    order_shuffle(&a, types, 3, 5);
    for (uint64_t epoch = 1; epoch <= 5; epoch++)
        order_shuffle(&b, types, 3, epoch); /* the past does not matter */
    assert_memory_equal(a.chunk, b.chunk, N_STEPS * sizeof *a.chunk);
    order_shuffle(&b, types, 3, 6);
    for (size_t i = 0; i < N_STEPS; i++) n_moved += a.chunk[i] != b.chunk[i];
    assert_true(n_moved > N_STEPS / 2);
    order_free(&b);
    assert_int_equal(order_init(&b, types, 3, BATCH, 8, &e), STATUS_OK);
    order_shuffle(&b, types, 3, 5);
    assert_memory_not_equal(a.chunk, b.chunk, N_STEPS * sizeof *a.chunk);
    order_free(&a);
    order_free(&b);
}

/* Any step of 120 comes first about as often. */
static void test_even(void **state)
{
    enum { EPOCHS = 12000 };
    struct order o;
    struct err e = { 0 };
    int first[N] = { 0 };

    (void)state;
    assert_int_equal(order_init(&o, types, 3, BATCH, 1, &e), STATUS_OK);
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++) {
        order_shuffle(&o, types, 3, epoch);
        first[o.chunk[0]]++;
    }
    for (size_t i = 0; i < N; i++)
        if (first[i] != 0) assert_in_range(first[i], EPOCHS / N_STEPS / 2, EPOCHS / N_STEPS * 2);
    order_free(&o);
}

static void test_too_few(void **state)
{
    struct order o;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(order_init(&o, types, 3, 9, 0, &e), STATUS_BAD_ARGUMENT);
    assert_non_null(strstr(e.text, "type \"b\" has 8 items"));
    order_free(&o);
    e = (struct err){ 0 };
    assert_int_equal(order_init(&o, types, 0, 9, 0, &e), STATUS_BAD_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_even),
        cmocka_unit_test(test_too_few),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
