/*
 * report.h - what a run came to, for people and for programs: terminal, JSON, and one HTML page that needs nothing beside it.
 *
 *   log, dataset ── evaluation_of_log ── evaluation ─┬─ report_text   a table beside published numbers
 *                                                     ├─ report_json
 *                                                     ├─ report_html   charts, and a browser of questions, images, answers, worst first
 *                                                     └─ compare.h     two of them
 */
#ifndef SPHINX_EVAL_REPORT_H
#define SPHINX_EVAL_REPORT_H

#include "eval/log.h"
#include "eval/metric.h"

#include <stdio.h>

/* One benchmark as far as it was answered. */
struct evaluation {
    struct dataset dataset;
    struct log_answers log;
    struct answered *answered; /* [n] in the order of records; judged anew, whatever the log says */
    size_t n;
    size_t n_missing; /* images that were not there */
    size_t n_failed;  /* other questions without an answer */
    struct figures figures;
    struct arena arena;
};

/* Reads the log in `directory` and judges it. The benchmark is the one that the log's header names: of `t`. `dedup` leaves out later
 * records with the same image, question and id, as upstream does. */
enum status evaluation_open(struct evaluation *v, const struct benchmark_table *t, const char *directory,
                            const char *data, bool dedup, struct err *e);
void evaluation_close(struct evaluation *v); /* accepts a zeroed one */

enum status report_text(FILE *f, const struct evaluation *v, size_t n, struct err *e);
json_t *report_json(const struct evaluation *v, size_t n); /* NULL: no memory */
/* data: where the images are; thumbnails of the worst go into the page. */
enum status report_html(const char *path, const struct evaluation *v, size_t n, const char *data,
                        struct err *e);

#endif
