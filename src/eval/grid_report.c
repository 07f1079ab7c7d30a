/* grid_report.c - see grid.h: what the cells came to. */
#include "eval/grid.h"

#include "eval/table.h"

#include <stdlib.h>

/* Two columns a benchmark while they fit beside a label of some length, else the scores alone. */
enum { INTERVALS_MAX = 2, BENCHMARKS_MAX = 30, HEAD_MAX = 12 };

/* "Score of RefCOCO testA" has no room: the title stands above, cut. */
static bool set_heads(struct table_column *c, const struct evaluation *v, bool intervals, struct arena *a)
{
    char *title = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&title, &size);

    if (f == NULL) return false;
    text_print(f, v->dataset.benchmark->title, HEAD_MAX);
    if (fclose(f) != 0) return false;
    c[0] = (struct table_column){ { arena_strdup(a, title), intervals ? "score" : "" }, true };
    if (intervals) c[1] = (struct table_column){ { "95 %", "interval" }, true };
    free(title);
    return c[0].head[0] != NULL;
}

enum status grid_text(FILE *f, const struct grid *g, const struct evaluation *v, size_t n_benchmarks,
                      struct err *e)
{
    struct table_column columns[1 + BENCHMARKS_MAX + INTERVALS_MAX] = { { { "", "cell" }, false } };
    bool intervals = n_benchmarks <= INTERVALS_MAX;
    size_t step = intervals ? 2 : 1, n = n_benchmarks < BENCHMARKS_MAX ? n_benchmarks : BENCHMARKS_MAX;
    struct arena a = { 0 };
    struct table t = { .columns = columns, .n_columns = (int)(1 + step * n), .arena = &a };
    bool ok = true;
    enum status st;

    for (size_t k = 0; k < n && ok; k++) ok = set_heads(&columns[1 + step * k], &v[k], intervals, &a);
    for (size_t i = 0; i < g->n && ok; i++) {
        const char **row = table_row(&t);

        ok = row != NULL;
        if (ok) row[0] = g->cells[i].label;
        for (size_t k = 0; k < n && ok; k++) {
            const struct evaluation *x = &v[i * n_benchmarks + k];
            const char *unit = x->dataset.benchmark->metric->unit;

            if (x->figures.n == 0) continue;
            row[1 + step * k] = figure_text(x->figures.item[0].value, unit, 0, &a);
            if (intervals)
                row[2 + step * k] = interval_text(x->figures.item[0].low, x->figures.item[0].high, unit, &a);
        }
    }
    st = ok ? table_print(f, &t, TABLE_WIDTH, e) : err_no_memory(e, "the table of a grid");
    arena_free(&a);
    return st;
}

json_t *grid_json(const struct grid *g, const struct evaluation *v, size_t n_benchmarks)
{
    json_t *cells = json_array();

    for (size_t i = 0; i < g->n; i++) {
        json_t *report = report_json(v + i * n_benchmarks, n_benchmarks);
        json_t *o =
            json_pack("{s:s, s:s, s:O, s:O}", "name", g->cells[i].name, "label", g->cells[i].label,
                      "settings", g->cells[i].json, "benchmarks", json_object_get(report, "benchmarks"));

        json_decref(report);
        if (json_array_append_new(cells, o) != 0) {
            json_decref(cells);
            return NULL;
        }
    }
    return json_pack("{s:o}", "cells", cells);
}
