/*
 * metric_saved.c - benchmarks whose answers are only written, for an outside scorer (UReader's document sets).
 *
 *   answers.json  [{"question_id", "answer", "annotation", "question", "name"}, ...]
 *
 * "annotation" is the reference, a list where there are several; "name" is the record's category, or the benchmark's name.
 */
#include "eval/answer_text.h"
#include "eval/metric_file.h"
#include "eval/metric_list.h"
#include "eval/metric_sum.h"

#include <math.h>

static enum status judge(struct verdict *v, const struct benchmark *b, const struct record *r,
                         const char *answer, struct arena *a, struct err *e)
{
    const char *clean = ans_clean(answer, a);

    (void)b;
    (void)r;
    if (clean == NULL) return err_no_memory(e, "an answer");
    *v = (struct verdict){ .pending = true, .malformed = clean[0] == '\0', .taken = clean };
    return STATUS_OK;
}

static enum status sum_up(struct figures *f, const struct benchmark *b, const struct answered *answered,
                          size_t n, struct arena *a, struct err *e)
{
    static const struct interval none = { NAN, NAN };
    struct sum s;

    (void)b;
    sum_begin(&s, f, answered, n, a, e);
    return sum_figure(&s, "saved for an outside scorer", NAN, none, n);
}

static json_t *reference_of(const struct record *r)
{
    json_t *list;

    if (r->n_answers == 1) return json_string(r->answers[0]);
    list = json_array();
    for (size_t i = 0; i < r->n_answers; i++) json_array_append_new(list, json_string(r->answers[i]));
    return list;
}

static enum status save(const struct benchmark *b, const struct answered *answered, size_t n,
                        const char *directory, struct err *e)
{
    struct arena a = { 0 };
    const char *path = metric_file_name(directory, "answers.json", &a);
    json_t *list = json_array();
    enum status st;

    for (size_t i = 0; i < n && list != NULL; i++) {
        const struct record *r = answered[i].record;
        const char *clean = ans_clean(answered[i].answer, &a);
        json_t *item = clean != NULL
                           ? json_pack("{s:s, s:s, s:o, s:s, s:s}", "question_id", r->id, "answer", clean,
                                       "annotation", reference_of(r), "question", r->question, "name",
                                       r->category != NULL ? r->category : b->name)
                           : NULL;

        if (json_array_append_new(list, item) == 0) continue;
        json_decref(list);
        list = NULL;
    }
    st = path != NULL ? metric_file_json(path, list, e) : err_no_memory(e, "the answers' file");
    arena_free(&a);
    return st;
}

const struct metric metric_saved = {
    .name = "saved", .unit = "", .judge = judge, .sum_up = sum_up, .save = save
};
