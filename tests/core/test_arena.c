/* test_arena.c - blocks that do not overlap, marks that keep what was before them, and rounds of different sizes in the same memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/arena.h"

static void test_blocks(void **state)
{
    struct arena a = { 0 };
    unsigned char *blocks[40];

    (void)state;
    for (size_t i = 0; i < 40; i++) {
        size_t size = i * i * 1000;

        blocks[i] = arena_alloc(&a, size);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 64, 0);
        memset(blocks[i], (int)i, size);
    }
    for (size_t i = 0; i < 40; i++)
        for (size_t k = 0; k < i * i * 1000; k += 999) assert_int_equal(blocks[i][k], i);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_calloc(&a, SIZE_MAX / 2, 4));
    arena_free(&a);
}

/* What was allocated before the mark stays where it is and what it is, also when chunks behind it become one. */
static void test_marks(void **state)
{
    struct arena a = { 0 };
    unsigned char *kept = arena_alloc(&a, 3000000);
    struct arena_mark mark = arena_mark(&a);

    (void)state;
    assert_non_null(kept);
    memset(kept, 7, 3000000);
    for (size_t round = 1; round < 60; round++) {
        for (size_t i = 0; i < 20; i++) {
            size_t size = (round * 7919 + i * 104729) % 3000000;
            unsigned char *p = arena_alloc(&a, size);

            assert_non_null(p);
            memset(p, 1, size);
        }
        arena_reset(&a, mark);
        assert_int_equal(a.used, mark.used);
    }
    for (size_t k = 0; k < 3000000; k += 100) assert_int_equal(kept[k], 7);
    arena_free(&a);
}

/* Rounds of any size below the largest find room in what that one left: the first block comes to lie in one and the same place. */
static void test_rounds(void **state)
{
    struct arena a = { 0 };
    const struct arena_mark empty = arena_mark(&a);
    unsigned char *place = NULL;
    size_t moved = 0;

    (void)state;
    for (size_t round = 0; round < 50; round++) {
        for (size_t i = 0; i < 10; i++) {
            unsigned char *p = arena_alloc(&a, round == 0 ? 2000000 : (round * 31 + i * 17) % 100 * 10000);

            assert_non_null(p);
            if (i > 0) continue;
            moved += p != place;
            place = p;
        }
        arena_reset(&a, empty);
    }
    assert_in_range(moved, 1, 3);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_blocks), cmocka_unit_test(test_marks),
                                        cmocka_unit_test(test_rounds) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
