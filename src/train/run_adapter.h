/*
 * run_adapter.h - the checkpoint of a run that trains beside the model, not the model (lora_rank, bias_tuning, norm_tuning):
 *
 *   DIR/adapter.safetensors   what was trained (model/adapter_file.h): for --lora, on the model that the run started from
 *   DIR/training.state        what it takes to go on (run_state.h)
 */
#ifndef SPHINX_TRAIN_RUN_ADAPTER_H
#define SPHINX_TRAIN_RUN_ADAPTER_H

#include "train/trainer_parts.h"

/* Bytes of a checkpoint, but for headers. */
uint64_t run_adapter_bytes(const struct trainer *t);

/* Writes the folder, which appears when all of it is on disk. */
enum status run_adapter_write(struct trainer *t, const char *folder, struct err *e);

#endif
