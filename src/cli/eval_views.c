/* eval_views.c - see eval_views.h. */
#include "cli/eval_views.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/arguments.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/setup.h"
#include "core/file.h"
#include "eval/task_list.h"

enum { TEXT_SIZE_MAX = 1 << 30 };

int eval_print_json(json_t *json)
{
    char *text = json != NULL ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(10)) : NULL;

    json_decref(json);
    if (text == NULL) return fail("out of memory for the JSON");
    output_printf("%s\n", text);
    free(text);
    return CODE_OK;
}

/* ---- benchmarks ------------------------------------------------------------------------------------------------- */

static void list_one(const struct benchmark *b, const char *data)
{
    struct dataset d = { 0 };
    struct err e = { 0 };
    enum status st = data != NULL ? dataset_read(&d, b, data, &e) : STATUS_NOT_FOUND;

    if (st != STATUS_OK && st != STATUS_NOT_FOUND) message("%s", e.text);
    if (st == STATUS_OK)
        output_printf("%-24s %8zu %8zu %8zu  %-12s %s\n", b->name, d.n, d.n_unique, d.n_images,
                      b->metric->name, b->title);
    else
        output_printf("%-24s %8s %8s %8s  %-12s %s\n", b->name, "-", "-", "-", b->metric->name, b->title);
    dataset_free(&d);
}

int eval_list(const struct settings *s)
{
    static const char *const all[] = { "all" };
    bool named = s->tasks.count > 0;
    struct task_changes changes = { 0 };
    struct task_list tasks;
    struct err e = { 0 };

    if (task_list_open(&tasks, named ? s->tasks.item : all, named ? s->tasks.count : 1, &changes, &e) !=
        STATUS_OK)
        return fail("%s", e.text);
    output_printf("%-24s %8s %8s %8s  %-12s %s\n", "name", "records", "unique", "images", "metric", "title");
    for (size_t i = 0; i < tasks.n; i++) list_one(tasks.items[i].benchmark, s->data);
    task_list_close(&tasks);
    return CODE_OK;
}

/* ---- results ---------------------------------------------------------------------------------------------------- */

int eval_print(eval_writer write, const void *what)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    struct err e = { 0 };
    enum status st = f != NULL ? write(f, what, &e) : err_no_memory(&e, "a table");

    if (f != NULL && fclose(f) != 0 && st == STATUS_OK) st = err_no_memory(&e, "a table");
    if (st == STATUS_OK) output_text(text, size);
    free(text);
    return st == STATUS_OK ? CODE_OK : fail("%s", e.text);
}

struct results {
    const struct evaluation *v;
    size_t n;
};

static enum status write_results(FILE *f, const void *what, struct err *e)
{
    const struct results *r = what;

    return report_text(f, r->v, r->n, e);
}

int eval_tell(const struct evaluation *v, size_t n, const struct settings *s)
{
    struct err e = { 0 };
    struct results results = { v, n };
    int code = s->json ? eval_print_json(report_json(v, n)) : eval_print(write_results, &results);

    if (code != CODE_OK || s->report_page == NULL) return code;
    if (report_html(s->report_page, v, n, s->data != NULL ? s->data : "", &e) == STATUS_OK) return CODE_OK;
    return fail("%s", e.text);
}

/* ---- texts ------------------------------------------------------------------------------------------------------ */

static int print_score(const struct settings *s, const sphinx_score *score)
{
    double n = (double)score->tokens, perplexity = n > 0 ? exp(-score->logprob / n) : 1,
           right = n > 0 ? (double)score->right / n : 0;

    if (s->json)
        return eval_print_json(json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f}", "text", s->text, "tokens",
                                         (json_int_t)score->tokens, "windows", (json_int_t)score->windows,
                                         "logprob", score->logprob, "perplexity", perplexity, "accuracy",
                                         100 * right, "seconds", score->seconds));
    output_printf("perplexity           %10.4f\nnext token right     %10.2f %%\ntokens               %10zu\n",
                  perplexity, 100 * right, score->tokens);
    return CODE_OK;
}

static int score_text(struct setup *u, const char *text, size_t size)
{
    sphinx_error error = { 0 };
    sphinx_score score;
    sphinx_status status;

    interrupt_begin(u->session);
    status = sphinx_session_score(u->session, text, size, 0, &score, &error);
    interrupt_end();
    progress_bar_clear(&u->bar);
    return status == SPHINX_OK ? print_score(u->settings, &score) : setup_failed(u, &error);
}

int eval_text(struct settings *s)
{
    struct setup u = { 0 };
    unsigned char *text = NULL;
    size_t size = 0;
    struct err e = { 0 };
    int code = arguments_check(s);

    if (code == CODE_OK && file_read(s->text, TEXT_SIZE_MAX, &text, &size, &e) != STATUS_OK)
        code = fail("%s", e.text);
    if (code == CODE_OK) code = setup_model(&u, s);
    if (code == CODE_OK) code = setup_session(&u);
    if (code == CODE_OK) code = setup_start(&u);
    if (code == CODE_OK) code = score_text(&u, (const char *)text, size);
    setup_close(&u);
    free(text);
    return code;
}
