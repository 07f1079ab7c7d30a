/*
 * optimizer.h - AdamW (Loshchilov & Hutter 2019) with the global norm clipped, and the learning rate's schedule. Spec 10 section 8.
 *
 *   ranks' gradients ── sum, to each its share ── norm, over all shares ── update of the share ── masters, to all
 *
 *   m <- b1 m + (1-b1) g      v <- b2 v + (1-b2) g^2      (float32)
 *   w <- w - lr wd w - lr (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps)
 */
#ifndef SPHINX_TRAIN_OPTIMIZER_H
#define SPHINX_TRAIN_OPTIMIZER_H

#include "train/trainee.h"

struct optimizer {
    double beta1, beta2, epsilon;
    double weight_decay;
    double clip;                       /* largest 2-norm of all gradients together; 0 and below: none */
    int64_t steps;                     /* made so far, not counting those skipped */
    int64_t skipped, skipped_in_a_row; /* steps whose norm was not finite: nothing was changed */
};

/* Upstream's constants: 0.9, 0.95, 1e-8; neither decay nor clipping. */
struct optimizer optimizer_default(void);

/* The 2-norm of all gradients, each element once, summed in double; the same for any number of threads. With several ranks that of this rank's
 * shares. */
double gradient_norm(const struct trainees *t, int threads);

/* One step with learning rate lr: sums the gradients over the ranks, clips, updates masters and moments, rounds. *norm is that before clipping;
 * if it is not finite, the step was skipped. The failure is a lost rank. Bit for bit the same for any number of threads, and on every
 * rank; of several ranks each updates its share of every weight, and what it does not have from the others it then gets. */
enum status optimizer_step(struct optimizer *o, struct trainees *t, double lr, int threads, double *norm,
                           struct err *e);

/* Warm-up from 0, then cosine from lr to lr_min; all in steps, which may be fractions. Beyond total: lr_min. */
struct schedule {
    double lr, lr_min, warmup, total;
};
double schedule_lr(const struct schedule *s, double step);

#endif
