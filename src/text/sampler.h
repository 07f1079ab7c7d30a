/*
 * sampler.h - the next token id from the logits.
 *
 * What is done, in this order (each step is left out at the value in brackets):
 *  1. repeat penalty (1): logits of ids among the last repeat_last_n are divided by it if positive, else
 *     multiplied, once per id, however often the id occurs (Keskar et al. 2019).
 *  1b. constraint (NULL): ids that it does not allow are impossible.
 *  2. temperature (0: take the largest logit, of equal ones the lowest id; nothing below is done).
 *     p = softmax(logits / temperature)
 *  3. top-k (0): only the k most probable.
 *  4. top-p (1): an entry is dropped when the mass of those before it, in descending order, exceeds top_p of
 *     what step 3 left. This is upstream's rule: the entry that crosses top_p stays, the first one always
 *     does, and top_p 0 keeps only that one. Of equal entries the lower id comes first.
 *  5. min-p (0): entries less probable than min_p times the most probable are dropped.
 *  6. the draw: argmax over what is left of p_i / e_i with e_i exponentially distributed, which is the
 *     same as drawing i with probability p_i (torch.multinomial does it so).
 *
 * Randomness: e_i = -log(u_i), u_i from SplitMix64's output function (Steele, Lea, Flood 2014) of (seed, draw
 * number, i). It has no hidden state, so the same seed and logits give the same text whatever the number of
 * threads, and an entry's luck does not depend on which others are left.
 */
#ifndef SPHINX_TEXT_SAMPLER_H
#define SPHINX_TEXT_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include "text/constraint.h"

struct sampler_options {
    float temperature;     /* >= 0 */
    float top_p;           /* 0 .. 1 */
    int32_t top_k;         /* >= 0 */
    float min_p;           /* 0 <= min_p < 1 */
    float repeat_penalty;  /* > 0 */
    int32_t repeat_last_n; /* -1: all recent ids */
    uint64_t seed;
};

/* Greedy, nothing cut. */
struct sampler_options sampler_options_default(void);

struct sampler {
    struct sampler_options options; /* may be changed between draws through sampler_options_set */
    int32_t vocab;
    uint64_t n_draws; /* draws made so far */
    /* What ids the next draw may give; NULL: all. Borrowed; whoever draws tells it of each id with constraint_accept. */
    struct constraint *constraint;

    /* private, [vocab] each */
    float *logits;
    struct sampler_entry *entries;
    unsigned char *penalised;
};

/* Allocates all the memory that sampling needs. BAD_ARGUMENT names the option that is out of range. */
enum status sampler_init(struct sampler *s, const struct sampler_options *o, int32_t vocab, struct err *e);
void sampler_free(struct sampler *s); /* accepts a zeroed one */

/* New options; the draw number starts again at 0. */
enum status sampler_options_set(struct sampler *s, const struct sampler_options *o, struct err *e);

/* Draws from logits [vocab]. recent [n_recent] are the ids so far, oldest first, for the repeat penalty; ids
 * outside the vocabulary are passed over. *logprob, which may be NULL, is the natural logarithm of the id's
 * probability under the model: softmax of the logits as they came, without constraint, temperature, penalty or cuts. -inf
 * logits are impossible entries; NaN, +inf, or nothing but -inf is NUMERIC. Never allocates. */
enum status sampler_next(struct sampler *s, const float *logits, const int32_t *recent, size_t n_recent,
                         int32_t *id, float *logprob, struct err *e);

struct sampler_candidate {
    int32_t id;
    float logprob;
};

/* The n most probable ids under the model, best first, of equal ones the lowest id first. n <= vocab. */
enum status sampler_top(struct sampler *s, const float *logits, int32_t n, struct sampler_candidate *top,
                        struct err *e);

#endif
