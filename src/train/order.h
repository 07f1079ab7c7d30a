/*
 * order.h - which items make up which step, for every epoch, from the seed alone (spec 10 section 7): a run that is resumed, or that
 * has other ranks, finds the same batches.
 *
 *   items of a type, sorted by length ── chunks of G ── shuffled with seed + epoch ── step k is chunk k
 */
#ifndef SPHINX_TRAIN_ORDER_H
#define SPHINX_TRAIN_ORDER_H

#include "train/corpus.h"

struct order {
    size_t batch;   /* G, items a step, of one type */
    size_t n_steps; /* of an epoch */
    size_t *chunk;  /* [n_steps] first item of each step, shuffled */
    uint64_t seed;
};

/* BAD_ARGUMENT: a type with fewer than `batch` items, which would vanish. */
enum status order_init(struct order *o, const struct corpus_type *types, size_t n_types, size_t batch,
                       uint64_t seed, struct err *e);
/* Shuffles for an epoch, from 0. */
void order_shuffle(struct order *o, const struct corpus_type *types, size_t n_types, uint64_t epoch);
void order_free(struct order *o); /* accepts a zeroed one */

#endif
