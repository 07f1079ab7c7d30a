/*
 * metric_detection.c - finding all objects: COCO's average precision of boxes.
 *
 *   answer "<p>dog</p>[0.1,0.2,0.3,0.4;...] ..." ── text/grounding ── boxes with a category ── pixels ─┐
 *   record.objects ── by category ─────────────────────────────────────────────────────────────────────┴─ average_precision
 *
 * A category is its name: small letters, underscores as spaces. A box without a phrase belongs to the record's category where all its objects
 * have the same, since then that is what was asked for; other names than the truth's count for nothing in AP, as in COCO, but are wrong in
 * an answer's own score (F1 at an IoU of one half). The text has no confidences: boxes count in the order in which
 * they were written, whatever their answer; of a category at most 100 of an answer.
 *
 * AP small, medium and large are of objects up to 32 x 32, 96 x 96 and above, by the area that the file gives. The confidence intervals of AP,
 * AP50 and AP75 are from resampled images: as wide as the bootstrap's, around the figure, since images drawn twice make the envelope of
 * precision rougher and thereby higher, by more than the interval's width where there are many categories.
 */
#include "eval/answer_text.h"
#include "eval/average_precision.h"
#include "eval/metric_list.h"
#include "eval/metric_sum.h"
#include "eval/padded_square.h"
#include "text/grounding.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BOXES_MAX = 100, RESAMPLES = 200, RANGES = 4 };

static const struct ap_range ranges[RANGES] = {
    { 0, 1e10 }, { 0, 32 * 32 }, { 32 * 32, 96 * 96 }, { 96 * 96, 1e10 }
};

static enum status no_memory(struct err *e)
{
    return err_no_memory(e, "the detections of an answer");
}

/* ---- categories ------------------------------------------------------------------------------------------------ */

struct classes {
    const char **name; /* [n], sorted */
    size_t n;
};

static const char *class_name(const char *text, struct arena *a)
{
    char *small = ans_lower(text, a);

    if (small == NULL) return NULL;
    for (char *p = small; *p != '\0'; p++)
        if (*p == '_') *p = ' ';
    return ans_collapse(small, a);
}

static int compare_names(const void *pa, const void *pb)
{
    return strcmp(*(const char *const *)pa, *(const char *const *)pb);
}

/* Those of all objects of answered [n]. */
static enum status classes_make(struct classes *c, const struct answered *answered, size_t n, struct arena *a,
                                struct err *e)
{
    size_t m = 0, different = 0;

    for (size_t i = 0; i < n; i++) m += answered[i].record->n_objects;
    c->name = arena_calloc(a, m + 1, sizeof *c->name);
    if (c->name == NULL) return no_memory(e);
    m = 0;
    for (size_t i = 0; i < n; i++) {
        const struct record *r = answered[i].record;

        for (size_t j = 0; j < r->n_objects; j++) {
            if (j > 0 && strcmp(r->objects[j].category, r->objects[j - 1].category) == 0) continue;
            c->name[m] = class_name(r->objects[j].category, a);
            if (c->name[m++] == NULL) return no_memory(e);
        }
    }
    qsort(c->name, m, sizeof *c->name, compare_names);
    for (size_t i = 0; i < m; i++)
        if (i == 0 || strcmp(c->name[i], c->name[different - 1]) != 0) c->name[different++] = c->name[i];
    c->n = different;
    return STATUS_OK;
}

/* c->n: not among them. */
static size_t class_find(const struct classes *c, const char *name)
{
    const char **at = bsearch(&name, c->name, c->n, sizeof *c->name, compare_names);

    return at != NULL ? (size_t)(at - c->name) : c->n;
}

/* ---- an answer's boxes ----------------------------------------------------------------------------------------- */

struct box {
    size_t category;
    double x, y, w, h; /* pixels, as COCO has boxes */
};

struct scene {
    struct box *found, *truth;
    size_t n_found, n_truths;
    bool malformed;
};

static enum status read_truths(struct scene *s, const struct record *r, const struct classes *c,
                               struct arena *a, struct err *e)
{
    s->n_truths = r->n_objects;
    s->truth = arena_calloc(a, r->n_objects + 1, sizeof *s->truth);
    if (s->truth == NULL) return no_memory(e);
    for (size_t i = 0; i < r->n_objects; i++) {
        const double *b = r->objects[i].box;
        const char *name = class_name(r->objects[i].category, a);

        if (name == NULL) return no_memory(e);
        s->truth[i] = (struct box){ class_find(c, name), b[0], b[1], b[2] - b[0], b[3] - b[1] };
    }
    return STATUS_OK;
}

/* The category that all objects of the record have; c->n: they differ, or there are none. */
static size_t only_category(const struct scene *s, const struct classes *c)
{
    for (size_t i = 1; i < s->n_truths; i++)
        if (s->truth[i].category != s->truth[0].category) return c->n;
    return s->n_truths > 0 ? s->truth[0].category : c->n;
}

static enum status read_region(struct scene *s, const struct grounding *g, const struct ground_region *region,
                               const char *text, const struct record *r, const struct classes *c,
                               struct arena *a, struct err *e)
{
    struct padded_square q = padded_square_of(r);
    size_t category = only_category(s, c);

    if (region->tagged) {
        char *phrase = arena_alloc(a, region->phrase.end - region->phrase.begin + 1);
        const char *name = NULL;

        if (phrase != NULL) {
            memcpy(phrase, text + region->phrase.begin, region->phrase.end - region->phrase.begin);
            phrase[region->phrase.end - region->phrase.begin] = '\0';
            name = class_name(phrase, a);
        }
        if (name == NULL) return no_memory(e);
        category = class_find(c, name);
    }
    for (size_t i = 0; i < region->n_parts; i++) {
        const struct ground_part *p = &g->parts[region->part_first + i];
        double v[4];

        if (p->n_values != 4) continue;
        for (int k = 0; k < 4; k++) v[k] = (double)p->values[k] * q.side - (k % 2 == 0 ? q.dx : q.dy);
        s->found[s->n_found++] = (struct box){ category, v[0], v[1], v[2] - v[0], v[3] - v[1] };
    }
    return STATUS_OK;
}

static enum status scene_read(struct scene *s, const struct record *r, const char *answer,
                              const struct classes *c, struct arena *a, struct err *e)
{
    const char *text = ans_clean(answer, a);
    struct grounding g;
    enum status st;

    *s = (struct scene){ 0 };
    if (text == NULL) return no_memory(e);
    st = read_truths(s, r, c, a, e);
    if (st != STATUS_OK) return st;
    st = grounding_parse(&g, text, strlen(text), e);
    if (st != STATUS_OK) return st;
    s->found = arena_calloc(a, g.n_parts + 1, sizeof *s->found);
    if (s->found == NULL) st = no_memory(e);
    for (size_t i = 0; i < g.n_regions && st == STATUS_OK; i++)
        st = read_region(s, &g, &g.regions[i], text, r, c, a, e);
    s->malformed = g.n_malformed > 0 || (s->n_found == 0 && s->n_truths > 0);
    grounding_free(&g);
    return st;
}

/* Written as pycocotools writes it, for the same rounding. */
static double overlap(const struct box *d, const struct box *g, bool crowd)
{
    double w = fmin(d->w + d->x, g->w + g->x) - fmax(d->x, g->x);
    double h = fmin(d->h + d->y, g->h + g->y) - fmax(d->y, g->y);
    double own = d->w * d->h;

    if (w <= 0 || h <= 0) return 0;
    return w * h / (crowd ? own : own + g->w * g->h - w * h);
}

static enum status add_category(struct ap *p, size_t category, uint32_t image, const struct scene *s,
                                const struct record *r, struct arena *a, struct err *e)
{
    struct ap_truth *truth = arena_calloc(a, s->n_truths + 1, sizeof *truth);
    struct ap_found found[BOXES_MAX];
    size_t *from = arena_calloc(a, s->n_truths + 1, sizeof *from), n = 0, m = 0;
    double *alike;

    if (truth == NULL || from == NULL) return no_memory(e);
    for (size_t i = 0; i < s->n_truths; i++) {
        const struct record_object *o = &r->objects[i];

        if (s->truth[i].category != category) continue;
        truth[n] = (struct ap_truth){ .area = o->area, .crowd = o->crowd, .ignore = o->crowd };
        from[n++] = i;
    }
    alike = arena_calloc(a, n * BOXES_MAX + 1, sizeof *alike);
    if (alike == NULL) return no_memory(e);
    for (size_t i = 0; i < s->n_found && m < BOXES_MAX; i++) {
        const struct box *d = &s->found[i];

        if (d->category != category) continue;
        for (size_t g = 0; g < n; g++) alike[m * n + g] = overlap(d, &s->truth[from[g]], truth[g].crowd);
        found[m++] = (struct ap_found){ .confidence = -(double)i, .area = d->w * d->h };
    }
    return ap_add(p, category, image, truth, n, found, m, alike, e);
}

/* seen [n categories]: 0, or the last image + 1 that had the category added. */
static enum status add_scene(struct ap *p, uint32_t image, const struct scene *s, const struct record *r,
                             uint32_t *seen, struct arena *a, struct err *e)
{
    enum status st = STATUS_OK;

    for (size_t i = 0; i < s->n_truths + s->n_found && st == STATUS_OK; i++) {
        size_t category = i < s->n_truths ? s->truth[i].category : s->found[i - s->n_truths].category;

        if (category >= p->n_categories || seen[category] == image + 1) continue;
        seen[category] = image + 1;
        st = add_category(p, category, image, s, r, a, e);
    }
    return st;
}

/* ---- one answer ------------------------------------------------------------------------------------------------ */

static enum status judge(struct verdict *v, const struct benchmark *b, const struct record *r,
                         const char *answer, struct arena *a, struct err *e)
{
    struct arena_mark mark = arena_mark(a);
    struct answered one = { .record = r };
    struct classes c;
    struct scene s;
    struct ap p;
    struct ap_counts n;
    uint32_t *seen = NULL;
    enum status st = classes_make(&c, &one, 1, a, e);
    double all;

    (void)b;
    if (st == STATUS_OK) st = scene_read(&s, r, answer, &c, a, e);
    if (st == STATUS_OK) st = ap_begin(&p, ranges, 1, c.n, a, e);
    if (st != STATUS_OK) return st;
    seen = arena_calloc(a, c.n + 1, sizeof *seen);
    if (seen == NULL) return no_memory(e);
    st = add_scene(&p, 0, &s, r, seen, a, e);
    if (st != STATUS_OK) return st;
    n = ap_counts(&p);
    for (size_t i = 0; i < s.n_found; i++)
        if (s.found[i].category == c.n) n.n_wrong++;
    arena_reset(a, mark); /* before what is kept */
    all = (double)(n.n_right + n.n_wrong + n.n_truths);
    *v = (struct verdict){ .score = all > 0 ? 2 * (double)n.n_right / all : 1,
                           .malformed = s.malformed,
                           .taken = arena_printf(a, "%zu boxes", s.n_found) };
    return v->taken != NULL ? STATUS_OK : no_memory(e);
}

/* ---- all of them ----------------------------------------------------------------------------------------------- */

static void precisions(void *user, const uint32_t *count, double *figure)
{
    ap_mean_precision(user, 0, count, figure);
}

/* "category: NAME" for each that has anything to be found. */
static enum status category_figures(struct sum *s, struct ap *p, const struct classes *c)
{
    static const struct interval none = { NAN, NAN };
    enum status st = STATUS_OK;

    for (size_t k = 0; k < c->n && st == STATUS_OK; k++) {
        const char *name = arena_printf(s->arena, "category: %s", c->name[k]);
        double precision[AP_THRESHOLDS], sum = 0;

        if (name == NULL) return no_memory(s->err);
        if (!ap_precision(p, k, 0, NULL, precision)) continue;
        for (int t = 0; t < AP_THRESHOLDS; t++) sum += precision[t];
        st = sum_figure(s, name, 100 * sum / AP_THRESHOLDS, none, p->part[k * RANGES].n_truths);
    }
    return st;
}

static enum status figures_of(struct sum *s, struct ap *p, const struct classes *c)
{
    static const char *const names[] = { "AP", "AP50", "AP75", "AP small", "AP medium", "AP large", "AR" };
    static const struct interval none = { NAN, NAN };
    struct interval range[3];
    double value[7], part[3];
    enum status st = interval_bootstrap(range, 3, s->n, NULL, RESAMPLES, precisions, p, s->arena, s->err);

    precisions(p, NULL, value);
    for (size_t i = 1; i < RANGES; i++) {
        ap_mean_precision(p, i, NULL, part);
        value[2 + i] = part[0];
    }
    value[6] = ap_mean_recall(p);
    for (size_t i = 0; i < 7 && st == STATUS_OK; i++)
        st = sum_figure(s, names[i], value[i], i < 3 ? interval_around(value[i], range[i]) : none, s->n);
    return st == STATUS_OK ? category_figures(s, p, c) : st;
}

static enum status sum_up(struct figures *f, const struct benchmark *b, const struct answered *answered,
                          size_t n, struct arena *a, struct err *e)
{
    struct classes c;
    struct ap p;
    struct sum s;
    struct arena scratch = { 0 };
    struct arena_mark mark = arena_mark(&scratch);
    uint32_t *seen = NULL;
    enum status st = classes_make(&c, answered, n, a, e);

    (void)b;
    sum_begin(&s, f, answered, n, a, e);
    if (st == STATUS_OK) st = ap_begin(&p, ranges, RANGES, c.n, a, e);
    if (st != STATUS_OK) return st;
    seen = arena_calloc(a, c.n + 1, sizeof *seen);
    if (seen == NULL) return no_memory(e);
    for (size_t i = 0; i < n && st == STATUS_OK; i++) {
        struct scene scene;

        st = scene_read(&scene, answered[i].record, answered[i].answer, &c, &scratch, e);
        if (st == STATUS_OK) st = add_scene(&p, (uint32_t)i, &scene, answered[i].record, seen, &scratch, e);
        arena_reset(&scratch, mark);
    }
    arena_free(&scratch);
    return st == STATUS_OK ? figures_of(&s, &p, &c) : st;
}

const struct metric metric_detection = { .name = "detection", .unit = "%", .judge = judge, .sum_up = sum_up };
