/*
 * guess.h - tokens that are guessed ahead, to be checked by the model in one step (Leviathan et al. 2023; Chen et al. 2023). A step over
 * a few tokens costs little more than one over a single token, for both read all weights.
 *
 *   ids so far ─┬─ lookup: what followed the last time that these few tokens stood there (Saxena 2023) ─┬─ guesses ─ step ─ draws
 *               └─ draft: what a smaller model of the same vocabulary says ─────────────────────────────┘
 *
 * The model's own draw decides, guess by guess, with the random numbers that it would have used without guessing: a guess that is not
 * what is drawn ends the run. So the answer, greedy or sampled, is the same to the last bit as without guessing, whatever is guessed,
 * and its distribution is unchanged without a proof. The draft model draws with the same random numbers: an entry that is lucky for the
 * one is lucky for the other, and guesses are right nearly as often as rejection sampling allows (Daliri, Musco, Suresh 2024).
 *
 * How many are guessed follows how many were right; after runs of bad luck guessing pauses.
 */
#ifndef SPHINX_MODEL_GUESS_H
#define SPHINX_MODEL_GUESS_H

#include "model/step.h"

enum { GUESS_MAX = 16 }; /* with the token before them they fit a shared call */
_Static_assert((int)GUESS_MAX < (int)BATCH_ROWS, "guesses are checked in one call");

struct guesser {
    int lookup, draft_max, draft_min;
    float draft_p_min;
    struct sphinx_session *draft;  /* borrowed from the session; NULL: none */
    const struct sampler *sampler; /* the session's, borrowed */

    int32_t *ids; /* borrowed: [n] the sequence, then the guesses */
    size_t n, count, wanted;
    bool drafting; /* the draft model goes on */
    struct step_part part;

    int most;          /* guesses at a time, between 1 and what the options allow */
    int misses, pause; /* guesses in a row that were all wrong; tokens before the next one */
    size_t drafted, accepted;
};

/* UNSUPPORTED unless both models have the same vocabulary. */
enum status guess_check_draft(const sphinx_model *model, const sphinx_model *draft, struct err *e);

/* All options in range and the draft's sampler ready. */
enum status guess_init(struct guesser *g, struct sphinx_session *s, const sphinx_ask_options *o,
                       struct err *e);

/* Guesses what follows ids [n], at most `room` tokens, into ids[n] and on; g->count of them stand there afterwards. Where the draft model has to be
 * asked, guess_want gives a part, and a step and guess_take follow as long as g->drafting. */
void guess_begin(struct guesser *g, int32_t *ids, size_t n, size_t room);
struct step_part *guess_want(struct guesser *g);
void guess_take(struct guesser *g);

/* The first `accepted` of the guesses were right. */
void guess_told(struct guesser *g, size_t accepted);

#endif
