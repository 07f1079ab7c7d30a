/* grammar_rules.c - see grammar_rules.h. */
#include "text/grammar_rules.h"

#include <stdlib.h>
#include <string.h>

#include "text/utf8.h"

void rules_init(struct grammar_rules *r, const char *text)
{
    *r = (struct grammar_rules){ .text = text };
    for (size_t i = 0; i < GRAMMAR_NAME_BUCKETS; i++) r->buckets[i] = -1;
}

void rules_free(struct grammar_rules *r)
{
    for (size_t i = 0; i < r->n; i++) free(r->rules[i].elements);
    free(r->rules);
    free(r->sets);
    free(r->ranges);
    *r = (struct grammar_rules){ 0 };
}

/* Room for one more of `size` bytes. */
static bool grow(void *array, size_t n, size_t *capacity, size_t size)
{
    void **data = array, *grown;
    size_t larger = *capacity == 0 ? 8 : 2 * *capacity;

    if (n < *capacity) return true;
    grown = realloc(*data, larger * size);
    if (grown == NULL) return false;
    *data = grown;
    *capacity = larger;
    return true;
}

static size_t bucket_of(const char *name, size_t size)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)name[i]) * 16777619u;
    return hash % GRAMMAR_NAME_BUCKETS;
}

static int32_t make(struct grammar_rules *r, struct rule rule)
{
    if (r->n >= GRAMMAR_ELEMENTS_MAX || !grow(&r->rules, r->n, &r->capacity, sizeof *r->rules)) return -1;
    r->rules[r->n] = rule;
    return (int32_t)r->n++;
}

int32_t rules_find(struct grammar_rules *r, const char *name, size_t size)
{
    size_t bucket = bucket_of(name, size);
    int32_t rule;

    for (rule = r->buckets[bucket]; rule >= 0; rule = r->rules[rule].next)
        if (r->rules[rule].name_size == size && memcmp(r->rules[rule].name, name, size) == 0) return rule;
    rule = make(r, (struct rule){
                       .name = name, .name_size = size, .owner = (int32_t)r->n, .next = r->buckets[bucket] });
    if (rule >= 0) r->buckets[bucket] = rule;
    return rule;
}

int32_t rules_make(struct grammar_rules *r, int32_t owner)
{
    return make(r, (struct rule){ .owner = r->rules[owner].owner, .next = -1 });
}

enum status rules_add(struct grammar_rules *r, int32_t rule, enum element_kind kind, int32_t value,
                      struct err *e)
{
    struct rule *to = &r->rules[rule];

    if (r->n_elements >= GRAMMAR_ELEMENTS_MAX)
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "the grammar is too large: with its repetitions written out it has more than %d "
                       "characters and names",
                       GRAMMAR_ELEMENTS_MAX);
    if (!grow(&to->elements, to->n, &to->capacity, sizeof *to->elements))
        return err_no_memory(e, "the grammar");
    to->elements[to->n++] = (struct element){ kind, value };
    r->n_elements++;
    return STATUS_OK;
}

/* ---- sets ---------------------------------------------------------------------------------------------- */

static int compare_ranges(const void *a, const void *b)
{
    const struct code_range *x = a, *y = b;

    return x->first < y->first ? -1 : x->first > y->first ? 1 : 0;
}

static bool add_range(struct grammar_rules *r, uint32_t first, uint32_t last)
{
    if (first > last) return true;
    if (!grow(&r->ranges, r->n_ranges, &r->ranges_capacity, sizeof *r->ranges)) return false;
    r->ranges[r->n_ranges++] = (struct code_range){ first, last };
    return true;
}

/* Less the surrogates. */
static bool add_characters(struct grammar_rules *r, uint32_t first, uint32_t last)
{
    uint32_t before = last < CODE_SURROGATE_FIRST ? last : CODE_SURROGATE_FIRST - 1,
             behind = first > CODE_SURROGATE_LAST ? first : CODE_SURROGATE_LAST + 1;

    return add_range(r, first, before) && add_range(r, behind, last);
}

enum status rules_add_set(struct grammar_rules *r, struct code_range *ranges, size_t n, bool others,
                          int32_t *set, struct err *e)
{
    struct code_set made = { .begin = r->n_ranges };
    uint32_t next = 1; /* the first character that was not decided yet; a text cannot hold NUL */
    bool ok = true;

    if (!grow(&r->sets, r->n_sets, &r->sets_capacity, sizeof *r->sets))
        return err_no_memory(e, "the grammar");
    if (n > 1) qsort(ranges, n, sizeof *ranges, compare_ranges);
    for (size_t i = 0; i < n && ok; i++) {
        uint32_t first = ranges[i].first, last = ranges[i].last;

        while (i + 1 < n && ranges[i + 1].first <= last + 1) { /* they touch */
            i++;
            if (ranges[i].last > last) last = ranges[i].last;
        }
        if (!others) {
            ok = add_characters(r, first, last);
        } else if (last >= next) {
            ok = first == 0 || add_characters(r, next, first - 1);
            next = last + 1;
        }
    }
    if (ok && others) ok = add_characters(r, next, CODE_MAX);
    if (!ok) return err_no_memory(e, "the grammar");
    made.n = r->n_ranges - made.begin;
    *set = (int32_t)r->n_sets;
    r->sets[r->n_sets++] = made;
    return STATUS_OK;
}

enum status rules_add_text(struct grammar_rules *r, int32_t rule, const char *text, size_t size,
                           struct err *e)
{
    enum status st = STATUS_OK;

    while (size > 0 && st == STATUS_OK) {
        struct code_range one;
        size_t length;
        int32_t set;

        if (utf8_next(text, size, &length, &one.first) != UTF8_WHOLE)
            return err_set(e, STATUS_BAD_ARGUMENT, "a text of the grammar is not UTF-8");
        one.last = one.first;
        st = rules_add_set(r, &one, 1, false, &set, e);
        if (st == STATUS_OK) st = rules_add(r, rule, ELEMENT_SET, set, e);
        text += length;
        size -= length;
    }
    return st;
}
