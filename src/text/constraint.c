/* constraint.c - see constraint.h. */
#include "text/constraint.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_file.h"

/* No word of a vocabulary is longer; pieces that are would cost memory, and are not allowed. */
enum { PIECE_SIZE_MAX = 255 };

struct entry {
    uint32_t begin; /* of its bytes in the vocabulary's */
    int32_t id;
    uint8_t size, common; /* common: bytes that it shares with the entry before it */
    bool is_byte;         /* a byte piece: always written, never followed by the rule of the first space */
};

struct vocabulary {
    struct entry *entries;
    size_t n;
    char *bytes;
    size_t longest;
};

/* ---- vocabulary ----------------------------------------------------------------------------------------- */

static bool is_text(int kind)
{
    return kind == PIECE_NORMAL || kind == PIECE_USER;
}

/* The bytes that a piece is decoded to, but for the rule of the first space; 0 where it has none that an answer may hold. */
static size_t piece_bytes(const struct tokenizer *t, int32_t id, char *out)
{
    static const char mark[] = "\xe2\x96\x81"; /* a space */
    int kind = tok_kind(t, id);
    size_t size, n = 0;
    const char *piece = tok_piece(t, id, &size);

    if (kind == PIECE_BYTE) {
        out[0] = (char)tok_byte(t, id);
        return 1;
    }
    if (!is_text(kind) || size > PIECE_SIZE_MAX) return 0;
    for (size_t i = 0; i < size; n++) {
        bool space = size - i >= sizeof mark - 1 && memcmp(piece + i, mark, sizeof mark - 1) == 0;

        out[n] = space ? ' ' : piece[i];
        i += space ? sizeof mark - 1 : 1;
    }
    return n;
}

struct sorted {
    const char *bytes;
    struct entry entry;
};

static int compare(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;
    size_t n = x->entry.size < y->entry.size ? x->entry.size : y->entry.size;
    int order = memcmp(x->bytes, y->bytes, n);

    if (order != 0) return order;
    if (x->entry.size != y->entry.size) return x->entry.size < y->entry.size ? -1 : 1;
    return x->entry.id < y->entry.id ? -1 : 1;
}

static void sort(struct vocabulary *v, struct sorted *s)
{
    qsort(s, v->n, sizeof *s, compare);
    for (size_t i = 0; i < v->n; i++) {
        uint8_t common = 0;

        while (i > 0 && common < s[i].entry.size && common < s[i - 1].entry.size &&
               s[i].bytes[common] == s[i - 1].bytes[common])
            common++;
        s[i].entry.common = common;
        v->entries[i] = s[i].entry;
        if (s[i].entry.size > v->longest) v->longest = s[i].entry.size;
    }
}

enum status vocabulary_make(struct vocabulary **out, const struct tokenizer *t, struct err *e)
{
    size_t n = (size_t)tok_vocab_size(t), total = 0;
    struct vocabulary *v = calloc(1, sizeof *v);
    struct sorted *sorted = malloc(n * sizeof *sorted);

    *out = NULL;
    for (size_t id = 0; id < n; id++) {
        size_t size;

        tok_piece(t, (int32_t)id, &size);
        total += size;
    }
    if (v != NULL) {
        v->bytes = malloc(total + 1);
        v->entries = malloc(n * sizeof *v->entries);
    }
    if (v == NULL || sorted == NULL || v->bytes == NULL || v->entries == NULL) {
        free(sorted);
        vocabulary_free(v);
        return err_no_memory(e, "the vocabulary");
    }
    total = 0;
    for (int32_t id = 0; (size_t)id < n; id++) {
        size_t size = piece_bytes(t, id, v->bytes + total);

        if (size == 0) continue;
        sorted[v->n++] = (struct sorted){ v->bytes + total,
                                          { .begin = (uint32_t)total,
                                            .id = id,
                                            .size = (uint8_t)size,
                                            .is_byte = tok_kind(t, id) == PIECE_BYTE } };
        total += size;
    }
    sort(v, sorted);
    free(sorted);
    *out = v;
    return STATUS_OK;
}

void vocabulary_free(struct vocabulary *v)
{
    if (v == NULL) return;
    free(v->entries);
    free(v->bytes);
    free(v);
}

/* ---- constraint ----------------------------------------------------------------------------------------- */

enum status constraint_init(struct constraint *c, const struct vocabulary *v, const struct tokenizer *t,
                            int32_t n_ids, struct grammar *grammar, struct err *e)
{
    enum status st;

    *c = (struct constraint){ .vocabulary = v, .tokenizer = t, .n_ids = n_ids, .grammar = *grammar };
    *grammar = (struct grammar){ 0 };
    tok_decoder_begin(&c->decoder, t);
    st = walk_init(&c->walk, &c->grammar, e);
    if (st == STATUS_OK) {
        c->states = calloc(PIECE_SIZE_MAX + 1, sizeof *c->states);
        c->decoded = malloc(tok_step_size_max(t));
        if (c->states == NULL || c->decoded == NULL) st = err_no_memory(e, "the grammar");
    }
    if (st == STATUS_OK) st = walk_start(&c->walk, &c->states[0], e);
    if (st != STATUS_OK) constraint_free(c);
    return st;
}

void constraint_free(struct constraint *c)
{
    for (size_t i = 0; i < CONSTRAINT_CACHE; i++) {
        free(c->cache[i].allowed);
        free(c->cache[i].places);
    }
    walk_free(&c->walk);
    grammar_free(&c->grammar);
    free(c->states);
    free(c->decoded);
    *c = (struct constraint){ 0 };
}

/* Follows bytes from..to of a piece; states[n] is behind n of them. *n: how many the grammar allows. */
static enum status follow(struct constraint *c, const char *bytes, size_t size, bool first_is_dropped,
                          size_t *n, struct err *e)
{
    enum status st = STATUS_OK;

    while (*n < size && st == STATUS_OK) {
        struct grammar_state *s = &c->states[*n];

        if (*n == 0 && first_is_dropped && bytes[0] == ' ') {
            s[1] = s[0];
        } else {
            st = walk_byte(&c->walk, &s[0], (unsigned char)bytes[*n], &s[1], e);
            if (st == STATUS_OK && walk_is_dead(&s[1])) break;
        }
        ++*n;
    }
    return st;
}

/* How many bytes of a token the grammar allows, of how many. */
static enum status follow_token(struct constraint *c, int32_t id, size_t *n, size_t *size, struct err *e)
{
    char bytes[PIECE_SIZE_MAX];

    *n = 0;
    *size = id >= 0 && id < tok_vocab_size(c->tokenizer) ? piece_bytes(c->tokenizer, id, bytes) : 0;
    return follow(
        c, bytes, *size,
        *size > 0 && tok_kind(c->tokenizer, id) != PIECE_BYTE && tok_decoder_drops_space(&c->decoder), n, e);
}

enum status constraint_allows(struct constraint *c, int32_t id, bool *allows, struct err *e)
{
    size_t n, size;
    enum status st;

    if (id == tok_eos(c->tokenizer)) {
        *allows = c->states[0].complete;
        return STATUS_OK;
    }
    st = follow_token(c, id, &n, &size, e);
    *allows = st == STATUS_OK && size > 0 && n == size;
    return st;
}

static void allow(const struct constraint *c, unsigned char *allowed, int32_t id, bool allows, bool *any)
{
    if (!allows || id >= c->n_ids) return;
    allowed[id] = 1;
    *any = true;
}

/* Fills in the mask. Pieces that begin with what the grammar does not allow are passed over without looking at the rest of them. */
static enum status fill_mask(struct constraint *c, unsigned char *allowed, struct err *e)
{
    const struct vocabulary *v = c->vocabulary;
    bool drops = tok_decoder_drops_space(&c->decoder), any = c->states[0].complete;
    size_t n = 0; /* bytes that the present piece shares with allowed ones */

    memset(allowed, 0, (size_t)c->n_ids);
    for (size_t i = 0; i < v->n; i++) {
        const struct entry *x = &v->entries[i];
        enum status st;

        if (x->common > n) continue;
        n = x->common;
        if (drops && x->is_byte && v->bytes[x->begin] == ' ') { /* alone in not losing its space */
            bool allows;

            st = constraint_allows(c, x->id, &allows, e);
            if (st != STATUS_OK) return st;
            allow(c, allowed, x->id, allows, &any);
            c->states[1] = c->states[0]; /* those that follow begin with a space that is dropped */
            n = 1;
            continue;
        }
        st = follow(c, v->bytes + x->begin, x->size, drops, &n, e);
        if (st != STATUS_OK) return st;
        allow(c, allowed, x->id, n == x->size, &any);
    }
    if (!any)
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "none of the vocabulary's tokens can write what the grammar wants next");
    if (c->states[0].complete && tok_eos(c->tokenizer) < c->n_ids) allowed[tok_eos(c->tokenizer)] = 1;
    return STATUS_OK;
}

/* The same place, after whatever text, has the same mask: within a string or a list most of them are found again. */
static bool is_mask_of(const struct constraint_mask *m, const struct constraint *c)
{
    const struct grammar_state *s = &c->states[0];

    return m->allowed != NULL && m->n_renumbered == c->walk.n_renumbered && m->state.n == s->n &&
           m->state.complete == s->complete && m->state.left == s->left &&

           (s->left == 0 || (m->state.code == s->code && m->state.least == s->least)) &&
           m->at_start == tok_decoder_drops_space(&c->decoder) &&
           (s->n == 0 || memcmp(m->places, c->walk.places, s->n * sizeof *m->places) == 0);
}

enum status constraint_mask(struct constraint *c, const unsigned char **allowed, struct err *e)
{
    struct constraint_mask *m = &c->cache[c->cache_next];
    size_t n = c->states[0].n;
    enum status st;

    for (size_t i = 0; i < CONSTRAINT_CACHE; i++) {
        if (!is_mask_of(&c->cache[i], c)) continue;
        *allowed = c->cache[i].allowed;
        return STATUS_OK;
    }
    free(m->allowed);
    free(m->places);
    *m = (struct constraint_mask){ .allowed = malloc((size_t)c->n_ids),
                                   .places = malloc((n + 1) * sizeof *m->places) };
    if (m->allowed == NULL || m->places == NULL) {
        free(m->allowed);
        m->allowed = NULL;
        return err_no_memory(e, "the grammar");
    }
    st = fill_mask(c, m->allowed, e);
    if (st != STATUS_OK) {
        free(m->allowed);
        m->allowed = NULL;
        return st;
    }
    if (n > 0) memcpy(m->places, c->walk.places, n * sizeof *m->places);
    m->state = c->states[0];
    m->at_start = tok_decoder_drops_space(&c->decoder);
    m->n_renumbered = c->walk.n_renumbered;
    c->cache_next = (c->cache_next + 1) % CONSTRAINT_CACHE;
    *allowed = m->allowed;
    return STATUS_OK;
}

enum status constraint_accept(struct constraint *c, int32_t id, enum constraint_verdict *verdict,
                              struct err *e)
{
    bool was_complete = c->states[0].complete, was_ending = walk_is_ending(&c->walk, &c->states[0]);
    size_t n, size;
    enum status st = follow_token(c, id, &n, &size, e);

    if (st != STATUS_OK) return st;
    assert(size > 0 && n == size);
    c->states[0] = c->states[n];
    st = walk_keep(&c->walk, &c->states[0], e);
    if (st != STATUS_OK) return st;
    tok_decoder_put(&c->decoder, id, c->decoded);
    *verdict = CONSTRAINT_GOES_ON;
    if (!walk_is_over(&c->walk, &c->states[0])) return STATUS_OK;
    if (was_ending) return STATUS_OK; /* the text that ends it is on its way */
    if (!walk_is_ending(&c->walk, &c->states[0]))
        *verdict = CONSTRAINT_ENDS_BEHIND;
    else if (was_complete)
        *verdict = CONSTRAINT_ENDS_BEFORE;
    return STATUS_OK;
}
