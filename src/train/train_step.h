/*
 * train_step.h - a micro-batch through the model and back: loss and gradients. Spec 10 section 4.
 *
 *   images ── encoders, frozen: no tape ── features ─┐
 *                         trained projections: tape  │
 *   ids ─────────────────────────────── embeddings ──┴─ [BOS, image words, ids ...] of all samples, one after the other
 *        ── llama_forward ── rows behind which a target stands ── logits ── cross_entropy ── loss
 *
 * Samples are not padded: their rows follow each other (ragged batch), which computes the same. What stands behind a sample's last target
 * has no influence and is left out; so the experts' load is balanced over the rows that count, where upstream's includes padding.
 */
#ifndef SPHINX_TRAIN_TRAIN_STEP_H
#define SPHINX_TRAIN_TRAIN_STEP_H

#include "train/sample.h"
#include "train/trainee.h"

struct train_item {
    const struct sample *sample;
    const float *planes; /* [3, S, S] from img_prepare; NULL: no image */
    const struct features *
        features; /* what the encoders, frozen, make of it (encode_features), kept by the caller; NULL: from planes */
};

/* Means over the targets; 0 without any. */
struct train_loss {
    double answers, patches;
    size_t n_targets, n_shown; /* in answers, on patches */
};

/* Adds `weight` times the gradient of the micro-batch's loss to the trainees': of its answers' and, beside it, patch_weight times that of its patches'.
 * *loss is unweighted. weight 0: the loss alone (validation), in less time and memory; patch_weight 0: the patches' is not computed. The arena of c is
 * rewound. With experts, load_balance's gradient is added too, times what the configuration says; *loss is without it. Failures are in c->err:
 * NUMERIC for a loss that is not finite; UNSUPPORTED: patches are labelled on a grid that is not the model's or coarser by a whole factor. */
void train_micro_batch(struct ctx *c, const struct network *n, const struct train_item *items, size_t n_items,
                       double weight, double patch_weight, struct train_loss *loss);

/* Whether any weight of an encoder has a gradient. */
bool train_encoders_learn(const struct network *n);

#endif
