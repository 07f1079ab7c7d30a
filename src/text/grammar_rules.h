/*
 * grammar_rules.h - a grammar under construction: rules that still grow, by name or without one.
 */
#ifndef SPHINX_TEXT_GRAMMAR_RULES_H
#define SPHINX_TEXT_GRAMMAR_RULES_H

#include "text/grammar.h"

enum {
    GRAMMAR_TEXT_MAX = 1 << 20,     /* bytes */
    GRAMMAR_ELEMENTS_MAX = 1 << 18, /* of all rules */
    GRAMMAR_NAME_BUCKETS = 1024,
};

struct rule {
    struct element *elements;
    size_t n, capacity;
    const char *name; /* borrowed from the text, not NUL-terminated; NULL: none */
    size_t name_size;
    bool defined;
    int32_t owner; /* the rule in whose text it stands, as a group or a repetition; itself if it has a name */
    int32_t next;  /* of the rules whose names fall into the same bucket; -1: none */
};

struct grammar_rules {
    const char *text; /* that the names are part of */
    struct rule *rules;
    size_t n, capacity;
    size_t n_elements; /* of all rules */
    struct code_set *sets;
    size_t n_sets, sets_capacity;
    struct code_range *ranges;
    size_t n_ranges, ranges_capacity;
    int32_t buckets[GRAMMAR_NAME_BUCKETS];
};

void rules_init(struct grammar_rules *r, const char *text);
void rules_free(struct grammar_rules *r);

/* The rule of that name, which is made if there is none. -1: no memory. */
int32_t rules_find(struct grammar_rules *r, const char *name, size_t size);
/* One without a name, within another. -1: no memory. */
int32_t rules_make(struct grammar_rules *r, int32_t owner);

/* One more element of a rule. NO_MEMORY, or BAD_ARGUMENT when the grammar is too large. */
enum status rules_add(struct grammar_rules *r, int32_t rule, enum element_kind kind, int32_t value,
                      struct err *e);

/* A set of these ranges (in any order, which may overlap; [n] is changed), or with `others` of all characters but them and NUL. */
enum status rules_add_set(struct grammar_rules *r, struct code_range *ranges, size_t n, bool others,
                          int32_t *set, struct err *e);
/* An element for each character of UTF-8 text. */
enum status rules_add_text(struct grammar_rules *r, int32_t rule, const char *text, size_t size,
                           struct err *e);

/* Makes g of the rules, whose references all stand for defined ones, and checks it. start: where it begins; tail: what ends an answer, the last
 * of the rules. On failure nothing is left to free. */
enum status rules_finish(const struct grammar_rules *r, int32_t start, int32_t tail, struct grammar *g,
                         struct err *e);

#endif
