/*
 * grammar_parse.c - GBNF to rules (see grammar.h). A group, and what is repeated, become rules without a name:
 *
 *     x*      r ::= x r |            x{1,3}   x s    s ::= x t |    t ::= x |
 *     x+      x r
 *
 * so that all that is left are characters, names and alternatives.
 */
#include <stdlib.h>
#include <string.h>

#include "text/grammar_rules.h"
#include "text/utf8.h"

enum {
    DEPTH_MAX = 64,         /* groups within groups */
    REPETITIONS_MAX = 4096, /* in braces */
    CLASS_MAX = 4096,       /* ranges in brackets */
};

struct parser {
    const char *text;
    size_t size, at;
    struct grammar_rules rules;
    struct code_range *class; /* [CLASS_MAX] of the brackets that are being read */
    struct err *e;
};

/* ---- places --------------------------------------------------------------------------------------------- */

static enum status wrong_at(const struct parser *p, size_t at, const char *what)
{
    size_t line = 1, column = 1;

    for (size_t i = 0; i < at && i < p->size; i++) {
        column++;
        if (p->text[i] != '\n') continue;
        line++;
        column = 1;
    }
    return err_set(p->e, STATUS_BAD_ARGUMENT, "the grammar, line %zu, column %zu: %s", line, column, what);
}

static enum status wrong(const struct parser *p, const char *what)
{
    return wrong_at(p, p->at, what);
}

static bool looking_at(const struct parser *p, const char *text)
{
    size_t n = strlen(text);

    return p->size - p->at >= n && memcmp(p->text + p->at, text, n) == 0;
}

static bool skip(struct parser *p, const char *text)
{
    if (!looking_at(p, text)) return false;
    p->at += strlen(text);
    return true;
}

/* White space and comments; over the ends of lines only if `lines`. */
static void skip_space(struct parser *p, bool lines)
{
    while (p->at < p->size) {
        char c = p->text[p->at];

        if (c == '#') {
            while (p->at < p->size && p->text[p->at] != '\n') p->at++;
        } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
            p->at++;
        } else {
            break;
        }
    }
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static size_t name_size(const struct parser *p)
{
    size_t n = 0;

    while (p->at + n < p->size && is_name(p->text[p->at + n])) n++;
    return n;
}

/* ---- characters ----------------------------------------------------------------------------------------- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static enum status read_hex(struct parser *p, int digits, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < digits; i++, p->at++) {
        int value = p->at < p->size ? hex_value(p->text[p->at]) : -1;

        if (value < 0) return wrong(p, "a hexadecimal digit is missing: \\x takes 2, \\u 4, \\U 8");
        *code = *code << 4 | (uint32_t)value;
    }
    if (*code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
        return wrong(p, "there is no such character");
    return STATUS_OK;
}

static enum status read_escape(struct parser *p, uint32_t *code)
{
    static const char from[] = "nrt\\\"[]-^", to[] = "\n\r\t\\\"[]-^";
    const char *place;
    char c;

    p->at++;
    if (p->at == p->size) return wrong(p, "the grammar ends behind a \\");
    c = p->text[p->at];
    place = c != '\0' ? strchr(from, c) : NULL;
    if (place == NULL && c != 'x' && c != 'u' && c != 'U')
        return wrong(p, "there is no such escape; there are \\n \\r \\t \\\\ \\\" \\[ \\] \\- \\^ \\x41 "
                        "\\u00e9 \\U0001F600");
    p->at++;
    if (place == NULL) return read_hex(p, c == 'x' ? 2 : c == 'u' ? 4 : 8, code);
    *code = (unsigned char)to[place - from];
    return STATUS_OK;
}

static enum status read_character(struct parser *p, uint32_t *code)
{
    size_t length;

    if (p->text[p->at] == '\\') return read_escape(p, code);
    if (utf8_next(p->text + p->at, p->size - p->at, &length, code) != UTF8_WHOLE)
        return wrong(p, "the grammar is not UTF-8");
    p->at += length;
    return STATUS_OK;
}

static enum status add_set(struct parser *p, int32_t rule, struct code_range *ranges, size_t n, bool others)
{
    int32_t set;
    enum status st = rules_add_set(&p->rules, ranges, n, others, &set, p->e);

    return st == STATUS_OK ? rules_add(&p->rules, rule, ELEMENT_SET, set, p->e) : st;
}

static enum status read_text(struct parser *p, int32_t rule)
{
    enum status st = STATUS_OK;
    size_t begin = p->at++;

    while (st == STATUS_OK && p->at < p->size && p->text[p->at] != '"') {
        struct code_range one;

        if (p->text[p->at] == '\n') return wrong_at(p, begin, "this \" has no partner on its line");
        st = read_character(p, &one.first);
        one.last = one.first;
        if (st == STATUS_OK) st = add_set(p, rule, &one, 1, false);
    }
    if (st != STATUS_OK) return st;
    if (p->at == p->size) return wrong_at(p, begin, "this \" has no partner");
    p->at++;
    return STATUS_OK;
}

/* [a-z_] or [^"\\] */
static enum status read_class(struct parser *p, int32_t rule)
{
    size_t begin = p->at++, n = 0;
    bool others = skip(p, "^");
    enum status st = STATUS_OK;

    while (st == STATUS_OK && p->at < p->size && p->text[p->at] != ']') {
        struct code_range *r = &p->class[n++];

        if (n == CLASS_MAX) return wrong(p, "too many characters in one [ ]");
        if (p->text[p->at] == '\n') break;
        st = read_character(p, &r->first);
        r->last = r->first;
        if (st != STATUS_OK || !looking_at(p, "-") || p->at + 1 >= p->size || p->text[p->at + 1] == ']')
            continue;
        p->at++;
        st = read_character(p, &r->last);
        if (st == STATUS_OK && r->last < r->first)
            return wrong(p, "a range of characters ends before it begins");
    }
    if (st != STATUS_OK) return st;
    if (!skip(p, "]")) return wrong_at(p, begin, "this [ has no partner on its line");
    if (n == 0 && !others) return wrong_at(p, begin, "[] stands for no character at all");
    return add_set(p, rule, p->class, n, others);
}

/* ---- repetitions ---------------------------------------------------------------------------------------- */

static enum status read_number(struct parser *p, int *value)
{
    if (p->at == p->size || p->text[p->at] < '0' || p->text[p->at] > '9')
        return wrong(p, "a number is missing: there are {3} {1,} {1,3}");
    for (*value = 0; p->at < p->size && p->text[p->at] >= '0' && p->text[p->at] <= '9'; p->at++) {
        *value = 10 * *value + p->text[p->at] - '0';
        if (*value > REPETITIONS_MAX) return wrong(p, "more than 4096 repetitions");
    }
    return STATUS_OK;
}

/* {3} {1,} {1,3}; most -1: any number. */
static enum status read_braces(struct parser *p, int *least, int *most)
{
    enum status st;

    p->at++;
    skip_space(p, false);
    st = read_number(p, least);
    if (st != STATUS_OK) return st;
    skip_space(p, false);
    *most = *least;
    if (skip(p, ",")) {
        *most = -1;
        skip_space(p, false);
        if (!looking_at(p, "}")) st = read_number(p, most);
        if (st != STATUS_OK) return st;
        skip_space(p, false);
    }
    if (!skip(p, "}")) return wrong(p, "a } is missing: there are {3} {1,} {1,3}");
    if (*most >= 0 && *most < *least) return wrong(p, "at most fewer repetitions than at least");
    return STATUS_OK;
}

/* Takes the elements of `rule` from `first` on out of it, and makes them one. */
static enum status take_item(struct parser *p, int32_t rule, size_t first, struct element *item)
{
    size_t n = p->rules.rules[rule].n - first;
    enum status st = STATUS_OK;

    if (n == 1) {
        *item = p->rules.rules[rule].elements[first];
    } else {
        int32_t made = rules_make(&p->rules, rule);

        if (made < 0) return err_no_memory(p->e, "the grammar");
        *item = (struct element){ ELEMENT_RULE, made };
        for (size_t i = 0; i < n && st == STATUS_OK; i++) {
            struct element x = p->rules.rules[rule].elements[first + i];

            st = rules_add(&p->rules, made, x.kind, x.value, p->e);
        }
        if (st == STATUS_OK) st = rules_add(&p->rules, made, ELEMENT_END, 0, p->e);
    }
    p->rules.rules[rule].n = first;
    p->rules.n_elements -= n;
    return st;
}

/* r ::= item next |, or without a next one. next -1: none; -2: r itself. */
static enum status make_optional(struct parser *p, int32_t owner, struct element item, int32_t next,
                                 int32_t *made)
{
    enum status st;

    *made = rules_make(&p->rules, owner);
    if (*made < 0) return err_no_memory(p->e, "the grammar");
    st = rules_add(&p->rules, *made, item.kind, item.value, p->e);
    if (st == STATUS_OK && next != -1)
        st = rules_add(&p->rules, *made, ELEMENT_RULE, next == -2 ? *made : next, p->e);
    if (st == STATUS_OK) st = rules_add(&p->rules, *made, ELEMENT_ALT, 0, p->e);
    if (st == STATUS_OK) st = rules_add(&p->rules, *made, ELEMENT_END, 0, p->e);
    return st;
}

static enum status repeat(struct parser *p, int32_t rule, size_t first, int least, int most)
{
    struct element item;
    int32_t rest = -1;
    enum status st = take_item(p, rule, first, &item);

    for (int i = 0; i < least && st == STATUS_OK; i++)
        st = rules_add(&p->rules, rule, item.kind, item.value, p->e);
    if (most < 0 && st == STATUS_OK) st = make_optional(p, rule, item, -2, &rest);
    for (int i = least; i < most && st == STATUS_OK; i++) st = make_optional(p, rule, item, rest, &rest);
    if (st == STATUS_OK && rest >= 0) st = rules_add(&p->rules, rule, ELEMENT_RULE, rest, p->e);
    return st;
}

/* ---- rules ---------------------------------------------------------------------------------------------- */

static enum status read_alternatives(struct parser *p, int32_t rule, int depth);

static enum status read_group(struct parser *p, int32_t rule, int depth)
{
    size_t begin = p->at++;
    int32_t made;
    enum status st;

    if (depth == DEPTH_MAX) return wrong(p, "more than 64 ( within each other");
    made = rules_make(&p->rules, rule);
    if (made < 0) return err_no_memory(p->e, "the grammar");
    skip_space(p, true);
    st = read_alternatives(p, made, depth + 1);
    if (st != STATUS_OK) return st;
    if (!skip(p, ")"))
        return p->at == p->size ? wrong_at(p, begin, "this ( has no partner") : wrong(p, "a ) is missing");
    return rules_add(&p->rules, rule, ELEMENT_RULE, made, p->e);
}

static enum status read_reference(struct parser *p, int32_t rule)
{
    size_t n = name_size(p);
    int32_t to = rules_find(&p->rules, p->text + p->at, n);

    if (to < 0) return err_no_memory(p->e, "the grammar");
    p->at += n;
    return rules_add(&p->rules, rule, ELEMENT_RULE, to, p->e);
}

/* *found false: something else stands here. */
static enum status read_item(struct parser *p, int32_t rule, int depth, bool *found)
{
    char c = p->at < p->size ? p->text[p->at] : '\0';

    *found = true;
    if (c == '"') return read_text(p, rule);
    if (c == '[') return read_class(p, rule);
    if (c == '(') return read_group(p, rule, depth);
    if (is_name(c)) return read_reference(p, rule);
    if (c == '.') {
        p->at++;
        return add_set(p, rule, NULL, 0, true);
    }
    *found = false;
    return STATUS_OK;
}

/* What stands behind an item, whose elements begin at `first`. */
static enum status read_repetition(struct parser *p, int32_t rule, size_t first, bool *found)
{
    char c = p->at < p->size ? p->text[p->at] : '\0';
    int least = 0, most = -1;
    enum status st = STATUS_OK;

    *found = c == '*' || c == '+' || c == '?' || c == '{';
    if (!*found) return STATUS_OK;
    if (c == '{') {
        st = read_braces(p, &least, &most);
    } else {
        p->at++;
        least = c == '+';
        most = c == '?' ? 1 : -1;
    }
    return st == STATUS_OK ? repeat(p, rule, first, least, most) : st;
}

static enum status read_sequence(struct parser *p, int32_t rule, int depth)
{
    bool item = true;
    enum status st = STATUS_OK;

    while (st == STATUS_OK && item) {
        size_t first = p->rules.rules[rule].n;
        bool repeated = true;

        st = read_item(p, rule, depth, &item);
        if (item && st == STATUS_OK) skip_space(p, depth > 0);
        while (item && repeated && st == STATUS_OK) {
            st = read_repetition(p, rule, first, &repeated);
            if (st == STATUS_OK) skip_space(p, depth > 0);
        }
    }
    return st;
}

/* Looks past the ends of lines for one more alternative: the next thing that is no space is a |. */
static bool another_alternative(struct parser *p)
{
    size_t at = p->at;

    skip_space(p, true);
    if (skip(p, "|")) return true;
    p->at = at;
    return false;
}

static enum status read_alternatives(struct parser *p, int32_t rule, int depth)
{
    enum status st = read_sequence(p, rule, depth);

    while (st == STATUS_OK && another_alternative(p)) {
        st = rules_add(&p->rules, rule, ELEMENT_ALT, 0, p->e);
        skip_space(p, true);
        if (st == STATUS_OK) st = read_sequence(p, rule, depth);
    }
    return st == STATUS_OK ? rules_add(&p->rules, rule, ELEMENT_END, 0, p->e) : st;
}

static enum status read_rule(struct parser *p)
{
    size_t begin = p->at, n = name_size(p);
    int32_t rule;
    enum status st;

    if (n == 0) return wrong(p, "the name of a rule is missing: name ::= ...");
    rule = rules_find(&p->rules, p->text + p->at, n);
    if (rule < 0) return err_no_memory(p->e, "the grammar");
    if (p->rules.rules[rule].defined) return wrong_at(p, begin, "this rule was there before");
    p->rules.rules[rule].defined = true;
    p->rules.rules[rule].name = p->text + begin; /* where it stands, not where it was first spoken of */
    p->at += n;
    skip_space(p, false);
    if (!skip(p, "::=")) return wrong(p, "behind the name of a rule ::= is missing");
    skip_space(p, true);
    st = read_alternatives(p, rule, 0);
    if (st != STATUS_OK) return st;
    skip_space(p, false);
    if (p->at < p->size && p->text[p->at] != '\n' && p->text[p->at] != '\r')
        return wrong(p, "neither a text, a name, [ ], ( ), | nor the end of the line");
    skip_space(p, true);
    return STATUS_OK;
}

static enum status check_names(const struct parser *p)
{
    for (size_t i = 0; i < p->rules.n; i++) {
        const struct rule *r = &p->rules.rules[i];

        if (r->name == NULL || r->defined) continue;
        return wrong_at(p, (size_t)(r->name - p->text), "there is no rule of this name");
    }
    return STATUS_OK;
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

/* tail ::= | end | " " end | ... */
static enum status add_tail(struct grammar_rules *r, int32_t tail, const char *const *ends, size_t n_ends,
                            struct err *e)
{
    enum status st = STATUS_OK;

    for (size_t i = 0; i < 2 * n_ends && st == STATUS_OK; i++) {
        st = rules_add(r, tail, ELEMENT_ALT, 0, e);
        if (st == STATUS_OK && i % 2 == 1) st = rules_add_text(r, tail, " ", 1, e);
        if (st == STATUS_OK) st = rules_add_text(r, tail, ends[i / 2], strlen(ends[i / 2]), e);
    }
    return st == STATUS_OK ? rules_add(r, tail, ELEMENT_END, 0, e) : st;
}

static enum status finish(struct parser *p, const char *const *ends, size_t n_ends, struct grammar *g)
{
    int32_t root = rules_find(&p->rules, "root", 4), start, tail;
    enum status st;

    if (root < 0) return err_no_memory(p->e, "the grammar");
    if (!p->rules.rules[root].defined)
        return err_set(p->e, STATUS_BAD_ARGUMENT,
                       "the grammar has no rule 'root', which says what an answer is: root ::= ...");
    st = check_names(p);
    if (st != STATUS_OK) return st;
    start = rules_make(&p->rules, root);
    tail = rules_make(&p->rules, root);
    if (start < 0 || tail < 0) return err_no_memory(p->e, "the grammar");
    st = rules_add(&p->rules, start, ELEMENT_RULE, root, p->e);
    if (st == STATUS_OK) st = rules_add(&p->rules, start, ELEMENT_RULE, tail, p->e);
    if (st == STATUS_OK) st = rules_add(&p->rules, start, ELEMENT_END, 0, p->e);
    if (st == STATUS_OK) st = add_tail(&p->rules, tail, ends, n_ends, p->e);
    return st == STATUS_OK ? rules_finish(&p->rules, start, tail, g, p->e) : st;
}

enum status grammar_parse(struct grammar *g, const char *text, size_t size, const char *const *ends,
                          size_t n_ends, struct err *e)
{
    struct parser p = { .text = text, .size = size, .e = e };
    enum status st = STATUS_OK;

    *g = (struct grammar){ 0 };
    if (size > GRAMMAR_TEXT_MAX)
        return err_set(e, STATUS_BAD_ARGUMENT, "the grammar has %zu bytes, it may have %d", size,
                       GRAMMAR_TEXT_MAX);
    rules_init(&p.rules, text);
    p.class = malloc(CLASS_MAX * sizeof *p.class);
    if (p.class == NULL) st = err_no_memory(e, "the grammar");
    if (st == STATUS_OK) skip_space(&p, true);
    while (st == STATUS_OK && p.at < p.size) st = read_rule(&p);
    if (st == STATUS_OK) st = finish(&p, ends, n_ends, g);
    free(p.class);
    rules_free(&p.rules);
    return st;
}
