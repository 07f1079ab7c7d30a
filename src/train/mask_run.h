/*
 * mask_run.h - the run of a segmenter (`segmenter: sam.pth` in the configuration), a kind of run beside that of a model:
 *
 *   sam.pth ── sam_load ── trainees ──────────────┐
 *   META ── mask_data ── order ── mask_step ── gradients ── trainer.c: optimizer, log ── OUTPUT/epoch0/sam.pth, training.state
 *
 * A micro-batch is so many pictures, each with at most `prompts` of its masks. What is drawn depends on seed, epoch and picture alone. The
 * constant that places are encoded with (spec 13 section 4) stays as it is.
 */
#ifndef SPHINX_TRAIN_MASK_RUN_H
#define SPHINX_TRAIN_MASK_RUN_H

#include "train/trainer_parts.h"

extern const struct run_kind mask_kind;

#define MASK_RUN_NAME "sam.pth" /* in a checkpoint's folder */

#endif
