/* trainer.c - the steps of a run; see trainer.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/mix64.h"
#include "model/encode.h"
#include "train/run_batch.h"
#include "train/run_files.h"
#include "train/run_state.h"
#include "train/trainer_parts.h"

enum { SKIPPED_IN_A_ROW_MAX = 10, PLACES_MAX = 4 };

/* ---- one step ---------------------------------------------------------------------------------------------- */

/* What the encoders make of an item's image, by itself, so that it is the same whether it comes from the cache or not. */
static const struct features *features_of(struct trainer *t, const struct feed_item *it)
{
    const struct features *known =
        it->features != NULL ? it->features : feature_cache_find(t->cache, it->image);
    double seconds[ENCODER_COUNT];
    struct features *f;

    if (known != NULL) return known;
    f = ctx_alloc(&t->ctx, 1, sizeof *f);
    if (f == NULL || !encode_features(&t->ctx, &t->network, it->planes, 0, f, seconds)) return NULL;
    feature_cache_add(t->cache, it->image, f);
    return f;
}

/* Learning leaves out other numbers in each micro-batch, and the same ones when it is repeated. */
static void set_dropout(struct trainer *t, size_t micro, bool learns)
{
    uint64_t key = mix64(t->config->seed + (uint64_t)t->ranks.rank);

    t->ctx.dropout = learns ? t->config->qformer_dropout : 0;
    t->ctx.dropout_key = mix64(mix64(key ^ t->position.step) ^ micro);
}

void trainer_micro_batch(struct trainer *t, const struct feed_batch *b, double weight,
                         struct train_loss *loss, size_t *n_tokens)
{
    size_t words = t->network.sees ? (size_t)encode_words(&t->network) : 0;
    struct arena_mark mark = arena_mark(t->ctx.arena);

    *n_tokens = 0;
    set_dropout(t, b->micro, weight != 0);
    for (size_t i = 0; i < b->n; i++) {
        const struct feed_item *it = &b->items[i];

        t->items[i] = (struct train_item){ .sample = &it->sample, .planes = it->planes };
        if (t->cache != NULL && it->image != NULL) t->items[i].features = features_of(t, it);
        if (t->config->patch_loss > 0 && it->sample.n_shown > 0 &&
            t->config->image_transform != TRAIN_PADDED_RESIZE)
            err_set(&t->ctx.err, STATUS_UNSUPPORTED,
                    "\"patches\" of the data stand over the padded square: only with image_transform: "
                    "padded_resize, "
                    "or patch_loss: 0");
        if (t->ctx.err.code != STATUS_OK) return;
        *n_tokens += it->sample.n + (it->image != NULL ? words : 0);
    }
    train_micro_batch(&t->ctx, &t->network, t->items, b->n, weight, t->config->patch_loss, loss);
    arena_reset(t->ctx.arena, mark);
}

/* The failure of a micro-batch, with the items that it was made of, which are kept for who wants to know why. */
static enum status batch_failed(struct trainer *t, const struct feed_batch *b, struct err *e)
{
    char text[600] = "", place[256];
    struct err why = { 0 };
    size_t size = 0;
    bool kept;

    if (t->ctx.err.code != STATUS_NUMERIC) return err_set(e, t->ctx.err.code, "%s", t->ctx.err.text);
    for (size_t i = 0; i < b->n && size < sizeof text; i++) {
        if (i == PLACES_MAX) {
            snprintf(text + size, sizeof text - size, "; and %zu more", b->n - i);
            break;
        }
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%s", i > 0 ? "; " : "",
                                 corpus_place(t->corpus, b->items[i].item, place, sizeof place));
    }
    kept = run_batch_write(t, b, &why) == STATUS_OK;
    return err_set(e, STATUS_NUMERIC, "step %zu, micro-batch %zu: %s: of %s; %s%s", t->position.step + 1,
                   b->micro, t->ctx.err.text, text,
                   kept ? "all of it is in the folder of the run" : "it could not be kept: ", why.text);
}

/* The feed knows by itself which one is next. */
enum status trainer_learn_batch(struct trainer *t, size_t k, struct step_result *r, struct err *e)
{
    size_t n = t->config->accum_iter, n_tokens;
    double began = clock_seconds();
    struct train_loss loss;
    const struct feed_batch *b;
    enum status st = feed_next(t->feed, &b, t->listener.report, e);

    (void)k;
    r->seconds_waiting += clock_seconds() - began;
    if (st != STATUS_OK) return st;
    trainer_micro_batch(t, b, 1.0 / (double)n / t->ranks.count, &loss, &n_tokens);
    if (t->ctx.err.code != STATUS_OK) return batch_failed(t, b, e);
    r->loss += loss.answers / (double)n;
    r->patch_loss += loss.patches / (double)n;
    r->n_items += b->n;
    r->n_tokens += n_tokens;
    r->n_targets += loss.n_targets;
    r->n_shown += loss.n_shown;
    return STATUS_OK;
}

static void advance(struct run_position *p, size_t epoch_steps)
{
    p->step++;
    if (++p->epoch_step < epoch_steps) return;
    p->epoch_step = 0;
    p->epoch++;
}

/* What the ranks' micro-batches come to; or the failure, if one of them failed. */
static enum status join(const struct trainer *t, struct step_result *r, enum status st, struct err *e)
{
    double x[] = { r->loss / t->ranks.count, (double)r->n_items, (double)r->n_tokens,
                   (double)r->n_targets,     (double)r->n_shown, r->patch_loss / t->ranks.count };

    st = ranks_agree(&t->ranks, st, e);
    if (st != STATUS_OK) return st;
    ranks_sum(&t->ranks, x, sizeof x / sizeof *x);
    r->loss = x[0];
    r->n_items = (size_t)x[1];
    r->n_tokens = (size_t)x[2];
    r->n_targets = (size_t)x[3];
    r->n_shown = (size_t)x[4];
    r->patch_loss = x[5];
    return STATUS_OK;
}

static enum status step(struct trainer *t, struct step_result *r, struct err *e)
{
    double began = clock_seconds();
    enum status st = STATUS_OK;

    *r = (struct step_result){ .n_steps = t->n_steps,
                               .epoch = t->position.epoch,
                               .lr = schedule_lr(&t->schedule, (double)t->position.step) };
    trainees_zero_grad(&t->trainees);
    for (size_t i = 0; i < t->config->accum_iter && st == STATUS_OK; i++)
        st = t->kind->micro_batch(t, i, r, e);
    st = join(t, r, st, e);
    if (st != STATUS_OK) return st;
    st = optimizer_step(&t->optimizer, &t->trainees, r->lr, t->options.threads, &r->grad_norm, e);
    if (st != STATUS_OK) return st;
    r->skipped = !isfinite(r->grad_norm);
    advance(&t->position, t->epoch_steps);
    r->step = t->position.step;
    r->seconds = clock_seconds() - began;
    if (t->optimizer.skipped_in_a_row < SKIPPED_IN_A_ROW_MAX) return STATUS_OK;
    return err_set(e, STATUS_NUMERIC,
                   "step %zu: the gradients are not finite, %d times in a row: a lower lr may help", r->step,
                   SKIPPED_IN_A_ROW_MAX);
}

/* ---- what is written --------------------------------------------------------------------------------------- */

/* null for what JSON has no number for. */
static json_t *json_number(double x)
{
    json_t *number = json_real(x);

    return number != NULL ? number : json_null();
}

static enum status log_step(struct trainer *t, const struct step_result *r, struct err *e)
{
    json_t *line = json_pack(
        "{s:I, s:I, s:o, s:f, s:o, s:I, s:I, s:I, s:f, s:f}", "step", (json_int_t)r->step, "epoch",
        (json_int_t)r->epoch, "loss", json_number(r->loss), "lr", r->lr, "grad_norm",
        json_number(r->grad_norm), "items", (json_int_t)r->n_items, "tokens", (json_int_t)r->n_tokens,
        "targets", (json_int_t)r->n_targets, "seconds", r->seconds, "seconds_waiting", r->seconds_waiting);
    enum status st;

    if (line == NULL) return err_no_memory(e, "a line of the log");
    if (r->n_shown > 0) json_object_set_new(line, "patch_loss", json_number(r->patch_loss));
    if (r->skipped) json_object_set_new(line, "skipped", json_true());
    st = journal_append(&t->log, line, e);
    json_decref(line);
    return st;
}

static enum status save(struct trainer *t, struct err *e)
{
    char *path = NULL;
    enum status st;

    t->met = false;
    if (trainer_speaks(t)) {
        st = run_files_save(t, &path, e);
        if (!t->met) st = ranks_agree(&t->ranks, st, e); /* the others wait in run_state_join */
    } else {
        st = run_state_join(t, e);
    }
    st = ranks_agree(&t->ranks, st, e);
    if (st == STATUS_OK && path != NULL && t->listener.saved != NULL)
        t->listener.saved(t->listener.user, path);
    free(path);
    return st;
}

/* A step is told and written down by one rank. */
static enum status tell_step(struct trainer *t, const struct step_result *r, struct err *e)
{
    enum status st = trainer_speaks(t) ? log_step(t, r, e) : STATUS_OK;

    st = ranks_agree(&t->ranks, st, e);
    if (st == STATUS_OK && t->listener.step != NULL) t->listener.step(t->listener.user, r);
    return st;
}

/* Whether any rank is to stop. */
static bool is_cancelled(const struct trainer *t)
{
    double n = report_cancelled(t->listener.report);

    ranks_sum(&t->ranks, &n, 1);
    return n > 0;
}

/* ---- all steps --------------------------------------------------------------------------------------------- */

static bool validation_is_due(const struct trainer *t)
{
    size_t every = t->config->validate_every, step = t->position.step;

    return t->config->validation != NULL && (step == t->n_steps || (every > 0 && step % every == 0));
}

static bool save_is_due(const struct trainer *t)
{
    const struct train_config *c = t->config;
    const struct run_position *p = &t->position;

    if (p->step == t->n_steps) return true;
    if (c->save_every > 0 && p->step % c->save_every == 0) return true;
    return p->epoch_step == 0 && p->epoch % c->save_interval == 0;
}

enum status trainer_run(struct trainer *t, struct err *e)
{
    enum status st = STATUS_OK;
    bool stop = false;

    while (st == STATUS_OK && !stop && t->position.step < t->n_steps) {
        struct step_result r;

        st = step(t, &r, e);
        if (st == STATUS_OK) st = tell_step(t, &r, e);
        if (st != STATUS_OK) return st;
        stop = is_cancelled(t);
        if (!stop && validation_is_due(t)) st = t->kind->validate(t, e);
        if (st == STATUS_OK && (stop || save_is_due(t))) st = save(t, e);
    }
    if (st == STATUS_OK && t->position.step < t->n_steps)
        st = err_set(e, STATUS_CANCELLED, "stopped after step %zu of %zu", t->position.step, t->n_steps);
    return st;
}

struct trainer_info trainer_info(const struct trainer *t)
{
    return (struct trainer_info){ .n_trained = t->trainees.n_numbers,
                                  .n_items = t->n_items,
                                  .n_steps = t->n_steps,
                                  .n_done = t->n_resumed,
                                  .epoch_steps = t->epoch_steps,
                                  .n_bad = t->feed != NULL ? feed_bad(t->feed) : 0 };
}
