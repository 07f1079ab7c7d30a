/*
 * ask.c - one question, one answer: prompt, prefill, and the loop that draws a token, tells the text, and computes the next.
 */
#include "model/public.h"
#include "model/session.h"
#include "text/conversation.h"
#include "text/stream.h"

#include <stdlib.h>

sphinx_ask_options sphinx_ask_options_default(void)
{
    return (sphinx_ask_options){
        .max_tokens = 512, .temperature = 0.1f, .top_p = 0.75f, .repeat_penalty = 1, .repeat_last_n = 64
    };
}

/* One answer in the making. */
struct asking {
    struct sphinx_session *s;
    const sphinx_ask_options *o;
    int32_t *ids; /* [capacity] the prompt, then what was generated */
    size_t n_prompt, n, capacity;
    float *logprobs; /* of the generated ones */
    struct stream stream;
    struct answer_facts facts;
};

static enum status prepare_sampler(struct sphinx_session *s, const sphinx_ask_options *o, struct err *e)
{
    struct sampler_options k = { .temperature = o->temperature,
                                 .top_p = o->top_p,
                                 .top_k = o->top_k,
                                 .min_p = o->min_p,
                                 .repeat_penalty = o->repeat_penalty,
                                 .repeat_last_n = o->repeat_last_n,
                                 .seed = o->seed };
    enum status st;

    if (s->sampler_ready) return sampler_options_set(&s->sampler, &k, e);
    st = sampler_init(&s->sampler, &k, s->model->network.config.llama.vocab, e);
    s->sampler_ready = st == STATUS_OK;
    return st;
}

/* Memory for the longest answer there may be, and the stops. */
static enum status prepare(struct asking *a, const char *question, struct err *e)
{
    struct sphinx_session *s = a->s;
    size_t n_stops = a->o->n_stop + 1;
    const char **stops;
    int32_t *prompt = NULL;
    enum status st;

    if (a->o->max_tokens < -1) {
        return err_set(e, STATUS_BAD_ARGUMENT, "max_tokens is %d: it may be -1 (no limit) or more",
                       a->o->max_tokens);
    }
    st = prepare_sampler(s, a->o, e);
    if (st == STATUS_OK) {
        st = session_prompt(s, question, a->o->max_tokens, &prompt, &a->n_prompt, &a->facts.dropped_turns, e);
    }
    if (st != STATUS_OK) return st;
    a->facts.image_tokens = s->words != NULL ? (size_t)s->n_words : 0;
    a->facts.prompt_tokens = a->n_prompt;
    a->capacity = (size_t)s->model->context - a->facts.image_tokens;
    if (a->o->max_tokens >= 0 && a->n_prompt + (size_t)a->o->max_tokens < a->capacity) {
        a->capacity = a->n_prompt + (size_t)a->o->max_tokens;
    }
    a->ids = malloc(a->capacity * sizeof *a->ids);
    a->logprobs = malloc((a->capacity - a->n_prompt + 1) * sizeof *a->logprobs);
    stops = malloc(n_stops * sizeof *stops);
    if (a->ids == NULL || a->logprobs == NULL || stops == NULL) {
        st = err_no_memory(e, "answer");
    } else {
        memcpy(a->ids, prompt, a->n_prompt * sizeof *prompt);
        a->n = a->n_prompt;
        stops[0] = CONV_STOP;
        for (size_t i = 1; i < n_stops; i++) stops[i] = a->o->stop[i - 1];
        st = stream_init(&a->stream, s->model->tokenizer, stops, a->o->ignore_eos ? 0 : n_stops,
                         a->capacity - a->n_prompt, e);
    }
    free(stops);
    free(prompt);
    return st;
}

/* Hands a piece of text to the caller; false when the caller has had enough. */
static bool tell(const struct asking *a, struct stream_piece piece)
{
    if (piece.size == 0 || a->o->piece == NULL) return true;
    return a->o->piece(a->o->user, piece.text, piece.size) == 0;
}

static bool cancelled(const struct asking *a)
{
    return atomic_load_explicit(&a->s->cancel, memory_order_relaxed);
}

/* Draws one token and tells its text. Sets *done when the answer ends here. */
static enum status draw(struct asking *a, const float *logits, bool *done, struct err *e)
{
    struct sphinx_session *s = a->s;
    struct stream_piece piece;
    enum status st;
    int32_t id;

    st = sampler_next(&s->sampler, logits, a->ids, a->n, &id, &a->logprobs[a->n - a->n_prompt], e);
    if (st != STATUS_OK) return st;
    if (id == tok_eos(s->model->tokenizer) && !a->o->ignore_eos) {
        *done = true;
        a->facts.finish = SPHINX_FINISH_STOP;
        return STATUS_OK;
    }
    a->ids[a->n++] = id;
    st = stream_put(&a->stream, id, &piece, e);
    if (st != STATUS_OK) return st;
    if (!tell(a, piece)) {
        *done = true;
        a->facts.finish = SPHINX_FINISH_CANCELLED;
    } else if (a->stream.stopped) {
        *done = true;
        a->facts.finish = SPHINX_FINISH_STOP;
    }
    return STATUS_OK;
}

static enum status generate(struct asking *a, struct err *e)
{
    const float *logits;
    bool done = false;
    double start = clock_seconds();
    enum status st;

    st = session_compute(a->s, a->ids, a->n, &logits, &a->facts.cached_tokens, e);
    a->facts.seconds_prefill = clock_seconds() - start;
    start = clock_seconds();
    a->facts.finish = SPHINX_FINISH_LENGTH;
    while (st == STATUS_OK && a->n < a->capacity) {
        st = draw(a, logits, &done, e);
        if (st != STATUS_OK || done || a->n == a->capacity) break;
        if (!cancelled(a)) st = session_compute(a->s, a->ids, a->n, &logits, NULL, e);
        if (cancelled(a) && (st == STATUS_OK || st == STATUS_CANCELLED)) {
            /* What was said so far is an answer. */
            err_clear(e);
            st = STATUS_OK;
            a->facts.finish = SPHINX_FINISH_CANCELLED;
            break;
        }
    }
    a->facts.seconds_decode = clock_seconds() - start;
    return st;
}

static enum status finish(struct asking *a, const char *question, sphinx_answer **answer, struct err *e)
{
    struct stream_piece piece;
    enum status st;

    st = stream_end(&a->stream, &piece, e);
    if (st != STATUS_OK) return st;
    if (a->facts.finish != SPHINX_FINISH_CANCELLED) tell(a, piece);
    st = answer_make(answer, a->s, &a->stream, a->ids + a->n_prompt, a->logprobs, a->n - a->n_prompt,
                     &a->facts, e);
    if (st != STATUS_OK) return st;
    st = session_append(a->s, question, (*answer)->text, e);
    if (st == STATUS_OK) {
        a->s->seconds_encode = 0;
        return STATUS_OK;
    }
    sphinx_answer_free(*answer);
    *answer = NULL;
    return st;
}

sphinx_status sphinx_ask(sphinx_session *s, const char *question, const sphinx_ask_options *options,
                         sphinx_answer **answer, sphinx_error *error)
{
    sphinx_ask_options defaults = sphinx_ask_options_default();
    struct asking a = { .s = s, .o = options != NULL ? options : &defaults };
    struct err e = { 0 };
    enum status st;

    *answer = NULL;
    st = prepare(&a, question, &e);
    if (st == STATUS_OK) st = generate(&a, &e);
    if (st == STATUS_OK) st = finish(&a, question, answer, &e);
    atomic_store(&s->cancel, false);
    stream_free(&a.stream);
    free(a.ids);
    free(a.logprobs);
    return public_status(st, &e, error);
}
