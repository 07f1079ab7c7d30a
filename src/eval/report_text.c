/*
 * report_text.c - the table that `sphinx eval` prints.
 *
 *                             95 %          SPHINX  SPHINX             mal-
 *   benchmark       score  interval  SPHINX    -1k     -2k  answers  formed  missing
 *   ─────────────────────────────────────────────────────────────────────────────────
 *   OKVQA           61.90  60.6–63.2  62.08  62.21   62.60     5046       0        0
 *
 * and below it the parts of those benchmarks that have some, in the same columns.
 */
#include "eval/evaluation.h"

#include "eval/table.h"

#include <math.h>
#include <string.h>

enum { MODELS = 3, COLUMNS = 3 + MODELS + 3 };

/* "SPHINX-1k" in two lines: "SPHINX", "-1k". */
static bool split_head(struct table_column *c, const char *model, struct arena *a)
{
    const char *dash = strrchr(model, '-');

    c->right = true;
    c->head[0] = "";
    c->head[1] = model;
    if (dash == NULL || dash == model) return true;
    c->head[0] = arena_printf(a, "%.*s", (int)(dash - model), model);
    c->head[1] = dash;
    return c->head[0] != NULL;
}

struct layout {
    struct table_column columns[COLUMNS];
    const char *models[MODELS];
    size_t n_models;
};

static bool lay_out(struct layout *l, const struct evaluation *v, size_t n, const char *first,
                    struct arena *a)
{
    struct table_column *c = l->columns;

    l->n_models = evaluation_models(v, n, l->models, MODELS);
    *c++ = (struct table_column){ { "", first }, false };
    *c++ = (struct table_column){ { "", "score" }, true };
    *c++ = (struct table_column){ { "95 %", "interval" }, true };
    for (size_t i = 0; i < l->n_models; i++)
        if (!split_head(c++, l->models[i], a)) return false;
    *c++ = (struct table_column){ { "", "answers" }, true };
    *c++ = (struct table_column){ { "mal-", "formed" }, true };
    *c = (struct table_column){ { "miss-", "ing" }, true };
    return true;
}

/* The cells that tell one figure. */
static void figure_cells(const char **row, const struct layout *l, const struct evaluation *v, size_t figure,
                         struct arena *a)
{
    const char *unit = v->dataset.benchmark->metric->unit;
    const struct figure *f = &v->figures.item[figure];

    row[1] = figure_text(f->value, unit, 0, a);
    row[2] = interval_text(f->low, f->high, unit, a);
    for (size_t i = 0; i < l->n_models; i++) {
        double published = evaluation_published(v, figure, l->models[i]);

        row[3 + i] = isnan(published) ? "" : figure_text(published, unit, 0, a);
    }
}

static enum status print_scores(FILE *f, const struct evaluation *v, size_t n, struct arena *a, struct err *e)
{
    struct layout l;
    struct table t = { .columns = l.columns, .arena = a };

    if (!lay_out(&l, v, n, "benchmark", a)) return err_no_memory(e, "a report");
    t.n_columns = 6 + (int)l.n_models;
    for (size_t i = 0; i < n; i++) {
        const char **row = table_row(&t), **counts;

        if (row == NULL) return err_no_memory(e, "a report");
        row[0] = evaluation_name(&v[i]);
        if (v[i].figures.n > 0) figure_cells(row, &l, &v[i], 0, a);
        counts = row + 3 + l.n_models;
        counts[0] = arena_printf(a, "%zu", v[i].n - v[i].n_missing - v[i].n_failed);
        counts[1] = arena_printf(a, "%zu", v[i].figures.n_malformed);
        counts[2] = arena_printf(a, "%zu", v[i].n_missing);
    }
    return table_print(f, &t, TABLE_WIDTH, e);
}

static enum status print_parts(FILE *f, const struct evaluation *v, size_t n, struct arena *a, struct err *e)
{
    struct layout l;
    struct table t = { .columns = l.columns, .arena = a };

    if (!lay_out(&l, v, n, "part", a)) return err_no_memory(e, "a report");
    t.n_columns = 4 + (int)l.n_models;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = v[i].figures.n > 1 ? 0 : 1; k < v[i].figures.n; k++) {
            const char **row = table_row(&t);

            if (row != NULL && k == 0) {
                row[0] = evaluation_name(&v[i]);
                row = table_row(&t);
            }
            if (row == NULL) return err_no_memory(e, "a report");
            row[0] = arena_printf(a, "  %s", v[i].figures.item[k].name);
            figure_cells(row, &l, &v[i], k, a);
            row[3 + l.n_models] = arena_printf(a, "%zu", v[i].figures.item[k].n);
        }
    }
    if (t.n_rows == 0) return STATUS_OK;
    fputc('\n', f);
    return table_print(f, &t, TABLE_WIDTH, e);
}

/* What the table's numbers do not say by themselves, a sentence each. */
static void print_notes(FILE *f, const struct evaluation *v)
{
    const char *name = evaluation_name(v);

    for (const char *line = v->dataset.remarks; line != NULL && line[0] != '\0';) {
        size_t n = strcspn(line, "\n");

        fprintf(f, "%s: %.*s\n", name, (int)n, line);
        line += n + (line[n] == '\n');
    }
    if (v->n < v->dataset.n) fprintf(f, "%s: %zu of %zu questions were asked.\n", name, v->n, v->dataset.n);
    if (v->n_missing > 0)
        fprintf(f, "%s: not found were the images of %zu question%s; they count as wrong.\n", name,
                v->n_missing, v->n_missing == 1 ? "" : "s");
    if (v->n_failed > 0)
        fprintf(f, "%s: no answer for other reasons to %zu question%s; they count as wrong.\n", name,
                v->n_failed, v->n_failed == 1 ? "" : "s");
    if (v->figures.n_pending > 0) fprintf(f, "%s: waiting for a judge: %zu.\n", name, v->figures.n_pending);
}

enum status report_text(FILE *f, const struct evaluation *v, size_t n, struct err *e)
{
    struct arena a = { 0 };
    enum status st;

    st = print_scores(f, v, n, &a, e);
    for (size_t i = 0; i < n && st == STATUS_OK; i++) print_notes(f, &v[i]);
    if (st == STATUS_OK) st = print_parts(f, v, n, &a, e);
    arena_free(&a);
    if (st == STATUS_OK && ferror(f)) return err_set(e, STATUS_IO, "the report cannot be written");
    return st;
}
