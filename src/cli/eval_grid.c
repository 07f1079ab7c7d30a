/*
 * eval_grid.c - see eval_views.h: the benchmarks under many settings, each of them a run with a folder of its own below OUTPUT, so that a
 * grid that was stopped goes on where it was.
 *
 *   file ── grid_read ── cells ── options_apply ── eval_run_tasks ── evaluations ── one table, JSON, page
 */
#include <stdlib.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/eval_run.h"
#include "cli/eval_views.h"
#include "cli/message.h"
#include "cli/questions.h"
#include "core/file.h"
#include "eval/grid.h"

/* What is the same for all cells, or would lead out of them. */
#define NOT_OF_A_CELL                                                                                        \
    "task dataset data img_root output grid compare report json list text upstream-dedup help version "      \
    "quiet verbose"

struct cell {
    struct settings settings;
    struct task_list tasks; /* its own: a template changes them */
    struct eval_run run;
};

struct grid_run {
    struct settings *settings;
    struct grid grid;
    struct ranks ranks;
    struct cell *cells;   /* [grid.n] */
    struct evaluation *v; /* [n], cell by cell */
    size_t n, per_cell;
};

static int set_up_cell(struct cell *c, const struct settings *base, const struct grid_cell *from)
{
    struct task_changes changes;
    struct err e = { 0 };
    int code = settings_copy(&c->settings, base) ? CODE_OK : fail("out of memory");

    for (size_t i = 0; i < from->n && code == CODE_OK; i++) {
        const struct grid_setting *g = &from->settings[i];

        if (words_have(NOT_OF_A_CELL, g->option))
            return usage_error(base->command,
                               "--grid: '%s' is the same for all cells: it is given on the command line",
                               g->option);
        code = options_apply(&c->settings, g->option, g->values, g->n_values);
    }
    if (code == CODE_OK) code = arguments_check(&c->settings);
    changes = (struct task_changes){ .quirks = c->settings.quirks, .template = c->settings.template };
    if (code == CODE_OK &&
        task_list_open(&c->tasks, c->settings.tasks.item, c->settings.tasks.count, &changes, &e) != STATUS_OK)
        return fail("%s", e.text);
    return code;
}

/* All of them before the first is run: what is wrong with the last is said at once. */
static int set_up(struct grid_run *r)
{
    struct err e = { 0 };
    int code = CODE_OK;

    if (grid_read(&r->grid, r->settings->grid, &e) != STATUS_OK) return fail("%s", e.text);
    r->cells = calloc(r->grid.n, sizeof *r->cells);
    if (r->cells == NULL) return fail("out of memory");
    for (size_t i = 0; i < r->grid.n && code == CODE_OK; i++)
        code = set_up_cell(&r->cells[i], r->settings, &r->grid.cells[i]);
    if (code != CODE_OK) return code;
    r->v = calloc(r->grid.n * r->cells[0].tasks.n + 1, sizeof *r->v);
    return r->v != NULL ? CODE_OK : fail("out of memory");
}

/* With several benchmarks a cell's name alone would not tell them apart. */
static int set_labels(struct grid_run *r, const struct grid_cell *g, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct evaluation *v = &r->v[r->n + i];

        v->label =
            n == 1 ? g->label : arena_printf(&r->grid.arena, "%s: %s", v->dataset.benchmark->title, g->label);
        if (v->label == NULL) return fail("out of memory");
    }
    return CODE_OK;
}

static int run_cell(struct grid_run *r, size_t i, const char *output)
{
    const struct grid_cell *g = &r->grid.cells[i];
    struct cell *c = &r->cells[i];
    char *folder = path_join(output, g->name);
    size_t n = 0;
    int code;

    if (folder == NULL) return fail("out of memory");
    if (!r->settings->quiet) message("cell %zu of %zu: %s", i + 1, r->grid.n, g->label);
    code = eval_run_tasks(&c->run, &c->settings, &r->ranks, &c->tasks, folder);
    if (code == CODE_OK && r->ranks.rank == 0) code = eval_run_results(&c->run, r->v + r->n, &n);
    if (code == CODE_OK) code = set_labels(r, g, n);
    r->n += n;
    r->per_cell = n;
    free(folder);
    return code;
}

static enum status write_grid(FILE *f, const void *what, struct err *e)
{
    const struct grid_run *r = what;

    return grid_text(f, &r->grid, r->v, r->per_cell, e);
}

static int tell(const struct grid_run *r)
{
    const struct settings *s = r->settings;
    struct err e = { 0 };
    int code = s->json ? eval_print_json(grid_json(&r->grid, r->v, r->per_cell)) : eval_print(write_grid, r);

    if (code != CODE_OK || s->report_page == NULL) return code;
    if (report_html(s->report_page, r->v, r->n, s->data != NULL ? s->data : "", &e) == STATUS_OK)
        return CODE_OK;
    return fail("%s", e.text);
}

static int end(const struct grid_run *r)
{
    size_t missing = 0, failed = 0;

    for (size_t i = 0; i < r->grid.n; i++) {
        missing += r->cells[i].run.n_missing;
        failed += r->cells[i].run.n_failed;
    }
    if (missing + failed == 0) return CODE_OK;
    return fail(
        "%zu questions of all cells have no answer and count as wrong: of %zu the image was not found",
        missing + failed, missing);
}

static void close_all(struct grid_run *r)
{
    for (size_t i = 0; i < r->n; i++) evaluation_close(&r->v[i]);
    free(r->v);
    for (size_t i = 0; r->cells != NULL && i < r->grid.n; i++) {
        eval_run_close(&r->cells[i].run);
        task_list_close(&r->cells[i].tasks);
        settings_free(&r->cells[i].settings);
    }
    free(r->cells);
    grid_free(&r->grid);
    ranks_end(&r->ranks);
}

int eval_grid(struct settings *s, const char *output)
{
    struct grid_run r = { .settings = s };
    int code = questions_begin(&r.ranks, s);

    if (code == CODE_OK) code = set_up(&r);
    for (size_t i = 0; i < r.grid.n && code == CODE_OK; i++) code = run_cell(&r, i, output);
    if (code == CODE_OK && r.ranks.rank == 0) code = tell(&r);
    if (code == CODE_OK && r.ranks.rank == 0) code = end(&r);
    close_all(&r);
    return code;
}
