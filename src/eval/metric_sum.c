/* metric_sum.c - see metric_sum.h. */
#include "eval/metric_sum.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- figures --------------------------------------------------------------------------------------------------- */

void sum_begin(struct sum *s, struct figures *f, const struct answered *answered, size_t n, struct arena *a,
               struct err *e)
{
    *s = (struct sum){ .figures = f, .answered = answered, .n = n, .arena = a, .err = e };
    *f = (struct figures){ .n_answers = n };
    for (size_t i = 0; i < n; i++) {
        if (answered[i].verdict.malformed) f->n_malformed++;
        if (answered[i].verdict.pending) f->n_pending++;
    }
}

enum status sum_figure(struct sum *s, const char *name, double value, struct interval range, size_t n)
{
    struct figures *f = s->figures;

    if (f->n == s->capacity) {
        size_t capacity = 2 * s->capacity + 8;
        struct figure *item = arena_alloc(s->arena, capacity * sizeof *item);

        if (item == NULL) return err_no_memory(s->err, "the figures of a benchmark");
        if (f->n > 0) memcpy(item, f->item, f->n * sizeof *item);
        f->item = item;
        s->capacity = capacity;
    }
    f->item[f->n++] =
        (struct figure){ .name = name, .value = value, .low = range.low, .high = range.high, .n = n };
    return STATUS_OK;
}

enum status sum_mean(struct sum *s, const char *name, const double *value, size_t n, double scale)
{
    struct interval range;
    double sum = 0;
    enum status st = interval_mean(&range, value, n, s->arena, s->err);

    if (st != STATUS_OK) return st;
    for (size_t i = 0; i < n; i++) sum += value[i];
    range = (struct interval){ scale * range.low, scale * range.high };
    return sum_figure(s, name, n > 0 ? scale * sum / (double)n : NAN, range, n);
}

double *sum_scores(struct sum *s)
{
    double *score = arena_calloc(s->arena, s->n + 1, sizeof *score);

    if (score == NULL) err_no_memory(s->err, "the scores of a benchmark");
    for (size_t i = 0; i < s->n && score != NULL; i++) score[i] = s->answered[i].verdict.score;
    return score;
}

/* ---- divisions ------------------------------------------------------------------------------------------------- */

struct keyed {
    const char *key;
    size_t index;
};

static int compare_keyed(const void *pa, const void *pb)
{
    const struct keyed *a = pa, *b = pb;
    int order = strcmp(a->key, b->key);

    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

enum status sum_divide(struct sum *s, const char *const *key, size_t n, struct division **division,
                       size_t *n_divisions)
{
    struct keyed *keyed = arena_calloc(s->arena, n + 1, sizeof *keyed);
    size_t *index = arena_calloc(s->arena, n + 1, sizeof *index), m = 0;
    struct division *d = arena_calloc(s->arena, n + 1, sizeof *d);

    if (keyed == NULL || index == NULL || d == NULL) return err_no_memory(s->err, "the parts of a benchmark");
    for (size_t i = 0; i < n; i++)
        if (key[i] != NULL) keyed[m++] = (struct keyed){ key[i], i };
    qsort(keyed, m, sizeof *keyed, compare_keyed);
    *division = d;
    *n_divisions = 0;
    for (size_t i = 0; i < m; i++) {
        index[i] = keyed[i].index;
        if (i == 0 || strcmp(keyed[i].key, keyed[i - 1].key) != 0)
            d[(*n_divisions)++] = (struct division){ keyed[i].key, index + i, 0 };
        d[*n_divisions - 1].n++;
    }
    return STATUS_OK;
}

enum status sum_divide_records(struct sum *s, size_t offset, struct division **division, size_t *n_divisions)
{
    const char **key = arena_calloc(s->arena, s->n + 1, sizeof *key);

    if (key == NULL) return err_no_memory(s->err, "the parts of a benchmark");
    for (size_t i = 0; i < s->n; i++)
        memcpy(&key[i], (const char *)s->answered[i].record + offset, sizeof key[i]);
    return sum_divide(s, key, s->n, division, n_divisions);
}

enum status sum_by(struct sum *s, const char *prefix, size_t offset, const double *value)
{
    double *part = arena_calloc(s->arena, s->n + 1, sizeof *part);
    struct division *d;
    size_t n;
    enum status st = sum_divide_records(s, offset, &d, &n);

    if (st != STATUS_OK) return st;
    if (part == NULL) return err_no_memory(s->err, "the parts of a benchmark");
    for (size_t i = 0; i < n && st == STATUS_OK; i++) {
        const char *name = arena_printf(s->arena, "%s: %s", prefix, d[i].key);

        if (name == NULL) return err_no_memory(s->err, "the parts of a benchmark");
        for (size_t j = 0; j < d[i].n; j++) part[j] = value[d[i].index[j]];
        st = sum_mean(s, name, part, d[i].n, 100);
    }
    return st;
}

/* ---- the usual ------------------------------------------------------------------------------------------------- */

struct by_category {
    const struct division *category;
    size_t n;
    const double *score;
};

static void mean_of_categories(void *user, const uint32_t *count, double *figure)
{
    const struct by_category *c = user;
    double sum = 0;

    for (size_t i = 0; i < c->n; i++) {
        double part = 0;

        for (size_t j = 0; j < c->category[i].n; j++)
            part += count[c->category[i].index[j]] * c->score[c->category[i].index[j]];
        sum += part / (double)c->category[i].n;
    }
    *figure = 100 * sum / (double)c->n;
}

/* What record i's category is called among the divisions: its stratum. Divisions come in order, records need not, so the
 * resampling is of records in the order of divisions. */
static enum status sum_mean_of_categories(struct sum *s, const char *name, const double *score)
{
    struct by_category c = { .score = score };
    struct division *d;
    struct interval range;
    double value;
    uint32_t *stratum = arena_calloc(s->arena, s->n + 1, sizeof *stratum), *one;
    double *ordered = arena_calloc(s->arena, s->n + 1, sizeof *ordered);
    size_t *index = arena_calloc(s->arena, s->n + 1, sizeof *index), m = 0;
    enum status st = sum_divide_records(s, offsetof(struct record, category), &d, &c.n);

    if (st != STATUS_OK) return st;
    one = arena_calloc(s->arena, s->n + 1, sizeof *one);
    if (stratum == NULL || one == NULL || ordered == NULL || index == NULL)
        return err_no_memory(s->err, "the parts of a benchmark");
    for (size_t i = 0; i < c.n; i++) {
        for (size_t j = 0; j < d[i].n; j++) {
            ordered[m] = score[d[i].index[j]];
            stratum[m] = (uint32_t)i;
            one[m] = 1;
            index[m] = m;
            m++;
        }
        d[i].index = index + m - d[i].n;
    }
    if (c.n == 0) return sum_mean(s, name, score, s->n, 100);
    c.category = d;
    c.score = ordered;
    mean_of_categories(&c, one, &value);
    st = interval_bootstrap(&range, 1, m, stratum, INTERVAL_RESAMPLES, mean_of_categories, &c, s->arena,
                            s->err);
    return st == STATUS_OK ? sum_figure(s, name, value, range, m) : st;
}

enum status sum_usual(struct sum *s, const char *name, const struct benchmark *b)
{
    double *score = sum_scores(s);
    enum status st;

    if (score == NULL) return STATUS_NO_MEMORY;
    st = option_true(b, "mean_of_categories") ? sum_mean_of_categories(s, name, score)
                                              : sum_mean(s, name, score, s->n, 100);
    if (st == STATUS_OK) st = sum_by(s, "category", offsetof(struct record, category), score);
    return st == STATUS_OK ? sum_by(s, "kind", offsetof(struct record, kind), score) : st;
}

/* ---- options --------------------------------------------------------------------------------------------------- */

bool option_true(const struct benchmark *b, const char *key)
{
    return b != NULL && json_is_true(json_object_get(b->options, key));
}

enum status option_check_bool(const json_t *options, const char *key, struct err *e)
{
    const json_t *value = json_object_get(options, key);

    if (value == NULL || json_is_boolean(value)) return STATUS_OK;
    return err_set(e, STATUS_BAD_FORMAT, "option \"%s\" must be true or false", key);
}
