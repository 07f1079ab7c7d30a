/*
 * test_cpu_level.c - the table of every level is complete, and levels are chosen by name. An argument picks tests by a pattern of
 * their names: ctest asks for each level alone, to list the levels that do not run here as skipped.
 */
#include "backend/cpu/kernels.h"
#include "support/kernels.h"

static void every_kernel_is_there(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    assert_string_equal(t.level->name, "cpu");
    assert_string_equal(t.level->level, *state);
#define CHECK(kernel) assert_true(t.level->kernel != NULL);
    KERNELS_SIMD(CHECK)
    KERNELS_PLAIN(CHECK)
#undef CHECK
    fixture_end(&t);
}

static void the_best_level_is_the_default(void **state)
{
    const struct backend *automatic, *unnamed;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(cpu_backend("auto", &automatic, &e), STATUS_OK);
    assert_int_equal(cpu_backend(NULL, &unnamed, &e), STATUS_OK);
    assert_ptr_equal(automatic, unnamed);
    assert_string_equal(automatic->level, cpu_level_name(cpu_level_best()));
}

static void an_unknown_level_is_refused(void **state)
{
    const struct backend *b;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(cpu_backend("sse9", &b, &e), STATUS_UNSUPPORTED);
    assert_non_null(strstr(e.text, "sse9"));
    assert_non_null(strstr(e.text, "portable"));
    assert_null(b);
}

/* Each level has what those below it have, so a processor's levels leave no gap. */
static void levels_are_ordered(void **state)
{
    static const char *const names[] = { "ref", "portable", "avx2", "avx512", "avx512vnni", "amx" };
    bool below = true;

    (void)state;
    assert_int_equal(sizeof names / sizeof *names, CPU_LEVEL_COUNT);
    for (int i = 0; i < CPU_LEVEL_COUNT; i++) {
        const struct backend *b;
        struct err e = { 0 };
        bool runs = cpu_backend(names[i], &b, &e) == STATUS_OK;

        assert_string_equal(cpu_level_name((enum cpu_level)i), names[i]);
        assert_int_equal(runs, i <= (int)cpu_level_best());
        assert_true(below || !runs);
        if (runs)
            assert_int_equal(cpu_level_of(b), i);
        else
            assert_non_null(strstr(e.text, "does not run here"));
        below = runs;
    }
}

static void threads_are_counted(void **state)
{
    (void)state;
    assert_true(cpu_threads_default() >= 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        ON_LEVEL(every_kernel_is_there, "ref"),        EACH_LEVEL(every_kernel_is_there),
        ON_LEVEL(every_kernel_is_there, "amx"),        cmocka_unit_test(the_best_level_is_the_default),
        cmocka_unit_test(an_unknown_level_is_refused), cmocka_unit_test(levels_are_ordered),
        cmocka_unit_test(threads_are_counted),
    };

    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
