/*
 * grammar.h - what an answer may look like, as a context-free grammar in llama.cpp's notation (GBNF).
 *
 *     root  ::= "[" box (";" box)* "]"
 *     box   ::= n "," n "," n "," n         # a comment
 *     n     ::= "0." [0-9]{2} | "1.00"
 *
 * Items: "text", [a-z], [^"\\], . (any character), name, ( a | b ); behind an item * + ? {3} {1,} {1,3}. Escapes: \n \r \t \\ \" \[ \] \- \^
 * \x41 \u00e9 \U0001F600. A rule ends with its line, unless within ( ) or beside |. An answer is all of "root".
 *
 *   GBNF ── grammar_parse.c ── rules, each with elements of its own ── grammar.c: checked, one array ── grammar_state.c: bytes follow it
 *   JSON schema ── grammar_json.c ── GBNF
 *
 * A grammar is refused, with a sentence, that is not sure to be followed in little time: one that is left-recursive (a rule that leads to itself
 * before a character is read, and to more behind it), that has a rule which never comes to an end, or that is too large. A grammar never
 * changes after it is parsed: any number of threads may follow it.
 */
#ifndef SPHINX_TEXT_GRAMMAR_H
#define SPHINX_TEXT_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

enum element_kind {
    ELEMENT_SET,  /* one character of set `value` */
    ELEMENT_RULE, /* what rule `value` says */
    ELEMENT_ALT,  /* the alternative ends, and another one follows */
    ELEMENT_END,  /* the last alternative ends */
};

struct element {
    enum element_kind kind;
    int32_t value;
};

enum { CODE_MAX = 0x10ffff, CODE_SURROGATE_FIRST = 0xd800, CODE_SURROGATE_LAST = 0xdfff };

/* Code points first <= c <= last; those of a set ascend and have gaps between them. Surrogates are in none. */
struct code_range {
    uint32_t first, last;
};

struct code_set {
    size_t begin, n; /* its ranges */
};

struct grammar {
    struct element *elements; /* of all rules */
    size_t n_elements;
    int32_t *rules; /* where each begins */
    size_t n_rules;
    struct code_set *sets;
    size_t n_sets;
    struct code_range *ranges;
    size_t n_ranges;
    int32_t start; /* the rule: root and then, perhaps, what ends the answer */
    int32_t tail;  /* elements from here on are what ends the answer */
    bool *empty;   /* [n_rules] whether it may be nothing */
    /* Characters that no set tells apart are a class: class i > 0 begins with classes[i - 1] and ends before the next one does. Those below
     * are class 0, which is in no set. */
    uint32_t *classes;
    size_t n_classes;
    int32_t ascii[128]; /* their classes */
};

static inline bool element_is_end(const struct element *x)
{
    return x->kind == ELEMENT_ALT || x->kind == ELEMENT_END;
}

/* The text of "boxes" or "points"; NULL for any other name. */
const char *grammar_preset(const char *name);

/* ends [n_ends], not empty, UTF-8: texts of which one may stand, with or without a space before it, behind all of root: they end the answer.
 * BAD_ARGUMENT says where the text is wrong, or why such a grammar is not followed; then nothing is left to free. */
enum status grammar_parse(struct grammar *g, const char *text, size_t size, const char *const *ends,
                          size_t n_ends, struct err *e);
void grammar_free(struct grammar *g); /* accepts a zeroed one */

/* The class of a number, whether it is a code point or not; of_other: above ASCII. */
int32_t grammar_class_of_other(const struct grammar *g, uint32_t code);
static inline int32_t grammar_class(const struct grammar *g, uint32_t code)
{
    return code < 128 ? g->ascii[code] : grammar_class_of_other(g, code);
}

/* Whether one of the code points first .. last is in a set. */
bool grammar_set_meets(const struct grammar *g, int32_t set, uint32_t first, uint32_t last);

#endif
