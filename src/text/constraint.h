/*
 * constraint.h - which tokens may come next, so that an answer follows a grammar.
 *
 *   tokenizer ── vocabulary_make ── a tree of all pieces' characters ─┐
 *   GBNF ─────── grammar_parse ──── struct grammar ───────────────────┴─ constraint_mask ── sampler ── constraint_accept
 *
 * The text that follows the grammar is the answer as the tokenizer decodes it: the space that the first piece brings is not part of it. Half a
 * character, which byte pieces may be, is followed as long as some character that the grammar allows begins so; malformed UTF-8 never is.
 * The answer ends when and only when the grammar's root is complete: with end-of-sentence, with the beginning of a text that ends it
 * (grammar_parse's ends), or by itself where nothing else can follow.
 */
#ifndef SPHINX_TEXT_CONSTRAINT_H
#define SPHINX_TEXT_CONSTRAINT_H

#include "text/grammar_state.h"
#include "text/tokenizer.h"

/* A tokenizer's pieces as a tree: what several of them begin with is followed once. Never changes: any number of constraints share it. */
struct vocabulary;
enum status vocabulary_make(struct vocabulary **v, const struct tokenizer *t, struct err *e);
void vocabulary_free(struct vocabulary *v); /* accepts NULL */

enum { CONSTRAINT_CACHE = 8 };

struct constraint {
    const struct vocabulary *vocabulary;
    const struct tokenizer *tokenizer;
    struct grammar grammar;
    struct grammar_walk walk;
    struct grammar_state state;
    int32_t *sets; /* behind each character of a piece */
    struct tok_decoder decoder;
    char *decoded; /* what the decoder writes is not needed */
    int32_t n_ids; /* of the model: those that the tokenizer lacks are never allowed */
    struct constraint_mask {
        unsigned char *allowed; /* [n_ids]; NULL: free */
        struct grammar_state state;
        bool at_start;
        uint32_t n_renumbered;
    } cache[CONSTRAINT_CACHE];
    size_t cache_next;
};

/* Takes grammar over, also on failure. c must stay where it is; v and t must outlive it. n_ids: of the model's logits. */
enum status constraint_init(struct constraint *c, const struct vocabulary *v, const struct tokenizer *t,
                            int32_t n_ids, struct grammar *grammar, struct err *e);
void constraint_free(struct constraint *c); /* accepts a zeroed one */

/* Whether the token may come next. */
enum status constraint_allows(struct constraint *c, int32_t id, bool *allows, struct err *e);

/* *allowed [n_ids]: 1 for each that may, else 0. Borrowed until the next call. BAD_ARGUMENT when none may: the vocabulary cannot write what the grammar wants. */
enum status constraint_mask(struct constraint *c, const unsigned char **allowed, struct err *e);

enum constraint_verdict {
    CONSTRAINT_GOES_ON,
    CONSTRAINT_ENDS_BEFORE, /* the answer is complete without this token, which begins what ends it */
    CONSTRAINT_ENDS_BEHIND, /* the answer is complete with it, and nothing can follow */
};

/* An allowed token other than end-of-sentence was drawn. */
enum status constraint_accept(struct constraint *c, int32_t id, enum constraint_verdict *verdict,
                              struct err *e);

#endif
