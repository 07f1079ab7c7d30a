/*
 * run_batch.h - a micro-batch as a file, so that what went wrong with it can be looked at.
 *
 *   OUTPUT/failed-step12.safetensors   ids/0, labels/0 [n] int32, image/0 [3, S, S] float32 if it was decoded, ids/1 ...
 *                                      metadata: step, micro_batch, and of each item where it stands
 */
#ifndef SPHINX_TRAIN_RUN_BATCH_H
#define SPHINX_TRAIN_RUN_BATCH_H

#include "train/trainer_parts.h"

/* Of the step that is being made. */
enum status run_batch_write(const struct trainer *t, const struct feed_batch *b, struct err *e);

#endif
