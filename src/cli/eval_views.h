/*
 * eval_views.h - what `sphinx eval` prints: the benchmarks that there are, results, how well a text is foreseen. Each returns the exit code.
 */
#ifndef SPHINX_CLI_EVAL_VIEWS_H
#define SPHINX_CLI_EVAL_VIEWS_H

#include <jansson.h>
#include <stdio.h>

#include "cli/options.h"
#include "eval/evaluation.h"

/* A line a benchmark: name, questions, images, metric, title; "-" where its annotation is not there. */
int eval_list(const struct settings *s);

/* Results as a table or, with --json, as one object; and as a page, if one is wanted. */
int eval_tell(const struct evaluation *v, size_t n, const struct settings *s);

/* Perplexity and next-token accuracy of a text. */
int eval_text(struct settings *s);

/* Two folders of answers, the operands: how they differ. */
int eval_compare(const struct settings *s);

/* The benchmarks under the settings of --grid, each in a folder of its own below `output`. */
int eval_grid(struct settings *s, const char *output);

/* Prints what a function writes to a stream; or JSON, which it gives back. */
typedef enum status (*eval_writer)(FILE *f, const void *what, struct err *e);
int eval_print(eval_writer write, const void *what);
int eval_print_json(json_t *json);

#endif
