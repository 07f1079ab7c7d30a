/* guess.c - see guess.h. */
#include "model/guess.h"

#include <math.h>

enum {
    NGRAM_MIN = 2, /* tokens that must have stood there before */
    NGRAM_MAX = 16,
    FIRST = 4, /* guesses at the beginning */
    PAUSE_MAX = 32,
};

enum status guess_check_draft(const sphinx_model *model, const sphinx_model *draft, struct err *e)
{
    const struct tokenizer *t = model->tokenizer, *d = draft->tokenizer;
    int vocab = model->network.config.llama.vocab, other = draft->network.config.llama.vocab;
    size_t size = 0, size_other = 0;

    if (vocab != other || tok_vocab_size(t) != tok_vocab_size(d)) {
        return err_set(e, STATUS_UNSUPPORTED,
                       "the draft model does not fit: its vocabulary has %d tokens, the model's %d", other,
                       vocab);
    }
    for (int32_t id = 0; id < tok_vocab_size(t); id++) {
        const char *piece = tok_piece(t, id, &size), *piece_other = tok_piece(d, id, &size_other);

        if (size == size_other && memcmp(piece, piece_other, size) == 0) continue;
        return err_set(e, STATUS_UNSUPPORTED,
                       "the draft model does not fit: its token %d is \"%.*s\", the model's \"%.*s\"",
                       (int)id, (int)size_other, piece_other, (int)size, piece);
    }
    return STATUS_OK;
}

static enum status check(const char *name, int value, struct err *e)
{
    if (value >= 0 && value <= GUESS_MAX) return STATUS_OK;
    return err_set(e, STATUS_BAD_ARGUMENT, "%s is %d: it may be 0 to %d", name, value, GUESS_MAX);
}

enum status guess_init(struct guesser *g, struct sphinx_session *s, const sphinx_ask_options *o,
                       struct err *e)
{
    enum status st = check("lookup", o->lookup, e);

    if (st == STATUS_OK) st = check("draft_max", o->draft_max, e);
    if (st == STATUS_OK) st = check("draft_min", o->draft_min, e);
    if (st == STATUS_OK && !(o->draft_p_min >= 0 && o->draft_p_min <= 1)) {
        st = err_set(e, STATUS_BAD_ARGUMENT, "draft_p_min is %g: it may be 0 to 1", (double)o->draft_p_min);
    }
    if (st == STATUS_OK && s->draft != NULL) st = session_prepare_sampler(s->draft, o, e);
    *g = (struct guesser){ .lookup = o->lookup,
                           .draft_max = o->draft_max,
                           .draft_min = o->draft_min,
                           .draft_p_min = o->draft_p_min,
                           .draft = o->draft_max > 0 ? s->draft : NULL,
                           .sampler = &s->sampler,
                           .most = FIRST };
    return st;
}

/* How many of the ids before a and before b are the same, at most NGRAM_MAX. */
static size_t same_before(const int32_t *ids, size_t a, size_t b)
{
    size_t n = 0;

    while (n < NGRAM_MAX && n < a && ids[a - 1 - n] == ids[b - 1 - n]) n++;
    return n;
}

/* Where the last few ids stood before, the longest and latest such place; 0 if nowhere. */
static size_t find_place(const int32_t *ids, size_t n)
{
    size_t longest = NGRAM_MIN - 1, place = 0;

    for (size_t at = n - 1; at >= NGRAM_MIN && longest < NGRAM_MAX; at--) {
        size_t same = same_before(ids, at, n);

        if (same > longest) {
            longest = same;
            place = at;
        }
    }
    return place;
}

static void look_up(struct guesser *g, size_t most)
{
    size_t place = most > 0 && g->n > NGRAM_MIN ? find_place(g->ids, g->n) : 0;

    if (place == 0) return;
    /* A repetition that is shorter than the guess goes round. */
    for (g->count = 0; g->count < most; g->count++) g->ids[g->n + g->count] = g->ids[place + g->count];
}

static size_t limit(const struct guesser *g, int option, size_t room)
{
    size_t most = (size_t)(g->most < option ? g->most : option);

    return most < room ? most : room;
}

void guess_begin(struct guesser *g, int32_t *ids, size_t n, size_t room)
{
    g->ids = ids;
    g->n = n;
    g->count = 0;
    if (g->pause > 0) {
        g->pause--;
        return;
    }
    look_up(g, limit(g, g->lookup, room));
    if (g->count > 0 || g->draft == NULL) return;
    g->wanted = limit(g, g->draft_max, room);
    g->drafting = g->wanted > 0;
}

/* The draft model has said what it has to say. */
static void end_draft(struct guesser *g)
{
    g->drafting = false;
    if (g->count < (size_t)g->draft_min) g->count = 0;
}

struct step_part *guess_want(struct guesser *g)
{
    const struct sphinx_session *d = g->draft;
    size_t n = g->n + g->count;

    if (!g->drafting) return NULL;
    if ((int64_t)n + session_words(d) > d->model->context) {
        end_draft(g);
        return NULL;
    }
    g->part = (struct step_part){ .session = g->draft, .ids = g->ids, .n = n, .n_logits = 1 };
    return &g->part;
}

void guess_take(struct guesser *g)
{
    struct sphinx_session *d = g->draft;
    struct err *e = &g->part.err;
    float logprob = 0;
    int32_t id = 0;

    if (e->code == STATUS_OK && g->part.logits == NULL) return; /* its prompt goes on */
    d->sampler.n_draws = g->sampler->n_draws + g->count; /* the luck of the draw that the guess is for */
    if (e->code == STATUS_OK) sampler_next(&d->sampler, g->part.logits, g->ids, g->part.n, &id, &logprob, e);
    if (e->code != STATUS_OK) {
        if (e->code != STATUS_CANCELLED) report_warn(&d->report, "the draft model gives up: %s", e->text);
        g->draft = NULL;
        end_draft(g);
        return;
    }
    if (expf(logprob) < g->draft_p_min || id == tok_eos(d->model->tokenizer)) {
        end_draft(g);
        return;
    }
    g->ids[g->n + g->count++] = id;
    if (g->count == g->wanted) end_draft(g);
}

void guess_told(struct guesser *g, size_t accepted)
{
    if (g->count == 0) return;
    g->drafted += g->count;
    g->accepted += accepted;
    if (accepted == g->count) {
        g->most = g->most < GUESS_MAX / 2 ? 2 * g->most : GUESS_MAX;
    } else {
        g->most = accepted < FIRST / 2 ? FIRST / 2 : (int)accepted + 1;
    }
    if (accepted > 0) {
        g->misses = 0;
        return;
    }
    g->misses++;
    g->pause = g->misses > 5 ? PAUSE_MAX : (1 << g->misses) - 2;
}
