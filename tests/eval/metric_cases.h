/*
 * metric_cases.h - for tests of metrics: the cases of tests/data/eval/NAME.json, which tools/reference/eval_metrics.py computed without our C,
 * and single answers.
 *
 *     {"about": ..., "options": {...} or null,
 *      "cases": [{"r": record, "a": answer, "s": score, "m": 1 if malformed, "p": 1 if pending}, ...],
 *      "figures": {name: value}}
 *
 * A record has the keys of struct record, left out where they are NULL or 0; an object is [category, box, area, crowd, joints].
 */
#ifndef TESTS_EVAL_METRIC_CASES_H
#define TESTS_EVAL_METRIC_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/metric.h"

/* cmocka's assert_float_equal rounds to float. NaN fails. */
static inline void assert_near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) fail_msg("%.12g, expected %.12g", got, want);
}

static inline const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static inline const char **texts_of(const json_t *list, size_t *n, struct arena *a)
{
    const char **text = arena_calloc(a, json_array_size(list) + 1, sizeof *text);

    assert_non_null(text);
    for (*n = 0; *n < json_array_size(list); (*n)++) text[*n] = json_string_value(json_array_get(list, *n));
    return text;
}

static inline void numbers_of(const json_t *list, double *x, size_t n)
{
    assert_int_equal(json_array_size(list), n);
    for (size_t i = 0; i < n; i++) x[i] = json_number_value(json_array_get(list, i));
}

static inline struct record_object object_of(const json_t *o)
{
    struct record_object object = { .category = json_string_value(json_array_get(o, 0)),
                                    .area = json_number_value(json_array_get(o, 2)),
                                    .crowd = json_integer_value(json_array_get(o, 3)) != 0 };
    const json_t *joints = json_array_get(o, 4);

    numbers_of(json_array_get(o, 1), object.box, 4);
    object.posed = joints != NULL;
    if (joints != NULL) numbers_of(joints, &object.joint[0][0], 3 * EVAL_JOINTS);
    return object;
}

static inline struct record record_of(const json_t *o, size_t index, struct arena *a)
{
    const json_t *same = json_object_get(o, "same"), *box = json_object_get(o, "box"),
                 *objects = json_object_get(o, "objects");
    struct record r = {
        .index = (int64_t)index,
        .id = text_of(o, "id") != NULL ? text_of(o, "id") : "",
        .image = text_of(o, "image") != NULL ? text_of(o, "image") : "",
        .question = text_of(o, "question") != NULL ? text_of(o, "question") : "",
        .category = text_of(o, "category"),
        .kind = text_of(o, "kind"),
        .group = text_of(o, "group"),
        .context = text_of(o, "context"),
        .width = json_number_value(json_object_get(o, "width")),
        .height = json_number_value(json_object_get(o, "height")),
        .has_box = box != NULL,
    };
    uint8_t *first = arena_calloc(a, json_array_size(same) + 1, 1);
    struct record_object *object = arena_calloc(a, json_array_size(objects) + 1, sizeof *object);

    assert_true(first != NULL && object != NULL);
    r.answers = texts_of(json_object_get(o, "answers"), &r.n_answers, a);
    r.choices = texts_of(json_object_get(o, "choices"), &r.n_choices, a);
    if (box != NULL) numbers_of(box, r.box, 4);
    for (size_t i = 0; i < json_array_size(same); i++)
        first[i] = (uint8_t)json_integer_value(json_array_get(same, i));
    if (same != NULL) r.answer_same = first;
    for (r.n_objects = 0; r.n_objects < json_array_size(objects); r.n_objects++)
        object[r.n_objects] = object_of(json_array_get(objects, r.n_objects));
    r.objects = object;
    return r;
}

static inline const struct figure *figure_find(const struct figures *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->item[i].name, name) == 0) return &f->item[i];
    fail_msg("there is no figure \"%s\"", name);
    return NULL;
}

static inline void check_figures(const struct figures *f, json_t *want, const char *path)
{
    const char *name;
    json_t *value;

    json_object_foreach(want, name, value)
    {
        const struct figure *got = figure_find(f, name);

        if (json_is_null(value)) {
            assert_true(isnan(got->value));
            continue;
        }
        if (!(fabs(got->value - json_number_value(value)) <= 1e-9 * (1 + fabs(got->value))))
            fail_msg("%s: figure \"%s\" is %.12g, expected %.12g", path, name, got->value,
                     json_number_value(value));
        if (!isnan(got->low) && !(got->low <= got->value + 1e-9 && got->value <= got->high + 1e-9))
            fail_msg("%s: figure \"%s\" = %g is outside of its interval %g .. %g", path, name, got->value,
                     got->low, got->high);
    }
    assert_string_equal(f->item[0].name, json_object_iter_key(json_object_iter(want)));
}

/* Judges every case of tests/data/eval/NAME.json by `metric` and sums up: all equal to 1e-9. Fails below n_min cases. */
static inline void check_cases(const char *name, const char *metric, size_t n_min)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    json_error_t error;
    const char *path = arena_printf(&a, "tests/data/eval/%s.json", name);
    json_t *root = json_load_file(path, 0, &error), *cases = json_object_get(root, "cases");
    const struct metric *m = metric_find(metric);
    struct benchmark b = { .name = name, .metric = m, .options = json_object_get(root, "options") };
    size_t n = json_array_size(cases);
    struct answered *answered = arena_calloc(&a, n + 1, sizeof *answered);
    struct record *record = arena_calloc(&a, n + 1, sizeof *record);
    struct figures f;

    if (root == NULL) fail_msg("%s: %s", path, error.text);
    if (n < n_min) fail_msg("%s holds %zu cases, expected at least %zu", path, n, n_min);
    assert_true(m != NULL && answered != NULL && record != NULL);
    if (m->check != NULL) assert_int_equal(m->check(b.options, &e), STATUS_OK);
    for (size_t i = 0; i < n; i++) {
        const json_t *c = json_array_get(cases, i);
        struct verdict v;
        double want = json_number_value(json_object_get(c, "s"));

        record[i] = record_of(json_object_get(c, "r"), i, &a);
        assert_int_equal(m->judge(&v, &b, &record[i], text_of(c, "a"), &a, &e), STATUS_OK);
        if (!(fabs(v.score - want) <= 1e-9))
            fail_msg("%s: case %zu: %s scores %.9g, expected %.9g", path, i, text_of(c, "a"), v.score, want);
        if (v.malformed != (json_integer_value(json_object_get(c, "m")) != 0))
            fail_msg("%s: case %zu: %s: malformed is %d", path, i, text_of(c, "a"), v.malformed);
        if (v.pending != (json_integer_value(json_object_get(c, "p")) != 0))
            fail_msg("%s: case %zu: %s: pending is %d", path, i, text_of(c, "a"), v.pending);
        answered[i] = (struct answered){ &record[i], text_of(c, "a"), v };
    }
    assert_int_equal(m->sum_up(&f, &b, answered, n, &a, &e), STATUS_OK);
    assert_int_equal(f.n_answers, n);
    check_figures(&f, json_object_get(root, "figures"), path);
    json_decref(root);
    arena_free(&a);
}

/* One answer, judged; `options` as JSON text or NULL. The verdict's texts last until the next call. */
static inline struct verdict judge_one(const char *metric, const char *options, const struct record *r,
                                       const char *answer)
{
    static struct arena a;
    struct benchmark b = { .metric = metric_find(metric),
                           .options = options != NULL ? json_loads(options, 0, NULL) : NULL };
    struct verdict v;

    arena_free(&a);
    assert_non_null(b.metric);
    assert_int_equal(b.metric->judge(&v, &b, r, answer, &a, NULL), STATUS_OK);
    json_decref(b.options);
    return v;
}

/* The same with nothing but references, up to three. */
static inline struct verdict judge_text(const char *metric, const char *const answers[3], const char *answer)
{
    struct record r = { .id = "", .image = "", .question = "", .answers = answers };

    while (r.n_answers < 3 && answers[r.n_answers] != NULL) r.n_answers++;
    return judge_one(metric, NULL, &r, answer);
}

#endif
