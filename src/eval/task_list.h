/*
 * task_list.h - from what a user names to benchmarks: names of the program's own, files with more of them, or all.
 */
#ifndef SPHINX_EVAL_TASK_LIST_H
#define SPHINX_EVAL_TASK_LIST_H

#include "eval/benchmark.h"

struct task {
    const struct benchmark *benchmark;
    const struct benchmark_table *table; /* that it stands in */
    bool optional;                       /* one of "all": left out where its annotation is not there */
};

struct task_list {
    struct task *items; /* [n] no benchmark twice */
    size_t n;
    struct benchmark_table *tables; /* [n_tables] the program's own first */
    size_t n_tables;
};

/* How all entries are changed. */
struct task_changes {
    bool quirks;          /* they have the option "upstream_quirks" */
    const char *template; /* in place of "prompt"; NULL: none */
};

/* names [n_names]: each a benchmark's name, a file of entries (its name ends in ".json"), "all", or several of these separated by
 * commas. */
enum status task_list_open(struct task_list *l, const char *const *names, size_t n_names,
                           const struct task_changes *changes, struct err *e);
void task_list_close(struct task_list *l); /* accepts a zeroed one */

#endif
