/*
 * handmade.h - an evaluation put together by hand: what reports show does not depend on how it came about.
 */
#ifndef TESTS_EVAL_HANDMADE_H
#define TESTS_EVAL_HANDMADE_H

#include "support/scratch.h"

#include <math.h>

#include "eval/evaluation.h"

enum { HANDMADE_MAX = 8 };

/* Judged by hand too: no function of it is called. */
static const struct metric handmade_metric = { .name = "handmade", .unit = "%" };

struct handmade {
    struct published published[3];
    struct benchmark benchmark;
    struct record record[HANDMADE_MAX];
    const char *reference[HANDMADE_MAX];
    struct answered answered[HANDMADE_MAX];
    struct log_entry line[HANDMADE_MAX];
    const struct log_entry *entry[HANDMADE_MAX];
    struct figure figure[3];
    struct evaluation v;
};

/* Fills in place: parts point into each other. */
static inline void handmade_init(struct handmade *h, const char *title)
{
    static const struct published published[] = { { "SPHINX", "", 62.08 },
                                                  { "SPHINX-1k", "", 62.21 },
                                                  { "SPHINX-2k", "color", 62.6 } };

    *h = (struct handmade){ .benchmark = { .name = "handmade",
                                           .title = title,
                                           .metric = &handmade_metric,
                                           .published = h->published,
                                           .n_published = 3 },
                            .figure = { { "accuracy", 61.904, 60.55, 63.249, 8 },
                                        { "color", 50, 25.5, 74.5, 4 },
                                        { "naïve 色", NAN, NAN, NAN, 0 } } };
    memcpy(h->published, published, sizeof published);
    h->v.dataset = (struct dataset){ .benchmark = &h->benchmark, .records = h->record };
    h->v.answered = h->answered;
    h->v.entry = h->entry;
    h->v.figures = (struct figures){ .item = h->figure, .n = 3 };
}

/* The next question. An answer of NULL: the image was not there. */
static inline struct record *handmade_add(struct handmade *h, const char *question, const char *reference,
                                          const char *answer, double score, bool malformed)
{
    size_t i = h->v.n;

    assert_true(i < HANDMADE_MAX);
    h->reference[i] = reference;
    h->record[i] = (struct record){ .index = (int64_t)i,
                                    .id = "1",
                                    .image = "cat.png",
                                    .question = question,
                                    .answers = &h->reference[i],
                                    .n_answers = 1 };
    h->line[i] = (struct log_entry){ .index = (int64_t)i,
                                     .prompt = question,
                                     .answer = answer,
                                     .error = answer == NULL ? "image not found: cat.png" : NULL,
                                     .finish = "stop",
                                     .n_tokens = 3,
                                     .seconds_decode = 0.25 };
    h->entry[i] = &h->line[i];
    h->answered[i] = (struct answered){ .record = &h->record[i],
                                        .answer = answer != NULL ? answer : "",
                                        .verdict = { .score = score, .malformed = malformed, .taken = "" } };
    h->v.n_missing += answer == NULL;
    h->v.figures.n_answers++;
    h->v.figures.n_malformed += malformed;
    h->v.dataset.n = h->v.n = i + 1;
    return &h->record[i];
}

#endif
