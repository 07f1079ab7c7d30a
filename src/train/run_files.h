/*
 * run_files.h - the folder of a run:
 *
 *   OUTPUT/epoch0-iter399/   a checkpoint within epoch 0, whose last micro-batch was number 399 (from 0), as upstream counts
 *   OUTPUT/epoch0/           the one at its end
 *   OUTPUT/log.jsonl         an object a line for each step and each validation, in their order
 *   OUTPUT/loss.svg          the log as a picture (run_plot.h)
 *
 * Checkpoints appear whole and are renamed before they are removed: what is there under such a name is complete. The log's lock
 * belongs to the run.
 */
#ifndef SPHINX_TRAIN_RUN_FILES_H
#define SPHINX_TRAIN_RUN_FILES_H

#include "train/trainer_parts.h"

/* The folder, with those above it, and its log, locked; what runs that were killed left behind is removed. The log keeps what is before the
 * run's position. BAD_ARGUMENT: another process is at it, there is a run already and this one does not resume it, or there are checkpoints that
 * are newer than the position. */
enum status run_files_open(struct trainer *t, struct err *e);

/* Which checkpoint `resume` means: it is one, or is the folder of a run, of which it is the newest. malloc'ed; NULL: the run has none
 * yet, and begins anew. NOT_FOUND: it is neither. */
enum status run_files_find(char **checkpoint, const char *resume, struct err *e);

/* Writes the checkpoint of the position, draws the picture, and removes the oldest checkpoints beyond config->keep, never the newest. *path, malloc'ed, is its folder. */
enum status run_files_save(struct trainer *t, char **path, struct err *e);

/* IO where the checkpoints that the run will keep, and the one that is being written, will not fit. */
enum status run_files_check_space(struct trainer *t, struct err *e);

#endif
