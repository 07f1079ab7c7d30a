/*
 * compare.h - two runs on the same questions: by how much they differ, whether that may be luck, and where.
 *
 *   evaluation A ─┬─ comparison_make ── comparison ── text, JSON, page
 *   evaluation B ─┘
 *
 * Luck is judged over the questions that both were asked: by the credit of each answer (evaluation.h), or of records that are only right
 * together (MME's pairs, MMBench's rotations) by the mean of theirs, since those are not independent. interval.h says which test.
 */
#ifndef SPHINX_EVAL_COMPARE_H
#define SPHINX_EVAL_COMPARE_H

#include "eval/evaluation.h"
#include "eval/interval.h"

struct comparison_figure {
    const char *name;
    double a, b; /* NaN: one has no such figure */
};

struct comparison_pair {
    const struct answered *a, *b; /* the same record's */
};

struct comparison {
    const struct evaluation *a, *b; /* borrowed */
    const char *name_a, *name_b;    /* borrowed: what tells them apart, the folders */
    struct comparison_figure *figures;
    size_t n_figures; /* those of a */
    struct comparison_pair *pairs;
    size_t n;                  /* questions that both were asked */
    size_t n_only_a, n_only_b; /* that one was */
    struct paired_test test;   /* difference and interval: of mean credits, 0..1 */
    struct arena arena;
};

/* BAD_ARGUMENT: of different benchmarks, or of different states of its annotation, or without a question in common. */
enum status comparison_make(struct comparison *c, const struct evaluation *a, const char *name_a,
                            const struct evaluation *b, const char *name_b, struct err *e);
void comparison_free(struct comparison *c); /* accepts a zeroed one */

/* A table of all, and of each the first questions of those that only one run got right. */
enum status comparison_text(FILE *f, const struct comparison *c, size_t n, struct err *e);

/* {"comparisons": [{"name", "title", "unit", "a", "b", "figures": [{"name", "a", "b"}], "questions", "only_a", "only_b", "test": {"method", "n",
 * "better", "worse", "difference", "low", "high", "p"}, "lost": [...], "won": [{"index", "question", "a", "b", "credit_a", "credit_b"}]}]}: better,
 * worse, won and lost are B's; difference, low and high per cent. NULL: no memory. */
json_t *comparison_json(const struct comparison *c, size_t n);

/* The page of B's evaluations, with A's answer beside each. data: where the images are. */
enum status comparison_html(const char *path, const struct comparison *c, size_t n, const char *data,
                            struct err *e);

#endif
