/*
 * test_compare.c - two runs made by hand: what differs, and what must not be compared.
 */
#include "eval/handmade.h"

#include "core/file.h"
#include "eval/compare.h"
#include "eval/table.h"

/* Two runs on eight questions: B loses the first, wins the next six, and both fail at the last. */
static void make_runs(struct handmade *a, struct handmade *b)
{
    struct handmade *h[] = { a, b };

    for (int k = 0; k < 2; k++) {
        handmade_init(h[k], "OKVQA");
        for (int i = 0; i < 8; i++) {
            bool right = k == 0 ? i == 0 : i > 0 && i < 7;

            handmade_add(h[k], i == 0 ? "first?" : "other?", "yes", right ? "yes" : "no", right, false);
        }
    }
    a->figure[0].value = 12.5;
    b->figure[0].value = 75;
}

static void make(struct comparison *c, const struct handmade *a, const struct handmade *b)
{
    struct err e = { 0 };

    if (comparison_make(c, &a->v, "runs/a", &b->v, "runs/b", &e) != STATUS_OK) fail_msg("%s", e.text);
}

static void test_difference(void **state)
{
    struct handmade a, b;
    struct comparison c;

    (void)state;
    make_runs(&a, &b);
    make(&c, &a, &b);
    assert_int_equal(c.n, 8);
    assert_int_equal(c.test.n_better, 6);
    assert_int_equal(c.test.n_worse, 1);
    assert_float_equal(c.test.difference, 5.0 / 8, 1e-12);
    /* Of seven fair coins at least six alike: 2 (7 + 1) / 2^7. */
    assert_float_equal(c.test.p, 0.125, 1e-9);
    assert_float_equal(c.figures[0].a, 12.5, 0);
    assert_float_equal(c.figures[0].b, 75, 0);
    comparison_free(&c);
}

/* Only questions that both were asked are compared. */
static void test_partly(void **state)
{
    struct handmade a, b;
    struct comparison c;

    (void)state;
    make_runs(&a, &b);
    a.v.n = 5;
    b.v.answered += 2;
    b.v.entry += 2;
    b.v.n = 6;
    make(&c, &a, &b);
    assert_int_equal(c.n, 3);
    assert_int_equal(c.n_only_a, 2);
    assert_int_equal(c.n_only_b, 3);
    assert_int_equal(c.pairs[0].a->record->index, 2);
    comparison_free(&c);
}

/* Records of a group are one thing. */
static void test_groups(void **state)
{
    struct handmade a, b;
    struct comparison c;

    (void)state;
    make_runs(&a, &b);
    for (int i = 0; i < 8; i++) a.record[i].group = i % 2 == 0 ? "even" : "odd";
    make(&c, &a, &b);
    assert_int_equal(c.n, 8);
    assert_int_equal(c.test.n, 2);
    assert_int_equal(c.test.n_better, 2);
    assert_float_equal(c.test.difference, 5.0 / 8, 1e-12);
    comparison_free(&c);
}

static void test_refused(void **state)
{
    struct handmade a, b;
    struct comparison c;
    struct err e = { 0 };

    (void)state;
    make_runs(&a, &b);
    b.v.dataset.digest.byte[3] = 1;
    assert_int_equal(comparison_make(&c, &a.v, "runs/a", &b.v, "runs/b", &e), STATUS_BAD_ARGUMENT);
    assert_non_null(strstr(e.text, "different questions"));
    err_clear(&e);
    b.benchmark.name = "another";
    assert_int_equal(comparison_make(&c, &a.v, "runs/a", &b.v, "runs/b", &e), STATUS_BAD_ARGUMENT);
    assert_non_null(strstr(e.text, "runs/b answers another"));
    err_clear(&e);
    make_runs(&a, &b);
    a.v.n = 0;
    assert_int_equal(comparison_make(&c, &a.v, "runs/a", &b.v, "runs/b", &e), STATUS_BAD_ARGUMENT);
    assert_non_null(strstr(e.text, "in common"));
    comparison_free(&c);
}

static void test_text(void **state)
{
    struct handmade a, b;
    struct comparison c;
    struct err e = { 0 };
    char *text, *line;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    (void)state;
    make_runs(&a, &b);
    a.record[0].question = "first, with more words than fit into a line of a terminal, and then some\x1b[2J?";
    make(&c, &a, &b);
    if (comparison_text(f, &c, 1, &e) != STATUS_OK) fail_msg("%s", e.text);
    fclose(f);
    assert_non_null(strstr(text, "A: runs/a\nB: runs/b\n"));
    assert_non_null(strstr(text, "\nOKVQA      12.50  75.00  +62.50"));
    assert_non_null(strstr(text, "0.1250\n"));
    assert_non_null(strstr(text, "\nOKVQA: 1 question where A is better:\n  #0  first, with"));
    assert_non_null(
        strstr(text, "\nOKVQA: 6 questions where B is better:\n  #1  other?\n      A: no\n      B: yes\n"));
    assert_null(strchr(text, '\x1b'));
    for (line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        if (text_width(line) > TABLE_WIDTH) fail_msg("%d columns: %s", text_width(line), line);
    free(text);
    comparison_free(&c);
}

static void test_json(void **state)
{
    struct handmade a, b;
    struct comparison c;
    json_t *all, *o;

    (void)state;
    make_runs(&a, &b);
    make(&c, &a, &b);
    all = comparison_json(&c, 1);
    o = json_array_get(json_object_get(all, "comparisons"), 0);
    assert_int_equal(json_array_size(json_object_get(o, "lost")), 1);
    assert_int_equal(json_array_size(json_object_get(o, "won")), 6);
    assert_float_equal(json_real_value(json_object_get(json_object_get(o, "test"), "difference")), 62.5,
                       1e-9);
    json_decref(all);
    comparison_free(&c);
}

static void test_page(void **state)
{
    struct handmade a, b;
    struct comparison c;
    struct scratch s;
    struct err e = { 0 };
    unsigned char *page;
    size_t size;

    (void)state;
    scratch_open(&s);
    make_runs(&a, &b);
    a.answered[0].answer = "</script>of A";
    make(&c, &a, &b);
    if (comparison_html(scratch_path(&s, "page.html"), &c, 1, s.path, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    assert_int_equal(file_read(scratch_path(&s, "page.html"), 1 << 24, &page, &size, &e), STATUS_OK);
    assert_non_null(strstr(
        (char *)page, "\"before\":{\"answer\":\"\\u003c/script\\u003eof A\",\"score\":1.0,\"credit\":1.0}"));
    assert_non_null(strstr((char *)page, "\"comparison\":{\"name\":\"handmade\""));
    free(page);
    comparison_free(&c);
    scratch_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_difference), cmocka_unit_test(test_partly), cmocka_unit_test(test_groups),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_text),   cmocka_unit_test(test_json),
        cmocka_unit_test(test_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
