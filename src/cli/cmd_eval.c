/*
 * cmd_eval.c - benchmarks put to a model, and what came of them; or another way to look at a model or at runs.
 *
 *   tasks ── eval_run_tasks ── a folder of answers each ── evaluations ── eval_tell: table, JSON, page
 */
#include <stdlib.h>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/eval_run.h"
#include "cli/eval_views.h"
#include "cli/message.h"
#include "cli/questions.h"

#define OUTPUT_DEFAULT "sphinx-eval"

static int tell(const struct eval_run *r)
{
    struct evaluation *v = calloc(r->tasks->n + 1, sizeof *v);
    size_t missing = r->n_missing, unanswered = r->n_missing + r->n_failed, n = 0;
    int code;

    if (v == NULL) return fail("out of memory for the results");
    code = eval_run_results(r, v, &n);
    if (code == CODE_OK) code = eval_tell(v, n, r->settings);
    for (size_t i = 0; i < n; i++) evaluation_close(&v[i]);
    free(v);
    if (code != CODE_OK || unanswered == 0) return code;
    return fail("%zu questions have no answer and count as wrong: of %zu the image was not found", unanswered,
                missing);
}

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
    struct ranks ranks = { 0 };
    struct task_list tasks = { 0 };
    struct eval_run run = { 0 };
    struct task_changes changes = { .quirks = s->quirks, .template = s->template };
    const char *output = s->output != NULL ? s->output : OUTPUT_DEFAULT;
    struct err e = { 0 };
    int code = check(s);

    if (code == CODE_OK && s->grid != NULL) return eval_grid(s, output);
    if (code == CODE_OK) code = questions_begin(&ranks, s);
    if (code == CODE_OK && task_list_open(&tasks, s->tasks.item, s->tasks.count, &changes, &e) != STATUS_OK)
        code = fail("%s", e.text);
    if (code == CODE_OK) code = eval_run_tasks(&run, s, &ranks, &tasks, output);
    if (code == CODE_OK && ranks.rank == 0) code = tell(&run);
    eval_run_close(&run);
    task_list_close(&tasks);
    ranks_end(&ranks);
    return code;
}

int cmd_eval(struct settings *s)
{
    if (s->list) return eval_list(s);
    if (s->text != NULL) return eval_text(s);
    if (s->compare) return eval_compare(s);
    return eval_tasks(s);
}
