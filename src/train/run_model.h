/*
 * run_model.h - the model of a run as a checkpoint folder in upstream's layout, which -m opens and torch loads (spec 10 section 10):
 *
 *   DIR/consolidated.00-of-01.model.pth   {"model": {"llma.NAME": tensor}}: trained ones from their masters, frozen ones as they are
 *   DIR/config.json, meta.json, tokenizer.model
 *   DIR/training.state                 what it takes to go on (run_state.h)
 */
#ifndef SPHINX_TRAIN_RUN_MODEL_H
#define SPHINX_TRAIN_RUN_MODEL_H

#include "train/trainer_parts.h"

/* The type of the model's file, from the configuration. */
enum dtype run_model_type(const struct train_config *c);

/* Bytes of a checkpoint, but for headers. */
enum status run_model_bytes(struct trainer *t, uint64_t *bytes, struct err *e);

/* Writes the folder, which appears when all of it is on disk. Of a run that trains beside the model see run_adapter.h. */
enum status run_model_write(struct trainer *t, const char *folder, struct err *e);

#endif
