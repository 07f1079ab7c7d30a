/*
 * test_evaluated.c - the answers that are learned are right to the metrics: a data set's benchmarks are read by eval/, and answered from its
 * own annotations.
 */
#include "support/fonts.h"
#include "support/scratch.h"

#include <jansson.h>
#include <math.h>

#include "eval/metric.h"
#include "synth/world.h"

enum { SCENES = 500 };

/* The answer to the same question about the same image, NULL: it was not asked. Without what the prompt ends with. */
static const char *answer_of(const json_t *records, const struct benchmark *b, const struct record *r,
                             struct arena *a)
{
    const char *image = strrchr(r->image, '/') + 1, *prompt = record_prompt(b, r, a);
    size_t i;
    json_t *record;

    assert_non_null(prompt);
    json_array_foreach((json_t *)(uintptr_t)records, i, record)
    {
        json_t *turns = json_object_get(record, "conversations");
        const char *asked = json_string_value(json_object_get(json_array_get(turns, 0), "value"));
        const char *answer = json_string_value(json_object_get(json_array_get(turns, 1), "value"));
        size_t prefix = strlen(b->answer_prefix);

        if (strcmp(json_string_value(json_object_get(record, "image")), image) != 0 ||
            strcmp(asked, prompt) != 0)
            continue;
        if (prefix == 0) return answer;
        assert_int_equal(strncmp(answer, b->answer_prefix + 1, prefix - 1), 0);
        return answer + prefix - 1;
    }
    return NULL;
}

static double figure(const struct figures *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++) {
        if (strcmp(f->item[i].name, name) == 0) return f->item[i].value;
    }
    fail_msg("there is no figure %s", name);
    return NAN;
}

/* Two decimals cost an IoU of 0.95 of a small box, but not one of 0.5. */
static void check_figures(const struct benchmark *b, const struct figures *f)
{
    const char *metric = b->metric->name;

    assert_int_equal(f->n_malformed, 0);
    if (strcmp(metric, "detection") == 0)
        assert_true(figure(f, "AP50") > 99.9);
    else if (strcmp(metric, "pose") == 0)
        assert_true(figure(f, "PCK") > 99.9 && figure(f, "AP50") > 99.9);
    else
        assert_true(f->item[0].value > 99.9);
}

static void check_benchmark(const struct scratch *s, const struct benchmark *b)
{
    const char *data = scratch_path(s, "world");
    struct answered *answered;
    struct arena a = { 0 };
    struct dataset d;
    struct figures f;
    struct err e = { 0 };
    char path[128];
    json_t *records;
    size_t n = 0;

    assert_int_equal(dataset_read(&d, b, data, &e), STATUS_OK);
    snprintf(path, sizeof path, "world/annotations/%s.json", b->name + strlen("synth_"));
    records = json_load_file(scratch_path(s, path), 0, NULL);
    answered = arena_calloc(&a, d.n, sizeof *answered);
    assert_true(records != NULL && answered != NULL);
    for (size_t i = 0; i < d.n; i++) {
        const char *answer = answer_of(records, b, &d.records[i], &a);

        if (answer == NULL) continue;
        answered[n] = (struct answered){ .record = &d.records[i], .answer = answer };
        assert_int_equal(b->metric->judge(&answered[n].verdict, b, &d.records[i], answer, &a, &e), STATUS_OK);
        n++;
    }
    /* One category of a scene is learned, all are asked when it is evaluated. */
    assert_true(strcmp(b->name, "synth_det") == 0 ? n > d.n / 3 : n == d.n);
    assert_int_equal(b->metric->sum_up(&f, b, answered, n, &a, &e), STATUS_OK);
    check_figures(b, &f);
    json_decref(records);
    dataset_free(&d);
    arena_free(&a);
}

static void test_all_right(void **state)
{
    struct world_options o = { .seed = 2,
                               .count = SCENES,
                               .domain = DOMAIN_BOTH,
                               .split = SPLIT_TEST,
                               .side = 112,
                               .turns = 1,
                               .threads = 2 };
    struct benchmark_table t = { 0 };
    struct world_result r;
    struct scratch s;
    struct err e = { 0 };

    (void)state;
    scratch_open(&s);
    o.out = scratch_path(&s, "world");
    for (enum task task = 0; task < TASK_COUNT; task++) o.task[task] = true;
    assert_int_equal(world_write(&o, &r, &e), STATUS_OK);
    assert_int_equal(benchmark_table_read(&t, scratch_path(&s, "world/benchmarks.json"), &e), STATUS_OK);
    assert_int_equal(t.n, TASK_COUNT);
    for (size_t i = 0; i < t.n; i++) check_benchmark(&s, &t.rows[i]);
    benchmark_table_free(&t);
    scratch_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_all_right) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
