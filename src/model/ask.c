/* ask.c - see ask.h. */
#include "model/ask.h"

#include "model/public.h"
#include "model/recall.h"
#include "text/conversation.h"
#include "text/grammar_json.h"

#include <stdlib.h>

sphinx_ask_options sphinx_ask_options_default(void)
{
    return (sphinx_ask_options){ .max_tokens = 512,
                                 .temperature = 0.1f,
                                 .top_p = 0.75f,
                                 .repeat_penalty = 1,
                                 .repeat_last_n = 64,
                                 .draft_max = 8,
                                 .draft_p_min = 0.5f };
}

/* ---- beginning ----------------------------------------------------------------------------------------------- */

/* The grammar as the options give it; *made is to be freed. */
static enum status find_grammar(const sphinx_ask_options *o, const char **grammar, char **made, struct err *e)
{
    const char *preset = o->grammar != NULL ? grammar_preset(o->grammar) : NULL;
    enum status st;

    *made = NULL;
    *grammar = preset != NULL ? preset : o->grammar;
    if (o->json_schema == NULL) return STATUS_OK;
    if (o->grammar != NULL)
        return err_set(e, STATUS_BAD_ARGUMENT, "an answer follows a grammar or a JSON schema, not both");
    st = grammar_from_schema(o->json_schema, strlen(o->json_schema), made, e);
    *grammar = *made;
    return st;
}

static enum status parse_grammar(struct asking *a, const char *const *stops, size_t n_stops,
                                 struct grammar *g, struct err *e)
{
    const char *grammar;
    char *made;
    struct err why = { 0 };
    enum status st = find_grammar(&a->options, &grammar, &made, e);

    if (st == STATUS_OK) st = grammar_parse(g, grammar, strlen(grammar), stops, n_stops, &why);
    free(made);
    if (why.code == STATUS_OK) return st;
    return err_set(e, st, "%s%s",
                   a->options.json_schema != NULL ? "the JSON schema makes no grammar that can be followed: "
                                                  : "",
                   why.text);
}

/* What the answer must look like, where the options say so. */
static enum status prepare_constraint(struct asking *a, const char *const *stops, size_t n_stops,
                                      struct err *e)
{
    struct sphinx_session *s = a->session;
    const struct vocabulary *v;
    struct grammar g;
    enum status st;

    s->sampler.constraint = NULL;
    if (a->options.grammar == NULL && a->options.json_schema == NULL) return STATUS_OK;
    if (a->options.ignore_eos)
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "a grammar says where the answer ends: ignore_eos does not go with it");
    st = parse_grammar(a, stops, n_stops, &g, e);
    if (st != STATUS_OK) return st;
    st = session_vocabulary(s, &v, e);
    if (st == STATUS_OK)
        st = constraint_init(&a->constraint, v, s->model->tokenizer, s->sampler.vocab, &g, e);
    else
        grammar_free(&g);
    a->constrained = st == STATUS_OK;
    if (a->constrained) s->sampler.constraint = &a->constraint;
    return st;
}

static enum status prepare_stream(struct asking *a, struct err *e)
{
    const sphinx_ask_options *o = &a->options;
    const char **stops = malloc((o->n_stop + 1) * sizeof *stops);
    size_t n_stops = 0;
    enum status st;

    if (stops == NULL) return err_no_memory(e, "answer");
    if (!o->raw) stops[n_stops++] = CONV_STOP;
    for (size_t i = 0; i < o->n_stop; i++) stops[n_stops++] = o->stop[i];
    st = stream_init(&a->stream, a->session->model->tokenizer, stops, o->ignore_eos ? 0 : n_stops,
                     a->capacity - a->n_prompt, e); /* which checks the stop texts */
    if (st == STATUS_OK) st = prepare_constraint(a, stops, n_stops, e);
    free(stops);
    return st;
}

static enum status prepare_ids(struct asking *a, struct err *e)
{
    struct sphinx_session *s = a->session;
    int max_tokens = a->options.max_tokens;
    int32_t *prompt = NULL;
    enum status st;

    st = session_prompt(s, a->question, a->options.answer_prefix, a->options.raw, max_tokens, &prompt,
                        &a->n_prompt, &a->facts.dropped_turns, e);
    if (st != STATUS_OK) return st;
    a->n = a->n_prompt;
    a->facts.image_tokens = (size_t)session_words(s);
    a->facts.prompt_tokens = a->n_prompt;
    a->capacity = (size_t)s->model->context - a->facts.image_tokens;
    if (max_tokens >= 0 && a->n_prompt + (size_t)max_tokens < a->capacity)
        a->capacity = a->n_prompt + (size_t)max_tokens;
    a->ids = malloc(a->capacity * sizeof *a->ids);
    a->logprobs = malloc((a->capacity - a->n_prompt + 1) * sizeof *a->logprobs);
    if (a->ids != NULL && a->logprobs != NULL)
        memcpy(a->ids, prompt, a->n_prompt * sizeof *prompt);
    else
        st = err_no_memory(e, "answer");
    free(prompt);
    return st;
}

static void asking_free(struct asking *a)
{
    if (a->constrained) a->session->sampler.constraint = NULL;
    constraint_free(&a->constraint);
    stream_free(&a->stream);
    free(a->question);
    free(a->ids);
    free(a->logprobs);
    memset(a, 0, sizeof *a);
}

enum status asking_begin(struct asking *a, struct sphinx_session *s, const char *question,
                         const sphinx_ask_options *o, struct err *e)
{
    enum status st = STATUS_OK;

    if (s->asking)
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "the session's last question has no answer yet: it was not taken");
    *a = (struct asking){ .session = s,
                          .options = o != NULL ? *o : sphinx_ask_options_default(),
                          .question = strdup(question),
                          .began = clock_seconds() };
    if (a->question == NULL) st = err_no_memory(e, "question");
    if (st == STATUS_OK && a->options.max_tokens < -1) {
        st = err_set(e, STATUS_BAD_ARGUMENT, "max_tokens is %d: it may be -1 (no limit) or more",
                     a->options.max_tokens);
    }
    if (st == STATUS_OK && (a->options.n_top < 0 || a->options.n_top > SPHINX_TOP_MAX))
        st = err_set(e, STATUS_BAD_ARGUMENT, "n_top is %d: it may be 0 to %d", a->options.n_top,
                     SPHINX_TOP_MAX);
    if (st == STATUS_OK) st = session_prepare_sampler(s, &a->options, e);
    if (st == STATUS_OK) st = guess_init(&a->guess, s, &a->options, e);
    if (st == STATUS_OK) st = prepare_ids(a, e);
    if (st == STATUS_OK) recall_rows(s, a->ids, a->n);
    if (st == STATUS_OK) st = prepare_stream(a, e);
    s->asking = st == STATUS_OK;
    if (st != STATUS_OK) {
        atomic_store(&s->cancel, false);
        asking_free(a);
    }
    return st;
}

/* ---- token by token ------------------------------------------------------------------------------------------ */

struct step_part *asking_want(struct asking *a)
{
    a->part = (struct step_part){ .session = a->session,
                                  .ids = a->ids,
                                  .n = a->n + a->guess.count,
                                  .n_logits = (int64_t)a->guess.count + 1 };
    return &a->part;
}

static void end_with(struct asking *a, sphinx_finish finish)
{
    a->done = true;
    a->facts.finish = finish;
}

/* Hands a piece of text to the caller; false when the caller has had enough. */
static bool tell(const struct asking *a, struct stream_piece piece)
{
    if (piece.size == 0 || a->options.piece == NULL) return true;
    return a->options.piece(a->options.user, piece.text, piece.size) == 0;
}

/* Tells the token that was just drawn, and which it might have been. */
static enum status tell_token(const struct asking *a, const float *logits, int32_t id, float logprob,
                              struct err *e)
{
    struct sampler_candidate top[SPHINX_TOP_MAX];
    sphinx_candidate token = { id, logprob }, list[SPHINX_TOP_MAX];
    int32_t vocab = a->session->sampler.vocab;
    int n = a->options.n_top < vocab ? a->options.n_top : vocab;
    enum status st = STATUS_OK;

    if (a->options.token == NULL) return STATUS_OK;
    if (n > 0) st = sampler_top(&a->session->sampler, logits, n, top, e);
    if (st != STATUS_OK) return st;
    for (int i = 0; i < n; i++) list[i] = (sphinx_candidate){ top[i].id, top[i].logprob };
    a->options.token(a->options.user, &token, list, n);
    return STATUS_OK;
}

static bool cancelled(const struct asking *a)
{
    return atomic_load_explicit(&a->session->cancel, memory_order_relaxed);
}

/* Draws one token and tells its text. */
static enum status draw(struct asking *a, const float *logits, struct err *e)
{
    struct sphinx_session *s = a->session;
    enum constraint_verdict verdict = CONSTRAINT_GOES_ON;
    struct stream_piece piece;
    enum status st;
    int32_t id;

    st = session_check_finite(s, logits, (size_t)s->sampler.vocab, "the logits", e);
    if (st != STATUS_OK) return st;
    st = sampler_next(&s->sampler, logits, a->ids, a->n, &id, &a->logprobs[a->n - a->n_prompt], e);
    if (st != STATUS_OK) return st;
    if (id == tok_eos(s->model->tokenizer) && !a->options.ignore_eos) {
        end_with(a, SPHINX_FINISH_STOP);
        return STATUS_OK;
    }
    if (a->constrained) st = constraint_accept(&a->constraint, id, &verdict, e);
    if (st != STATUS_OK) return st;
    if (verdict == CONSTRAINT_ENDS_BEFORE) {
        end_with(a, SPHINX_FINISH_STOP);
        return STATUS_OK;
    }
    a->ids[a->n++] = id;
    st = tell_token(a, logits, id, a->logprobs[a->n - 1 - a->n_prompt], e);
    if (st != STATUS_OK) return st;
    st = stream_put(&a->stream, id, &piece, e);
    if (st != STATUS_OK) return st;
    if (!tell(a, piece))
        end_with(a, SPHINX_FINISH_CANCELLED);
    else if (a->stream.stopped || verdict == CONSTRAINT_ENDS_BEHIND)
        end_with(a, SPHINX_FINISH_STOP);
    else if (a->n == a->capacity)
        end_with(a, SPHINX_FINISH_LENGTH);
    return STATUS_OK;
}

/* Draws behind the last id and, as long as what is drawn is what was guessed, behind each guess. */
static enum status draw_and_check(struct asking *a, struct err *e)
{
    size_t guesses = a->guess.count, right = 0;
    int64_t vocab = a->session->sampler.vocab;
    enum status st;

    for (size_t i = 0;; i++) {
        int32_t guess = i < guesses ? a->ids[a->n] : -1; /* the draw comes to stand in its place */

        st = draw(a, a->part.logits + (int64_t)i * vocab, e);
        if (st != STATUS_OK || a->done || a->ids[a->n - 1] != guess || cancelled(a)) break;
        right++;
    }
    guess_told(&a->guess, right);
    return st;
}

static void start_decoding(struct asking *a)
{
    double now = clock_seconds();

    a->started = true;
    a->facts.seconds_prefill = now - a->began;
    a->began = now;
    if (a->n == a->capacity) end_with(a, SPHINX_FINISH_LENGTH);
}

/* After a step that failed, was cancelled, or neither. */
static void settle(struct asking *a, struct err *e)
{
    if (e->code == STATUS_OK && !a->done && cancelled(a)) err_set(e, STATUS_CANCELLED, "cancelled");
    if (e->code == STATUS_CANCELLED && a->n > a->n_prompt) {
        end_with(a, SPHINX_FINISH_CANCELLED); /* what was said so far is an answer */
    } else if (e->code != STATUS_OK) {
        a->done = true;
        a->err = *e;
    }
}

void asking_poll(struct asking *a)
{
    struct err e = { 0 };

    settle(a, &e);
}

void asking_take(struct asking *a)
{
    struct err e = a->part.err;

    if (!a->stepped) a->facts.cached_tokens = (size_t)a->part.reused;
    a->stepped = true;
    if (a->session->independent && e.code == STATUS_OK && a->part.logits == NULL)
        recall_share_image(a->session);
    if (e.code == STATUS_OK && a->part.logits != NULL) {
        if (!a->started) start_decoding(a);
        if (!a->done) draw_and_check(a, &e);
    }
    settle(a, &e);
}

/* Guesses for those that are answering. Draft models take a step for each guess, together. */
static void guess_ahead(struct asking *const *a, size_t n, struct ctx *c, struct step_part **parts)
{
    size_t asked;

    for (size_t i = 0; i < n; i++)
        if (a[i]->started) guess_begin(&a[i]->guess, a[i]->ids, a[i]->n, a[i]->capacity - a[i]->n - 1);
    do {
        asked = 0;
        for (size_t i = 0; i < n; i++) {
            parts[asked] = guess_want(&a[i]->guess);
            asked += parts[asked] != NULL;
        }
        if (asked > 0) step_run(c, parts, asked);
        for (size_t i = 0; i < n; i++)
            if (a[i]->guess.drafting) guess_take(&a[i]->guess);
    } while (asked > 0);
}

void asking_step(struct asking *const *a, size_t n, struct ctx *c, struct step_part **parts)
{
    guess_ahead(a, n, c, parts);
    for (size_t i = 0; i < n; i++) parts[i] = asking_want(a[i]);
    step_run(c, parts, n);
    for (size_t i = 0; i < n; i++) asking_take(a[i]);
}

/* The dialogue's next turn, with what was put in the model's mouth. */
static enum status append_turn(const struct asking *a, const char *text, struct err *e)
{
    const char *begins = a->options.answer_prefix;
    char *whole;
    enum status st;

    if (begins == NULL) return session_append(a->session, a->question, text, e);
    while (*begins == ' ') begins++; /* the template has one */
    whole = malloc(strlen(begins) + strlen(text) + 1);
    if (whole == NULL) return err_no_memory(e, "conversation");
    strcpy(stpcpy(whole, begins), text);
    st = session_append(a->session, a->question, whole, e);
    free(whole);
    return st;
}

/* ---- ending -------------------------------------------------------------------------------------------------- */

static enum status make_answer(struct asking *a, sphinx_answer **answer, struct err *e)
{
    struct stream_piece piece;
    enum status st;

    if (!a->done) return err_set(e, STATUS_CANCELLED, "cancelled");
    if (a->err.code != STATUS_OK) return err_set(e, a->err.code, "%s", a->err.text);
    if (a->started) a->facts.seconds_decode = clock_seconds() - a->began;
    a->facts.drafted_tokens = a->guess.drafted;
    a->facts.accepted_tokens = a->guess.accepted;
    st = stream_end(&a->stream, &piece, e);
    if (st != STATUS_OK) return st;
    if (a->facts.finish != SPHINX_FINISH_CANCELLED) tell(a, piece);
    st = answer_make(answer, a->session, &a->stream, a->ids + a->n_prompt, a->logprobs, a->n - a->n_prompt,
                     &a->facts, e);
    if (st != STATUS_OK) return st;
    if (!a->options.raw) st = append_turn(a, (*answer)->text, e);
    if (st == STATUS_OK) {
        a->session->seconds_encode = a->session->seconds_image_cache = 0;
        return STATUS_OK;
    }
    sphinx_answer_free(*answer);
    *answer = NULL;
    return st;
}

enum status asking_end(struct asking *a, sphinx_answer **answer, struct err *e)
{
    enum status st = make_answer(a, answer, e);

    atomic_store(&a->session->cancel, false);
    a->session->asking = false;
    asking_free(a);
    return st;
}

sphinx_status sphinx_ask(sphinx_session *s, const char *question, const sphinx_ask_options *options,
                         sphinx_answer **answer, sphinx_error *error)
{
    struct asking a, *const list[] = { &a };
    struct step_part *part;
    struct err e = { 0 };
    enum status st;

    *answer = NULL;
    st = asking_begin(&a, s, question, options, &e);
    if (st == STATUS_OK) {
        while (!a.done) asking_step(list, 1, &s->ctx, &part);
        st = asking_end(&a, answer, &e);
    }
    return public_status(st, &e, error);
}
