/*
 * test_report.c - the table and the JSON of evaluations made by hand.
 */
#include "eval/handmade.h"

#include "eval/table.h"

static char *report_of(const struct evaluation *v, size_t n)
{
    struct err e = { 0 };
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    if (report_text(f, v, n, &e) != STATUS_OK) fail_msg("%s", e.text);
    fclose(f);
    return text;
}

static void test_text(void **state)
{
    struct handmade h;
    char *text;

    (void)state;
    handmade_init(&h, "OKVQA");
    handmade_add(&h, "What?", "a", "a", 1, false);
    handmade_add(&h, "What?", "a", "b", 0, true);
    handmade_add(&h, "What?", "a", NULL, 0, false);
    h.v.dataset.n = 5;
    text = report_of(&h.v, 1);
    assert_string_equal(text, "                       95 %          SPHINX  SPHINX             mal-  miss-\n"
                              "benchmark  score   interval  SPHINX     -1k     -2k  answers  formed    ing\n"
                              "───────────────────────────────────────────────────────────────────────────\n"
                              "OKVQA      61.90  60.5–63.2   62.08   62.21                2       1      1\n"
                              "OKVQA: 3 of 5 questions were asked.\n"
                              "OKVQA: not found were the images of 1 question; they count as wrong.\n"
                              "\n"
                              "                        95 %          SPHINX  SPHINX\n"
                              "part        score   interval  SPHINX     -1k     -2k  answers\n"
                              "─────────────────────────────────────────────────────────────\n"
                              "OKVQA\n"
                              "  accuracy  61.90  60.5–63.2   62.08   62.21                8\n"
                              "  color     50.00  25.5–74.5                   62.60        4\n"
                              "  naïve 色      -                                           0\n");
    free(text);
}

/* Whatever names there are, no line is wider than a terminal. */
static void test_text_fits(void **state)
{
    struct handmade h[2];
    char *text, *line;

    (void)state;
    handmade_init(&h[0], "A benchmark whose title has no end, 色とりどりの長い名前");
    handmade_init(&h[1], "Short");
    for (int i = 0; i < 2; i++) {
        handmade_add(&h[i], "What?", "a", "a", 1, false);
        h[i].figure[0] = (struct figure){ "perception", 1476.14, 1420.3, 1531.4, 12345678 };
        h[i].figure[1].name = "a category whose name is longer than the line of any terminal that people use";
    }
    text = report_of((struct evaluation[]){ h[0].v, h[1].v }, 2);
    for (line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        if (text_width(line) > TABLE_WIDTH) fail_msg("%d columns: %s", text_width(line), line);
    free(text);
}

static void test_label(void **state)
{
    struct handmade h;
    char *text;

    (void)state;
    handmade_init(&h, "OKVQA");
    handmade_add(&h, "What?", "a", "a", 1, false);
    h.v.label = "without clip";
    text = report_of(&h.v, 1);
    assert_non_null(strstr(text, "\nwithout clip  61.90"));
    assert_null(strstr(text, "OKVQA"));
    free(text);
}

static void test_json(void **state)
{
    struct handmade h;
    json_t *report, *b, *figures;

    (void)state;
    handmade_init(&h, "OKVQA");
    handmade_add(&h, "What?", "a", "a", 1, false);
    handmade_add(&h, "What?", "a", NULL, 0, false);
    h.v.log.header = json_pack("{s:s}", "model", "tiny");
    report = report_json(&h.v, 1);
    b = json_array_get(json_object_get(report, "benchmarks"), 0);
    figures = json_object_get(b, "figures");
    assert_string_equal(json_string_value(json_object_get(b, "title")), "OKVQA");
    assert_true(json_is_null(json_object_get(b, "label")));
    assert_float_equal(json_real_value(json_object_get(b, "score")), 61.904, 1e-9);
    assert_int_equal(json_integer_value(json_object_get(b, "answers")), 1);
    assert_int_equal(json_integer_value(json_object_get(b, "missing")), 1);
    assert_int_equal(json_array_size(figures), 3);
    assert_true(json_is_null(json_object_get(json_array_get(figures, 2), "value")));
    assert_int_equal(json_array_size(json_object_get(b, "published")), 3);
    assert_true(json_equal(json_object_get(b, "settings"), h.v.log.header));
    json_decref(report);
    json_decref(h.v.log.header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_text_fits),
        cmocka_unit_test(test_label),
        cmocka_unit_test(test_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
