/* evaluation.c - see report.h: a log and its dataset, joined, judged and summed up. */
#include "eval/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is asked of an evaluation ---------------------------------------------------------------------------- */

const char *evaluation_name(const struct evaluation *v)
{
    return v->label != NULL ? v->label : v->dataset.benchmark->title;
}

double evaluation_credit(const struct answered *a)
{
    double score = isfinite(a->verdict.score) ? a->verdict.score : 0;

    return a->record->has_box ? score >= 0.5 : score;
}

double evaluation_published(const struct evaluation *v, size_t figure, const char *model)
{
    const struct benchmark *b = v->dataset.benchmark;
    const char *part = v->figures.item[figure].name;

    for (size_t i = 0; i < b->n_published; i++) {
        const struct published *p = &b->published[i];

        if (strcmp(p->model, model) != 0) continue;
        if ((figure == 0 && p->part[0] == '\0') || strcmp(p->part, part) == 0) return p->value;
    }
    return NAN;
}

static bool is_among(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], name) == 0) return true;
    return false;
}

size_t evaluation_models(const struct evaluation *v, size_t n, const char **models, size_t n_max)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        const struct benchmark *b = v[i].dataset.benchmark;

        for (size_t k = 0; k < b->n_published && found < n_max; k++)
            if (!is_among(b->published[k].model, models, found)) models[found++] = b->published[k].model;
    }
    return found;
}
