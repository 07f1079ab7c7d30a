/*
 * eval_views.h - what `sphinx eval` prints: the benchmarks that there are, results, how well a text is foreseen. Each returns the exit code.
 */
#ifndef SPHINX_CLI_EVAL_VIEWS_H
#define SPHINX_CLI_EVAL_VIEWS_H

#include "cli/options.h"
#include "eval/report.h"

/* A line a benchmark: name, questions, images, metric, title; "-" where its annotation is not there. */
int eval_list(const struct settings *s);

/* Results as a table or, with --json, as one object; and as a page, if one is wanted. */
int eval_tell(const struct evaluation *v, size_t n, const struct settings *s);

/* Perplexity and next-token accuracy of a text. */
int eval_text(struct settings *s);

#endif
