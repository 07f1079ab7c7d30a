/*
 * evaluation.h - what a run came to, for people and for programs: terminal, JSON, and one HTML page that needs nothing beside it.
 *
 *   log, dataset ── evaluation_open ── evaluation ─┬─ report_text   a table beside published numbers
 *                                                  ├─ report_json
 *                                                  ├─ report_html   charts, and a browser of questions, images, answers, worst first
 *                                                  └─ compare.h     two of them
 */
#ifndef SPHINX_EVAL_EVALUATION_H
#define SPHINX_EVAL_EVALUATION_H

#include "eval/log.h"
#include "eval/metric.h"

#include <stdio.h>

/* One benchmark as far as it was answered. */
struct evaluation {
    const char
        *label; /* what it is called in tables, borrowed: a cell of a grid. NULL: the benchmark's title */
    struct dataset dataset;
    struct log_answers log;
    struct answered *answered;      /* [n] in the order of records; judged anew, whatever the log says */
    const struct log_entry **entry; /* [n] what the log has of each, with its prompt, tokens and timings */
    size_t n;                       /* questions that were asked, with or without an answer */
    size_t n_missing;               /* of those, images that were not there */
    size_t n_failed;                /* others without an answer */
    struct figures figures;
    struct arena arena;
};

/* Reads the log in `directory` and judges it. The benchmark is the one that the log's header names: of `t`. `dedup` leaves out later
 * records with the same image, question and id, as upstream does. NOT_FOUND: no log. BAD_ARGUMENT: the header names no benchmark of the
 * table, or another state of its annotation than the one below `data`. */
enum status evaluation_open(struct evaluation *v, const struct benchmark_table *t, const char *directory,
                            const char *data, bool dedup, struct err *e);
/* The same with the first of several tables [n] that has the benchmark. */
enum status evaluation_open_any(struct evaluation *v, const struct benchmark_table *tables, size_t n,
                                const char *directory, const char *data, bool dedup, struct err *e);
void evaluation_close(struct evaluation *v); /* accepts a zeroed one */

/* The label or the title. */
const char *evaluation_name(const struct evaluation *v);
/* What an answer counts in the main figure of a benchmark that is a mean over answers, 0..1: its score, but for a box 1 where the IoU is 0.5 or
 * more, else 0. 0 where the score means nothing yet. */
double evaluation_credit(const struct answered *a);
/* What was published of one of the benchmark's figures, by its place in v->figures; NaN: nothing. */
double evaluation_published(const struct evaluation *v, size_t figure, const char *model);
/* The models of which something was published, over all evaluations, in the order of the entries: at most n_max names, borrowed. Returns
 * how many. */
size_t evaluation_models(const struct evaluation *v, size_t n, const char **models, size_t n_max);

/* At most 80 columns wide. */
enum status report_text(FILE *f, const struct evaluation *v, size_t n, struct err *e);

/* {"benchmarks": [{"name", "title", "label", "metric", "unit", "score", "low", "high", "figures": [{"name", "value", "low", "high", "n"}],
 * "published": [{"model", "part", "value"}], "questions", "asked", "answers", "malformed", "pending", "missing", "failed", "settings", "remarks"}]}: what
 * has no value is null; settings are the log's header. NULL: no memory. */
json_t *report_json(const struct evaluation *v, size_t n);

/* One page, replaced whole. data: where the images are; small pictures of those of the worst answers go into the page (page.h). */
enum status report_html(const char *path, const struct evaluation *v, size_t n, const char *data,
                        struct err *e);

#endif
