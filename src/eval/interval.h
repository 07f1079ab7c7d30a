/*
 * interval.h - how much of a figure is luck: 95 % confidence intervals, and whether two runs on the same questions differ.
 *
 * Which, and why:
 *   a share of right answers       Wilson's score interval: right for few answers and for shares near 0 and 1, where the usual
 *                                  mean +- 1.96 s gives impossible or empty intervals (Wilson 1927; Brown, Cai, DasGupta 2001)
 *   a mean of graded scores        bootstrap percentiles over the answers (Efron 1979): asks nothing of the scores' distribution. Above
 *                                  INTERVAL_BOOTSTRAP_MAX answers the normal approximation, which the bootstrap then reproduces
 *   anything else (F1, AP, sums)   the same bootstrap, the figure computed anew from each resample; over groups where records
 *                                  are only right together, since such records are not independent
 *   two runs, scores 0 or 1        McNemar's exact test: of the questions that one run alone got right, were more one's than a fair coin
 *                                  gives?
 *   two runs, graded scores        sign-flip permutation test of the mean difference: exact up to INTERVAL_EXACT_MAX questions that
 *                                  differ, else of INTERVAL_FLIPS random flips, the observed one counted in (so p is never 0)
 *
 * Everything is deterministic: random numbers depend on their position alone. Resamples and flips number INTERVAL_RESAMPLES and
 * INTERVAL_FLIPS, so a p below 1e-4 is not resolved by the latter.
 */
#ifndef SPHINX_EVAL_INTERVAL_H
#define SPHINX_EVAL_INTERVAL_H

#include "core/arena.h"
#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    INTERVAL_RESAMPLES = 1000,
    INTERVAL_BOOTSTRAP_MAX = 2000,
    INTERVAL_FLIPS = 10000,
    INTERVAL_EXACT_MAX = 16,
};

struct interval {
    double low, high; /* NaN: there is none */
};

/* Wilson's for hits of n. n 0: none. */
struct interval interval_share(double hits, size_t n);

/* Of the mean of value [n]: Wilson's where all are 0 or 1; else as above. n below 2: none. Work memory from a, given back. */
enum status interval_mean(struct interval *out, const double *value, size_t n, struct arena *a,
                          struct err *e);

/* As wide as `range`, with `value` in its middle, within 0 .. 100: for figures in per cent that resampling shifts. */
struct interval interval_around(double value, struct interval range);

/* Writes the n_figures figures of a resample in which unit i occurs count[i] times. NaN: cannot be computed from it. */
typedef void (*interval_statistic)(void *user, const uint32_t *count, double *figure);

/* Intervals out [n_figures] of figures of n units. Units of the same stratum (0, 1, ... in ascending order; NULL: one for all) are drawn
 * among themselves, as many as there are: for figures of parts whose sizes are fixed. Resamples without the figure are left out; fewer than
 * half: none. n below 2: none. */
enum status interval_bootstrap(struct interval *out, size_t n_figures, size_t n, const uint32_t *stratum,
                               size_t resamples, interval_statistic statistic, void *user, struct arena *a,
                               struct err *e);

/* Two runs on the same questions. */
struct paired_test {
    const char *method;          /* "McNemar, exact", "sign flips, exact", "sign flips, 10000 random" */
    size_t n, n_better, n_worse; /* questions; where b scored more than a, and less */
    double difference;           /* mean of b - a */
    struct interval interval;    /* of it: bootstrap over questions */
    double p;                    /* two-sided */
};

/* a, b [n] scores of the same questions. */
enum status paired_test(struct paired_test *t, const double *a, const double *b, size_t n,
                        struct arena *memory, struct err *e);

#endif
