/*
 * step.h - the language model over any number of sequences at once: prefill, decoding, several users, and the checking of guessed
 * tokens are all a step.
 *
 *   parts ── what their slots do not hold yet ── ragged calls of llama_forward ── the logits that each part wants
 *
 * A part's numbers do not depend on the other parts of the step, to the last bit, for a kernel gives a row the same bits beside any
 * other rows as long as they are few (BATCH_ROWS), and:
 *   1. A part with more rows than that is computed in calls of its own, `chunk` rows at a time, one call a step. Where the calls begin
 *      depends on the part alone; of an independent session one begins behind the image.
 *   2. The other parts share calls of at most BATCH_ROWS rows, none of them cut in two.
 */
#ifndef SPHINX_MODEL_STEP_H
#define SPHINX_MODEL_STEP_H

#include "model/session.h"

/* What one session wants. */
struct step_part {
    struct sphinx_session *session;
    const int32_t *ids; /* [n] all its text ids so far, BOS first; n + image words <= context */
    size_t n;
    int64_t
        n_logits; /* logits behind so many of the last ids: 1, or, where those are all that is missing, more */
    double *
        states; /* [D] the last states of all positions that are computed, but BOS's, are added to it; NULL: nobody wants them */

    /* Results. */
    float *
        logits; /* [n_logits, vocab], borrowed until the context's next step; NULL: the prompt goes on in the next step */
    int64_t reused; /* positions that were in the cache */
    struct err err; /* not STATUS_OK: this part failed, whatever became of the others */

    /* Private to the step: the positions that it computes. */
    int64_t from, rows;
};

/* Positions that p's slot does not hold. */
int64_t step_missing(const struct step_part *p);

/* One step. c brings threads and memory, and the memory of its last step is reused; parts are of different sessions, of any models.
 * A session's own report hears of progress and can cancel where its part is alone in a call. */
void step_run(struct ctx *c, struct step_part *const *parts, size_t n);

#endif
