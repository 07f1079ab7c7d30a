/* session.c - see session.h. */
#include "model/session.h"

#include "model/encode.h"
#include "model/recall.h"
#include "text/conversation.h"
#include "text/utf8.h"

#include <math.h>
#include <stdlib.h>

/* ---- image --------------------------------------------------------------------------------------------------- */

enum status session_check_finite(const struct sphinx_session *s, const float *x, size_t n, const char *what,
                                 struct err *e)
{
    char name[256];
    size_t i = 0;

    while (i < n && isfinite(x[i])) i++;
    if (i == n) return STATUS_OK;
    if (load_find_not_finite(&s->model->network, name, sizeof name)) {
        return err_set(e, STATUS_NUMERIC, "%s are not finite numbers: the weight %s is not finite", what,
                       name);
    }
    return err_set(e, STATUS_NUMERIC, "%s are not finite numbers, though all weights are", what);
}

/* Ends a piece of work in the session's context: frees activations and hands over the failure, if any. */
static enum status finish(struct sphinx_session *s, struct err *e)
{
    enum status st = s->ctx.err.code;

    if (st != STATUS_OK) err_set(e, st, "%s", s->ctx.err.text);
    err_clear(&s->ctx.err);
    return st;
}

static enum status encode(struct sphinx_session *s, const struct image *im, float *words,
                          struct img_square *square, double *seconds, struct err *e)
{
    const struct network *n = &s->model->network;
    size_t side = (size_t)n->config.views.image_size, count;
    struct arena_mark scope = arena_mark(&s->arena);
    float *planes = arena_alloc(&s->arena, 3 * side * side * sizeof *planes);
    struct tensor *w = NULL;
    enum status st;

    if (planes == NULL) return err_no_memory(e, "image");
    st = img_prepare(planes, square, im, IMG_TRANSFORM_PADDED_RESIZE, (int)side, e);
    if (st == STATUS_OK) {
        w = encode_image(&s->ctx, n, planes, s->without, seconds);
        st = finish(s, e);
    }
    if (st == STATUS_OK) {
        count = (size_t)s->n_words * (size_t)n->config.llama.dim;
        memcpy(words, w->data, count * sizeof *words);
        st = session_check_finite(s, words, count, "the image's features", e);
    }
    arena_reset(&s->arena, scope);
    return st;
}

/* The words of `im`, by whatever way is shorter. *cached: not by the encoders. */
static enum status look_at(struct sphinx_session *s, const struct image *im, const struct digest *key,
                           float *words, struct img_square *square, double *seconds, bool *cached,
                           struct err *e)
{
    enum status st;

    memset(seconds, 0, ENCODER_COUNT * sizeof *seconds);
    *square = img_square_of(IMG_TRANSFORM_PADDED_RESIZE, im->width, im->height);
    *cached = key != NULL && recall_words(s, key, words);
    if (*cached) return STATUS_OK;
    st = encode(s, im, words, square, seconds, e);
    if (st == STATUS_OK && key != NULL) recall_keep_words(s, key, words);
    return st;
}

void session_show_draft(struct sphinx_session *s)
{
    struct image copy = { 0 };
    struct err e = { 0 };
    enum status st;

    session_drop_image(s->draft);
    if (!s->draft->model->network.sees) return;
    st = img_copy(&copy, &s->image, &e);
    if (st == STATUS_OK) st = session_set_image(s->draft, &copy, s->image_keyed ? &s->image_key : NULL, &e);
    img_free(&copy);
    if (st != STATUS_OK && st != STATUS_CANCELLED)
        report_warn(&s->report, "the draft model does not see the image: %s", e.text);
}

void session_key_image(struct sphinx_session *s, const struct digest *key)
{
    struct digest_maker m;

    s->image_keyed = true;
    s->image_key = s->rows_key = *key;
    if (!s->independent) return;
    digest_begin(&m);
    digest_text(&m, "independent");
    digest_add(&m, key, sizeof *key);
    digest_end(&m, &s->rows_key);
}

enum status session_set_image(struct sphinx_session *s, struct image *im, const struct digest *key,
                              struct err *e)
{
    const struct network *n = &s->model->network;
    double seconds[ENCODER_COUNT], start = clock_seconds();
    struct img_square square;
    enum status st;
    float *words;
    bool cached;

    if (!n->sees) {
        return err_set(e, STATUS_UNSUPPORTED,
                       "this checkpoint holds a language model only: it cannot look at an image");
    }
    if (report_cancelled(&s->report)) return err_set(e, STATUS_CANCELLED, "cancelled");
    if (key != NULL && s->words != NULL && s->image_keyed && digest_equal(key, &s->image_key)) {
        session_clear_turns(s); /* the same image: all that was computed of it stays */
        s->image_cached = true;
        return STATUS_OK;
    }
    s->n_words = encode_words(n);
    words = malloc((size_t)s->n_words * (size_t)n->config.llama.dim * sizeof *words);
    if (words == NULL) return err_no_memory(e, "image words");
    st = look_at(s, im, key, words, &square, seconds, &cached, e);
    if (st != STATUS_OK) {
        free(words);
        return st;
    }
    session_drop_image(s);
    s->image = *im;
    memset(im, 0, sizeof *im);
    s->words = words;
    s->square = square;
    s->image_keyed = false;
    if (key != NULL) session_key_image(s, key);
    s->image_cached = cached;
    *(cached ? &s->seconds_image_cache : &s->seconds_encode) = clock_seconds() - start;
    memcpy(s->seconds_encoder, seconds, sizeof seconds);
    if (s->draft != NULL) session_show_draft(s);
    return STATUS_OK;
}

void session_drop_image(struct sphinx_session *s)
{
    if (s->draft != NULL) session_drop_image(s->draft);
    recall_keep_rows(s);
    img_free(&s->image);
    free(s->words);
    s->words = NULL;
    s->image_keyed = s->image_cached = false;
    s->seconds_encode = s->seconds_image_cache = 0;
    s->n_rows = 0;
    session_clear_turns(s);
}

/* ---- conversation -------------------------------------------------------------------------------------------- */

void session_clear_turns(struct sphinx_session *s)
{
    while (s->n_turns > 0) {
        s->n_turns--;
        free(s->turns[s->n_turns].question);
        free(s->turns[s->n_turns].answer);
    }
}

enum status session_append(struct sphinx_session *s, const char *question, const char *answer, struct err *e)
{
    struct turn turn = { strdup(question), strdup(answer) };

    if (turn.question != NULL && turn.answer != NULL && s->n_turns == s->turns_capacity) {
        size_t capacity = s->turns_capacity == 0 ? 8 : 2 * s->turns_capacity;
        struct turn *turns = realloc(s->turns, capacity * sizeof *turns);

        if (turns != NULL) {
            s->turns = turns;
            s->turns_capacity = capacity;
        }
    }
    if (turn.question == NULL || turn.answer == NULL || s->n_turns == s->turns_capacity) {
        free(turn.question);
        free(turn.answer);
        return err_no_memory(e, "conversation");
    }
    s->turns[s->n_turns++] = turn;
    return STATUS_OK;
}

int64_t session_words(const struct sphinx_session *s)
{
    return s->words != NULL ? s->n_words : 0;
}

/* Renders turns `first` and on with the new question, and tokenises. */
static enum status prompt_ids(struct sphinx_session *s, const char *question, const char *begins,
                              size_t first, int32_t **ids, size_t *n, struct err *e)
{
    size_t count = s->n_turns - first, size;
    struct conv_turn *turns = calloc(count + 1, sizeof *turns);
    enum status st;
    char *text;

    if (turns == NULL) return err_no_memory(e, "conversation");
    for (size_t i = 0; i < count; i++) {
        turns[i] = (struct conv_turn){ s->turns[first + i].question, s->turns[first + i].answer, NULL };
    }
    turns[count] = (struct conv_turn){ question, NULL, begins };
    st = conv_render(s->system, turns, count + 1, &text, &size, e);
    free(turns);
    if (st != STATUS_OK) return st;
    st = tok_encode(s->model->tokenizer, text, size, TOK_BOS, ids, n, e);
    free(text);
    return st;
}

/* The prompt with as few of the oldest turns left out as it takes to have at most `budget` ids, or with none but the question. Found by halving, for
 * a dialogue may have thousands. */
static enum status prompt_within(struct sphinx_session *s, const char *question, const char *begins,
                                 size_t budget, int32_t **ids, size_t *n, size_t *dropped, struct err *e)
{
    size_t low = 0, high = s->n_turns; /* it is among low .. high */

    *dropped = 0;
    for (;;) {
        enum status st = prompt_ids(s, question, begins, *dropped, ids, n, e);

        if (st != STATUS_OK) return st;
        if (*n <= budget || *dropped == high)
            high = *dropped;
        else
            low = *dropped + 1;
        if (low == high && *dropped == high) return STATUS_OK;
        free(*ids);
        *dropped = low + (high - low) / 2;
    }
}

enum status session_prompt(struct sphinx_session *s, const char *question, const char *begins, bool raw,
                           int max_tokens, int32_t **ids, size_t *n, size_t *dropped, struct err *e)
{
    size_t room, reserve, budget;
    enum status st;

    *dropped = 0;
    if (question[0] == '\0' && s->words == NULL) /* an image may hold the question: so it is in MMMU */
        return err_set(e, STATUS_BAD_ARGUMENT, "the question is empty");
    st = text_utf8_check("the question", question, strlen(question), NULL, e);
    if (st == STATUS_OK && begins != NULL)
        st = text_utf8_check("the beginning of the answer", begins, strlen(begins), NULL, e);
    if (st != STATUS_OK) return st;
    if (session_words(s) + 2 > s->model->context) {
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "the context of %d positions has no room beside the image's %lld words",
                       s->model->context, (long long)session_words(s));
    }
    room = (size_t)(s->model->context - session_words(s));
    reserve = max_tokens < 0 ? 1 : (size_t)max_tokens;
    budget = room - (reserve < room / 2 ? reserve : room / 2);
    if (raw)
        st = tok_encode(s->model->tokenizer, question, strlen(question), TOK_BOS, ids, n, e);
    else
        st = prompt_within(s, question, begins, budget, ids, n, dropped, e);
    if (st != STATUS_OK) return st;
    if (*dropped > 0)
        report_warn(&s->report, "the context is full: the oldest %zu turns are left out", *dropped);
    if (*n >= room) {
        st = err_set(e, STATUS_BAD_ARGUMENT,
                     "the prompt has %zu tokens, the context of %d positions holds %zu beside %s", *n,
                     s->model->context, room - 1,
                     s->words != NULL ? "the image and one token of the answer" : "one token of the answer");
        free(*ids);
        return st;
    }
    if (*n > budget) {
        report_warn(&s->report,
                    "the first %zu tokens after BOS are cut to leave room for %zu tokens of the answer",
                    *n - budget, room - budget);
        memmove(*ids + 1, *ids + 1 + (*n - budget), (budget - 1) * sizeof **ids);
        *n = budget;
    }
    return STATUS_OK;
}

/* ---- answering ---------------------------------------------------------------------------------------------- */

enum status session_prepare_sampler(struct sphinx_session *s, const sphinx_ask_options *o, struct err *e)
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

enum status session_vocabulary(struct sphinx_session *s, const struct vocabulary **v, struct err *e)
{
    struct vocabulary *made = NULL, *there = atomic_load(&s->model->vocabulary);
    enum status st = there != NULL ? STATUS_OK : vocabulary_make(&made, s->model->tokenizer, e);

    *v = there;
    if (st != STATUS_OK || there != NULL) return st;
    *v = made;
    if (atomic_compare_exchange_strong(&s->model->vocabulary, &there, made)) return STATUS_OK;
    vocabulary_free(made); /* another thread was sooner */
    *v = there;
    return STATUS_OK;
}
