/*
 * fuzz_metric.c - any bytes as an answer, and as a reference: every metric judges it, and its verdict is consistent.
 *
 * Input: an answer; or a reference, the byte 0x1e, and an answer.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "eval/metric.h"
#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEPARATOR = 0x1e };

/* A record that has something for every metric. */
struct subject {
    const char *answers[3], *choices[3];
    struct record_object objects[2];
    struct record record;
};

static void subject_init(struct subject *s, const char *reference)
{
    *s = (struct subject){
        .answers = { reference, "B", "0.5" },
        .choices = { "red", reference, "a dog" },
        .objects = { { .category = "dog", .box = { 1, 2, 30, 40 }, .area = 900, .posed = true },
                     { .category = "person", .box = { 50, 20, 90, 60 }, .area = 1600, .crowd = true } },
    };
    s->objects[0].joint[0][0] = s->objects[0].joint[0][1] = 20;
    s->objects[0].joint[0][2] = 2;
    s->record = (struct record){ .id = "7",
                                 .image = "a.jpg",
                                 .question = "?",
                                 .choices = s->choices,
                                 .n_choices = 3,
                                 .answers = s->answers,
                                 .n_answers = 3,
                                 .category = "color",
                                 .kind = "rec,ocr",
                                 .group = "g",
                                 .has_box = true,
                                 .box = { 10, 10, 60, 70 },
                                 .width = 100,
                                 .height = 80,
                                 .objects = s->objects,
                                 .n_objects = 2 };
}

static void check_metric(const struct metric *m, const struct record *r, const char *answer, struct arena *a)
{
    struct benchmark b = { .name = "fuzz", .metric = m };
    struct answered answered = { .record = r, .answer = answer };
    struct arena_mark mark = arena_mark(a);
    struct figures f;
    struct verdict *v = &answered.verdict;

    assert(m->judge(v, &b, r, answer, a, NULL) == STATUS_OK);
    assert(v->score >= 0 && v->score <= 1);
    assert(v->taken != NULL && utf8_find_bad(v->taken, strlen(v->taken)) == strlen(v->taken));
    assert(m->sum_up(&f, &b, &answered, 1, a, NULL) == STATUS_OK);
    assert(f.n_answers == 1 && f.n > 0 && f.n_malformed == v->malformed && f.n_pending == v->pending);
    arena_reset(a, mark);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *reference = "abc", *answer = text, *separator;
    struct subject s;
    struct arena a = { 0 };

    if (text == NULL) return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    separator = strchr(text, SEPARATOR);
    if (separator != NULL) {
        *separator = '\0';
        if (utf8_find_bad(text, strlen(text)) == strlen(text)) reference = text; /* as records promise */
        answer = separator + 1;
    }
    subject_init(&s, reference);
    for (size_t i = 0; metric_at(i) != NULL; i++) check_metric(metric_at(i), &s.record, answer, &a);
    arena_free(&a);
    free(text);
    return 0;
}
