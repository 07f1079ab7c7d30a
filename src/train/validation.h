/*
 * validation.h - the loss on data that a run does not learn from, by type.
 *
 *   validation: META ── corpus ── so many items, drawn once from the seed ── train_micro_batch, weight 0 ── losses
 *
 * The items are the same ones each time, so that losses can be compared.
 */
#ifndef SPHINX_TRAIN_VALIDATION_H
#define SPHINX_TRAIN_VALIDATION_H

#include "train/trainer_parts.h"

/* The data, opened and looked at before the first step: errors are those of corpus_open and feed_open. */
enum status validation_open(struct trainer *t, struct err *e);

/* Measures, and writes the result to the log. */
enum status validation_run(struct trainer *t, struct err *e);

#endif
