/* constraint.c - see constraint.h. */
#include "text/constraint.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_file.h"
#include "text/utf8.h"

enum {
    PIECE_SIZE_MAX = 255
}; /* no word of a vocabulary is longer; pieces that are would cost memory, and are not allowed */

/* One more character of all pieces that begin alike. */
struct trie_node {
    uint32_t code;
    uint32_t behind; /* the first node that does not begin with what this one ends */
    uint32_t depth;  /* characters before it */
    uint32_t
        ids; /* how many ids belong to nodes before it: its own, if it has one, is this one of vocabulary.ids */
};

/* A byte piece: it may be part of a character. */
struct byte_piece {
    int32_t id;
    unsigned char byte;
};

struct vocabulary {
    struct trie_node *
        nodes; /* [n_nodes + 1] parents before their children, which stand together; the last one ends the list */
    struct walk_loops *below; /* [n_nodes] the characters of all nodes below it */
    size_t n_nodes, n_ascii;  /* n_ascii: those of pieces that begin in ASCII, which come first */
    int32_t *ids;             /* of the pieces that end with a node, in the nodes' order */
    struct byte_piece *bytes;
    size_t n_bytes;
};

/* ---- pieces --------------------------------------------------------------------------------------------- */

static bool is_text(int kind)
{
    return kind == PIECE_NORMAL || kind == PIECE_USER;
}

/* The characters that a piece of text is decoded to, but for the rule of the first space; 0 where it has none that an answer may hold. */
static size_t piece_codes(const struct tokenizer *t, int32_t id, uint32_t codes[PIECE_SIZE_MAX])
{
    const uint32_t space_mark = 0x2581;
    size_t size, n = 0, length;
    const char *piece = tok_piece(t, id, &size);

    if (!is_text(tok_kind(t, id)) || size > PIECE_SIZE_MAX) return 0;
    for (size_t i = 0; i < size; i += length, n++) {
        if (utf8_next(piece + i, size - i, &length, &codes[n]) != UTF8_WHOLE) return 0;
        if (codes[n] == space_mark) codes[n] = ' ';
    }
    return n;
}

/* ---- vocabulary ----------------------------------------------------------------------------------------- */

struct word {
    const uint32_t *codes;
    size_t n;
    int32_t id;
};

static int compare_words(const void *a, const void *b)
{
    const struct word *x = a, *y = b;

    for (size_t i = 0; i < x->n && i < y->n; i++)
        if (x->codes[i] != y->codes[i]) return x->codes[i] < y->codes[i] ? -1 : 1;
    if (x->n != y->n) return x->n < y->n ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

/* Adds nodes for words in their order, of which those that begin alike stand together. Of two that are equal both get a node. */
static void add_words(struct vocabulary *v, const struct word *words, size_t n_words)
{
    uint32_t open[PIECE_SIZE_MAX]; /* the nodes of the word before */
    size_t n_open = 0;

    for (size_t w = 0; w < n_words; w++) {
        const struct word *x = &words[w];
        size_t depth = 0;

        while (depth < n_open && depth + 1 < x->n && v->nodes[open[depth]].code == x->codes[depth]) depth++;
        while (n_open > depth) v->nodes[open[--n_open]].behind = (uint32_t)v->n_nodes;
        for (; n_open < x->n; n_open++) {
            open[n_open] = (uint32_t)v->n_nodes;
            if (x->codes[0] < 128) v->n_ascii = v->n_nodes + 1;
            v->nodes[v->n_nodes++] =
                (struct trie_node){ .code = x->codes[n_open], .depth = (uint32_t)n_open, .ids = (uint32_t)w };
        }
        v->ids[w] = x->id;
    }
    while (n_open > 0) v->nodes[open[--n_open]].behind = (uint32_t)v->n_nodes;
    v->nodes[v->n_nodes] = (struct trie_node){ .ids = (uint32_t)n_words };
}

/* From the last node to the first: what is below a node is known before what is below its parent. */
static void sum_up(struct vocabulary *v)
{
    struct walk_loops at[PIECE_SIZE_MAX + 1] = {
        0
    }; /* of the nodes of each depth since the last one above it */

    for (size_t i = v->n_nodes; i-- > 0;) {
        const struct trie_node *x = &v->nodes[i];
        struct walk_loops *here = &at[x->depth], *below = &at[x->depth + 1];

        v->below[i] = *below;
        here->ascii[0] |= below->ascii[0];
        here->ascii[1] |= below->ascii[1];
        here->others = here->others || below->others || x->code >= 128;
        if (x->code < 128) here->ascii[x->code / 64] |= (uint64_t)1 << x->code % 64;
        *below = (struct walk_loops){ 0 };
    }
}

/* All pieces but those of bytes, in the order of their characters, which are kept in codes. */
static size_t sort_words(const struct tokenizer *t, uint32_t *codes, struct word *words)
{
    size_t n = 0;

    for (int32_t id = 0; id < tok_vocab_size(t); id++) {
        uint32_t piece[PIECE_SIZE_MAX];
        size_t length = piece_codes(t, id, piece);

        if (length == 0) continue;
        memcpy(codes, piece, length * sizeof *codes);
        words[n++] = (struct word){ codes, length, id };
        codes += length;
    }
    qsort(words, n, sizeof *words, compare_words);
    return n;
}

static void add_bytes(struct vocabulary *v, const struct tokenizer *t)
{
    for (int32_t id = 0; id < tok_vocab_size(t); id++)
        if (tok_kind(t, id) == PIECE_BYTE)
            v->bytes[v->n_bytes++] = (struct byte_piece){ id, tok_byte(t, id) };
}

enum status vocabulary_make(struct vocabulary **out, const struct tokenizer *t, struct err *e)
{
    size_t n = (size_t)tok_vocab_size(t), total = 1;
    struct vocabulary *v = calloc(1, sizeof *v);
    struct word *words = malloc(n * sizeof *words);
    uint32_t *codes;
    enum status st = STATUS_OK;

    *out = NULL;
    for (size_t id = 0; id < n; id++) {
        size_t size;

        tok_piece(t, (int32_t)id, &size);
        total += size;
    }
    codes = malloc(total * sizeof *codes);
    if (v != NULL) {
        v->nodes = malloc(total * sizeof *v->nodes);
        v->ids = malloc(n * sizeof *v->ids);
        v->bytes = malloc(n * sizeof *v->bytes);
    }
    if (v == NULL || words == NULL || codes == NULL || v->nodes == NULL || v->ids == NULL ||
        v->bytes == NULL) {
        st = err_no_memory(e, "the vocabulary");
    } else {
        add_words(v, words, sort_words(t, codes, words));
        add_bytes(v, t);
        v->below = malloc((v->n_nodes + 1) * sizeof *v->below);
        if (v->below != NULL)
            sum_up(v);
        else
            st = err_no_memory(e, "the vocabulary");
    }
    free(words);
    free(codes);
    if (st == STATUS_OK)
        *out = v;
    else
        vocabulary_free(v);
    return st;
}

void vocabulary_free(struct vocabulary *v)
{
    if (v == NULL) return;
    free(v->nodes);
    free(v->below);
    free(v->ids);
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
        c->sets = calloc(PIECE_SIZE_MAX + 1, sizeof *c->sets);
        c->decoded = malloc(tok_step_size_max(t));
        if (c->sets == NULL || c->decoded == NULL) st = err_no_memory(e, "the grammar");
    }
    if (st == STATUS_OK) st = walk_start(&c->walk, &c->state, e);
    if (st != STATUS_OK) constraint_free(c);
    return st;
}

void constraint_free(struct constraint *c)
{
    for (size_t i = 0; i < CONSTRAINT_CACHE; i++) free(c->cache[i].allowed);
    walk_free(&c->walk);
    grammar_free(&c->grammar);
    free(c->sets);
    free(c->decoded);
    *c = (struct constraint){ 0 };
}

/* Behind a token; *to, which is not c->state, is dead where the grammar does not allow it. */
static enum status follow_token(struct constraint *c, int32_t id, struct grammar_state *to, struct err *e)
{
    uint32_t codes[PIECE_SIZE_MAX];
    size_t n;
    enum status st = STATUS_OK;

    *to = (struct grammar_state){ .set = WALK_DEAD };
    if (id < 0 || id >= tok_vocab_size(c->tokenizer)) return STATUS_OK;
    if (tok_kind(c->tokenizer, id) == PIECE_BYTE)
        return walk_byte(&c->walk, &c->state, tok_byte(c->tokenizer, id), to, e);
    n = piece_codes(c->tokenizer, id, codes);
    if (n == 0 || c->state.left > 0) return STATUS_OK;
    *to = c->state;
    for (size_t i = tok_decoder_drops_space(&c->decoder) && codes[0] == ' '; i < n && st == STATUS_OK; i++)
        st = walk_class(&c->walk, to->set, grammar_class(&c->grammar, codes[i]), &to->set, e);
    return st;
}

enum status constraint_allows(struct constraint *c, int32_t id, bool *allows, struct err *e)
{
    struct grammar_state to;
    enum status st;

    if (id == tok_eos(c->tokenizer)) {
        *allows = walk_is_complete(&c->walk, &c->state);
        return STATUS_OK;
    }
    st = follow_token(c, id, &to, e);
    *allows = st == STATUS_OK && to.set != WALK_DEAD;
    return st;
}

struct mask {
    unsigned char *allowed;
    bool any;
};

static void allow(const struct constraint *c, struct mask *m, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= c->n_ids) continue;
        m->allowed[ids[i]] = 1;
        m->any = true;
    }
}

static bool is_within(const struct walk_loops *a, const struct walk_loops *b)
{
    return (a->ascii[0] & ~b->ascii[0]) == 0 && (a->ascii[1] & ~b->ascii[1]) == 0 && b->others >= a->others;
}

/* Behind a node's character. */
static enum status follow_node(struct constraint *c, const struct trie_node *x, int32_t *to, struct err *e)
{
    int32_t class = grammar_class(&c->grammar, x->code);
    enum status st;

    if (walk_recall(&c->walk, c->sets[x->depth], class, to)) return STATUS_OK;
    st = walk_make_room(&c->walk, c->sets, x->depth + 1, e);
    return st == STATUS_OK ? walk_class(&c->walk, c->sets[x->depth], class, to, e) : st;
}

/* Goes through the nodes; what begins with what the grammar does not allow is passed over, and what it allows in any order, as within a string, is
 * taken without a look at each. */
static enum status allow_words(struct constraint *c, struct mask *m, struct err *e)
{
    enum { MANY = 8 }; /* nodes that are worth asking for loops */
    const struct vocabulary *v = c->vocabulary;
    bool drops = tok_decoder_drops_space(&c->decoder);
    size_t n = walk_meets(&c->walk, c->state.set, 128, CODE_MAX) ? v->n_nodes : v->n_ascii;
    enum status st = STATUS_OK;

    c->sets[0] = c->state.set;
    for (size_t i = 0; i < n && st == STATUS_OK;) {
        const struct trie_node *x = &v->nodes[i];
        int32_t *to = &c->sets[x->depth + 1];
        size_t behind = i + 1;

        if (x->depth == 0 && x->code == ' ' && drops)
            *to = c->sets[0];
        else
            st = follow_node(c, x, to, e);
        if (st == STATUS_OK && *to != WALK_DEAD && x->behind > i + MANY) {
            struct walk_loops loops;

            st = walk_find_loops(&c->walk, *to, &loops, e);
            if (is_within(&v->below[i], &loops)) behind = x->behind;
        }
        if (st == STATUS_OK && *to != WALK_DEAD)
            allow(c, m, v->ids + x->ids, v->nodes[behind].ids - x->ids);
        else
            behind = x->behind;
        i = behind;
    }
    c->state.set = c->sets[0];
    return st;
}

static enum status fill_mask(struct constraint *c, unsigned char *allowed, struct err *e)
{
    const struct vocabulary *v = c->vocabulary;
    struct mask m = { .allowed = allowed };
    int32_t eos = tok_eos(c->tokenizer);
    enum status st = STATUS_OK;

    memset(allowed, 0, (size_t)c->n_ids);
    if (c->state.left == 0) st = allow_words(c, &m, e);
    for (size_t i = 0; i < v->n_bytes && st == STATUS_OK; i++) {
        struct grammar_state to;

        st = walk_byte(&c->walk, &c->state, v->bytes[i].byte, &to, e);
        if (to.set != WALK_DEAD) allow(c, &m, &v->bytes[i].id, 1);
    }
    if (st != STATUS_OK) return st;
    if (walk_is_complete(&c->walk, &c->state)) allow(c, &m, &eos, 1);
    return m.any ? STATUS_OK
                 : err_set(e, STATUS_BAD_ARGUMENT,
                           "none of the vocabulary's tokens can write what the grammar wants next");
}

/* The same place, after whatever text, has the same mask: within a string or a list most of them are found again. */
static bool is_mask_of(const struct constraint_mask *m, const struct constraint *c)
{
    return m->allowed != NULL && m->n_renumbered == c->walk.n_renumbered && m->state.set == c->state.set &&
           m->state.left == c->state.left && (m->state.left == 0 || m->state.code == c->state.code) &&
           m->at_start == tok_decoder_drops_space(&c->decoder);
}

enum status constraint_mask(struct constraint *c, const unsigned char **allowed, struct err *e)
{
    struct constraint_mask *m = &c->cache[c->cache_next];
    enum status st;

    for (size_t i = 0; i < CONSTRAINT_CACHE; i++) {
        if (!is_mask_of(&c->cache[i], c)) continue;
        *allowed = c->cache[i].allowed;
        return STATUS_OK;
    }
    if (m->allowed == NULL) m->allowed = malloc((size_t)c->n_ids);
    if (m->allowed == NULL) return err_no_memory(e, "the grammar");
    st = fill_mask(c, m->allowed, e);
    if (st != STATUS_OK) {
        free(m->allowed);
        m->allowed = NULL;
        return st;
    }
    m->state = c->state;
    m->at_start = tok_decoder_drops_space(&c->decoder);
    m->n_renumbered = c->walk.n_renumbered;
    c->cache_next = (c->cache_next + 1) % CONSTRAINT_CACHE;
    *allowed = m->allowed;
    return STATUS_OK;
}

enum status constraint_accept(struct constraint *c, int32_t id, enum constraint_verdict *verdict,
                              struct err *e)
{
    bool was_complete = walk_is_complete(&c->walk, &c->state),
         was_ending = walk_is_ending(&c->walk, &c->state);
    struct grammar_state to;
    enum status st = follow_token(c, id, &to, e);

    if (st == STATUS_OK) st = walk_settle(&c->walk, &to, e);
    if (st != STATUS_OK) return st;
    assert(to.set != WALK_DEAD);
    c->state = to;
    tok_decoder_put(&c->decoder, id, c->decoded);
    *verdict = CONSTRAINT_GOES_ON;
    if (!walk_is_over(&c->walk, &c->state)) return STATUS_OK;
    if (was_ending) return STATUS_OK; /* the text that ends it is on its way */
    if (!walk_is_ending(&c->walk, &c->state))
        *verdict = CONSTRAINT_ENDS_BEHIND;
    else if (was_complete)
        *verdict = CONSTRAINT_ENDS_BEFORE;
    return STATUS_OK;
}
