/*
 * cmd_eval.c - benchmarks put to a model, one after the other, and what came of them; or another way to look at a model or at runs.
 *
 *   tasks ── each: dataset_read ── trial_run ── a folder of answers ── evaluation_open ── table, JSON, page
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/eval_views.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/questions.h"
#include "core/file.h"
#include "eval/report.h"
#include "eval/task_list.h"
#include "eval/trial.h"

#define OUTPUT_DEFAULT "sphinx-eval"

struct eval_command {
    struct setup setup;
    struct ranks ranks;
    struct task_list tasks;
    struct report report; /* of missing images */
    const struct task *task;
    char **directories;         /* [tasks.n] where its answers are; NULL: it was left out */
    size_t n_missing, n_failed; /* questions without an answer */
};

static const char *data_of(const struct settings *s)
{
    return s->data != NULL ? s->data : "";
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

static void on_warning(void *user, const char *text)
{
    struct eval_command *c = user;

    c->setup.report.warn(c->setup.report.user, text);
}

static void on_progress(void *user, const struct trial_progress *p)
{
    struct eval_command *c = user;
    struct questions_state state = { .name = c->task->benchmark->name,
                                     .done = p->done,
                                     .total = p->total,
                                     .asked = p->asked,
                                     .seconds = p->seconds,
                                     .right = p->right };

    questions_show(&c->setup, &state);
}

static int say_totals(struct eval_command *c, const struct trial_totals *t, const char *directory, int code)
{
    const struct settings *s = c->setup.settings;

    progress_bar_clear(&c->setup.bar);
    questions_speed(&c->setup, &t->runner);
    c->n_missing += t->n_missing;
    c->n_failed += t->n_failed;
    if (s->quiet) return code;
    if (code == CODE_INTERRUPTED)
        message("stopped; %s has answers to %zu of %zu questions, and the same command goes on", directory,
                t->n_known + t->n_asked, t->n_chosen);
    else if (t->n_known > 0)
        message("%s: %zu of %zu questions had an answer already", c->task->benchmark->name, t->n_known,
                t->n_chosen);
    return code;
}

static int run_trial(struct eval_command *c, const struct dataset *d, const char *directory)
{
    const struct settings *s = c->setup.settings;
    struct trial_options o = { .data = data_of(s),
                               .directory = directory,
                               .limit = s->limit,
                               .sample = s->sample,
                               .sample_seed = s->ask.seed,
                               .force = s->force,
                               .settings = questions_settings(&c->setup),
                               .runner = questions_options(&c->setup),
                               .ranks = &c->ranks,
                               .report = &c->report,
                               .progress = on_progress,
                               .user = c };
    struct trial_totals totals;
    struct err e = { 0 };
    enum status st;

    if (o.settings == NULL) return fail("out of memory for the settings");
    interrupt_begin(NULL);
    st = trial_run(c->setup.model, d, &o, &totals, &e);
    interrupt_end();
    json_decref(o.settings);
    return say_totals(c, &totals, directory, st == STATUS_OK ? CODE_OK : questions_failed(&c->setup, &e));
}

/* The folder of a task: the one that was named, or of several tasks one each in it. malloc'ed. */
static char *directory_of(const struct eval_command *c)
{
    const struct settings *s = c->setup.settings;
    const char *output = s->output != NULL ? s->output : OUTPUT_DEFAULT;

    return c->tasks.n > 1 ? path_join(output, c->task->benchmark->name) : strdup(output);
}

/* One of "all" whose annotation is not there leaves *directory NULL. */
static int run_task(struct eval_command *c, char **directory)
{
    const struct settings *s = c->setup.settings;
    struct dataset d;
    struct err e = { 0 };
    enum status st = dataset_read(&d, c->task->benchmark, data_of(s), &e);
    int code;

    if (st == STATUS_NOT_FOUND && c->task->optional) {
        if (!s->quiet) message("%s is left out: %s", c->task->benchmark->name, e.text);
        return CODE_OK;
    }
    if (st != STATUS_OK) return fail("%s", e.text);
    *directory = directory_of(c);
    code = *directory != NULL ? run_trial(c, &d, *directory) : fail("out of memory");
    dataset_free(&d);
    return code;
}

static int run_tasks(struct eval_command *c)
{
    int code = CODE_OK;

    c->directories = calloc(c->tasks.n + 1, sizeof *c->directories);
    if (c->directories == NULL) return fail("out of memory");
    for (size_t i = 0; i < c->tasks.n && code == CODE_OK; i++) {
        c->task = &c->tasks.items[i];
        code = run_task(c, &c->directories[i]);
    }
    return code;
}

/* ---- telling ---------------------------------------------------------------------------------------------------- */

/* What outside scorers want goes beside the answers. */
static enum status open_evaluation(const struct eval_command *c, const struct task *task,
                                   const char *directory, struct evaluation *v, struct err *e)
{
    const struct settings *s = c->setup.settings;
    const struct metric *metric = task->benchmark->metric;
    enum status st = evaluation_open(v, task->table, directory, data_of(s), s->dedup, e);

    if (st == STATUS_OK && metric->save != NULL)
        st = metric->save(task->benchmark, v->answered, v->n, directory, e);
    return st;
}

static int tell(struct eval_command *c)
{
    struct evaluation *v = calloc(c->tasks.n + 1, sizeof *v);
    const struct settings *s = c->setup.settings;
    struct err e = { 0 };
    enum status st = v != NULL ? STATUS_OK : err_no_memory(&e, "results");
    size_t n = 0;
    int code;

    for (size_t i = 0; i < c->tasks.n && st == STATUS_OK; i++)
        if (c->directories[i] != NULL)
            st = open_evaluation(c, &c->tasks.items[i], c->directories[i], &v[n++], &e);
    code = st == STATUS_OK ? eval_tell(v, n, s) : fail("%s", e.text);
    for (size_t i = 0; i < n; i++) evaluation_close(&v[i]);
    free(v);
    return code;
}

static int end(const struct eval_command *c)
{
    size_t n = c->n_missing + c->n_failed;

    if (n == 0) return CODE_OK;
    return fail("%zu questions have no answer and count as wrong: of %zu the image was not found", n,
                c->n_missing);
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

static int check(const struct settings *s)
{
    int code = arguments_check(s);

    if (code == CODE_OK && s->tasks.count == 0)
        return usage_error(s->command, "which benchmarks? --task NAME; --list shows them");
    if (code == CODE_OK && s->operands.count > 0)
        return usage_error(s->command, "'%s': folders are named with --compare only", s->operands.item[0]);
    if (code == CODE_OK && s->report_page != NULL) return arguments_check_output("--report", s->report_page);
    return code;
}

static int eval_tasks(struct settings *s)
{
    struct eval_command c = { 0 };
    struct err e = { 0 };
    int code = check(s);

    if (code == CODE_OK) code = questions_begin(&c.ranks, s);
    c.report = (struct report){ .warn = on_warning, .user = &c };
    if (code == CODE_OK &&
        task_list_open(&c.tasks, s->tasks.item, s->tasks.count, s->quirks, &e) != STATUS_OK)
        code = fail("%s", e.text);
    if (code == CODE_OK) code = questions_setup(&c.setup, s);
    if (code == CODE_OK) code = run_tasks(&c);
    if (code == CODE_OK && c.ranks.rank == 0) code = tell(&c);
    if (code == CODE_OK && c.ranks.rank == 0) code = end(&c);
    for (size_t i = 0; c.directories != NULL && i < c.tasks.n; i++) free(c.directories[i]);
    free(c.directories);
    setup_close(&c.setup);
    task_list_close(&c.tasks);
    ranks_end(&c.ranks);
    return code;
}

int cmd_eval(struct settings *s)
{
    if (s->list) return eval_list(s);
    if (s->text != NULL) return eval_text(s);
    if (s->compare) return eval_compare(s);
    return eval_tasks(s);
}
