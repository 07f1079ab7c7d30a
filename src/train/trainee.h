/*
 * trainee.h - the weights that a run changes: which they are, their float32 masters, gradients and moments.
 *
 *   network ── network_params ── rule: trained or frozen ── float32 copy, which the network's tensor now points to
 *                                                             ├─ grad    filled by the tape
 *                                                             └─ moments optimizer.h
 *
 * Several ranks all have the masters, and each the moments of its share of every weight, for it is the one that changes these.
 * Frozen weights stay where they are: mapped, in their own type, also quantised. Spec 10 section 3.
 */
#ifndef SPHINX_TRAIN_TRAINEE_H
#define SPHINX_TRAIN_TRAINEE_H

#include "model/network.h"

struct trainee {
    char *name;          /* upstream's, without "llma." */
    struct tensor *slot; /* [n_slots] in the network, one below the other in master: experts, else one */
    int n_slots;
    int n_dims; /* the shape in an unsharded checkpoint */
    int64_t dim[TENSOR_DIMS_MAX];
    size_t n;             /* numbers */
    float *master, *grad; /* [n], and room up to [ranks][share] */
    size_t share;         /* what a rank changes: with one rank n */
    size_t own, n_own; /* this rank's share: numbers own .. own + n_own - 1; the last ranks' may be shorter */
    float *mean, *square; /* [n_own] AdamW's moments of these, zero before the first step; room for [share] */
    uint16_t *rounded;    /* [n] what a bf16 run computes with; NULL: the master itself */
    bool decays;          /* weight decay: not for names that end in ".bias" or "norm.weight" */
};

/* What a run trains. */
struct trainee_rule {
    const char *const *only; /* [n_only] patterns (the shell's) of names; none: all */
    size_t n_only;
    const char *const *except; /* [n_except] the same, of those to leave out */
    size_t n_except;
    bool encoders; /* the encoders too; else all of theirs are frozen, whatever the patterns say */

    /* Any of the three: only what is small trains, adapters, and biases and norms if asked for; of the projections neither. */
    int lora_rank; /* of adapters that are laid out beside the targets (adapter.h); 0: none are */
    const char *const *
        lora_targets; /* [n_lora_targets] patterns of matrices; none: all of the language model's layers, and with `encoders` those of
                                        their blocks. Named ones learn whatever `encoders` says */
    size_t n_lora_targets;
    bool bias_tuning; /* the matrices of the layers that the variant says get a bias, which is 0 at first */
    bool norm_tuning;
    uint64_t seed; /* of A's first numbers; B is 0 */
};

struct trainees {
    struct trainee *item; /* [n] in the order of network_params */
    size_t n;
    size_t n_numbers;
    const struct comm *comm; /* the ranks that learn from parts of each batch; NULL: one */
    bool bf16; /* the network computes with matrices rounded to bf16; vectors (norms, biases) stay float32 */
    struct arena arena;
};

/* Points the network's trained tensors to masters of their own. comm, borrowed, may be NULL. BAD_ARGUMENT: a pattern that matches nothing, nothing
 * is left to train, or adapters beside those of the checkpoint, of another rank; UNSUPPORTED: a trained weight that is quantised. After a
 * failure the network must not be used. */
enum status trainees_init(struct trainees *t, struct network *n, const struct trainee_rule *rule, bool bf16,
                          const struct comm *comm, struct err *e);

/* The same of any network, whose parameters `params` visits: nothing of the rule but `only` and `except` is heeded. */
enum status trainees_init_params(struct trainees *t, void (*params)(void *network, struct param_visitor *v),
                                 void *network, const struct trainee_rule *rule, bool bf16,
                                 const struct comm *comm, struct err *e);

static inline size_t trainees_ranks(const struct trainees *t)
{
    return t->comm != NULL ? (size_t)t->comm->size : 1;
}

void trainees_free(struct trainees *t); /* after the network's last use; accepts a zeroed one */
void trainees_zero_grad(struct trainees *t);
/* A moment of x, mean or square, of all of its numbers: into out [ranks][share] from the ranks, each of which calls it; and back, of which each
 * takes its share. */
enum status trainee_moment_get(const struct trainees *t, const struct trainee *x, const float *moment,
                               float *out, struct err *e);
void trainee_moment_put(const struct trainee *x, float *moment, const float *numbers);
/* The network's tensors from the masters; after each change of these. */
void trainees_round(struct trainees *t, int threads);

#endif
