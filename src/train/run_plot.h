/*
 * run_plot.h - the losses of a run as a picture: OUTPUT/loss.svg, drawn anew from log.jsonl with each checkpoint.
 */
#ifndef SPHINX_TRAIN_RUN_PLOT_H
#define SPHINX_TRAIN_RUN_PLOT_H

#include "core/status.h"

/* Reads the log and replaces the picture: the mean loss over the steps, the span of its values as a band, and the validation's losses as
 * points. No step in the log: nothing is written. */
enum status run_plot_write(const char *log, const char *svg, struct err *e);

#endif
