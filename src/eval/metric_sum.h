/*
 * metric_sum.h - what the metrics have in common when they sum up: a growing list of figures, means with their intervals, and divisions of
 * the answers by what their records say (category, kind, group).
 */
#ifndef SPHINX_EVAL_METRIC_SUM_H
#define SPHINX_EVAL_METRIC_SUM_H

#include "eval/interval.h"
#include "eval/metric.h"

/* One sum_up at work. */
struct sum {
    struct figures *figures;
    const struct answered *answered; /* [n] */
    size_t n, capacity;
    struct arena *arena;
    struct err *err;
};

/* Counts answers, malformed and pending ones; no figures yet. */
void sum_begin(struct sum *s, struct figures *f, const struct answered *answered, size_t n, struct arena *a,
               struct err *e);

enum status sum_figure(struct sum *s, const char *name, double value, struct interval range, size_t n);
/* scale times the mean of value [n], with its interval; NaN for n 0. */
enum status sum_mean(struct sum *s, const char *name, const double *value, size_t n, double scale);

/* The scores of all answers. NULL: no memory, and the error is set. */
double *sum_scores(struct sum *s);

/* Things with a key in common: index [n] in ascending order. */
struct division {
    const char *key;
    const size_t *index;
    size_t n;
};

/* Divides the things 0 .. n-1 by key [n], NULL keys in no division; sorted by key. From s's arena. */
enum status sum_divide(struct sum *s, const char *const *key, size_t n, struct division **division,
                       size_t *n_divisions);
/* Divides the answers by a text of their records: the field at `offset`, for instance offsetof(struct record, category). */
enum status sum_divide_records(struct sum *s, size_t offset, struct division **division, size_t *n_divisions);

/* A figure "PREFIX: KEY" for each division of the answers by the field at `offset`: 100 times the mean of value, [n] of the answers. */
enum status sum_by(struct sum *s, const char *prefix, size_t offset, const double *value);

/* What exact match, box accuracy and their like come to: `name`, 100 times the mean score, and the same by category and by kind. With
 * "mean_of_categories" among the options the first is the mean of the categories'. */
enum status sum_usual(struct sum *s, const char *name, const struct benchmark *b);

/* Whether the entry's options hold `key` and it is true. */
bool option_true(const struct benchmark *b, const char *key);
/* BAD_FORMAT unless `key` is absent or a bool. */
enum status option_check_bool(const json_t *options, const char *key, struct err *e);

#endif
