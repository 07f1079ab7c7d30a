/*
 * trainee.h - the weights that a run changes: which they are, their float32 masters, gradients and moments.
 *
 *   network ── network_params ── rule: trained or frozen ── float32 copy, which the network's tensor now points to
 *                                                             ├─ grad    filled by the tape
 *                                                             └─ moments optimizer.h
 *
 * Frozen weights stay where they are: mapped, in their own type. Spec 10 section 3.
 */
#ifndef SPHINX_TRAIN_TRAINEE_H
#define SPHINX_TRAIN_TRAINEE_H

#include "model/network.h"

struct trainee {
    char *name; /* upstream's, without "llma." */
    struct tensor
        *slot; /* in the network; dtype f32, grad set; bf16 runs: bf16, rounded from master after each step */
    size_t n;  /* numbers */
    float *master, *grad; /* [n] */
    float *mean, *square; /* [n] AdamW's moments; NULL until the optimizer has begun */
    bool decays;          /* weight decay: not for names that end in ".bias" or "norm.weight" */
};

/* What a run trains. */
struct trainee_rule {
    const char *const *only; /* [n_only] patterns (the shell's) of names; none: all but the encoders */
    size_t n_only;
    const char *const *except; /* [n_except] */
    size_t n_except;
    bool encoders; /* the encoders too */
};

struct trainees {
    struct trainee *item; /* [n] in the order of network_params */
    size_t n;
    size_t n_numbers;
    bool bf16; /* the network computes with weights rounded to bf16 */
    struct arena arena;
};

/* Points the network's trained tensors to masters of their own. BAD_ARGUMENT: a pattern that matches nothing; UNSUPPORTED: a trained weight that is
 * quantised. */
enum status trainees_init(struct trainees *t, struct network *n, const struct trainee_rule *rule, bool bf16,
                          struct err *e);
void trainees_free(struct trainees *t); /* after the network; accepts a zeroed one */
void trainees_zero_grad(struct trainees *t);
/* The network's tensors from the masters; after each change of these. */
void trainees_round(struct trainees *t);

#endif
