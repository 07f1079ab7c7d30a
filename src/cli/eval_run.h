/*
 * eval_run.h - benchmarks put to one model with one set of settings, and where their answers are afterwards.
 *
 *   settings, tasks ── eval_run_tasks: the model opened, each task: dataset_read, trial_run ── folders of answers
 *                                                                                               └─ eval_run_results ── evaluations
 */
#ifndef SPHINX_CLI_EVAL_RUN_H
#define SPHINX_CLI_EVAL_RUN_H

#include "cli/options.h"
#include "eval/evaluation.h"
#include "eval/task_list.h"
#include "ranks/ranks.h"

struct eval_run {
    struct settings *settings; /* borrowed, as are ranks and tasks */
    const struct ranks *ranks;
    const struct task_list *tasks;
    char **directories;         /* [tasks->n] where a task's answers are; NULL: it was left out */
    size_t n_missing, n_failed; /* questions without an answer: image not there; other reasons */
};

/* Puts the tasks, into OUTPUT itself or, if they are several, a folder each in it. All ranks call it. Returns an exit code; eval_run_close is
 * due in any case. */
int eval_run_tasks(struct eval_run *r, struct settings *s, const struct ranks *ranks,
                   const struct task_list *tasks, const char *output);
void eval_run_close(struct eval_run *r); /* accepts a zeroed one */

/* Judges what is there: v [tasks->n], of which *n are filled in, to be closed one by one also after a failure. Writes what outside scorers
 * want beside the answers. */
int eval_run_results(const struct eval_run *r, struct evaluation *v, size_t *n);

#endif
