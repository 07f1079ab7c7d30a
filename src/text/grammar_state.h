/*
 * grammar_state.h - how far a text has come in a grammar: all the places where it may be, character by character or byte by byte.
 *
 *     walk_init(&w, &g, &e);
 *     walk_start(&w, &s, &e);
 *     for (...) walk_byte(&w, &s, byte, &s, &e), walk_settle(&w, &s, &e);
 *     walk_free(&w);
 *
 * A place is an element that the next character has to meet, and the places to return to behind the rules that it is in. These lists share
 * their ends and equal ones are the same one, so that comparing places compares two numbers, and a repetition, which returns to nowhere new, comes
 * back to places that were there before.
 *
 *     root ::= "[" list "]"          after "[a," :  x in list ──▶ "]" in root ──▶ none
 *     list ::= "a" ("," "a")*
 *
 * Sets of places have numbers, and the same set has the same number. What a set becomes with a character is remembered for all characters that
 * the grammar treats alike (grammar_class): where a text goes round, as in a string or a list, a step is one look into a table.
 */
#ifndef SPHINX_TEXT_GRAMMAR_STATE_H
#define SPHINX_TEXT_GRAMMAR_STATE_H

#include "text/grammar.h"

enum { WALK_DEAD = 0 }; /* the set without places of a text that no text of the grammar begins with */

struct grammar_state {
    int32_t set;
    uint32_t code,
        least; /* of a character whose last `left` bytes are missing: its bits so far, and the least that is not overlong */
    unsigned left;
};

struct walk_place {
    int32_t at;    /* the element */
    int32_t below; /* where to return to, in the walk's nodes; -1: nowhere */
};

/* Sets never change, so what is here is true for ever; another step may take its place. */
struct walk_move {
    int32_t set, class, to; /* class 0: empty, no step is remembered of it */
};

/* Characters behind which a set is what it was: such a text may go on with any number of them. */
struct walk_loops {
    uint64_t ascii[2]; /* a bit each */
    bool others;       /* all that are not in ASCII */
};

struct grammar_walk {
    const struct grammar *g; /* borrowed */
    struct walk_place *places;
    size_t n_places, places_capacity, places_kept; /* kept: when they were last cleared up */
    struct walk_set *sets;
    size_t n_sets, sets_capacity;
    struct walk_node *nodes;
    size_t n_nodes, nodes_capacity, nodes_kept;
    int32_t *node_buckets, *set_buckets;
    struct walk_move *moves; /* remembered steps */
    struct walk_seen *seen;  /* places of the present step */
    struct walk_place *todo;
    size_t n_todo, n_seen;
    uint32_t step;
    size_t work;           /* places looked at since walk_settle */
    uint32_t n_renumbered; /* how often sets got other numbers */
};

enum status walk_init(struct grammar_walk *w, const struct grammar *g, struct err *e);
void walk_free(struct grammar_walk *w); /* accepts a zeroed one */

/* Before the first byte. */
enum status walk_start(struct grammar_walk *w, struct grammar_state *s, struct err *e);

/* Behind one more byte; to may be from. BAD_ARGUMENT when there are too many places to look at. */
enum status walk_byte(struct grammar_walk *w, const struct grammar_state *from, unsigned char byte,
                      struct grammar_state *to, struct err *e);

enum { WALK_MOVES = 1 << 14 };

static inline size_t walk_hash(int32_t a, int32_t b)
{
    return (size_t)((((uint64_t)(uint32_t)a << 32 | (uint32_t)b) * 0x9e3779b97f4a7c15u) >> 40);
}

/* Behind one more character, of which only its class counts: from memory, where that is possible. */
static inline bool walk_recall(const struct grammar_walk *w, int32_t set, int32_t class, int32_t *to)
{
    const struct walk_move *m = &w->moves[walk_hash(set, class) % WALK_MOVES];

    *to = m->to;
    return m->set == set && m->class == class;
}

/* The same for all. */
enum status walk_class(struct grammar_walk *w, int32_t set, int32_t class, int32_t *to, struct err *e);

enum status walk_find_loops(struct grammar_walk *w, int32_t set, struct walk_loops *loops, struct err *e);

/* Whether one of the characters first .. last may come next. */
bool walk_meets(const struct grammar_walk *w, int32_t set, uint32_t first, uint32_t last);

/* The text so far is settled: another step may look at as many places again. Sets other than this one may be forgotten and get other numbers. */
enum status walk_settle(struct grammar_walk *w, struct grammar_state *s, struct err *e);

/* When memory is short, forgets all sets but these, which get other numbers. */
enum status walk_make_room(struct grammar_walk *w, int32_t *sets, size_t n, struct err *e);

/* Whether the text may end here; never within a character. */
bool walk_is_complete(const struct grammar_walk *w, const struct grammar_state *s);
/* Whether all of root has been said, and nothing can follow but what ends the answer; and whether some of that was said. */
bool walk_is_over(const struct grammar_walk *w, const struct grammar_state *s);
bool walk_is_ending(const struct grammar_walk *w, const struct grammar_state *s);

#endif
