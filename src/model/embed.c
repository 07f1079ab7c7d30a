/*
 * embed.c - what a text or an image is like: sphinx_session_embed of sphinx.h.
 *
 *   text ── ids ── BOS, image, ids in one prompt ── last states of all positions, added up as they are computed ── mean ── length 1
 */
#include "model/public.h"
#include "model/step.h"
#include "text/utf8.h"

#include <math.h>
#include <stdlib.h>

/* All positions of ids [n], none from the cache. */
static enum status add_up(struct sphinx_session *s, const int32_t *ids, size_t n, double *sum, struct err *e)
{
    struct step_part part = { .session = s, .ids = ids, .n = n, .n_logits = 1, .states = sum }, *list = &part;

    s->n_rows = 0;
    do {
        step_run(&s->ctx, &list, 1);
        if (part.err.code != STATUS_OK) return err_set(e, part.err.code, "%s", part.err.text);
        if (report_cancelled(&s->report)) return err_set(e, STATUS_CANCELLED, "cancelled");
    } while (part.logits == NULL);
    return STATUS_OK;
}

/* The direction of sum [D]. */
static enum status normalize(const double *sum, size_t D, float *vector, struct err *e)
{
    double squares = 0;

    for (size_t i = 0; i < D; i++) squares += sum[i] * sum[i];
    if (!(squares > 0 && isfinite(squares)))
        return err_set(e, STATUS_NUMERIC, "the text's states have no direction");
    for (size_t i = 0; i < D; i++) vector[i] = (float)(sum[i] / sqrt(squares));
    return STATUS_OK;
}

static enum status embed_ids(struct sphinx_session *s, const int32_t *ids, size_t n, float *vector,
                             struct err *e)
{
    size_t D = (size_t)s->model->network.config.llama.dim;
    double *sum = calloc(D, sizeof *sum);
    enum status st = sum != NULL ? add_up(s, ids, n, sum, e) : err_no_memory(e, "embedding");

    if (st == STATUS_OK) st = normalize(sum, D, vector, e);
    free(sum);
    return st;
}

static enum status embed_text(struct sphinx_session *s, const char *text, size_t size, float *vector,
                              size_t *tokens, struct err *e)
{
    size_t words = (size_t)session_words(s), n = 0;
    int32_t *ids = NULL;
    enum status st;

    if (s->asking)
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "the session's last question has no answer yet: it was not taken");
    st = text_utf8_check("the text", text, size, NULL, e);
    if (st == STATUS_OK) st = tok_encode(s->model->tokenizer, text, size, TOK_BOS, &ids, &n, e);
    if (st != STATUS_OK) return st;
    *tokens = words + n;
    if (words + n < 2)
        st = err_set(e, STATUS_BAD_ARGUMENT, "the text is empty");
    else if (words + n > (size_t)s->model->context)
        st = err_set(e, STATUS_BAD_ARGUMENT, "the text takes %zu positions of the context: it has %d",
                     words + n, s->model->context);
    else
        st = embed_ids(s, ids, n, vector, e);
    free(ids);
    return st;
}

sphinx_status sphinx_session_embed(sphinx_session *s, const char *text, size_t size, float *vector,
                                   size_t *tokens, sphinx_error *error)
{
    struct err e = { 0 };
    enum status st = embed_text(s, text, size, vector, tokens, &e);

    atomic_store(&s->cancel, false);
    return public_status(st, &e, error);
}
