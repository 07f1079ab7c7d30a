/*
 * runner.h - puts many questions to a model, as fast as it can answer them, and hands each answer over as soon as it is there. `sphinx eval`
 * and `sphinx batch` are two users of it.
 *
 *   jobs ── grouped by image ── shared out over ranks ── files read and decoded ahead (one thread)
 *        ── sessions of a batch, the image encoded once ── answers, in the order of finishing
 *
 * An answer depends on its image and its question alone: not on what was asked before, beside it, or by which rank (sessions are opened
 * `independent`, see sphinx.h). So a run that was interrupted, or divided differently, has the same answers.
 */
#ifndef SPHINX_EVAL_RUNNER_H
#define SPHINX_EVAL_RUNNER_H

#include "core/report.h"
#include "core/status.h"
#include "sphinx.h"

#include <stdatomic.h>

struct job {
    int64_t index; /* the caller's key */
    const char
        *image; /* path; NULL or "": a question without an image. Jobs with equal paths share one encoding. */
    const void *image_data; /* instead of a file at `image`, which then only names it; NULL: none */
    size_t image_size;
    const char *prompt;
    const char *answer_prefix; /* NULL: none */
    int max_tokens;
};

struct runner_options {
    sphinx_session_options session;
    sphinx_ask_options ask;    /* without max_tokens, answer_prefix */
    int batch;                 /* questions that are answered at once; 0: 8 */
    int images_ahead;          /* decoded while the model works; 0: 2 */
    int rank, ranks;           /* this process takes the image groups rank, rank + ranks, ...; ranks 0: 1 */
    const atomic_bool *cancel; /* set: stops after the step at hand; NULL: never */
};

/* What became of a job: an answer, or why there is none (image missing or unreadable, prompt too long). Not OK: the run ends with it. */
typedef enum status (*runner_take)(void *user, const struct job *job, const sphinx_answer *answer,
                                   const sphinx_error *why, struct err *e);

struct runner_totals {
    size_t n_jobs, n_answers, n_failed, n_images;                   /* of this rank */
    double seconds, seconds_encode, seconds_steps, seconds_waiting; /* waiting: for images to be read */
};

/* CANCELLED when `cancel` was seen. */
enum status runner_run(sphinx_model *model, const struct job *jobs, size_t n, const struct runner_options *o,
                       runner_take take, void *user, struct runner_totals *totals, struct err *e);

#endif
