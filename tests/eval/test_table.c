/*
 * test_table.c - columns stand whatever is in them.
 */
#include "support/scratch.h"

#include <math.h>

#include "eval/table.h"

static void test_widths(void **state)
{
    (void)state;
    assert_int_equal(text_width(""), 0);
    assert_int_equal(text_width("naïve"), 5);
    assert_int_equal(text_width("nai\xcc\x88ve"), 5);
    assert_int_equal(text_width("色とりどり"), 10);
    assert_int_equal(text_width("\xff\xfe"), 2);
    assert_int_equal(text_width("\xe8\x89"), 2);
}

static void check_print(const char *text, int width, const char *want)
{
    char *got;
    size_t size;
    FILE *f = open_memstream(&got, &size);
    int used = text_print(f, text, width);

    fclose(f);
    assert_string_equal(got, want);
    assert_int_equal(used, text_width(got));
    assert_true(used <= width);
    free(got);
}

static void test_print(void **state)
{
    (void)state;
    check_print("accuracy", 8, "accuracy");
    check_print("accuracy", 7, "accura…");
    check_print("accuracy", 1, "…");
    check_print("accuracy", 0, "");
    check_print("色とり", 6, "色とり");
    check_print("色とり", 5, "色と…");
    check_print("色とり", 4, "色…");
    check_print("a\x1b[31mb\n", 20, "a?[31mb?");
    check_print("a\xff", 20, "a\xef\xbf\xbd");
}

static char *printed(const struct table *t, int width)
{
    struct err e = { 0 };
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    assert_int_equal(table_print(f, t, width, &e), STATUS_OK);
    fclose(f);
    return text;
}

static void test_table_aligns(void **state)
{
    static const struct table_column columns[] = { { { "", "name" }, false },
                                                   { { "95 %", "interval" }, true },
                                                   { { "", "n" }, true } };
    struct arena a = { 0 };
    struct table t = { .columns = columns, .n_columns = 3, .arena = &a };
    const char **row;
    char *text;

    (void)state;
    row = table_row(&t);
    row[0] = "a heading that is longer than its column";
    row = table_row(&t);
    row[0] = "naïve 色";
    row[1] = "1.5–2.5";
    row[2] = "7";
    row = table_row(&t);
    row[0] = "b";
    row[2] = "123";
    text = printed(&t, 80);
    assert_string_equal(text, "              95 %\n"
                              "name      interval    n\n"
                              "───────────────────────\n"
                              "a heading that is longer than its column\n"
                              "naïve 色   1.5–2.5    7\n"
                              "b                   123\n");
    free(text);
    arena_free(&a);
}

static void test_table_cuts(void **state)
{
    static const struct table_column columns[] = { { { "", "name" }, false }, { { "", "score" }, true } };
    struct arena a = { 0 };
    struct table t = { .columns = columns, .n_columns = 2, .arena = &a };
    char *text;

    (void)state;
    for (int i = 0; i < 40; i++) {
        const char **row = table_row(&t);

        row[0] = "a name of some length";
        row[1] = "12.34";
    }
    text = printed(&t, 20);
    assert_non_null(strstr(text, "\na name of so…  12.34\n"));
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        char copy[128];

        snprintf(copy, sizeof copy, "%.*s", (int)strcspn(line, "\n"), line);
        assert_int_equal(text_width(copy), 20);
    }
    free(text);
    arena_free(&a);
}

static void test_numbers(void **state)
{
    struct arena a = { 0 };

    (void)state;
    assert_string_equal(figure_text(62.083, "%", 0, &a), "62.08");
    assert_string_equal(figure_text(1476.14, "points", 0, &a), "1476.1");
    assert_string_equal(figure_text(NAN, "%", 0, &a), "-");
    assert_string_equal(interval_text(60.75, 63.42, "%", &a), "60.8–63.4");
    assert_string_equal(interval_text(1420.3, 1531.4, "points", &a), "1420–1531");
    assert_string_equal(interval_text(NAN, 63.42, "%", &a), "");
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widths),       cmocka_unit_test(test_print),
        cmocka_unit_test(test_table_aligns), cmocka_unit_test(test_table_cuts),
        cmocka_unit_test(test_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
