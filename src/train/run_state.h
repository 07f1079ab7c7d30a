/*
 * run_state.h - what it takes to go on with a run as if it had never stopped, beside the model in each of its checkpoints:
 *
 *   DIR/training.state   a safetensors file (of another name: a folder with two kinds of weights is no model):
 *                        master/NAME, mean/NAME, square/NAME  float32, of every trained weight: the model's file may hold rounded ones
 *                           metadata: where the run stands, and of which run it is
 */
#ifndef SPHINX_TRAIN_RUN_STATE_H
#define SPHINX_TRAIN_RUN_STATE_H

#include "train/trainer_parts.h"

#define RUN_STATE_NAME "training.state"

/* Bytes of the file's tensors. */
uint64_t run_state_bytes(const struct trainer *t);

/* By the rank that writes, while the others join it. What it takes together is never in memory all at once. */
enum status run_state_write(struct trainer *t, const char *folder, struct err *e);
/* The others' part. It begins with ranks_agree, as run_state_write does when all is ready, which sets t->met: one that fails before must call it
 * for them. */
enum status run_state_join(const struct trainer *t, struct err *e);

/* Masters, moments and position from the file in `folder`; the number of ranks may be another, as long as a step has as many micro-batches. BAD_ARGUMENT names what is not as it was: model, data, batch, precision or what
 * trains; then nothing of t has changed but perhaps its weights. */
enum status run_state_read(struct trainer *t, const char *folder, struct err *e);

#endif
