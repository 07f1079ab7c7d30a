/* test_blend.c - steps of one type each are an order's; in a mix every step has its share of each type, and all items come in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "train/blend.h"

/* Captions for 10 steps of 3 micro-batches of 4, texts for 4 of 1, with some left over. */
static const struct corpus_type types[] = { { "caption", 0, 125, true }, { "text", 125, 143, false } };
static const struct blend_part parts[] = { { "caption", 3 }, { "text", 1 } };
enum { MICRO = 4, N = 143 };

static void init(struct blend *b, const struct blend_part *p, size_t n, uint64_t seed)
{
    struct err e = { 0 };

    if (blend_init(b, types, 2, p, n, 2, MICRO, seed, &e) != STATUS_OK) fail_msg("%s", e.text);
}

static void test_plain(void **state)
{
    struct blend b;
    struct order o;
    struct err e = { 0 };

    (void)state;
    init(&b, NULL, 0, 9);
    assert_int_equal(order_init(&o, types, 2, 2 * MICRO, 9, &e), STATUS_OK);
    assert_int_equal(b.n_steps, o.n_steps);
    for (uint64_t epoch = 0; epoch < 3; epoch++) {
        order_shuffle(&o, types, 2, epoch);
        for (size_t i = 0; i < o.n_steps; i++)
            for (size_t k = 0; k < 2; k++)
                assert_int_equal(blend_first(&b, epoch, i, k), o.chunk[i] + k * MICRO);
    }
    order_free(&o);
    blend_free(&b);
}

static void test_mixed(void **state)
{
    int captions[N] = { 0 }, texts[N] = { 0 };
    struct blend b;

    (void)state;
    init(&b, parts, 2, 3);
    assert_int_equal(b.n_steps, 10);
    for (uint64_t epoch = 0; epoch < 4; epoch++)
        for (size_t i = 0; i < b.n_steps; i++) {
            for (size_t k = 0; k < 3; k++) {
                size_t at = blend_first(&b, epoch, i, k);

                assert_true(at + MICRO <= 125);
                for (size_t j = 0; j < MICRO; j++) captions[at + j]++;
            }
            assert_in_range(blend_first(&b, epoch, i, 3), 125, 143 - MICRO);
            for (size_t j = 0; j < MICRO; j++) texts[blend_first(&b, epoch, i, 3) + j]++;
        }
    /* Each caption once an epoch; of texts all of them in turn: 40 steps are ten times the four chunks. */
    for (size_t i = 0; i < 120; i++) assert_int_equal(captions[i], 4);
    for (size_t i = 125; i < 141; i++) assert_int_equal(texts[i], 10);
    assert_int_equal(texts[141] + texts[142] + captions[120], 0);
    blend_free(&b);
}

/* Any step can be asked for, in any order. */
static void test_no_past(void **state)
{
    struct blend a, b;
    size_t n_moved = 0;

    (void)state;
    init(&a, parts, 2, 3);
    init(&b, parts, 2, 3);
    for (uint64_t epoch = 5; epoch-- > 0;)
        for (size_t i = 10; i-- > 0;)
            for (size_t k = 4; k-- > 0;) {
                size_t first = blend_first(&a, epoch, i, k);

                blend_first(&b, 7 - epoch, i, k);
                assert_int_equal(blend_first(&b, epoch, i, k), first);
                n_moved += epoch > 0 && blend_first(&b, epoch - 1, i, k) != first;
            }
    assert_true(n_moved > 60); /* epochs differ */
    blend_free(&a);
    blend_free(&b);
}

static void test_refused(void **state)
{
    const struct blend_part strange[] = { { "caption", 3 }, { "text", 1 }, { "song", 1 } };
    const struct blend_part many[] = { { "caption", 3 }, { "text", 5 } };
    struct blend b;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(blend_init(&b, types, 2, parts, 1, 1, MICRO, 0, &e), STATUS_BAD_ARGUMENT);
    assert_non_null(strstr(e.text, "the data has items of type \"text\", and the mix has none"));
    e = (struct err){ 0 };
    assert_int_equal(blend_init(&b, types, 2, strange, 3, 1, MICRO, 0, &e), STATUS_BAD_ARGUMENT);
    assert_non_null(strstr(e.text, "the mix has items of type \"song\", and the data has none"));
    e = (struct err){ 0 };
    assert_int_equal(blend_init(&b, types, 2, many, 2, 1, MICRO, 0, &e), STATUS_BAD_ARGUMENT);
    assert_non_null(strstr(e.text, "type \"text\" has 18 items, fewer than the 20 of one step"));
    assert_null(b.lane);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_no_past),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
