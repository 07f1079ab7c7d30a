/*
 * score.c - how well a text is foreseen: sphinx_session_score of sphinx.h.
 *
 *   text ── ids ── windows that fill the context ── BOS, image ── 32 ids at a time ── logits behind each ── log probability of the next
 */
#include "model/public.h"
#include "model/step.h"
#include "text/utf8.h"

#include <math.h>
#include <stdlib.h>

/* Adds what logits [vocab] say of the id that follows. */
static void judge(sphinx_score *score, const float *logits, int64_t vocab, int32_t id)
{
    int64_t best = 0;
    double sum = 0;

    for (int64_t i = 1; i < vocab; i++)
        if (logits[i] > logits[best]) best = i;
    for (int64_t i = 0; i < vocab; i++) sum += exp((double)logits[i] - (double)logits[best]);
    score->tokens++;
    score->right += best == id;
    score->logprob += (double)logits[id] - (double)logits[best] - log(sum);
}

/* One step: the rows of p, to the last of its ids, and of each of them the id that follows in `next`. */
static enum status step(struct step_part *p, const int32_t *next, sphinx_score *score, struct err *e)
{
    struct sphinx_session *s = p->session;
    int64_t vocab = s->model->network.config.llama.vocab;
    enum status st;

    do {
        step_run(&s->ctx, &p, 1);
        if (p->err.code != STATUS_OK) return err_set(e, p->err.code, "%s", p->err.text);
        if (report_cancelled(&s->report)) return err_set(e, STATUS_CANCELLED, "cancelled");
    } while (p->logits == NULL);
    st = session_check_finite(s, p->logits, (size_t)(p->n_logits * vocab), "the logits", e);
    for (int64_t i = 0; i < p->n_logits && st == STATUS_OK; i++)
        judge(score, p->logits + i * vocab, vocab, next[i]);
    return st;
}

/* ids [n], BOS first. */
static enum status score_window(struct sphinx_session *s, const int32_t *ids, size_t n, sphinx_score *score,
                                struct err *e)
{
    struct step_part p = { .session = s, .ids = ids, .n = 1, .n_logits = 1 };
    enum status st = STATUS_OK;

    s->n_rows =
        0; /* so that the portions, and with them the last bits, are the same whatever was asked before */
    score->windows++;
    while (st == STATUS_OK) {
        st = step(&p, ids + p.n - (size_t)p.n_logits + 1, score, e);
        p.n_logits = (int64_t)(n - 1 - p.n < BATCH_ROWS ? n - 1 - p.n : BATCH_ROWS);
        if (p.n_logits == 0) break;
        p.n += (size_t)p.n_logits;
    }
    return st;
}

/* ids [n] of the text, behind the BOS of each window. */
static enum status score_ids(struct sphinx_session *s, const int32_t *ids, size_t n, size_t room,
                             sphinx_score *score, struct err *e)
{
    int32_t *window = malloc((room + 1) * sizeof *window);
    enum status st = STATUS_OK;

    if (window == NULL) return err_no_memory(e, "window of a text");
    window[0] = tok_bos(s->model->tokenizer);
    for (size_t at = 0, count; at < n && st == STATUS_OK; at += count) {
        count = n - at < room ? n - at : room;
        memcpy(window + 1, ids + at, count * sizeof *ids);
        st = score_window(s, window, count + 1, score, e);
        report_progress(&s->report, "score", at + count, n);
    }
    free(window);
    return st;
}

static enum status score_text(struct sphinx_session *s, const char *text, size_t size, int window,
                              sphinx_score *score, struct err *e)
{
    int64_t words = session_words(s), positions = window > 0 ? window : s->model->context;
    int32_t *ids = NULL;
    size_t n = 0;
    enum status st;

    if (s->asking)
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "the session's last question has no answer yet: it was not taken");
    if (positions < words + 2 || positions > s->model->context) {
        return err_set(e, STATUS_BAD_ARGUMENT, "a window has %lld positions: it may have %lld to %d",
                       (long long)positions, (long long)words + 2, s->model->context);
    }
    st = text_utf8_check("the text", text, size, NULL, e);
    if (st == STATUS_OK) st = tok_encode(s->model->tokenizer, text, size, 0, &ids, &n, e);
    if (st == STATUS_OK) st = score_ids(s, ids, n, (size_t)(positions - words - 1), score, e);
    free(ids);
    return st;
}

sphinx_status sphinx_session_score(sphinx_session *s, const char *text, size_t size, int window,
                                   sphinx_score *score, sphinx_error *error)
{
    double start = clock_seconds();
    struct err e = { 0 };
    enum status st;

    *score = (sphinx_score){ 0 };
    st = score_text(s, text, size, window, score, &e);
    atomic_store(&s->cancel, false);
    score->seconds = clock_seconds() - start;
    return public_status(st, &e, error);
}
