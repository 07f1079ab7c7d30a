/*
 * grammars.h - a text put to a grammar.
 */
#ifndef TESTS_SUPPORT_GRAMMARS_H
#define TESTS_SUPPORT_GRAMMARS_H

#include <string.h>

#include "text/grammar_state.h"

enum follows {
    FOLLOWS_NOT,
    FOLLOWS_SO_FAR, /* more must come */
    FOLLOWS,        /* it may end here */
};

/* With a walk that may have followed other texts. */
static inline enum follows walk_follows(struct grammar_walk *w, const char *text, size_t size)
{
    struct grammar_state s;
    struct err e = { 0 };
    enum status st = walk_start(w, &s, &e);

    for (size_t i = 0; i < size && st == STATUS_OK && s.set != WALK_DEAD; i++) {
        st = walk_byte(w, &s, (unsigned char)text[i], &s, &e);
        if (st == STATUS_OK) st = walk_settle(w, &s, &e);
    }
    if (st != STATUS_OK) fail_msg("%s", e.text);
    return s.set == WALK_DEAD ? FOLLOWS_NOT : walk_is_complete(w, &s) ? FOLLOWS : FOLLOWS_SO_FAR;
}

static inline enum follows grammar_follows(const struct grammar *g, const char *text, size_t size)
{
    struct grammar_walk w;
    enum follows follows;

    if (walk_init(&w, g, NULL) != STATUS_OK) fail_msg("no memory for a walk");
    follows = walk_follows(&w, text, size);
    walk_free(&w);
    return follows;
}

static inline struct grammar grammar_made(const char *text, const char *const *ends, size_t n_ends)
{
    struct grammar g;
    struct err e = { 0 };

    if (grammar_parse(&g, text, strlen(text), ends, n_ends, &e) != STATUS_OK) fail_msg("%s", e.text);
    return g;
}

#endif
