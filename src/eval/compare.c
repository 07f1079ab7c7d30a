/* compare.c - see compare.h: the pairs and the test. compare_report.c shows them. */
#include "eval/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum status check_same(const struct evaluation *a, const char *name_a, const struct evaluation *b,
                              const char *name_b, struct err *e)
{
    const char *x = a->dataset.benchmark->name, *y = b->dataset.benchmark->name;

    if (strcmp(x, y) != 0)
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "%s answers %s and %s answers %s: only runs of one benchmark can be compared", name_a,
                       x, name_b, y);
    if (!digest_equal(&a->dataset.digest, &b->dataset.digest))
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "%s and %s answer different questions of %s: its annotation changed between them",
                       name_a, name_b, x);
    return STATUS_OK;
}

/* Both are in the order of records. */
static enum status make_pairs(struct comparison *c, struct err *e)
{
    const struct evaluation *a = c->a, *b = c->b;
    size_t i = 0, k = 0;

    c->pairs = arena_calloc(&c->arena, a->n + 1, sizeof *c->pairs);
    if (c->pairs == NULL) return err_no_memory(e, "a comparison");
    while (i < a->n && k < b->n) {
        int64_t x = a->answered[i].record->index, y = b->answered[k].record->index;

        if (x == y) c->pairs[c->n++] = (struct comparison_pair){ &a->answered[i], &b->answered[k] };
        i += x <= y;
        k += y <= x;
    }
    c->n_only_a = a->n - c->n;
    c->n_only_b = b->n - c->n;
    if (c->n > 0) return STATUS_OK;
    return err_set(e, STATUS_BAD_ARGUMENT, "%s and %s have no question of %s in common", c->name_a, c->name_b,
                   a->dataset.benchmark->name);
}

static enum status make_figures(struct comparison *c, struct err *e)
{
    const struct figures *a = &c->a->figures, *b = &c->b->figures;

    c->figures = arena_calloc(&c->arena, a->n + 1, sizeof *c->figures);
    if (c->figures == NULL) return err_no_memory(e, "a comparison");
    for (size_t i = 0; i < a->n; i++) {
        struct comparison_figure *f = &c->figures[c->n_figures++];

        *f = (struct comparison_figure){ a->item[i].name, a->item[i].value, NAN };
        for (size_t k = 0; k < b->n; k++)
            if (strcmp(b->item[k].name, f->name) == 0) f->b = b->item[k].value;
    }
    return STATUS_OK;
}

/* ---- the test -------------------------------------------------------------------------------------------------- */

static const char *group_of(const struct comparison_pair *p)
{
    return p->a->record->group;
}

/* Those of a group next to each other, the others by themselves. */
static int compare_groups(const void *x, const void *y)
{
    const struct comparison_pair *p = x, *q = y;
    const char *a = group_of(p), *b = group_of(q);
    int order = 0;

    if (a == NULL || b == NULL)
        order = (a != NULL) - (b != NULL);
    else
        order = strcmp(a, b);
    if (order != 0) return order;
    return p->a->record->index < q->a->record->index ? -1 : p->a->record->index > q->a->record->index;
}

static bool same_group(const struct comparison_pair *p, const struct comparison_pair *q)
{
    return group_of(p) != NULL && group_of(q) != NULL && strcmp(group_of(p), group_of(q)) == 0;
}

static enum status test_credits(struct comparison *c, struct err *e)
{
    struct comparison_pair *p = arena_alloc(&c->arena, c->n * sizeof *p);
    double *a = arena_calloc(&c->arena, c->n, sizeof *a), *b = arena_calloc(&c->arena, c->n, sizeof *b);
    size_t n = 0, end;

    if (p == NULL || a == NULL || b == NULL) return err_no_memory(e, "a comparison");
    memcpy(p, c->pairs, c->n * sizeof *p);
    qsort(p, c->n, sizeof *p, compare_groups);
    for (size_t i = 0; i < c->n; i = end, n++) {
        for (end = i; end < c->n && (end == i || same_group(&p[i], &p[end])); end++) {
            a[n] += evaluation_credit(p[end].a);
            b[n] += evaluation_credit(p[end].b);
        }
        a[n] /= (double)(end - i);
        b[n] /= (double)(end - i);
    }
    return paired_test(&c->test, a, b, n, &c->arena, e);
}

enum status comparison_make(struct comparison *c, const struct evaluation *a, const char *name_a,
                            const struct evaluation *b, const char *name_b, struct err *e)
{
    enum status st;

    *c = (struct comparison){ .a = a, .b = b, .name_a = name_a, .name_b = name_b };
    st = check_same(a, name_a, b, name_b, e);
    if (st == STATUS_OK) st = make_pairs(c, e);
    if (st == STATUS_OK) st = make_figures(c, e);
    if (st == STATUS_OK) st = test_credits(c, e);
    if (st != STATUS_OK) comparison_free(c);
    return st;
}

void comparison_free(struct comparison *c)
{
    arena_free(&c->arena);
    *c = (struct comparison){ 0 };
}
