/* eval_run.c - see eval_run.h. */
#include "cli/eval_run.h"

#include <stdlib.h>
#include <string.h>

#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/questions.h"
#include "core/file.h"
#include "eval/trial.h"

/* A run while its model is open. */
struct asking {
    struct eval_run *run;
    struct setup setup;
    struct report report; /* of missing images */
    const struct task *task;
};

static const char *data_of(const struct settings *s)
{
    return s->data != NULL ? s->data : "";
}

static void on_warning(void *user, const char *text)
{
    struct asking *a = user;

    a->setup.report.warn(a->setup.report.user, text);
}

static void on_progress(void *user, const struct trial_progress *p)
{
    struct asking *a = user;
    struct questions_state state = { .name = a->task->benchmark->name,
                                     .done = p->done,
                                     .total = p->total,
                                     .asked = p->asked,
                                     .seconds = p->seconds,
                                     .right = p->right };

    questions_show(&a->setup, &state);
}

static int say_totals(struct asking *a, const struct trial_totals *t, const char *directory, int code)
{
    progress_bar_clear(&a->setup.bar);
    questions_speed(&a->setup, &t->runner);
    a->run->n_missing += t->n_missing;
    a->run->n_failed += t->n_failed;
    if (a->run->settings->quiet) return code;
    if (code == CODE_INTERRUPTED)
        message("stopped; %s has answers to %zu of %zu questions, and the same command goes on", directory,
                t->n_known + t->n_asked, t->n_chosen);
    else if (t->n_known > 0)
        message("%s: %zu of %zu questions had an answer already", a->task->benchmark->name, t->n_known,
                t->n_chosen);
    return code;
}

static int run_trial(struct asking *a, const struct dataset *d, const char *directory)
{
    const struct settings *s = a->run->settings;
    struct trial_options o = { .data = data_of(s),
                               .directory = directory,
                               .limit = s->limit,
                               .sample = s->sample,
                               .sample_seed = s->ask.seed,
                               .force = s->force,
                               .settings = questions_settings(&a->setup),
                               .runner = questions_options(&a->setup),
                               .ranks = a->run->ranks,
                               .report = &a->report,
                               .progress = on_progress,
                               .user = a };
    struct trial_totals totals;
    struct err e = { 0 };
    enum status st;

    if (o.settings == NULL) return fail("out of memory for the settings");
    interrupt_begin(NULL);
    st = trial_run(a->setup.model, d, &o, &totals, &e);
    interrupt_end();
    json_decref(o.settings);
    return say_totals(a, &totals, directory, st == STATUS_OK ? CODE_OK : questions_failed(&a->setup, &e));
}

/* One of "all" whose annotation is not there, or not to be understood, leaves *directory NULL. */
static int run_task(struct asking *a, const char *output, char **directory)
{
    const struct settings *s = a->run->settings;
    const struct benchmark *b = a->task->benchmark;
    struct dataset d;
    struct err e = { 0 };
    enum status st = dataset_read(&d, b, data_of(s), &e);
    int code;

    if ((st == STATUS_NOT_FOUND || st == STATUS_BAD_FORMAT) && a->task->optional) {
        if (!s->quiet) message("%s is left out: %s", b->name, e.text);
        return CODE_OK;
    }
    if (st != STATUS_OK) return fail("%s", e.text);
    *directory = a->run->tasks->n > 1 ? path_join(output, b->name) : strdup(output);
    code = *directory != NULL ? run_trial(a, &d, *directory) : fail("out of memory");
    dataset_free(&d);
    return code;
}

int eval_run_tasks(struct eval_run *r, struct settings *s, const struct ranks *ranks,
                   const struct task_list *tasks, const char *output)
{
    struct asking a = { .run = r };
    int code;

    *r = (struct eval_run){ .settings = s, .ranks = ranks, .tasks = tasks };
    r->directories = calloc(tasks->n + 1, sizeof *r->directories);
    if (r->directories == NULL) return fail("out of memory");
    a.report = (struct report){ .warn = on_warning, .user = &a };
    code = questions_setup(&a.setup, s);
    for (size_t i = 0; i < tasks->n && code == CODE_OK; i++) {
        a.task = &tasks->items[i];
        code = run_task(&a, output, &r->directories[i]);
    }
    setup_close(&a.setup);
    return code;
}

void eval_run_close(struct eval_run *r)
{
    for (size_t i = 0; r->directories != NULL && i < r->tasks->n; i++) free(r->directories[i]);
    free(r->directories);
    memset(r, 0, sizeof *r);
}

int eval_run_results(const struct eval_run *r, struct evaluation *v, size_t *n)
{
    struct err e = { 0 };
    enum status st = STATUS_OK;

    *n = 0;
    for (size_t i = 0; i < r->tasks->n && st == STATUS_OK; i++) {
        const struct benchmark *b = r->tasks->items[i].benchmark;
        struct evaluation *to = &v[*n];

        if (r->directories[i] == NULL) continue;
        st = evaluation_open(to, r->tasks->items[i].table, r->directories[i], data_of(r->settings),
                             r->settings->dedup, &e);
        ++*n;
        if (st == STATUS_OK && b->metric->save != NULL)
            st = b->metric->save(b, to->answered, to->n, r->directories[i], &e);
    }
    return st == STATUS_OK ? CODE_OK : fail("%s", e.text);
}
