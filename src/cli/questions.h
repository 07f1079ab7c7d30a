/*
 * questions.h - what eval and batch share: from the settings to a runner's options, which of them answers depend on, and the line that says how
 * far they have come.
 */
#ifndef SPHINX_CLI_QUESTIONS_H
#define SPHINX_CLI_QUESTIONS_H

#include <jansson.h>

#include "cli/setup.h"
#include "eval/runner.h"
#include "ranks/ranks.h"

/* Finds the ranks; all but the first are quiet. Returns an exit code. */
int questions_begin(struct ranks *r, struct settings *s);

/* Model and options; u->session stays NULL. */
int questions_setup(struct setup *u, struct settings *s);
struct runner_options questions_options(struct setup *u);

/* All that answers depend on besides model and question. NULL: no memory. */
json_t *questions_settings(const struct setup *u);

/* How far it has come. */
struct questions_state {
    const char *name;          /* "mme" */
    size_t done, total, asked; /* asked: of those done, in this run */
    double seconds;            /* that these took */
    double right;              /* mean score 0..1; NaN: none */
};

/* "mme 977 of 2372 (41 %), score 61.2 so far, 3.1 questions/s, 7:30 left", where there is a terminal. */
void questions_show(struct setup *u, const struct questions_state *state);

/* What ended a run early: a sentence, unless Ctrl-C or another process did; the exit code. */
int questions_failed(struct setup *u, const struct err *e);

/* With -v: how fast it was, and where the time went. */
void questions_speed(struct setup *u, const struct runner_totals *totals);

#endif
