/*
 * grammar_state.h - how far a text has come in a grammar: all the places where it may be, byte by byte.
 *
 *     walk_init(&w, &g, &e);
 *     walk_start(&w, &s, &e);
 *     for (...) walk_byte(&w, &s, byte, &s2, &e), walk_keep(&w, &s2), s = s2;
 *     walk_free(&w);
 *
 * A place is an element that the next character has to meet, and the places to return to behind the rules that it is in. These lists share
 * their ends and equal ones are the same one, so that comparing places compares two numbers, and a repetition, which returns to nowhere new, comes
 * back to places that were there before.
 *
 *     root ::= "[" list "]"          after "[a," :  x in list ──▶ "]" in root ──▶ none
 *     list ::= "a" ("," "a")*
 *
 * States form a stack within the walk: one that was made of another is valid until another is made of that one, or of one before it.
 */
#ifndef SPHINX_TEXT_GRAMMAR_STATE_H
#define SPHINX_TEXT_GRAMMAR_STATE_H

#include "text/grammar.h"

struct walk_place {
    int32_t at;    /* the element */
    int32_t below; /* where to return to, in the walk's nodes; -1: nowhere */
};

struct grammar_state {
    size_t first, n; /* its places among the walk's */
    bool complete;   /* the text may end here; never within a character */
    uint32_t code,
        least; /* of a character whose last `left` bytes are missing: its bits so far, and the least that is not overlong */
    unsigned left;
};

struct grammar_walk {
    const struct grammar *g; /* borrowed */
    struct walk_place *places;
    size_t places_capacity;
    struct walk_node *nodes;
    size_t n_nodes, nodes_capacity, nodes_kept; /* kept: when they were last cleared up */
    int32_t *buckets;
    struct walk_seen *seen; /* places of the present step */
    uint32_t step;
    struct walk_place *todo;
    size_t n_todo, n_seen;
    uint32_t n_renumbered; /* how often nodes got other numbers */
};

enum status walk_init(struct grammar_walk *w, const struct grammar *g, struct err *e);
void walk_free(struct grammar_walk *w); /* accepts a zeroed one */

/* Before the first byte. */
enum status walk_start(struct grammar_walk *w, struct grammar_state *s, struct err *e);

/* Behind one more byte. Where no text of the grammar goes on so, `to` has neither places nor is it complete (walk_is_dead). BAD_ARGUMENT when there
 * are too many places at once. */
enum status walk_byte(struct grammar_walk *w, const struct grammar_state *from, unsigned char byte,
                      struct grammar_state *to, struct err *e);
bool walk_is_dead(const struct grammar_state *s);

/* Makes s the bottom of the stack: all states made before are forgotten. */
enum status walk_keep(struct grammar_walk *w, struct grammar_state *s, struct err *e);

/* Whether all of root has been said, and nothing can follow but what ends the answer; and whether some of that was said. */
bool walk_is_over(const struct grammar_walk *w, const struct grammar_state *s);
bool walk_is_ending(const struct grammar_walk *w, const struct grammar_state *s);

#endif
