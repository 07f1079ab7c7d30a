/*
 * trainer.h - a run: from a configuration to a trained model on disk.
 *
 *   train_config ─┬─ model ── network ── trainees ─────────────┐
 *                 └─ corpus ── feed ── micro-batches ── step: train_step.h ... optimizer.h ── OUTPUT/epoch0-iter99/
 *                                                          └─ OUTPUT/log.jsonl
 *
 * Spec 10 sections 7, 8 and 10. A step is A micro-batches of B items and one change of the weights. What a run computes depends on model, data
 * and configuration, not on the number of threads.
 */
#ifndef SPHINX_TRAIN_TRAINER_H
#define SPHINX_TRAIN_TRAINER_H

#include "core/report.h"
#include "ranks/ranks.h"
#include "train/train_config.h"

struct trainer_options {
    const struct ranks *ranks; /* that share out each step's micro-batches; borrowed; NULL: one */
    int threads;               /* >= 1 */
    const char *cpu;           /* instruction level; NULL: the best */
    const char *
        resume; /* a checkpoint of a run to go on with, or the folder of one, for its newest; NULL: begin anew */
};

/* One step, when it is done. */
struct step_result {
    size_t step, n_steps; /* steps done, of all of the run */
    size_t epoch;         /* from 0 */
    double loss;          /* of the answers, mean over micro-batches */
    double patch_loss;    /* of what patches show (sample.h), beside it */
    double lr;
    double grad_norm;                    /* before clipping */
    bool skipped;                        /* the norm was not finite: the weights are as before */
    size_t n_items, n_tokens, n_targets; /* n_tokens: image words included */
    size_t n_shown;                      /* words for patches */
    double seconds, seconds_waiting;     /* all of it, and of that for data */
};

/* The loss on what is not learned from, after a step. */
struct type_loss {
    const char *name; /* of the type of items */
    double loss;      /* mean over targets */
    size_t n_items, n_targets;
};

struct validation_result {
    size_t step;
    double loss;    /* mean over all targets */
    double iou;     /* of a segmenter's masks by true boxes with the true ones, mean */
    size_t n_masks; /* of a segmenter; else 0 */
    const struct type_loss *types;
    size_t n_types, n_items;
    double seconds;
};

/* What a run tells; each may be NULL. Called between steps, from the thread that runs. */
struct train_listener {
    void (*step)(void *user, const struct step_result *r);
    void (*validated)(void *user, const struct validation_result *r);
    void (*saved)(void *user, const char *folder); /* a checkpoint is complete */
    void *user;
    const struct report
        *report; /* warnings; progress of loading; cancel ends the run after a step, and saves */
};

struct trainer;

/* Several ranks make the same calls. The first writes and tells; results are of all of them. What fails on one ends all: the others get CANCELLED.
 */

/* Opens model and data. Errors are those of the parts. BAD_ARGUMENT also where output_dir holds a run already, or what is resumed
 * is of another model, of other data or batches; IO where the checkpoints will not fit on the disk. The configuration is borrowed
 * until trainer_close. */
enum status trainer_open(struct trainer **t, const struct train_config *c, const struct trainer_options *o,
                         const struct train_listener *l, struct err *e);
/* All steps that are left, and the checkpoints. CANCELLED: stopped by report->cancel, after a step, with a checkpoint. NUMERIC: a loss that is
 * no number, or gradients that are none ten times in a row: the message names the step and the items. */
enum status trainer_run(struct trainer *t, struct err *e);
void trainer_close(struct trainer *t); /* accepts NULL */

/* What there is, for messages. */
struct trainer_info {
    size_t n_trained;       /* numbers */
    size_t n_items;         /* of the data */
    size_t n_steps, n_done; /* steps of the run, and those that were done before it was resumed */
    size_t epoch_steps;
    size_t n_bad; /* items that failed so far */
};
struct trainer_info trainer_info(const struct trainer *t);

#endif
