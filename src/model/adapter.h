/*
 * adapter.h - which of a network's matrices have adapters (tensor.h; spec 10 section 3). They are laid out first, empty; then loading or
 * training fills them, for params.h visits them like all that a checkpoint has.
 *
 *   config.json: lora_rank, bias_tuning ─┐
 *   a run's lora_targets ────────────────┴─ adapter_lay_out ─ slots ─┬─ load.h        checkpoints of upstream's *_peft types
 *                                                                    └─ trainee.h     a run's own
 */
#ifndef SPHINX_MODEL_ADAPTER_H
#define SPHINX_MODEL_ADAPTER_H

#include "model/network.h"

struct adapter_rule {
    int rank;                   /* r of each A and B; 0: none */
    const char *const *targets; /* [n_targets] patterns (the shell's) of the matrices that get these */
    size_t n_targets;
    bool lenient;              /* a target that no matrix is named like is passed over, not an error */
    const char *const *biased; /* [n_biased] of those that get a bias, which they have none of */
    size_t n_biased;
};

/* Whether an adapter has an effect beside p: on matrices that are multiplied with, not those that are looked up. */
bool adapter_fits(const struct param *p);

/* What upstream adapts: all matrices of the layers; the variant says which of them get a bias. With `encoders` also the matrices of the
 * encoders' blocks, which have biases already. */
struct adapter_rule adapter_rule_default(const struct variant *v, int rank, bool bias, bool encoders);

/* Makes room in n's arena for A, B and biases where the rule wants them; what is there already stays. Their shapes are set, their numbers are
 * not there. BAD_ARGUMENT: a target that no matrix is named like, or one that is looked up, not multiplied (embeddings, experts). */
enum status adapter_lay_out(struct network *n, const struct adapter_rule *rule, struct err *e);

#endif
