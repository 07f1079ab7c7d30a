/*
 * trial.h - one benchmark put to one model: from the records that have no answer yet to a log that has them all.
 *
 *   dataset ── chosen records ─┬─ answered in the log, or image missing ── noted
 *                              └─ jobs ── runner_run ── judged ── appended to the log ── merged over ranks
 *
 * The log's header, which decides what may go on with it:
 *
 *     {"eval": 1, "benchmark": "mme", "title": ..., "prompt": "{}\n...", "answer_prefix": "", "max_tokens": 10,
 *      "metric": "mme", "records": 2372, "dataset": "digest",
 *      "model": {"identity": "digest", "name": "SPHINX-1k", "llama_type": ..., "cpu": "avx2"},
 *      "settings": {...}}                                   the caller's: all that answers depend on
 *
 * Which of the records are asked is not part of it: one may ask 100 first and then the rest.
 */
#ifndef SPHINX_EVAL_TRIAL_H
#define SPHINX_EVAL_TRIAL_H

#include "eval/log.h"
#include "eval/metric.h"
#include "eval/runner.h"
#include "ranks/ranks.h"

#define TRIAL_ERROR_MISSING "image not found: " /* begins the error of a question whose image is not there */

struct trial_progress {
    size_t done, total; /* of this rank's questions; done before this run included */
    size_t asked;       /* in this run */
    double right;       /* mean of the scores (0..1) of those that are done */
    double seconds;     /* since the first was asked */
};

struct trial_options {
    const char *data, *directory; /* where the images are; of the log */
    size_t limit;                 /* only the first so many records; 0: all */
    size_t sample; /* only so many, drawn at random; 0: all. A smaller sample is part of a larger one. */
    uint64_t sample_seed;
    bool force; /* goes on with a log of other settings */
    json_t *settings;
    struct runner_options runner; /* its rank and ranks are set from `ranks` */
    const struct ranks *ranks;
    const struct report *report; /* hears, on rank 0, which images are missing; NULL: nobody */
    void (*progress)(void *user, const struct trial_progress *p); /* after each answer; NULL: none */
    void *user;
};

struct trial_totals {
    size_t n_chosen, n_known, n_asked; /* known: had an answer before; asked: in this run */
    size_t n_missing, n_failed;        /* questions without an answer: image not there; other reasons */
    struct runner_totals runner;       /* of this rank */
};

/* All ranks call it. CANCELLED when it was cancelled: all answers until then are in the log, as after any failure. Totals count all ranks, and
 * are set in either case. A failure of another rank is this one's. */
enum status trial_run(sphinx_model *model, const struct dataset *d, const struct trial_options *o,
                      struct trial_totals *totals, struct err *e);

#endif
