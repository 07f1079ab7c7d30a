/* page.c - see page.h. What of an evaluation goes into the page; page_writer.c puts it there. */
#include "eval/page.h"

#include "eval/gallery.h"
#include "image/transform.h"
#include "text/grounding.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BINS = 24 };

/* ---- boxes and points ------------------------------------------------------------------------------------------ */

/* Adds {"of": "reference", "at": [fractions of the picture]}. */
static bool add_mark(json_t *marks, const char *of, const double *at, size_t n_at)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n_at; i++) {
        if (!isfinite(at[i])) {
            json_decref(list);
            return true; /* a coordinate that is none is not drawn */
        }
        json_array_append_new(list, json_real(at[i]));
    }
    return json_array_append_new(marks, json_pack("{s:s, s:o}", "of", of, "at", list)) == 0;
}

/* Pixels [n_at], x and y in turn, of an image of this size. */
static bool add_pixels(json_t *marks, const char *of, const double *pixels, size_t n_at, double width,
                       double height)
{
    double at[4];

    for (size_t i = 0; i < n_at; i++) at[i] = pixels[i] / (i % 2 == 0 ? width : height);
    return add_mark(marks, of, at, n_at);
}

static bool add_references(json_t *marks, const struct record *r, const struct gallery_item *g)
{
    double width = r->width > 0 ? r->width : g->width, height = r->height > 0 ? r->height : g->height;
    bool ok = true;

    if (r->has_box) ok = add_pixels(marks, "reference", r->box, 4, width, height);
    for (size_t i = 0; i < r->n_objects && ok; i++) {
        const struct record_object *o = &r->objects[i];

        ok = add_pixels(marks, "reference", o->box, 4, width, height);
        for (int k = 0; o->posed && k < EVAL_JOINTS && ok; k++)
            if (o->joint[k][2] > 0) ok = add_pixels(marks, "reference", o->joint[k], 2, width, height);
    }
    return ok;
}

/* Values [n], x and y in turn, are fractions of the padded square. */
static bool add_square(json_t *marks, const char *of, const double *values, size_t n,
                       const struct gallery_item *g)
{
    struct img_square s = img_square_of(IMG_TRANSFORM_PADDED_RESIZE, g->width, g->height);
    double at[4];

    for (size_t i = 0; i + 1 < n; i += 2) {
        struct img_point p = img_square_to_pixels(&s, (struct img_point){ values[i], values[i + 1] });

        at[i] = p.x / g->width;
        at[i + 1] = p.y / g->height;
    }
    return add_mark(marks, of, at, n);
}

/* "0.1,0.2,0.3,0.4", as box metrics report what they took. */
static bool four_numbers(const char *text, double *values)
{
    char *end;

    for (int i = 0; i < 4; i++) {
        values[i] = strtod(text, &end);
        if (end == text || *end != (i < 3 ? ',' : '\0')) return false;
        text = end + 1;
    }
    return true;
}

/* What the metric took, where it looks for one box; else all that the answer points at. */
static bool add_answer(json_t *marks, const char *of, const struct answered *a, const struct gallery_item *g)
{
    struct grounding found = { 0 };
    double values[4];
    bool ok = true;

    if (a->verdict.taken != NULL && four_numbers(a->verdict.taken, values))
        return add_square(marks, of, values, 4, g);
    if (grounding_parse(&found, a->answer, strlen(a->answer), NULL) != STATUS_OK) return false;
    for (size_t i = 0; i < found.n_parts && ok; i++) {
        for (unsigned k = 0; k < found.parts[i].n_values; k++) values[k] = (double)found.parts[i].values[k];
        ok = add_square(marks, of, values, found.parts[i].n_values, g);
    }
    grounding_free(&found);
    return ok;
}

/* before: what another run answered, or NULL. */
static json_t *marks_json(const struct answered *a, const struct answered *before,
                          const struct gallery_item *g)
{
    json_t *marks = json_array();

    if (add_references(marks, a->record, g) && (before == NULL || add_answer(marks, "before", before, g)) &&
        add_answer(marks, "answer", a, g))
        return marks;
    json_decref(marks);
    return NULL;
}

/* ---- questions ------------------------------------------------------------------------------------------------- */

static double seconds_of(const struct log_entry *entry)
{
    return entry->seconds_encode + entry->seconds_prefill + entry->seconds_decode;
}

static json_t *texts_json(const char *const *texts, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        if (json_array_append_new(list, json_string(texts[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* NULL for what is not worth a key. */
static const char *unless_empty(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static json_t *record_json(const struct answered *a, const struct log_entry *entry)
{
    const struct record *r = a->record;
    json_t *choices = r->n_choices > 0 ? texts_json(r->choices, r->n_choices) : NULL;

    return json_pack("{s:I, s:s, s:s, s:s, s:o, s:o*, s:s*, s:s*, s:s, s:s*, s:f, s:f, s:s*, s:b, s:b, s:I, "
                     "s:f, s:s*}",
                     "index", (json_int_t)r->index, "id", r->id, "image", r->image, "question", r->question,
                     "references", texts_json(r->answers, r->n_answers), "choices", choices, "category",
                     unless_empty(r->category), "kind", unless_empty(r->kind), "answer", a->answer, "error",
                     entry->error, "score", isfinite(a->verdict.score) ? a->verdict.score : 0, "credit",
                     evaluation_credit(a), "taken", unless_empty(a->verdict.taken), "malformed",
                     (int)a->verdict.malformed, "pending", (int)a->verdict.pending, "tokens",
                     (json_int_t)entry->n_tokens, "seconds", seconds_of(entry), "finish",
                     unless_empty(entry->finish));
}

/* What the other run answered to a record; NULL: it was not asked. Answers are in the order of records. */
static const struct answered *find_before(const struct evaluation *before, const struct record *r)
{
    size_t low = 0, high = before != NULL ? before->n : 0;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (before->answered[middle].record->index < r->index)
            low = middle + 1;
        else
            high = middle;
    }
    if (before == NULL || low == before->n || before->answered[low].record->index != r->index) return NULL;
    return &before->answered[low];
}

static json_t *before_json(const struct answered *a)
{
    return json_pack("{s:s, s:f, s:f}", "answer", a->answer, "score",
                     isfinite(a->verdict.score) ? a->verdict.score : 0, "credit", evaluation_credit(a));
}

/* With its picture, if there is one or one may be made. */
static enum status add_record(json_t *records, const struct evaluation *v, const struct evaluation *before,
                              size_t i, struct gallery *g, bool more, struct err *e)
{
    const struct answered *a = &v->answered[i], *other = find_before(before, a->record);
    json_t *o = record_json(a, v->entry[i]);
    const struct gallery_item *item;

    if (json_array_append_new(records, o) != 0 ||
        (other != NULL && json_object_set_new(o, "before", before_json(other)) != 0))
        return err_no_memory(e, "a report");
    item = gallery_find(g, a->record, more && v->entry[i]->error == NULL, e);
    if (item == NULL) return e->code;
    if (json_object_set_new(o, "picture", json_integer(item->picture)) != 0 ||
        json_object_set_new(o, "marks", marks_json(a, other, item)) != 0)
        return err_no_memory(e, "a report");
    return STATUS_OK;
}

/* ---- worst first ----------------------------------------------------------------------------------------------- */

struct ranked {
    double score;
    bool malformed;
    size_t at; /* in v->answered */
};

static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    if (x->malformed != y->malformed) return x->malformed ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* What waits for a judge is neither good nor bad: it stands behind what is known to be wrong. */
static struct ranked *rank(const struct evaluation *v)
{
    struct ranked *r = calloc(v->n > 0 ? v->n : 1, sizeof *r);

    for (size_t i = 0; i < v->n && r != NULL; i++) {
        const struct verdict *d = &v->answered[i].verdict;

        r[i] = (struct ranked){ d->pending ? 0.5 : isfinite(d->score) ? d->score : 0, d->malformed, i };
    }
    if (r != NULL) qsort(r, v->n, sizeof *r, compare_ranked);
    return r;
}

static enum status add_records(json_t *o, const struct evaluation *v, const struct evaluation *before,
                               size_t records_max, size_t pictures_max, struct gallery *g, struct err *e)
{
    size_t n = v->n < records_max ? v->n : records_max, last = json_array_size(g->pictures) + pictures_max;
    struct ranked *r = rank(v);
    json_t *records = json_array();
    enum status st = STATUS_OK;

    if (r == NULL || json_object_set_new(o, "records", records) != 0) st = err_no_memory(e, "a report");
    for (size_t i = 0; i < n && st == STATUS_OK; i++)
        st = add_record(records, v, before, r[i].at, g, json_array_size(g->pictures) < last, e);
    free(r);
    return st;
}

/* ---- distributions --------------------------------------------------------------------------------------------- */

/* {"low", "step", "count": [...]}: n values, at least `step_min` a bin. */
static json_t *histogram_json(const double *values, size_t n, double step_min)
{
    size_t count[BINS] = { 0 }, used = 0;
    double max = 0, step;
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) max = fmax(max, values[i]);
    step = fmax(step_min, max / BINS);
    if (step_min >= 1) step = ceil((max + 1) / BINS);
    for (size_t i = 0; i < n && step > 0; i++) {
        double bin = fmin(floor(fmax(values[i], 0) / step), BINS - 1);

        count[(size_t)bin]++;
        if ((size_t)bin + 1 > used) used = (size_t)bin + 1;
    }
    for (size_t i = 0; i < used; i++) json_array_append_new(list, json_integer((json_int_t)count[i]));
    return json_pack("{s:f, s:f, s:o}", "low", 0.0, "step", step, "count", list);
}

static enum status add_histograms(json_t *o, const struct evaluation *v, struct err *e)
{
    double *values = calloc(v->n > 0 ? v->n : 1, sizeof *values);
    bool ok = values != NULL;
    size_t n = 0;

    for (size_t i = 0; i < v->n && ok; i++)
        if (v->entry[i]->error == NULL) values[n++] = (double)v->entry[i]->n_tokens;
    ok = ok && json_object_set_new(o, "lengths", histogram_json(values, n, 1)) == 0;
    n = 0;
    for (size_t i = 0; i < v->n && ok; i++)
        if (v->entry[i]->error == NULL) values[n++] = seconds_of(v->entry[i]);
    ok = ok && json_object_set_new(o, "times", histogram_json(values, n, 0)) == 0;
    free(values);
    return ok ? STATUS_OK : err_no_memory(e, "a report");
}

/* ---- the whole ------------------------------------------------------------------------------------------------- */

static json_t *title_json(const struct evaluation *v, size_t n)
{
    if (n == 1) return json_sprintf("sphinx eval: %s", evaluation_name(&v[0]));
    return json_sprintf("sphinx eval: %zu %s", n, n > 0 && v[0].label != NULL ? "runs" : "benchmarks");
}

static json_t *note_json(size_t n_pictures)
{
    if (n_pictures == 0) return json_string("No pictures are in the page.");
    return json_sprintf("The page holds %zu pictures, those of the worst, at most %d pixels wide or high.",
                        n_pictures, PAGE_PICTURE_SIDE);
}

static enum status add_evaluations(json_t *content, const struct evaluation *v,
                                   const struct evaluation *before, size_t n, struct gallery *g,
                                   struct err *e)
{
    json_t *list = json_object_get(content, "evaluations"), *o;
    size_t share = n > 0 ? n : 1, pictures = (PAGE_PICTURES_MAX + share - 1) / share;
    enum status st = STATUS_OK;

    for (size_t i = 0; i < n && st == STATUS_OK; i++) {
        o = json_array_get(list, i);
        st = add_records(o, &v[i], before != NULL ? &before[i] : NULL, PAGE_RECORDS_MAX / share, pictures, g,
                         e);
        if (st == STATUS_OK) st = add_histograms(o, &v[i], e);
    }
    return st;
}

enum status page_content(json_t **content, const struct evaluation *v, const struct evaluation *before,
                         size_t n, const char *data, struct err *e)
{
    json_t *report = report_json(v, n);
    struct gallery g = { 0 };
    enum status st;

    *content = json_pack("{s:o, s:s, s:O}", "title", title_json(v, n), "about",
                         "Scores beside published ones, and every question with its answer, worst first.",
                         "evaluations", json_object_get(report, "benchmarks"));
    json_decref(report);
    if (*content == NULL) return err_no_memory(e, "a report");
    st = gallery_open(&g, PAGE_PICTURES_MAX, data, e);
    if (st == STATUS_OK) st = add_evaluations(*content, v, before, n, &g, e);
    if (st == STATUS_OK &&
        (json_object_set(*content, "pictures", g.pictures) != 0 ||
         json_object_set_new(*content, "pictures_note", note_json(json_array_size(g.pictures))) != 0))
        st = err_no_memory(e, "a report");
    gallery_close(&g);
    if (st != STATUS_OK) {
        json_decref(*content);
        *content = NULL;
    }
    return st;
}

enum status report_html(const char *path, const struct evaluation *v, size_t n, const char *data,
                        struct err *e)
{
    json_t *content;
    enum status st = page_content(&content, v, NULL, n, data, e);

    if (st == STATUS_OK) st = page_write(path, content, e);
    json_decref(content);
    return st;
}
