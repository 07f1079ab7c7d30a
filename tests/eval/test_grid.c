/*
 * test_grid.c - the file of a grid: which cells it makes, what they are called, and what is refused.
 */
#include "eval/handmade.h"

#include "eval/grid.h"

static enum status read_text(struct grid *g, const char *text, struct err *e)
{
    struct scratch s;
    enum status st;

    scratch_open(&s);
    scratch_write(scratch_path(&s, "grid.json"), text, strlen(text));
    st = grid_read(g, scratch_path(&s, "grid.json"), e);
    scratch_close(&s);
    return st;
}

static void read_good(struct grid *g, const char *text)
{
    struct err e = { 0 };

    if (read_text(g, text, &e) != STATUS_OK) fail_msg("%s", e.text);
}

static const struct grid_setting *find(const struct grid_cell *c, const char *option)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->settings[i].option, option) == 0) return &c->settings[i];
    return NULL;
}

static void test_axes(void **state)
{
    static const char *const labels[] = { "temp 0.5, model SPHINX", "temp 0.5, model SPHINX, without clip",
                                          "temp 0.5, model b.gguf", "temp 0.5, model b.gguf, without clip",
                                          "model SPHINX, precise, stop a,b" };
    struct grid g;

    (void)state;
    read_good(&g, "{\"settings\": {\"limit\": 20, \"temp\": 0.5, \"model\": \"dir/SPHINX/\"},"
                  " \"axes\": {\"model\": [\"dir/SPHINX/\", \"x/b.gguf\"], \"without\": [\"\", \"clip\"]},"
                  " \"cells\": [{\"precise\": true, \"stop\": [\"a\", \"b\"], \"temp\": false}]}");
    assert_int_equal(g.n, 5);
    for (size_t i = 0; i < 5; i++) assert_string_equal(g.cells[i].label, labels[i]);
    assert_null(find(&g.cells[0], "without"));
    assert_string_equal(find(&g.cells[3], "without")->values[0], "clip");
    assert_string_equal(find(&g.cells[3], "model")->values[0], "x/b.gguf");
    assert_string_equal(find(&g.cells[3], "limit")->values[0], "20");
    assert_string_equal(find(&g.cells[3], "temp")->values[0], "0.5");
    assert_null(find(&g.cells[4], "temp"));
    assert_int_equal(find(&g.cells[4], "precise")->n_values, 0);
    assert_int_equal(find(&g.cells[4], "stop")->n_values, 2);
    grid_free(&g);
}

/* A folder's name is safe, does not change, and does not collide. */
static void test_names(void **state)
{
    struct grid g, again;

    (void)state;
    read_good(&g, "{\"axes\": {\"template\": [\"../{}\", \"..?{}\", \"{}\"]}}");
    read_good(&again, "{\"settings\": {\"limit\": 5}, \"axes\": {\"template\": [\"{}\", \"../{}\"]}}");
    for (size_t i = 0; i < g.n; i++) {
        const char *name = g.cells[i].name;

        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=-"),
                         strlen(name));
        assert_true(name[0] != '.');
    }
    assert_string_not_equal(g.cells[0].name, g.cells[1].name);
    assert_string_equal(g.cells[0].name, again.cells[1].name);
    assert_string_equal(g.cells[2].name, again.cells[0].name);
    grid_free(&g);
    grid_free(&again);
}

static void check_refused(const char *text, const char *says)
{
    struct grid g;
    struct err e = { 0 };

    assert_int_equal(read_text(&g, text, &e), STATUS_BAD_FORMAT);
    if (strstr(e.text, says) == NULL || strstr(e.text, "grid.json") == NULL)
        fail_msg("\"%s\", wanted \"%s\"", e.text, says);
}

static void test_refused(void **state)
{
    (void)state;
    check_refused("{", "line 1 is not JSON");
    check_refused("[]", "must be an object");
    check_refused("{}", "neither");
    check_refused("{\"axis\": {}}", "unknown key \"axis\"");
    check_refused("{\"axes\": []}", "\"axes\" must be an object");
    check_refused("{\"axes\": {\"without\": \"clip\"}}", "\"without\" must be a list");
    check_refused("{\"axes\": {\"without\": []}}", "\"without\" must be a list");
    check_refused("{\"axes\": {\"without\": [{\"a\": 1}]}}", "\"without\" must be a text");
    check_refused("{\"cells\": [1]}", "list of objects");
    check_refused("{\"axes\": {\"without\": [\"clip\", \"clip\"]}}", "cells 1 and 2 have the same settings");
    check_refused("{\"axes\": {\"a\": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17],"
                  " \"b\": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17],"
                  " \"c\": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}}",
                  "more than 4096 cells");
}

static void test_results(void **state)
{
    struct handmade h[4];
    struct evaluation v[4];
    struct grid g;
    struct err e = { 0 };
    json_t *all;
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    (void)state;
    read_good(&g, "{\"axes\": {\"without\": [\"\", \"clip\"]}}");
    for (int i = 0; i < 4; i++) {
        handmade_init(&h[i], i % 2 == 0 ? "OKVQA" : "RefCOCO testA whole");
        h[i].figure[0].value = 60 + i;
        v[i] = h[i].v;
    }
    if (grid_text(f, &g, v, 2, &e) != STATUS_OK) fail_msg("%s", e.text);
    fclose(f);
    assert_string_equal(text, "              OKVQA       95 %  RefCOCO tes…       95 %\n"
                              "cell          score   interval         score   interval\n"
                              "───────────────────────────────────────────────────────\n"
                              "as it is      60.00  60.5–63.2         61.00  60.5–63.2\n"
                              "without clip  62.00  60.5–63.2         63.00  60.5–63.2\n");
    free(text);
    all = grid_json(&g, v, 2);
    assert_int_equal(json_array_size(json_object_get(all, "cells")), 2);
    assert_int_equal(
        json_array_size(json_object_get(json_array_get(json_object_get(all, "cells"), 1), "benchmarks")), 2);
    json_decref(all);
    grid_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_axes),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_results),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
