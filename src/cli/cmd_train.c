/* cmd_train.c - trains a model as a YAML file says (train/trainer.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/progress_bar.h"
#include "cli/questions.h"
#include "train/trainer.h"

enum { WINDOW = 50 }; /* steps that the progress line averages over */

struct training {
    const struct settings *settings;
    struct ranks ranks;
    struct progress_bar bar;
    struct report report;
    struct step_result last[WINDOW]; /* a ring */
    size_t n_steps;                  /* of this call */
    char *saved;                     /* the last checkpoint's folder */
};

/* ---- what is said while it runs ---------------------------------------------------------------------------- */

static void on_progress(void *user, const char *stage, uint64_t done, uint64_t total)
{
    struct training *t = user;

    progress_bar_update(&t->bar, stage, done, total);
}

static void on_warning(void *user, const char *text)
{
    struct training *t = user;

    if (t->settings->quiet) return;
    progress_bar_clear(&t->bar);
    message("warning: %s", text);
}

/* "step 120 of 3000 (4 %), loss 1.234, 2100 tokens/s, 18.3 items/s, 1:02:33 left" */
static void on_step(void *user, const struct step_result *r)
{
    struct training *t = user;
    double loss = 0, seconds = 0, tokens = 0, items = 0;
    char text[256], left[32];
    size_t n;

    t->last[t->n_steps++ % WINDOW] = *r;
    n = t->n_steps < WINDOW ? t->n_steps : WINDOW;
    for (size_t i = 0; i < n; i++) {
        loss += t->last[i].loss / (double)n;
        seconds += t->last[i].seconds;
        tokens += (double)t->last[i].n_tokens;
        items += (double)t->last[i].n_items;
    }
    snprintf(text, sizeof text, "step %zu of %zu (%d %%), loss %.4g, %.4g tokens/s, %.3g items/s, %s left",
             r->step, r->n_steps, (int)(100 * r->step / r->n_steps), loss, tokens / seconds, items / seconds,
             progress_bar_duration(left, seconds / (double)n * (double)(r->n_steps - r->step)));
    progress_bar_line(&t->bar, text);
}

/* "after step 200: validation loss 1.234 (vqa 0.5, caption 1.6)" */
static void on_validated(void *user, const struct validation_result *r)
{
    struct training *t = user;
    char text[600] = "";
    size_t size = 0;

    if (t->settings->quiet) return;
    for (size_t i = 0; i < r->n_types && r->n_types > 1 && size < sizeof text; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%s %.4g", i > 0 ? ", " : " (",
                                 r->types[i].name, r->types[i].loss);
    progress_bar_clear(&t->bar);
    if (r->n_masks > 0)
        size = (size_t)snprintf(text, sizeof text, " (IoU %.4g of %zu masks", r->iou, r->n_masks);
    message("after step %zu: validation loss %.4g%s%s", r->step, r->loss, text, size > 0 ? ")" : "");
}

static void on_saved(void *user, const char *folder)
{
    struct training *t = user;

    free(t->saved);
    t->saved = strdup(folder);
}

/* ---- the configuration ------------------------------------------------------------------------------------- */

/* "output_dir='it''s here'", as YAML quotes; malloc'ed. */
static char *quoted(const char *key, const char *value)
{
    char *text = malloc(strlen(key) + 2 * strlen(value) + 4), *to = text;

    if (text == NULL) return NULL;
    to += sprintf(to, "%s='", key);
    for (; *value != '\0'; value++) {
        if (*value == '\'') *to++ = '\'';
        *to++ = *value;
    }
    memcpy(to, "'", 2);
    return text;
}

/* What the command line says comes after the file. */
static enum status config_read(struct train_config *c, const struct settings *s, struct err *e)
{
    const char *const own[][2] = { { "output_dir", s->output },
                                   { "keep", s->keep },
                                   { "skip_bad", s->skip_bad } };
    enum { N_OWN = sizeof own / sizeof *own };
    const char **overrides = calloc(s->keys.count + N_OWN, sizeof *overrides);
    char *text[N_OWN] = { NULL };
    size_t n = 0;
    enum status st = overrides != NULL ? STATUS_OK : err_no_memory(e, "the configuration");

    for (; st == STATUS_OK && n < s->keys.count; n++) overrides[n] = s->keys.item[n];
    for (size_t i = 0; st == STATUS_OK && i < N_OWN; i++) {
        if (own[i][1] == NULL) continue;
        overrides[n++] = text[i] = quoted(own[i][0], own[i][1]);
        if (text[i] == NULL) st = err_no_memory(e, "the configuration");
    }
    if (st == STATUS_OK) st = train_config_read(c, s->operands.item[0], overrides, n, e);
    for (size_t i = 0; i < N_OWN; i++) free(text[i]);
    free(overrides);
    return st;
}

/* ---- the run ----------------------------------------------------------------------------------------------- */

static void say_begin(const struct training *t, const struct trainer *r, const struct train_config *c)
{
    struct trainer_info info = trainer_info(r);

    message("%zu of the model's numbers learn from %zu items, %zu a step, in %zu steps (%zu an epoch)",
            info.n_trained, info.n_items, c->batch_size * c->accum_iter * (size_t)t->ranks.count,
            info.n_steps, info.epoch_steps);
    if (info.n_done > 0) message("going on after step %zu", info.n_done);
}

/* Of several processes one tells, where all failed alike. */
static int say_failure(const struct training *t, enum status st, const struct err *e)
{
    bool tells;

    if (ranks_failed(&t->ranks, st, &tells) == 0) return CODE_INTERRUPTED;
    return tells ? fail("%s", e->text) : CODE_FAILED;
}

static int say_end(struct training *t, const struct trainer *r, enum status st, const struct err *e)
{
    size_t n_bad = trainer_info(r).n_bad;
    int code = st == STATUS_OK ? CODE_OK : CODE_INTERRUPTED;

    progress_bar_clear(&t->bar);
    if (st != STATUS_OK) code = say_failure(t, st, e);
    if (code == CODE_FAILED || t->settings->quiet) return code;
    if (n_bad > 0) message("%zu items failed, others took their place", n_bad);
    if (t->saved != NULL) message("written: %s", t->saved);
    if (st == STATUS_CANCELLED) message("%s", e->text);
    return code;
}

static int run(struct training *t, const struct train_config *c)
{
    const struct settings *s = t->settings;
    struct trainer_options o = { .threads = s->model.threads > 0 ? s->model.threads : cpu_threads_default(),
                                 .cpu = s->model.cpu,
                                 .ranks = &t->ranks,
                                 .resume = s->resume };
    struct train_listener l = {
        .step = on_step, .validated = on_validated, .saved = on_saved, .user = t, .report = &t->report
    };
    struct trainer *r;
    struct err e = { 0 };
    enum status st;
    int code;

    st = trainer_open(&r, c, &o, &l, &e);
    progress_bar_clear(&t->bar);
    if (st != STATUS_OK) return say_failure(t, st, &e);
    if (!s->quiet) say_begin(t, r, c);
    interrupt_begin(NULL);
    st = trainer_run(r, &e);
    interrupt_end();
    code = say_end(t, r, st, &e);
    trainer_close(r);
    return code;
}

int cmd_train(struct settings *s)
{
    struct training t = { .settings = s };
    struct train_config c;
    struct err e = { 0 };
    enum status st;
    int code = questions_begin(&t.ranks, s);

    if (code != CODE_OK) return code;
    t.report = (struct report){
        .progress = on_progress, .warn = on_warning, .user = &t, .cancel = interrupt_flag()
    };
    progress_bar_init(&t.bar, s->quiet);
    st = config_read(&c, s, &e);
    if (ranks_agree(&t.ranks, st, &e) == STATUS_OK)
        code = run(&t, &c);
    else
        code = say_failure(&t, e.code, &e);
    if (st == STATUS_OK) train_config_free(&c);
    free(t.saved);
    ranks_end(&t.ranks);
    return code;
}
