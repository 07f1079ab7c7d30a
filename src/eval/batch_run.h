/*
 * batch_run.h - a list of questions put to one model: `sphinx batch`.
 *
 *   list ─┬─ answered in the file already ── left out
 *         └─ jobs ── runner_run ── a line each, in the order of finishing:
 *
 *     {"line": 3, "id": "7", "image": "a.jpg", "prompt": "...", "answer": "...", "run": "0f3c...", "tokens": [...], "boxes": [...], ...}
 *
 * Besides these, what sphinx_answer_json tells. A question without an answer has "error" instead; it is asked again the next time. "run" stands
 * for the model and its settings: a file goes on only with the same ones.
 */
#ifndef SPHINX_EVAL_BATCH_RUN_H
#define SPHINX_EVAL_BATCH_RUN_H

#include "eval/batch_list.h"
#include "eval/runner.h"
#include "ranks/ranks.h"

#include <jansson.h>

struct batch_progress {
    size_t done, total; /* of this rank's questions, done before included */
    size_t asked;       /* in this run */
    double seconds;
};

struct batch_options {
    const char *output; /* JSON lines; NULL: only `line` hears of the answers */
    bool force;         /* goes on with a file of other settings */
    int max_tokens;
    json_t *settings;             /* all that answers depend on besides the model */
    struct runner_options runner; /* its rank and ranks are set from `ranks` */
    const struct ranks *ranks;
    void (*line)(void *user, const json_t *line); /* NULL: nobody */
    void (*progress)(void *user, const struct batch_progress *p);
    void *user; /* of both */
};

struct batch_totals {
    size_t n_known, n_asked, n_failed; /* of all ranks */
    struct runner_totals runner;       /* of this one */
};

/* All ranks call it; see trial_run. */
enum status batch_run(sphinx_model *model, const struct batch_list *l, const struct batch_options *o,
                      struct batch_totals *totals, struct err *e);

#endif
