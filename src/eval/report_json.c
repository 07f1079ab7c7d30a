/* report_json.c - see evaluation.h. */
#include "eval/evaluation.h"

#include <math.h>

/* JSON has no NaN. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *figures_json(const struct figures *f)
{
    json_t *list = json_array();

    for (size_t i = 0; i < f->n; i++) {
        const struct figure *g = &f->item[i];
        json_t *o = json_pack("{s:s, s:o, s:o, s:o, s:I}", "name", g->name, "value", number(g->value), "low",
                              number(g->low), "high", number(g->high), "n", (json_int_t)g->n);

        if (json_array_append_new(list, o) != 0) goto fail;
    }
    return list;

fail:
    json_decref(list);
    return NULL;
}

static json_t *published_json(const struct benchmark *b)
{
    json_t *list = json_array();

    for (size_t i = 0; i < b->n_published; i++) {
        const struct published *p = &b->published[i];
        json_t *o =
            json_pack("{s:s, s:s, s:o}", "model", p->model, "part", p->part, "value", number(p->value));

        if (json_array_append_new(list, o) != 0) goto fail;
    }
    return list;

fail:
    json_decref(list);
    return NULL;
}

static json_t *counts_json(const struct evaluation *v)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "questions", (json_int_t)v->dataset.n,
                     "unique", (json_int_t)v->dataset.n_unique, "images", (json_int_t)v->dataset.n_images,
                     "asked", (json_int_t)v->n, "answers", (json_int_t)(v->n - v->n_missing - v->n_failed),
                     "malformed", (json_int_t)v->figures.n_malformed, "pending",
                     (json_int_t)v->figures.n_pending, "missing", (json_int_t)v->n_missing, "failed",
                     (json_int_t)v->n_failed);
}

static json_t *evaluation_json(const struct evaluation *v)
{
    const struct benchmark *b = v->dataset.benchmark;
    const struct figure *f = v->figures.n > 0 ? &v->figures.item[0] : NULL;
    json_t *o =
        json_pack("{s:s, s:s, s:s?, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:O?, s:s?}", "name", b->name, "title",
                  b->title, "label", v->label, "metric", b->metric->name, "unit", b->metric->unit, "score",
                  number(f != NULL ? f->value : NAN), "low", number(f != NULL ? f->low : NAN), "high",
                  number(f != NULL ? f->high : NAN), "figures", figures_json(&v->figures), "published",
                  published_json(b), "settings", v->log.header, "remarks", v->dataset.remarks);
    json_t *counts = counts_json(v);

    if (json_object_update(o, counts) != 0) {
        json_decref(o);
        o = NULL;
    }
    json_decref(counts);
    return o;
}

json_t *report_json(const struct evaluation *v, size_t n)
{
    json_t *all = json_array(), *o;

    for (size_t i = 0; i < n; i++) {
        if (json_array_append_new(all, evaluation_json(&v[i])) != 0) {
            json_decref(all);
            return NULL;
        }
    }
    o = json_pack("{s:o}", "benchmarks", all);
    return o;
}
