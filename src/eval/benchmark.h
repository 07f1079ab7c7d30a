/*
 * benchmark.h - what a benchmark is: a few lines that name a reader, a prompt, how to decode, a metric, and what was published.
 *
 * Those that come with the program are entries of benchmarks.json beside this file, which the build puts into the binary; a user's
 * own are files of the same form, named on the command line in place of a name. One entry:
 *
 *     "okvqa_val": {
 *       "title": "OKVQA",
 *       "reader": "unified",                                        see reader.h
 *       "files": {"annotation": "annotations/okvqa_val.json", ...}, tried in turn where a list; by the reader's names
 *       "prompt": "{}\nAnswer the question using a single word or phrase.",
 *       "answer_prefix": "", "max_tokens": 10,
 *       "metric": "vqa", "options": {...},                          see metric.h, and mapping.h and join.h for the reader's
 *       "published": {"SPHINX": 62.08, "SPHINX-1k": 62.21, "SPHINX-2k": 62.6}
 *     }
 */
#ifndef SPHINX_EVAL_BENCHMARK_H
#define SPHINX_EVAL_BENCHMARK_H

#include "core/arena.h"
#include "core/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct metric;
struct reader;

struct published {
    const char *model; /* "SPHINX", "SPHINX-1k", "SPHINX-2k" */
    const char *part;  /* which of the metric's figures, "" the main one */
    double value;      /* in the metric's unit */
};

struct benchmark {
    const char *name, *title;
    const struct reader *reader;
    const struct metric *metric;
    const char *prompt; /* with one {}, or several, or names in braces: record_prompt */
    const char *answer_prefix;
    int max_tokens;
    json_t *files;                     /* object of strings or lists of strings; borrowed from the table */
    json_t *options;                   /* of the reader and the metric; NULL: none */
    const struct published *published; /* [n_published] */
    size_t n_published;
};

struct benchmark_table {
    struct benchmark *rows; /* [n], in the order of the file */
    size_t n;
    json_t *json;
    struct arena arena;
};

/* The program's own. */
enum status benchmark_table_builtin(struct benchmark_table *t, struct err *e);
/* Those of a user's file: an object of entries. Errors name file, entry, key. */
enum status benchmark_table_read(struct benchmark_table *t, const char *path, struct err *e);
void benchmark_table_free(struct benchmark_table *t); /* accepts a zeroed one */

/* NULL if there is none. */
const struct benchmark *benchmark_find(const struct benchmark_table *t, const char *name);

#endif
