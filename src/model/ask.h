/*
 * ask.h - one question on its way to an answer, as a state machine, so that many can share each step of the model.
 *
 *   asking_begin ─▶ asking_want ─▶ step_run ─▶ asking_take ─┬─▶ asking_end ─▶ answer
 *                        ▲                                  │ done
 *                        └──────────────────────────────────┘
 *
 * A failure ends the asking that it belongs to, and asking_end tells it; the others of a step do not notice.
 */
#ifndef SPHINX_MODEL_ASK_H
#define SPHINX_MODEL_ASK_H

#include "model/guess.h"
#include "text/stream.h"

struct asking {
    struct sphinx_session *session; /* borrowed */
    sphinx_ask_options options;     /* its stop texts and grammar are not used after asking_begin */
    char *question;
    int32_t *ids; /* [capacity] the prompt, then what was generated, then what is guessed */
    size_t n_prompt, n, capacity;
    float *logprobs; /* of the generated ones */
    struct stream stream;
    struct constraint constraint; /* where `constrained` */
    bool constrained;
    struct answer_facts facts;
    struct guesser guess;
    struct step_part part;
    double began;          /* the present stage */
    bool stepped, started; /* a step was made; the prompt is computed */
    bool done;
    struct err err; /* why it is done without an answer */
};

/* Prompt, sampler and memory for the longest answer there may be. o is copied. On failure nothing is left to free. */
enum status asking_begin(struct asking *a, struct sphinx_session *s, const char *question,
                         const sphinx_ask_options *o, struct err *e);

/* What the next step is to compute; a is not done. Borrowed from a. */
struct step_part *asking_want(struct asking *a);

/* Takes what the step made of it: draws tokens and tells their text. May set a->done. */
void asking_take(struct asking *a);

/* Notices that the session was cancelled, without a step. May set a->done. */
void asking_poll(struct asking *a);

/* One step of several, none done. parts [n]: memory for the step's list. */
void asking_step(struct asking *const *a, size_t n, struct ctx *c, struct step_part **parts);

/* The answer, which becomes the conversation's next turn, or the failure. Frees a. Before a is done it is given up: CANCELLED. */
enum status asking_end(struct asking *a, sphinx_answer **answer, struct err *e);

#endif
