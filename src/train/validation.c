/* validation.c - see validation.h. */
#include "train/validation.h"

#include <stdlib.h>

/* Item by item: types are of any size, and a loss does not depend on what stands beside it. The ranks take turns. */
static enum status open_feed(const struct trainer *t, struct feed **f, size_t first, struct err *e)
{
    struct feed_options o = trainer_feed_options(t);

    o.micro_batch = o.accumulate = o.ranks = 1;
    o.rank = 0;
    o.n_mix = 0;
    o.stride = (size_t)t->ranks.count;
    return feed_open(f, t->validation, t->tokenizer, &o, 0, first, e);
}

enum status validation_open(struct trainer *t, struct err *e)
{
    const struct train_config *c = t->config;
    struct feed *f;
    enum status st;

    if (c->validation == NULL) return STATUS_OK;
    st = corpus_open(&t->validation, c->validation, c->seed, t->listener.report, e);
    if (st == STATUS_OK) st = trainer_check_sight(t, t->validation, e);
    if (st == STATUS_OK) st = open_feed(t, &f, 0, e);
    if (st == STATUS_OK) feed_close(f);
    return st;
}

/* ---- measuring --------------------------------------------------------------------------------------------- */

static enum status measure_one(struct trainer *t, struct feed *f, struct type_loss *losses, struct err *e)
{
    const struct corpus_type *types;
    const struct feed_batch *b;
    enum status st = feed_next(f, &b, t->listener.report, e);
    size_t n_tokens, type = 0;
    struct train_loss loss;

    if (st != STATUS_OK) return st;
    corpus_types(t->validation, &types);
    while (b->items[0].item >= types[type].end) type++;
    trainer_micro_batch(t, b, 0, &loss, &n_tokens);
    if (t->ctx.err.code != STATUS_OK) return err_set(e, t->ctx.err.code, "validation: %s", t->ctx.err.text);
    losses[type].loss += loss.answers * (double)loss.n_targets;
    losses[type].n_targets += loss.n_targets;
    losses[type].n_items++;
    return STATUS_OK;
}

/* What all ranks found. */
static void add_up(const struct ranks *r, struct type_loss *losses, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double x[] = { losses[i].loss, (double)losses[i].n_targets, (double)losses[i].n_items };

        ranks_sum(r, x, sizeof x / sizeof *x);
        losses[i] = (struct type_loss){ .loss = x[0], .n_targets = (size_t)x[1], .n_items = (size_t)x[2] };
    }
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

/* This rank's part of the items: every so many-th. */
static enum status measure(struct trainer *t, struct type_loss *losses, struct err *e)
{
    size_t n = corpus_count(t->validation), at_most = t->config->validation_items;
    size_t i = (size_t)t->ranks.rank;
    struct feed *f = NULL;
    enum status st = losses != NULL ? STATUS_OK : err_no_memory(e, "the validation");

    if (n > at_most) n = at_most;
    if (st == STATUS_OK && i < n) st = open_feed(t, &f, i, e);
    for (; i < n && st == STATUS_OK; i += (size_t)t->ranks.count) {
        report_progress(t->listener.report, "validate", i, n);
        st = measure_one(t, f, losses, e);
    }
    report_progress(t->listener.report, "validate", n, n);
    feed_close(f);
    return ranks_agree(&t->ranks, st, e);
}

enum status validation_run(struct trainer *t, struct err *e)
{
    const struct corpus_type *types;
    struct validation_result r = { .step = t->position.step, .n_types = corpus_types(t->validation, &types) };
    struct type_loss *losses = calloc(r.n_types, sizeof *losses);
    double began = clock_seconds();
    enum status st = measure(t, losses, e);

    if (st == STATUS_OK) {
        add_up(&t->ranks, losses, r.n_types);
        for (size_t i = 0; i < r.n_types; i++) losses[i].name = types[i].name;
        r.types = losses;
        average(&r, losses);
        r.seconds = clock_seconds() - began;
        if (trainer_speaks(t)) st = log_result(t, &r, e);
        st = ranks_agree(&t->ranks, st, e);
        if (t->listener.validated != NULL) t->listener.validated(t->listener.user, &r);
    }
    free(losses);
    return st;
}
