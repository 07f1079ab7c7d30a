/* validation.c - see validation.h. */
#include "train/validation.h"

#include <stdlib.h>

/* Item by item: types are of any size, and a loss does not depend on what stands beside it. */
static enum status open_feed(const struct trainer *t, struct feed **f, struct err *e)
{
    struct feed_options o = trainer_feed_options(t);

    o.micro_batch = 1;
    o.accumulate = 1;
    o.n_mix = 0;
    return feed_open(f, t->validation, t->tokenizer, &o, 0, 0, e);
}

enum status validation_open(struct trainer *t, struct err *e)
{
    const struct train_config *c = t->config;
    struct feed *f;
    enum status st;

    if (c->validation == NULL) return STATUS_OK;
    st = corpus_open(&t->validation, c->validation, c->seed, t->listener.report, e);
    if (st == STATUS_OK) st = trainer_check_sight(t, t->validation, e);
    if (st == STATUS_OK) st = open_feed(t, &f, e);
    if (st == STATUS_OK) feed_close(f);
    return st;
}

/* ---- measuring --------------------------------------------------------------------------------------------- */

static enum status measure_one(struct trainer *t, struct feed *f, struct type_loss *losses, struct err *e)
{
    const struct corpus_type *types;
    const struct feed_batch *b;
    enum status st = feed_next(f, &b, t->listener.report, e);
    size_t n_targets, n_tokens, type = 0;
    double loss;

    if (st != STATUS_OK) return st;
    corpus_types(t->validation, &types);
    while (b->items[0].item >= types[type].end) type++;
    trainer_micro_batch(t, b, 0, &loss, &n_targets, &n_tokens);
    if (t->ctx.err.code != STATUS_OK) return err_set(e, t->ctx.err.code, "validation: %s", t->ctx.err.text);
    losses[type].loss += loss * (double)n_targets;
    losses[type].n_targets += n_targets;
    losses[type].n_items++;
    return STATUS_OK;
}

/* Sums become means over targets. */
static void average(struct validation_result *r, struct type_loss *losses)
{
    size_t n_targets = 0;

    for (size_t i = 0; i < r->n_types; i++) {
        r->loss += losses[i].loss;
        n_targets += losses[i].n_targets;
        r->n_items += losses[i].n_items;
        if (losses[i].n_targets > 0) losses[i].loss /= (double)losses[i].n_targets;
    }
    if (n_targets > 0) r->loss /= (double)n_targets;
}

static enum status log_result(struct trainer *t, const struct validation_result *r, struct err *e)
{
    json_t *types = json_object(), *line;
    enum status st;

    for (size_t i = 0; i < r->n_types; i++) {
        if (r->types[i].n_items == 0) continue;
        json_object_set_new(
            types, r->types[i].name,
            json_pack("{s:f, s:I}", "loss", r->types[i].loss, "items", (json_int_t)r->types[i].n_items));
    }
    line = json_pack("{s:I, s:{s:f, s:I, s:o}, s:f}", "step", (json_int_t)r->step, "validation", "loss",
                     r->loss, "items", (json_int_t)r->n_items, "types", types, "seconds", r->seconds);
    if (line == NULL) return err_no_memory(e, "a line of the log");
    st = journal_append(&t->log, line, e);
    json_decref(line);
    return st;
}

enum status validation_run(struct trainer *t, struct err *e)
{
    const struct corpus_type *types;
    struct validation_result r = { .step = t->position.step, .n_types = corpus_types(t->validation, &types) };
    struct type_loss *losses = calloc(r.n_types, sizeof *losses);
    double began = clock_seconds();
    struct feed *f = NULL;
    enum status st = losses != NULL ? open_feed(t, &f, e) : err_no_memory(e, "the validation");
    size_t n = 0;

    if (st == STATUS_OK) n = feed_steps(f);
    if (n > t->config->validation_items) n = t->config->validation_items;
    for (size_t i = 0; i < n && st == STATUS_OK; i++) {
        report_progress(t->listener.report, "validate", i, n);
        st = measure_one(t, f, losses, e);
    }
    report_progress(t->listener.report, "validate", n, n);
    feed_close(f);
    if (st == STATUS_OK) {
        for (size_t i = 0; i < r.n_types; i++) losses[i].name = types[i].name;
        r.types = losses;
        average(&r, losses);
        r.seconds = clock_seconds() - began;
        st = log_result(t, &r, e);
        if (t->listener.validated != NULL) t->listener.validated(t->listener.user, &r);
    }
    free(losses);
    return st;
}
