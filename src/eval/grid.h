/*
 * grid.h - one file of settings in, one table of scores out.
 *
 *     {"settings": {"limit": 500, "cache-type-k": "f16"},                 of every cell
 *      "axes": {"model": ["SPHINX", "SPHINX-1k", "A:0.3,B:0.7"],          every combination is a cell, the last axis fastest
 *               "without": ["", "clip", "view0"],
 *               "template": ["{}", "{}\nAnswer the question using a single word or phrase."]},
 *      "cells": [{"temp": 0.2}]}                                    further cells, one by one
 *
 * Names are options of `sphinx eval`, less their dashes; whether an option is known, and what it may be, is said by whoever applies
 * them. Values are texts, numbers, true for a flag, or a list of texts for an option that may be given several times; "", false and null
 * leave the option alone.
 *
 *   file ── grid_read ── cells ── each a run with a folder of its own ── evaluations ── grid_text, grid_json
 */
#ifndef SPHINX_EVAL_GRID_H
#define SPHINX_EVAL_GRID_H

#include "eval/evaluation.h"

struct grid_setting {
    const char *option;        /* "cache-type-k" */
    const char *const *values; /* [n_values]; none: a flag */
    size_t n_values;
    bool own; /* the cell's, not of every cell */
};

struct grid_cell {
    const char *
        name; /* for a folder: letters, digits and "._=-" only, different for different settings, the same in every run */
    const char *label;             /* "without clip, cache-type-k q8_0": what is not the same in all cells */
    struct grid_setting *settings; /* [n] those of every cell first, less those that it has itself */
    size_t n;
    json_t *json; /* the same, as an object */
};

struct grid {
    struct grid_cell *cells; /* [n] */
    size_t n;
    struct arena arena;
};

/* Errors name file and key: BAD_FORMAT, also for two cells with the same settings. */
enum status grid_read(struct grid *g, const char *path, struct err *e);
void grid_free(struct grid *g); /* accepts a zeroed one */

/* v [g->n, n_benchmarks], the same benchmarks in every cell. A row a cell, scores and intervals side by side. */
enum status grid_text(FILE *f, const struct grid *g, const struct evaluation *v, size_t n_benchmarks,
                      struct err *e);
/* {"cells": [{"name", "label", "settings", "benchmarks": [as in report_json]}]}. NULL: no memory. */
json_t *grid_json(const struct grid *g, const struct evaluation *v, size_t n_benchmarks);

#endif
