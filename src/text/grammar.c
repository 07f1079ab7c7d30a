/*
 * grammar.c - see grammar.h: rules become one array, and are checked.
 *
 * Two facts about rules are deduced alike, in linear time (Dowling, Gallier 1984): whether a rule may be nothing, and whether it can come to an
 * end at all. A rule has the property if all elements of one of its alternatives have it.
 */
#include "text/grammar.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "text/grammar_rules.h"

/* What SPHINX writes: coordinates are fractions with two decimals, in later models three. */
#define COORDINATE "n ::= \"0.\" [0-9]{2,3} | \"1.00\" \"0\"?\n"
#define PHRASE     "phrase ::= \"<p>\" [^<>[\\]\\n]+ \"</p>\" \" \"?\n"

static const struct preset {
    const char *name, *text;
} presets[] = {
    { "boxes", "root ::= region ((\",\" | \";\" | \".\")? \" \"? region)*\n"
               "region ::= phrase? \"[\" box (\";\" box)* \"]\"\n"
               "box ::= n \",\" n \",\" n \",\" n\n" PHRASE COORDINATE },
    { "points", "root ::= region ((\",\" | \";\" | \".\")? \" \"? region)*\n"
                "region ::= phrase \"[\" point (\";\" point)* \"]\"\n"
                "point ::= n \",\" n\n" PHRASE COORDINATE },
};

const char *grammar_preset(const char *name)
{
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        if (strcmp(presets[i].name, name) == 0) return presets[i].text;
    return NULL;
}

void grammar_free(struct grammar *g)
{
    free(g->elements);
    free(g->rules);
    free(g->sets);
    free(g->ranges);
    free(g->empty);
    free(g->classes);
    *g = (struct grammar){ 0 };
}

bool grammar_set_meets(const struct grammar *g, int32_t set, uint32_t first, uint32_t last)
{
    const struct code_range *ranges = g->ranges + g->sets[set].begin;
    size_t lo = 0, hi = g->sets[set].n;

    while (lo < hi) { /* the first range that does not end before `first` */
        size_t mid = lo + (hi - lo) / 2;

        if (ranges[mid].last < first)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < g->sets[set].n && ranges[lo].first <= last;
}

/* ---- classes -------------------------------------------------------------------------------------------- */

int32_t grammar_class_of_other(const struct grammar *g, uint32_t code)
{
    size_t lo = 0, hi = g->n_classes;

    while (lo < hi) { /* the first class that begins behind it */
        size_t mid = lo + (hi - lo) / 2;

        if (g->classes[mid] <= code)
            lo = mid + 1;
        else
            hi = mid;
    }
    return (int32_t)lo;
}

static int compare_codes(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y ? 1 : 0;
}

/* A class begins wherever a range does, and behind its end. */
static bool make_classes(struct grammar *g)
{
    size_t n = 0;
    int32_t class = 0;

    g->classes = malloc((2 * g->n_ranges + 1) * sizeof *g->classes);
    if (g->classes == NULL) return false;
    for (size_t i = 0; i < g->n_ranges; i++) {
        g->classes[2 * i] = g->ranges[i].first;
        g->classes[2 * i + 1] = g->ranges[i].last + 1;
    }
    if (g->n_ranges > 0) qsort(g->classes, 2 * g->n_ranges, sizeof *g->classes, compare_codes);
    for (size_t i = 0; i < 2 * g->n_ranges; i++)
        if (n == 0 || g->classes[i] != g->classes[n - 1]) g->classes[n++] = g->classes[i];
    g->n_classes = n;
    for (uint32_t code = 0; code < 128; code++) {
        while ((size_t) class < n && g->classes[class] <= code) class ++;
        g->ascii[code] = class;
    }
    return true;
}

/* ---- deducing ------------------------------------------------------------------------------------------ */

/* An alternative waits for so many of its elements; it belongs to a rule. */
struct premise {
    int32_t rule;
    size_t missing;
};

struct deduction {
    struct premise *alternatives; /* [n_elements], at the place of their first element */
    int32_t *uses, *heads;        /* uses of rule r: heads[r], uses[heads[r]], ...; -1: no more */
    int32_t *first;               /* [n_elements] where the alternative that an element is in begins */
    int32_t *found;               /* rules with the property that have not told their uses */
    size_t n_found;
};

static bool deduction_init(struct deduction *d, const struct grammar *g)
{
    d->alternatives = calloc(g->n_elements, sizeof *d->alternatives);
    d->uses = malloc(g->n_elements * sizeof *d->uses);
    d->first = malloc(g->n_elements * sizeof *d->first);
    d->heads = malloc(g->n_rules * sizeof *d->heads);
    d->found = malloc(g->n_rules * sizeof *d->found);
    d->n_found = 0;
    return d->alternatives != NULL && d->uses != NULL && d->first != NULL && d->heads != NULL &&
           d->found != NULL;
}

static void deduction_free(struct deduction *d)
{
    free(d->alternatives);
    free(d->uses);
    free(d->first);
    free(d->heads);
    free(d->found);
}

static void hold(struct deduction *d, bool *holds, int32_t rule)
{
    if (holds[rule]) return;
    holds[rule] = true;
    d->found[d->n_found++] = rule;
}

/* Counts what each alternative waits for. */
static void count_premises(struct deduction *d, const struct grammar *g, bool sets_hold, bool *holds)
{
    for (size_t r = 0; r < g->n_rules; r++) d->heads[r] = -1;
    for (size_t r = 0; r < g->n_rules; r++) {
        int32_t at = g->rules[r], first = at;

        for (;; at++) {
            const struct element *x = &g->elements[at];

            d->first[at] = first;
            if (element_is_end(x)) {
                d->alternatives[first].rule = (int32_t)r;
                if (d->alternatives[first].missing == 0) hold(d, holds, (int32_t)r);
                if (x->kind == ELEMENT_END) break;
                first = at + 1;
            } else if (x->kind == ELEMENT_RULE) {
                d->alternatives[first].missing++;
                d->uses[at] = d->heads[x->value];
                d->heads[x->value] = at;
            } else if (!sets_hold) {
                d->alternatives[first].missing++;
            }
        }
    }
}

/* holds [n_rules], false at first: which rules have the property that a character has or has not. */
static bool deduce(const struct grammar *g, bool sets_hold, bool *holds)
{
    struct deduction d;
    bool ok = deduction_init(&d, g);

    if (ok) count_premises(&d, g, sets_hold, holds);
    while (ok && d.n_found > 0) {
        int32_t rule = d.found[--d.n_found];

        for (int32_t at = d.heads[rule]; at >= 0; at = d.uses[at]) {
            struct premise *p = &d.alternatives[d.first[at]];

            if (--p->missing == 0) hold(&d, holds, p->rule);
        }
    }
    deduction_free(&d);
    return ok;
}

/* ---- left recursion ------------------------------------------------------------------------------------- */

/* The rules that one leads to before a character is read, element after element. */
struct left_walk {
    const struct grammar *g;
    int32_t at; /* -1: no more */
};

/* Whether nothing but the end follows element `at`: then following it takes no memory. */
static bool is_last(const struct grammar *g, int32_t at)
{
    return element_is_end(&g->elements[at + 1]);
}

/* The next element that is a rule and may come first; -1: none is left. */
static int32_t left_next(struct left_walk *w)
{
    while (w->at >= 0) {
        int32_t at = w->at;
        const struct element *x = &w->g->elements[at];

        w->at = at + 1;
        if (x->kind == ELEMENT_END) w->at = -1;
        if (x->kind == ELEMENT_RULE) {
            if (!w->g->empty[x->value])
                while (!element_is_end(&w->g->elements[w->at])) w->at++;
            return at;
        }
        if (x->kind == ELEMENT_SET)
            while (!element_is_end(&w->g->elements[w->at])) w->at++;
    }
    return -1;
}

/* Tarjan's search for rules that lead to each other (1972), with a stack of its own. */
struct search {
    const struct grammar *g;
    int32_t *index, *low, *group; /* [n_rules] 0: not seen; group 0: none yet */
    int32_t *open, *path;         /* rules without a group; the rules that the search is in */
    struct left_walk *walks;
    size_t n_open, n_path;
    int32_t n_seen, n_groups;
};

static void enter(struct search *s, int32_t rule)
{
    s->index[rule] = s->low[rule] = ++s->n_seen;
    s->open[s->n_open++] = rule;
    s->path[s->n_path] = rule;
    s->walks[s->n_path++] = (struct left_walk){ s->g, s->g->rules[rule] };
}

static void leave(struct search *s)
{
    int32_t rule = s->path[--s->n_path];

    if (s->low[rule] == s->index[rule]) {
        s->n_groups++;
        do {
            s->group[s->open[--s->n_open]] = s->n_groups;
        } while (s->open[s->n_open] != rule);
    }
    if (s->n_path > 0) {
        int32_t from = s->path[s->n_path - 1];

        if (s->low[rule] < s->low[from]) s->low[from] = s->low[rule];
    }
}

static void find_groups(struct search *s)
{
    for (size_t r = 0; r < s->g->n_rules; r++) {
        if (s->index[r] == 0) enter(s, (int32_t)r);
        while (s->n_path > 0) {
            int32_t rule = s->path[s->n_path - 1], at = left_next(&s->walks[s->n_path - 1]), to;

            if (at < 0) {
                leave(s);
                continue;
            }
            to = s->g->elements[at].value;
            if (s->index[to] == 0)
                enter(s, to);
            else if (s->group[to] == 0 && s->index[to] < s->low[rule])
                s->low[rule] = s->index[to];
        }
    }
}

/* A cycle of rules that are all last in theirs adds nothing to a stack and is harmless; so are those that make up repetitions. */
static int32_t recursive_rule(const struct search *s)
{
    for (size_t r = 0; r < s->g->n_rules; r++) {
        struct left_walk w = { s->g, s->g->rules[r] };
        int32_t at;

        while ((at = left_next(&w)) >= 0)
            if (!is_last(s->g, at) && s->group[s->g->elements[at].value] == s->group[r]) return (int32_t)r;
    }
    return -1;
}

static enum status check_recursion(const struct grammar *g, int32_t *rule, struct err *e)
{
    size_t n = g->n_rules;
    int32_t *memory = calloc(5 * n, sizeof *memory);
    struct search s = { .g = g, .walks = malloc(n * sizeof *s.walks) };
    bool ok = memory != NULL && s.walks != NULL;

    *rule = -1;
    if (ok) {
        s.index = memory;
        s.low = memory + n;
        s.group = memory + 2 * n;
        s.open = memory + 3 * n;
        s.path = memory + 4 * n;
        find_groups(&s);
        *rule = recursive_rule(&s);
    }
    free(memory);
    free(s.walks);
    return ok ? STATUS_OK : err_no_memory(e, "the grammar");
}

/* ---- finishing ------------------------------------------------------------------------------------------ */

static bool copy_rules(const struct grammar_rules *r, struct grammar *g)
{
    size_t n = 0;

    g->elements = malloc(r->n_elements * sizeof *g->elements);
    g->rules = malloc(r->n * sizeof *g->rules);
    g->sets = malloc((r->n_sets + 1) * sizeof *g->sets);
    g->ranges = malloc((r->n_ranges + 1) * sizeof *g->ranges);
    g->empty = calloc(r->n, sizeof *g->empty);
    if (g->elements == NULL || g->rules == NULL || g->sets == NULL || g->ranges == NULL || g->empty == NULL)
        return false;
    for (size_t i = 0; i < r->n; i++) {
        g->rules[i] = (int32_t)n;
        memcpy(g->elements + n, r->rules[i].elements, r->rules[i].n * sizeof *g->elements);
        n += r->rules[i].n;
    }
    assert(n == r->n_elements);
    if (r->n_sets > 0) memcpy(g->sets, r->sets, r->n_sets * sizeof *g->sets);
    if (r->n_ranges > 0) memcpy(g->ranges, r->ranges, r->n_ranges * sizeof *g->ranges);
    g->n_elements = n;
    g->n_rules = r->n;
    g->n_sets = r->n_sets;
    g->n_ranges = r->n_ranges;
    return true;
}

static enum status refuse(const struct grammar_rules *r, int32_t rule, const char *why, struct err *e)
{
    const struct rule *named = &r->rules[r->rules[rule].owner];
    size_t line = 1;

    for (const char *c = r->text; c < named->name; c++) line += *c == '\n';
    return err_set(e, STATUS_BAD_ARGUMENT, "the grammar, line %zu: '%.*s' %s", line,
                   (int)(named->name_size < 64 ? named->name_size : 64), named->name, why);
}

static enum status check_rules(const struct grammar_rules *r, struct grammar *g, struct err *e)
{
    bool *ends = calloc(g->n_rules, sizeof *ends);
    int32_t recursive = -1, endless = -1;
    enum status st;

    if (ends == NULL || !deduce(g, false, g->empty) || !deduce(g, true, ends)) {
        free(ends);
        return err_no_memory(e, "the grammar");
    }
    for (size_t i = g->n_rules; i-- > 0;)
        if (!ends[i]) endless = (int32_t)i;
    free(ends);
    st = check_recursion(g, &recursive, e);
    if (st != STATUS_OK) return st;
    if (recursive >= 0)
        return refuse(r, recursive,
                      "is left-recursive: it leads to itself before a character is read; write x ::= y "
                      "(\",\" y)* instead of "
                      "x ::= x \",\" y | y",
                      e);
    if (endless >= 0)
        return refuse(r, endless, "can never come to an end: each of its alternatives needs it again", e);
    return STATUS_OK;
}

enum status rules_finish(const struct grammar_rules *r, int32_t start, int32_t tail, struct grammar *g,
                         struct err *e)
{
    enum status st;

    *g = (struct grammar){ 0 };
    st = copy_rules(r, g) && make_classes(g) ? check_rules(r, g, e) : err_no_memory(e, "the grammar");
    if (st != STATUS_OK) {
        grammar_free(g);
        return st;
    }
    g->start = start;
    g->tail = g->rules[tail];
    return STATUS_OK;
}
