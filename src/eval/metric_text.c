/*
 * metric_text.c - metrics that compare an answer's text with a reference.
 *
 *   exact    equal without periods and case; where the reference is a letter A to E, the answer must begin with it
 *   relaxed  numbers within 5 % of the reference (Masry et al. 2022); else equal without case
 *   anls     average normalised Levenshtein similarity (Biten et al. 2019): 1 - distance / length, nothing below one half
 *   math     equal, or numbers within 4 % (MathVista-like sets)
 *
 * Differences from upstream, all on purpose: where no letter can be read, upstream draws one at random; here that is malformed and
 * wrong. Upstream takes the relaxed error relative to the answer; "upstream_quirks" brings that back. "nan" and "inf" are texts, where
 * Python's float reads numbers. Upstream evaluates mathematical answers as programs; here numbers and fractions are read.
 *
 * The Levenshtein distance takes time in the product of the lengths, so texts are cut at ANLS_CHARACTERS_MAX characters: the longest
 * reference in DocVQA has some hundreds. An answer so much longer than the reference that it must score 0 is not compared at all.
 */
#include "eval/answer_text.h"
#include "eval/metric_list.h"
#include "eval/metric_sum.h"

#include <math.h>
#include <string.h>

enum { ANLS_CHARACTERS_MAX = 8192, LETTERS = 5 };

static enum status no_memory(struct err *e)
{
    return err_no_memory(e, "the score of an answer");
}

/* ---- exact match ----------------------------------------------------------------------------------------------- */

static bool is_letter(const char *reference)
{
    return reference[0] >= 'A' && reference[0] < 'A' + LETTERS && reference[1] == '\0';
}

static enum status judge_exact(struct verdict *v, const struct benchmark *b, const struct record *r,
                               const char *answer, struct arena *a, struct err *e)
{
    const char *clean = ans_clean(answer, a), *text = clean != NULL ? ans_plain(clean, a) : NULL;
    char *letter = arena_calloc(a, 2, 1);

    (void)b;
    if (text == NULL || letter == NULL) return no_memory(e);
    letter[0] = ans_letter(clean, LETTERS);
    *v = (struct verdict){ .malformed = text[0] == '\0', .taken = text };
    for (size_t i = 0; i < r->n_answers; i++) {
        const char *reference = r->answers[i];

        if (is_letter(reference)) {
            if (letter[0] == reference[0]) v->score = 1;
            v->malformed = letter[0] == '\0';
            v->taken = letter;
        } else {
            reference = ans_plain(reference, a);
            if (reference == NULL) return no_memory(e);
            if (strcmp(text, reference) == 0) v->score = 1;
        }
    }
    return STATUS_OK;
}

/* ---- relaxed accuracy ------------------------------------------------------------------------------------------ */

/* "12", "-3.5", "40%" */
static bool number_or_percent(const char *text, double *value)
{
    size_t n = strlen(text), whole = n;

    while (n > 0 && text[n - 1] == '%') n--;
    if (!ans_number(text, n, value)) return false;
    if (n < whole) *value /= 100;
    return true;
}

static enum status judge_relaxed(struct verdict *v, const struct benchmark *b, const struct record *r,
                                 const char *answer, struct arena *a, struct err *e)
{
    const char *clean = ans_clean(answer, a), *reference = r->n_answers > 0 ? r->answers[0] : "";
    const char *small = clean != NULL ? ans_lower(clean, a) : NULL;
    const char *small_reference = ans_lower(reference, a);
    double p, t;

    if (small == NULL || small_reference == NULL) return no_memory(e);
    *v = (struct verdict){ .malformed = clean[0] == '\0', .taken = clean };
    if (number_or_percent(clean, &p) && number_or_percent(reference, &t)) {
        double base = option_true(b, "upstream_quirks") ? p : t;

        if (base != 0) {
            v->score = fabs(p - t) / fabs(base) <= 0.05;
            return STATUS_OK;
        }
    }
    v->score = strcmp(small, small_reference) == 0;
    return STATUS_OK;
}

static enum status check_relaxed(const json_t *options, struct err *e)
{
    enum status st = option_check_bool(options, "upstream_quirks", e);

    return st == STATUS_OK ? option_check_bool(options, "mean_of_categories", e) : st;
}

/* ---- ANLS ------------------------------------------------------------------------------------------------------ */

/* row [m + 1] is work memory. */
static size_t levenshtein(const uint32_t *s, size_t n, const uint32_t *t, size_t m, size_t *row)
{
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t corner = row[0];

        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t change = corner + (s[i - 1] != t[j - 1]), step;

            corner = row[j];
            step = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = step < change ? step : change;
        }
    }
    return row[m];
}

/* A text as it is compared, and its length before that. */
struct compared {
    uint32_t *code;
    size_t n, raw;
};

static bool compared_make(struct compared *c, const char *text, struct arena *a)
{
    const char *small = ans_lower(text, a), *words = small != NULL ? ans_collapse(small, a) : NULL;

    c->raw = ans_length(text);
    c->code = words != NULL ? ans_codes(words, ANLS_CHARACTERS_MAX, &c->n, a) : NULL;
    return c->code != NULL;
}

/* 1 - distance / length; 0 where that would be below one half. NAN: no memory. */
static double similarity(const struct compared *p, const struct compared *t, struct arena *a)
{
    size_t longest = p->raw > t->raw ? p->raw : t->raw;
    size_t least = p->n > t->n ? p->n - t->n : t->n - p->n; /* no fewer changes than this */
    size_t *row;
    double similar;

    if (longest == 0) return 1;
    if (2 * least > longest) return 0;
    row = arena_calloc(a, t->n + 1, sizeof *row);
    if (row == NULL) return NAN;
    similar = 1 - (double)levenshtein(p->code, p->n, t->code, t->n, row) / (double)longest;
    return similar < 0.5 ? 0 : similar;
}

static enum status judge_anls(struct verdict *v, const struct benchmark *b, const struct record *r,
                              const char *answer, struct arena *a, struct err *e)
{
    const char *clean = ans_clean(answer, a);
    struct arena_mark mark = arena_mark(a);
    struct compared p, t;

    (void)b;
    if (clean == NULL || !compared_make(&p, clean, a)) return no_memory(e);
    *v = (struct verdict){ .malformed = clean[0] == '\0', .taken = clean };
    for (size_t i = 0; i < r->n_answers; i++) {
        double similar = compared_make(&t, r->answers[i], a) ? similarity(&p, &t, a) : NAN;

        if (isnan(similar)) return no_memory(e);
        v->score = fmax(v->score, similar);
    }
    arena_reset(a, mark);
    return STATUS_OK;
}

/* ---- mathematics ----------------------------------------------------------------------------------------------- */

/* "12", "-3/4" */
static bool number_or_fraction(const char *text, double *value)
{
    const char *slash = strchr(text, '/');
    double below;

    if (slash == NULL) return ans_number(text, strlen(text), value);
    if (!ans_number(text, (size_t)(slash - text), value)) return false;
    if (!ans_number(slash + 1, strlen(slash + 1), &below) || below == 0) return false;
    *value /= below;
    return true;
}

/* Whole references want the whole number that the answer rounds to (halves to even, as Python rounds). */
static bool number_right(double p, double t)
{
    if (t == rint(t)) return rint(p) == t;
    return fabs(p - t) / fabs(t) <= 0.04;
}

static enum status judge_math(struct verdict *v, const struct benchmark *b, const struct record *r,
                              const char *answer, struct arena *a, struct err *e)
{
    const char *clean = ans_clean(answer, a);
    double p, t;

    (void)b;
    if (clean == NULL) return no_memory(e);
    *v = (struct verdict){ .malformed = clean[0] == '\0', .taken = clean };
    for (size_t i = 0; i < r->n_answers && v->score == 0; i++) {
        bool equal = strcmp(clean, r->answers[i]) == 0;

        if (number_or_fraction(r->answers[i], &t) && isfinite(t)) {
            bool number = number_or_fraction(clean, &p) && isfinite(p);

            v->malformed = !number;
            equal = equal || (number && number_right(p, t));
        }
        v->score = equal;
    }
    return STATUS_OK;
}

/* ---- sums ------------------------------------------------------------------------------------------------------ */

static enum status sum_up(struct figures *f, const struct benchmark *b, const struct answered *answered,
                          size_t n, struct arena *a, struct err *e)
{
    struct sum s;

    sum_begin(&s, f, answered, n, a, e);
    return sum_usual(&s, "accuracy", b);
}

static enum status sum_up_anls(struct figures *f, const struct benchmark *b, const struct answered *answered,
                               size_t n, struct arena *a, struct err *e)
{
    struct sum s;

    sum_begin(&s, f, answered, n, a, e);
    return sum_usual(&s, "ANLS", b);
}

static enum status check_mean(const json_t *options, struct err *e)
{
    return option_check_bool(options, "mean_of_categories", e);
}

const struct metric metric_exact = {
    .name = "exact", .unit = "%", .judge = judge_exact, .sum_up = sum_up, .check = check_mean
};
const struct metric metric_relaxed = {
    .name = "relaxed", .unit = "%", .judge = judge_relaxed, .sum_up = sum_up, .check = check_relaxed
};
const struct metric metric_anls = {
    .name = "anls", .unit = "%", .judge = judge_anls, .sum_up = sum_up_anls, .check = check_mean
};
const struct metric metric_math = {
    .name = "math", .unit = "%", .judge = judge_math, .sum_up = sum_up, .check = check_mean
};
