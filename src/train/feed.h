/*
 * feed.h - the micro-batches of a run, ready to be learned from, in their order: threads read, tokenise and decode those ahead.
 *
 *   order ── step's items ── this rank's micro-batches ── threads: corpus_read, img_read, transform ── ring ── feed_next
 *
 * What comes, and in which order, depends on the corpus, the options and the seed, not on the number of threads or on when the run
 * was begun: feed_open at an epoch and step goes on as if it had never stopped.
 *
 * An item that fails (an image that does not open, nothing to learn) is replaced by the one before it in its type, the first by the
 * last, until one does not fail. Each is told once, as a warning; above a share of all items it is an error. Spec 10 section 5.6.
 */
#ifndef SPHINX_TRAIN_FEED_H
#define SPHINX_TRAIN_FEED_H

#include "core/report.h"
#include "train/blend.h"
#include "train/feature_cache.h"

/* Spec 10 section 5.7. */
enum feed_view {
    FEED_PADDED_RESIZE,       /* SPHINX: the only one after which coordinates in the texts hold */
    FEED_RANDOM_RESIZED_CROP, /* another one each epoch */
    FEED_RESIZED_CENTER_CROP,
};

struct feed_options {
    size_t micro_batch;           /* B, items at once on this rank */
    size_t accumulate;            /* A, micro-batches a step; those of `mix` together, if there is one */
    const struct blend_part *mix; /* [n_mix] of several types in a step; borrowed during feed_open */
    size_t n_mix;
    size_t ranks, rank; /* R; a step has B A R items */
    size_t stride;      /* from step to step: as many are left out, less one; 0: 1 */
    size_t max_words;   /* longest sequence, image words included */
    size_t image_words; /* of an image */
    int image_size;
    enum feed_view view;
    double bad_share;            /* of all items, that may fail; 0: the first that fails is an error */
    struct feature_cache *cache; /* images that it has are not decoded; NULL: none. Borrowed */
    int threads;                 /* >= 1 */
    uint64_t seed;
};

struct feed_item {
    struct sample sample;
    char *image;   /* its path; NULL: none */
    float *planes; /* [3, image_size, image_size], normalised; NULL: no image, or there are */
    const struct features *features; /* of the cache, borrowed from it */
    size_t item;                     /* of the corpus: which one it is, after replacement */
};

struct feed_batch {
    struct feed_item *items; /* [n] */
    size_t n;
    uint64_t epoch; /* from 0 */
    size_t step;    /* of the epoch, from 0 */
    size_t micro;   /* of the step, from 0 */
};

struct feed;

/* Begins before the first micro-batch of a step. Corpus and tokenizer are borrowed until feed_close. BAD_ARGUMENT: max_words leaves no room
 * for text, a type has too few items, or there is no such step. */
enum status feed_open(struct feed **f, const struct corpus *c, const struct tokenizer *t,
                      const struct feed_options *options, uint64_t epoch, size_t step, struct err *e);
void feed_close(struct feed *f); /* accepts NULL */

size_t feed_steps(const struct feed *f); /* of an epoch */
/* The next micro-batch, borrowed until the next call; epoch follows epoch without end. Warnings go to `report`. After a failure: only
 * feed_close. */
enum status feed_next(struct feed *f, const struct feed_batch **batch, const struct report *report,
                      struct err *e);
/* Items that have failed so far, each counted once. */
size_t feed_bad(const struct feed *f);

#endif
