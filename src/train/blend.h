/*
 * blend.h - which items make up which micro-batch: steps of one type each (order.h), or, for types that are to be learned side by
 * side, so many micro-batches of each in every step (spec 10 section 13).
 *
 *   plain   step k: chunk k of all types' chunks
 *   mixed   step k: captions' chunk k ── 10 micro-batches ─┐
 *                   texts' chunk k    ──  1 micro-batch   ─┴─ one step
 *
 * An epoch of a mix is once through its first type. The others go on from epoch to epoch, each shuffled anew whenever it begins again.
 * Like an order it depends on the seed alone: any step of any epoch can be asked for.
 */
#ifndef SPHINX_TRAIN_BLEND_H
#define SPHINX_TRAIN_BLEND_H

#include "train/order.h"

/* Of a mix. */
struct blend_part {
    const char *type;
    size_t n_micro; /* micro-batches a step, >= 1 */
};

struct blend_lane {
    struct order order;
    const struct corpus_type *types; /* [n_types], borrowed */
    size_t n_types, n_micro;
    uint64_t pass; /* that order is shuffled for */
};

struct blend {
    struct blend_lane *lane; /* [n_lanes] */
    size_t n_lanes;
    size_t micro;   /* items of a micro-batch, of all ranks */
    size_t n_steps; /* of an epoch */
};

/* parts [n_parts], none: plain steps of `accumulate` micro-batches. micro: items of a micro-batch of all ranks together. BAD_ARGUMENT: a type
 * with too few items for a step, one that is not in the data, or one of the data that is not in the mix. types are borrowed. */
enum status blend_init(struct blend *b, const struct corpus_type *types, size_t n_types,
                       const struct blend_part *parts, size_t n_parts, size_t accumulate, size_t micro,
                       uint64_t seed, struct err *e);
/* The first of the `micro` items of micro-batch k of a step. */
size_t blend_first(struct blend *b, uint64_t epoch, size_t step, size_t k);
void blend_free(struct blend *b); /* accepts a zeroed one */

#endif
