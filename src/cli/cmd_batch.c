/*
 * cmd_batch.c - a list of questions about images, to a file of answers (eval/batch_run.h).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/questions.h"
#include "core/file.h"
#include "eval/batch_run.h"

enum { LIST_SIZE_MAX = 1 << 30 };

struct batch_command {
    struct setup setup;
    struct ranks ranks;
    char *prompt; /* for those that have none of their own; NULL: each has */
    struct batch_list list;
};

static void on_line(void *user, const json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);
    struct batch_command *b = user;

    progress_bar_clear(&b->setup.bar);
    if (text != NULL) output_printf("%s\n", text);
    output_flush();
    free(text);
}

static void on_progress(void *user, const struct batch_progress *p)
{
    struct batch_command *b = user;
    struct questions_state state = { .name = "batch",
                                     .done = p->done,
                                     .total = p->total,
                                     .asked = p->asked,
                                     .seconds = p->seconds,
                                     .right = NAN };

    questions_show(&b->setup, &state);
}

static int check(const struct batch_command *b, const struct settings *s)
{
    bool pipes = strcmp(s->operands.item[0], "-") == 0;
    int code = arguments_check(s);

    if (code != CODE_OK) return code;
    if (pipes && ((s->prompt != NULL && strcmp(s->prompt, "-") == 0) ||
                  (s->prompt_file != NULL && strcmp(s->prompt_file, "-") == 0)))
        return usage_error(s->command, "the list and the question cannot both come from standard input");
    if (b->ranks.count > 1 && (pipes || s->output == NULL))
        return usage_error(s->command, "several processes need a list that is a file, and -o FILE");
    return s->output != NULL ? arguments_check_output("-o", s->output) : CODE_OK;
}

static int read_list(struct batch_command *b, struct settings *s)
{
    const char *path = s->operands.item[0], *name = strcmp(path, "-") == 0 ? "standard input" : path;
    bool asks = s->prompt != NULL || s->prompt_file != NULL;
    unsigned char *data = NULL;
    size_t size = 0;
    struct err e = { 0 };
    enum status st;
    int code = asks ? arguments_question(s, &b->prompt) : CODE_OK;

    if (code != CODE_OK) return code;
    st = file_read(path, LIST_SIZE_MAX, &data, &size, &e);
    if (st == STATUS_OK) st = batch_list_read(&b->list, name, (const char *)data, size, b->prompt, &e);
    free(data);
    if (st == STATUS_OK && s->limit > 0 && s->limit < b->list.n) b->list.n = s->limit;
    return st == STATUS_OK ? CODE_OK : fail("%s", e.text);
}

static int say_end(const struct batch_command *b, const struct batch_totals *totals, int code)
{
    const struct settings *s = b->setup.settings;

    if (code == CODE_INTERRUPTED && !s->quiet && s->output != NULL)
        message("stopped; %s has %zu answers, and the same command goes on", s->output,
                totals->n_known + totals->n_asked);
    if (code != CODE_OK || b->ranks.rank > 0) return code;
    if (!s->quiet && totals->n_known > 0) message("%zu questions had an answer already", totals->n_known);
    if (totals->n_failed == 0) return CODE_OK;
    return fail("%zu questions have no answer; their lines say why (\"error\")", totals->n_failed);
}

static int run(struct batch_command *b, struct settings *s)
{
    struct batch_options o = { .output = s->output,
                               .force = s->force,
                               .max_tokens = s->ask.max_tokens,
                               .settings = questions_settings(&b->setup),
                               .runner = questions_options(&b->setup),
                               .ranks = &b->ranks,
                               .line = s->output == NULL ? on_line : NULL,
                               .progress = on_progress,
                               .user = b };
    struct batch_totals totals;
    struct err e = { 0 };
    enum status st;
    int code;

    if (o.settings == NULL) return fail("out of memory for the settings");
    interrupt_begin(NULL);
    st = batch_run(b->setup.model, &b->list, &o, &totals, &e);
    interrupt_end();
    json_decref(o.settings);
    progress_bar_clear(&b->setup.bar);
    code = st == STATUS_OK ? CODE_OK : questions_failed(&b->setup, &e);
    questions_speed(&b->setup, &totals.runner);
    return say_end(b, &totals, code);
}

int cmd_batch(struct settings *s)
{
    struct batch_command b = { 0 };
    int code = questions_begin(&b.ranks, s);

    if (code == CODE_OK) code = check(&b, s);
    if (code == CODE_OK) code = read_list(&b, s);
    if (code == CODE_OK) code = questions_setup(&b.setup, s);
    if (code == CODE_OK) code = run(&b, s);
    setup_close(&b.setup);
    batch_list_free(&b.list);
    free(b.prompt);
    ranks_end(&b.ranks);
    return code;
}
