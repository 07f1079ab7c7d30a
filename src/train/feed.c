/*
 * feed.c - see feed.h.
 *
 *   ticket 0, 1, 2 ...   a micro-batch each; ticket i stands in slot i % n_slots
 *   taken <= given <= taken + n_slots:  slots of [taken, given) are being made or ready, slot of `taken` is what the caller looks at
 *
 * Failures are noted where they happen and told when the caller takes the micro-batch: so they come in the same order and are counted
 * the same, whichever thread was faster.
 */
#include "train/feed.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/mix64.h"
#include "image/transform.h"

/* Fewer tokens of text beside an image are no dialogue (spec 10 section 5.5). */
enum { TEXT_TOKENS_MIN = 64 };

struct failure {
    size_t item;
    char *text;
};

struct slot {
    struct feed_batch batch;
    struct failure *failures; /* [n_failures] items that were replaced */
    size_t n_failures;
    struct err err; /* of the whole micro-batch */
    bool ready;
};

struct feed {
    const struct corpus *corpus;
    const struct tokenizer *tokenizer;
    const struct corpus_type *types;
    size_t n_types;
    struct feed_options options;
    struct blend blend;
    uint64_t epoch; /* the next ticket's */
    size_t step, micro;

    struct slot *slots;
    size_t n_slots;
    uint64_t given, taken;
    bool taking; /* the caller looks at slot `taken` */
    bool closing;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t *threads;
    int n_threads;

    unsigned char *bad; /* [corpus_count] 1: told */
    size_t n_bad, n_bad_max;
};

/* ---- one item ------------------------------------------------------------------------------------------ */

static void item_free(struct feed_item *it)
{
    sample_free(&it->sample);
    free(it->planes);
    free(it->image);
    *it = (struct feed_item){ 0 };
}

static enum status planes_make(const struct feed *f, uint64_t epoch, struct feed_item *it, const char *path,
                               struct err *e)
{
    size_t side = (size_t)f->options.image_size;
    struct image im = { 0 };
    enum status st = img_read(&im, path, NULL, e);

    if (st != STATUS_OK) return st;
    it->planes = malloc(3 * side * side * sizeof *it->planes);
    if (it->planes == NULL)
        st = err_no_memory(e, "an image");
    else if (f->options.view == FEED_RANDOM_RESIZED_CROP)
        st = img_prepare_random(it->planes, &im, mix64(mix64(f->options.seed + epoch) + it->item),
                                f->options.image_size, e);
    else
        st = img_prepare(it->planes, NULL, &im,
                         f->options.view == FEED_PADDED_RESIZE ? IMG_TRANSFORM_PADDED_RESIZE
                                                               : IMG_TRANSFORM_RESIZED_CENTER_CROP,
                         f->options.image_size, e);
    img_free(&im);
    return st;
}

static enum status item_make(const struct feed *f, uint64_t epoch, const struct corpus_type *type,
                             struct feed_item *it, struct err *e)
{
    size_t max_tokens = f->options.max_words - (type->sees ? f->options.image_words : 0);
    char place[512];
    struct err why = { 0 };
    enum status st =
        corpus_read(f->corpus, it->item, epoch, f->tokenizer, max_tokens, &it->sample, &it->image, e);

    if (st != STATUS_OK || it->image == NULL) return st;
    if (f->options.cache != NULL) it->features = feature_cache_find(f->options.cache, it->image);
    if (it->features != NULL) return STATUS_OK;
    st = planes_make(f, epoch, it, it->image, &why);
    if (st == STATUS_OK) return st;
    return err_set(e, st, "%s: %s", corpus_place(f->corpus, it->item, place, sizeof place), why.text);
}

/* Whether the item is to blame, and another may do. */
static bool is_items_fault(enum status st)
{
    return st != STATUS_NO_MEMORY && st != STATUS_CANCELLED;
}

static enum status failure_note(struct slot *s, size_t item, const char *text, struct err *e)
{
    struct failure *more = realloc(s->failures, (s->n_failures + 1) * sizeof *more);

    if (more == NULL) return err_no_memory(e, "an item that failed");
    s->failures = more;
    s->failures[s->n_failures] = (struct failure){ item, strdup(text) };
    if (s->failures[s->n_failures].text == NULL) return err_no_memory(e, "an item that failed");
    s->n_failures++;
    return STATUS_OK;
}

/* The item, or the nearest before it in its type that does not fail. Gives up where more fail in a row than are permitted: feed_next,
 * which counts them, will say so. */
static enum status item_make_or_replace(const struct feed *f, struct slot *s, const struct corpus_type *type,
                                        size_t item, struct feed_item *it, struct err *e)
{
    size_t n = type->end - type->first;

    for (size_t tries = 0; tries < n && tries <= f->n_bad_max; tries++) {
        struct err why = { 0 };
        enum status st;

        *it = (struct feed_item){ .item = item };
        st = item_make(f, s->batch.epoch, type, it, &why);
        if (st == STATUS_OK) return st;
        item_free(it);
        if (!is_items_fault(st)) return err_set(e, st, "%s", why.text);
        st = failure_note(s, item, why.text, e);
        if (st != STATUS_OK) return st;
        item = item > type->first ? item - 1 : type->end - 1;
    }
    return err_set(e, STATUS_BAD_FORMAT, "no item of type \"%s\" can be learned from", type->name);
}

/* ---- one micro-batch ----------------------------------------------------------------------------------- */

static void slot_clear(struct slot *s)
{
    for (size_t i = 0; i < s->batch.n; i++) item_free(&s->batch.items[i]);
    for (size_t i = 0; i < s->n_failures; i++) free(s->failures[i].text);
    free(s->failures);
    *s = (struct slot){ .batch.items = s->batch.items };
}

static const struct corpus_type *type_of(const struct feed *f, size_t item)
{
    const struct corpus_type *type = f->types;

    while (item >= type->end) type++;
    return type;
}

/* `first`: of this rank's items, in the corpus. */
static void batch_make(const struct feed *f, struct slot *s, size_t first)
{
    const struct corpus_type *type = type_of(f, first);
    enum status st = STATUS_OK;

    for (size_t i = 0; st == STATUS_OK && i < f->options.micro_batch; i++) {
        st = item_make_or_replace(f, s, type, first + i, &s->batch.items[i], &s->err);
        if (st == STATUS_OK) s->batch.n++;
    }
}

/* Gives the next ticket to a slot and goes on to the one after it; under the lock. */
static struct slot *ticket_take(struct feed *f, size_t *first)
{
    struct slot *s = &f->slots[f->given++ % f->n_slots];
    const struct feed_options *o = &f->options;

    s->batch.epoch = f->epoch;
    s->batch.step = f->step;
    s->batch.micro = f->micro;
    *first = blend_first(&f->blend, f->epoch, f->step, f->micro) + o->rank * o->micro_batch;
    if (++f->micro < o->accumulate) return s;
    f->micro = 0;
    f->step += o->stride > 1 ? o->stride : 1;
    if (f->step < f->blend.n_steps) return s;
    f->step = 0;
    f->epoch++;
    return s;
}

static void *work(void *argument)
{
    struct feed *f = argument;

    pthread_mutex_lock(&f->lock);
    while (!f->closing) {
        struct slot *s;
        size_t first;

        if (f->given == f->taken + f->n_slots) {
            pthread_cond_wait(&f->changed, &f->lock);
            continue;
        }
        s = ticket_take(f, &first);
        pthread_mutex_unlock(&f->lock);
        batch_make(f, s, first);
        pthread_mutex_lock(&f->lock);
        s->ready = true;
        pthread_cond_broadcast(&f->changed);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

/* ---- the feed ------------------------------------------------------------------------------------------ */

static enum status options_check(const struct feed *f, struct err *e)
{
    const struct feed_options *o = &f->options;

    assert(o->micro_batch > 0 && o->accumulate > 0 && o->rank < o->ranks && o->threads > 0);
    assert(o->bad_share >= 0 && o->bad_share <= 1);
    for (size_t i = 0; i < f->n_types; i++)
        if (f->types[i].sees &&
            (o->max_words < o->image_words || o->max_words - o->image_words <= TEXT_TOKENS_MIN))
            return err_set(
                e, STATUS_BAD_ARGUMENT,
                "%zu words at most, of which an image takes %zu, leave no room for text: take %zu or more",
                o->max_words, o->image_words, o->image_words + TEXT_TOKENS_MIN + 1);
    if (o->max_words <= TEXT_TOKENS_MIN)
        return err_set(e, STATUS_BAD_ARGUMENT, "%zu words at most leave no room for text: take %d or more",
                       o->max_words, TEXT_TOKENS_MIN + 1);
    return STATUS_OK;
}

static enum status slots_init(struct feed *f, struct err *e)
{
    f->n_slots = (size_t)f->options.threads + 1;
    f->slots = calloc(f->n_slots, sizeof *f->slots);
    f->threads = calloc((size_t)f->options.threads, sizeof *f->threads);
    f->bad = calloc(corpus_count(f->corpus), sizeof *f->bad);
    if (f->slots == NULL || f->threads == NULL || f->bad == NULL) return err_no_memory(e, "micro-batches");
    for (size_t i = 0; i < f->n_slots; i++) {
        f->slots[i].batch.items = calloc(f->options.micro_batch, sizeof *f->slots[i].batch.items);
        if (f->slots[i].batch.items == NULL) return err_no_memory(e, "micro-batches");
    }
    return STATUS_OK;
}

static enum status begin(struct feed *f, uint64_t epoch, size_t step, struct err *e)
{
    const struct feed_options *o = &f->options;
    enum status st = options_check(f, e);

    if (st == STATUS_OK)
        st = blend_init(&f->blend, f->types, f->n_types, o->mix, o->n_mix, o->accumulate,
                        o->micro_batch * o->ranks, o->seed, e);
    if (st != STATUS_OK) return st;
    if (step >= f->blend.n_steps)
        return err_set(e, STATUS_BAD_ARGUMENT, "there is no step %zu in an epoch of %zu", step,
                       f->blend.n_steps);
    f->epoch = epoch;
    f->step = step;
    f->n_bad_max = (size_t)(o->bad_share * (double)corpus_count(f->corpus));
    st = slots_init(f, e);
    for (; st == STATUS_OK && f->n_threads < o->threads; f->n_threads++)
        if (pthread_create(&f->threads[f->n_threads], NULL, work, f) != 0) {
            st = err_set(e, STATUS_NO_MEMORY, "thread %d that prepares data cannot be started",
                         f->n_threads + 1);
            break;
        }
    return st;
}

enum status feed_open(struct feed **out, const struct corpus *c, const struct tokenizer *t,
                      const struct feed_options *options, uint64_t epoch, size_t step, struct err *e)
{
    struct feed *f = calloc(1, sizeof *f);
    enum status st;

    *out = NULL;
    if (f == NULL) return err_no_memory(e, "micro-batches");
    f->corpus = c;
    f->tokenizer = t;
    f->options = *options;
    f->n_types = corpus_types(c, &f->types);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    st = begin(f, epoch, step, e);
    if (st != STATUS_OK) {
        feed_close(f);
        return st;
    }
    *out = f;
    return STATUS_OK;
}

void feed_close(struct feed *f)
{
    if (f == NULL) return;
    pthread_mutex_lock(&f->lock);
    f->closing = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    for (int i = 0; i < f->n_threads; i++) pthread_join(f->threads[i], NULL);
    for (size_t i = 0; f->slots != NULL && i < f->n_slots; i++) {
        slot_clear(&f->slots[i]);
        free(f->slots[i].batch.items);
    }
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    blend_free(&f->blend);
    free(f->slots);
    free(f->threads);
    free(f->bad);
    free(f);
}

size_t feed_steps(const struct feed *f)
{
    return f->blend.n_steps;
}

size_t feed_bad(const struct feed *f)
{
    return f->n_bad;
}

/* Tells what has not been told yet. */
static enum status failures_tell(struct feed *f, const struct slot *s, const struct report *report,
                                 struct err *e)
{
    for (size_t i = 0; i < s->n_failures; i++) {
        const struct failure *failure = &s->failures[i];

        if (f->bad[failure->item]) continue;
        f->bad[failure->item] = 1;
        f->n_bad++;
        if (f->n_bad_max == 0) return err_set(e, STATUS_BAD_FORMAT, "%s", failure->text);
        if (f->n_bad > f->n_bad_max)
            return err_set(
                e, STATUS_BAD_FORMAT,
                "%zu of %zu items cannot be learned from, more than the %g %% that may fail; the last is %s",
                f->n_bad, corpus_count(f->corpus), 100 * f->options.bad_share, failure->text);
        report_warn(report, "%s; another item takes its place", failure->text);
    }
    return STATUS_OK;
}

enum status feed_next(struct feed *f, const struct feed_batch **batch, const struct report *report,
                      struct err *e)
{
    struct slot *s;
    enum status st;

    pthread_mutex_lock(&f->lock);
    if (f->taking) {
        slot_clear(&f->slots[f->taken++ % f->n_slots]);
        pthread_cond_broadcast(&f->changed);
    }
    f->taking = true;
    s = &f->slots[f->taken % f->n_slots];
    while (!s->ready) pthread_cond_wait(&f->changed, &f->lock);
    pthread_mutex_unlock(&f->lock);
    *batch = NULL;
    st = failures_tell(f, s, report, e);
    if (st == STATUS_OK && s->err.code != STATUS_OK) st = err_set(e, s->err.code, "%s", s->err.text);
    if (st == STATUS_OK) *batch = &s->batch;
    return st;
}
