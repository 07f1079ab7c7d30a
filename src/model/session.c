/* session.c - see session.h. */
#include "model/session.h"

#include "model/encode.h"
#include "text/conversation.h"
#include "text/utf8.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* Tokens that go through the language model at once. More would need more memory for activations than reading the weights
 * again costs time; nearly all prompts fit. */
enum { CHUNK = 2048 };

/* ---- image --------------------------------------------------------------------------------------------------- */

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) return false;
    }
    return true;
}

/* The sentence for a result that is not a number: the weight to blame, if there is one. */
static enum status not_finite(struct sphinx_session *s, const char *what, struct err *e)
{
    char name[256];

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
        if (!all_finite(words, count)) st = not_finite(s, "the image's features", e);
    }
    arena_reset(&s->arena, scope);
    return st;
}

enum status session_set_image(struct sphinx_session *s, struct image *im, struct err *e)
{
    const struct network *n = &s->model->network;
    double seconds[ENCODER_COUNT], start = clock_seconds();
    struct img_square square;
    enum status st;
    float *words;

    if (!n->sees) {
        return err_set(e, STATUS_UNSUPPORTED,
                       "this checkpoint holds a language model only: it cannot look at an image");
    }
    s->n_words = encode_words(n);
    words = malloc((size_t)s->n_words * (size_t)n->config.llama.dim * sizeof *words);
    if (words == NULL) return err_no_memory(e, "image words");
    st = encode(s, im, words, &square, seconds, e);
    if (st != STATUS_OK) {
        free(words);
        return st;
    }
    img_free(&s->image);
    free(s->words);
    s->image = *im;
    memset(im, 0, sizeof *im);
    s->words = words;
    s->square = square;
    s->seconds_encode = clock_seconds() - start;
    memcpy(s->seconds_encoder, seconds, sizeof seconds);
    s->n_cached = 0;
    session_clear_turns(s);
    return STATUS_OK;
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

static int64_t image_words(const struct sphinx_session *s)
{
    return s->words != NULL ? s->n_words : 0;
}

/* Renders turns `first` and on with the new question, and tokenises. */
static enum status prompt_ids(struct sphinx_session *s, const char *question, size_t first, int32_t **ids,
                              size_t *n, struct err *e)
{
    size_t count = s->n_turns - first, size;
    struct conv_turn *turns = calloc(count + 1, sizeof *turns);
    enum status st;
    char *text;

    if (turns == NULL) return err_no_memory(e, "conversation");
    for (size_t i = 0; i < count; i++) {
        turns[i] = (struct conv_turn){ s->turns[first + i].question, s->turns[first + i].answer };
    }
    turns[count] = (struct conv_turn){ question, NULL };
    st = conv_render(s->system, turns, count + 1, &text, &size, e);
    free(turns);
    if (st != STATUS_OK) return st;
    st = tok_encode(s->model->tokenizer, text, size, TOK_BOS, ids, n, e);
    free(text);
    return st;
}

enum status session_prompt(struct sphinx_session *s, const char *question, int max_tokens, int32_t **ids,
                           size_t *n, size_t *dropped, struct err *e)
{
    size_t room, reserve, budget;
    enum status st;

    *dropped = 0;
    if (question[0] == '\0') return err_set(e, STATUS_BAD_ARGUMENT, "the question is empty");
    st = text_utf8_check("the question", question, strlen(question), NULL, e);
    if (st != STATUS_OK) return st;
    if (image_words(s) + 2 > s->model->context) {
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "the context of %d positions has no room beside the image's %lld words",
                       s->model->context, (long long)image_words(s));
    }
    room = (size_t)(s->model->context - image_words(s));
    reserve = max_tokens < 0 ? 1 : (size_t)max_tokens;
    budget = room - (reserve < room / 2 ? reserve : room / 2);
    for (;;) {
        st = prompt_ids(s, question, *dropped, ids, n, e);
        if (st != STATUS_OK || *n <= budget || *dropped == s->n_turns) break;
        free(*ids);
        ++*dropped;
    }
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

/* ---- computing ----------------------------------------------------------------------------------------------- */

/* Embeddings of ids from..n-1 with the image's words behind BOS. *position: of the first row. */
static struct tensor *embeddings(struct sphinx_session *s, const int32_t *ids, size_t from, size_t n,
                                 int64_t *position)
{
    struct ctx *c = &s->ctx;
    int64_t words = image_words(s), T = (int64_t)(n - from), t = 0;
    struct tensor *text = llama_embed(c, &s->model->network.llama, ids + from, T), *sources[2], **kept;
    struct row_ref *ref;
    struct tensor image;

    *position = from == 0 ? 0 : (int64_t)from + words;
    if (from > 0 || words == 0) return text;
    image = tensor_matrix(DTYPE_F32, s->words, words, s->model->network.config.llama.dim);
    kept = ctx_alloc(c, 2, sizeof *kept);
    sources[1] = ctx_alloc(c, 1, sizeof image);
    ref = ctx_alloc(c, (size_t)(T + words), sizeof *ref);
    if (kept == NULL || sources[1] == NULL || ref == NULL) return NULL;
    *sources[1] = image;
    kept[0] = text;
    kept[1] = sources[1];
    ref[t++] = (struct row_ref){ 0, 0 };
    for (int64_t i = 0; i < words; i++) ref[t++] = (struct row_ref){ 1, (int32_t)i };
    for (int64_t i = 1; i < T; i++) ref[t++] = (struct row_ref){ 0, (int32_t)i };
    return gather(c, kept, ref, t);
}

/* Runs rows at positions `position` and on through the model. Returns the last row's hidden state. */
static struct tensor *forward(struct sphinx_session *s, struct tensor *h, int64_t position)
{
    struct ctx *c = &s->ctx;
    int64_t T = h != NULL ? tensor_rows(h) : 0, D = s->model->network.config.llama.dim;
    struct tensor *last = tensor_new(c, 1, D, false);

    if (last == NULL) return NULL;
    for (int64_t done = 0; done < T; done += CHUNK) {
        struct arena_mark scope = scope_begin(c);
        int64_t n = T - done < CHUNK ? T - done : CHUNK;
        int32_t *at = ctx_alloc(c, (size_t)n, sizeof *at), *first = ctx_alloc(c, (size_t)n, sizeof *first);
        struct llama_batch b = { n, at, at, first };
        struct tensor *y;

        if (at == NULL || first == NULL) return NULL;
        for (int64_t i = 0; i < n; i++) {
            at[i] = (int32_t)(position + done + i);
            first[i] = 0;
        }
        y = llama_forward(c, &s->model->network.llama, rows(c, h, done, n), &b, &s->kv);
        if (y == NULL) return NULL;
        memcpy(last->data, tensor_f32(y) + (n - 1) * y->stride, (size_t)D * sizeof(float));
        scope_end(c, scope);
    }
    return last;
}

enum status session_compute(struct sphinx_session *s, const int32_t *ids, size_t n, const float **logits,
                            size_t *reused, struct err *e)
{
    struct tensor *h, *y;
    size_t common = 0;
    int64_t position;
    enum status st;

    assert(n >= 1 && (int64_t)n + image_words(s) <= s->model->context);
    while (common < s->n_cached && common + 1 < n && s->cached[common] == ids[common]) common++;
    if (reused != NULL) *reused = common > 0 ? common + (size_t)image_words(s) : 0;
    s->n_cached = common;
    arena_reset(&s->arena, (struct arena_mark){ NULL, 0, 0 }); /* the logits of the last call go here */
    h = embeddings(s, ids, common, n, &position);
    y = llama_logits(&s->ctx, &s->model->network.llama, forward(s, h, position));
    observe(&s->ctx, y, "logits");
    st = finish(s, e);
    if (st != STATUS_OK) return st;
    memcpy(s->cached + common, ids + common, (n - common) * sizeof *ids);
    s->n_cached = n;
    *logits = tensor_f32(y);
    if (!all_finite(*logits, (size_t)s->model->network.config.llama.vocab))
        return not_finite(s, "the logits", e);
    return STATUS_OK;
}
