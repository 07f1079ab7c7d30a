/* average_precision.c - see average_precision.h. */
#include "eval/average_precision.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

double ap_threshold(int i)
{
    double step = (0.95 - 0.5) / (AP_THRESHOLDS - 1);

    return i == AP_THRESHOLDS - 1 ? 0.95 : i * step + 0.5;
}

static double recall_at(int i)
{
    return i == AP_RECALLS - 1 ? 1.0 : i * (1.0 / (AP_RECALLS - 1));
}

enum status ap_begin(struct ap *p, const struct ap_range *range, size_t n_ranges, size_t n_categories,
                     struct arena *a, struct err *e)
{
    *p = (struct ap){ .range = range, .n_ranges = n_ranges, .n_categories = n_categories, .arena = a };
    p->part = arena_calloc(a, n_categories * n_ranges + 1, sizeof *p->part);
    return p->part != NULL ? STATUS_OK : err_no_memory(e, "average precision");
}

/* ---- matching -------------------------------------------------------------------------------------------------- */

static bool outside(double area, const struct ap_range *r)
{
    return area < r->low || area > r->high;
}

/* An image of one category, in one range. */
struct scene {
    const struct ap_truth *truth;
    const size_t *order; /* [n_truths] those that count first */
    const bool *ignore;  /* [n_truths] in that order */
    bool *taken;         /* the same; work memory */
    size_t n_truths;
};

/* The truth, as a place in the order, that a finding takes; n_truths: none. */
static size_t take(const struct scene *s, const double *alike, double threshold)
{
    double best = threshold;
    size_t found = s->n_truths;

    for (size_t g = 0; g < s->n_truths; g++) {
        if (s->taken[g] && !s->truth[s->order[g]].crowd) continue;
        if (found < s->n_truths && !s->ignore[found] && s->ignore[g]) break;
        if (alike[s->order[g]] < best) continue;
        best = alike[s->order[g]];
        found = g;
    }
    return found;
}

/* Grows a list in the arena. NULL: no memory. */
static void *grown(struct arena *a, void *list, size_t n, size_t *capacity, size_t element)
{
    void *new;

    if (n < *capacity) return list;
    *capacity = 2 * *capacity + 16;
    new = arena_calloc(a, *capacity, element);
    if (new != NULL && n > 0) memcpy(new, list, n * element);
    return new;
}

static enum status add_hit(struct ap *p, struct ap_part *part, const struct ap_hit *hit, struct err *e)
{
    part->hit = grown(p->arena, part->hit, part->n_hits, &part->hits_capacity, sizeof *part->hit);
    if (part->hit == NULL) return err_no_memory(e, "average precision");
    part->hit[part->n_hits] = *hit;
    part->hit[part->n_hits].order = (uint32_t)part->n_hits;
    part->n_hits++;
    part->sorted = false;
    return STATUS_OK;
}

static enum status add_truth(struct ap *p, struct ap_part *part, uint32_t image, struct err *e)
{
    part->truths =
        grown(p->arena, part->truths, part->n_truths, &part->truths_capacity, sizeof *part->truths);
    if (part->truths == NULL) return err_no_memory(e, "average precision");
    part->truths[part->n_truths++] = image;
    return STATUS_OK;
}

/* hit [n_found]: what each finding came to at every threshold. */
static void match(struct scene *s, const struct ap_range *range, const struct ap_found *found, size_t n_found,
                  const double *alike, struct ap_hit *hit)
{
    for (int t = 0; t < AP_THRESHOLDS; t++) {
        memset(s->taken, 0, s->n_truths * sizeof *s->taken);
        for (size_t d = 0; d < n_found; d++) {
            size_t g = take(s, alike + d * s->n_truths, ap_threshold(t));
            bool matched = g < s->n_truths, ignored = matched ? s->ignore[g] : outside(found[d].area, range);

            if (matched) s->taken[g] = true;
            if (ignored)
                hit[d].ignored |= (uint16_t)(1 << t);
            else if (matched)
                hit[d].right |= (uint16_t)(1 << t);
        }
    }
}

static enum status add_range(struct ap *p, size_t category, size_t range, uint32_t image,
                             const struct ap_truth *truth, size_t n_truths, const struct ap_found *found,
                             size_t n_found, const double *alike, struct err *e)
{
    struct ap_part *part = &p->part[category * p->n_ranges + range];
    size_t *order = arena_calloc(p->arena, n_truths + 1, sizeof *order), n = 0;
    bool *ignore = arena_calloc(p->arena, n_truths + 1, 1), *taken = arena_calloc(p->arena, n_truths + 1, 1);
    struct ap_hit *hit = arena_calloc(p->arena, n_found + 1, sizeof *hit);
    struct scene s = { truth, order, ignore, taken, n_truths };
    enum status st = STATUS_OK;

    if (order == NULL || ignore == NULL || taken == NULL || hit == NULL)
        return err_no_memory(e, "average precision");
    for (int pass = 0; pass < 2; pass++) {
        for (size_t g = 0; g < n_truths; g++) {
            bool out = truth[g].ignore || outside(truth[g].area, &p->range[range]);

            if (out != (pass == 1)) continue;
            ignore[n] = out;
            order[n++] = g;
            if (!out && st == STATUS_OK) st = add_truth(p, part, image, e);
        }
    }
    for (size_t d = 0; d < n_found; d++)
        hit[d] = (struct ap_hit){ .confidence = found[d].confidence, .image = image };
    match(&s, &p->range[range], found, n_found, alike, hit);
    for (size_t d = 0; d < n_found && st == STATUS_OK; d++) st = add_hit(p, part, &hit[d], e);
    return st;
}

enum status ap_add(struct ap *p, size_t category, uint32_t image, const struct ap_truth *truth,
                   size_t n_truths, const struct ap_found *found, size_t n_found, const double *alike,
                   struct err *e)
{
    enum status st = STATUS_OK;

    for (size_t r = 0; r < p->n_ranges && st == STATUS_OK; r++)
        st = add_range(p, category, r, image, truth, n_truths, found, n_found, alike, e);
    return st;
}

/* ---- precision and recall -------------------------------------------------------------------------------------- */

static int compare_hits(const void *pa, const void *pb)
{
    const struct ap_hit *a = pa, *b = pb;

    if (a->confidence != b->confidence) return a->confidence > b->confidence ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

static double times(const uint32_t *count, uint32_t image)
{
    return count != NULL ? count[image] : 1;
}

/* Going through the findings from the last to the first. */
struct descent {
    double right, wrong; /* findings up to this one */
    double best;         /* the envelope: the greatest precision from here on */
    double sum;
    int recall; /* the highest that is not yet read */
};

static void descent_begin(struct descent *d, double n_truths)
{
    d->recall = AP_RECALLS - 1;
    while (d->recall >= 0 && recall_at(d->recall) > d->right / n_truths) d->recall--;
}

/* The envelope at a finding holds for all recalls above that of the findings before it. */
static void descent_step(struct descent *d, bool right, double n, double n_truths)
{
    double precision = d->right / (d->wrong + d->right + DBL_EPSILON);

    if (precision > d->best) d->best = precision;
    if (!right) {
        d->wrong -= n;
        return;
    }
    d->right -= n;
    for (; d->recall >= 0 && recall_at(d->recall) > d->right / n_truths; d->recall--) d->sum += d->best;
}

/* For all thresholds at once, since going through the findings is what takes time. */
static void envelopes(const struct ap_part *part, double n_truths, const uint32_t *count, double *precision)
{
    struct descent d[AP_THRESHOLDS] = { { 0 } };

    for (size_t i = 0; i < part->n_hits; i++) {
        const struct ap_hit *h = &part->hit[i];
        double n = times(count, h->image);

        for (int t = 0; t < AP_THRESHOLDS; t++) {
            d[t].right += h->right >> t & 1 ? n : 0;
            d[t].wrong += (h->right | h->ignored) >> t & 1 ? 0 : n;
        }
    }
    for (int t = 0; t < AP_THRESHOLDS; t++) descent_begin(&d[t], n_truths);
    for (size_t i = part->n_hits; i-- > 0;) {
        const struct ap_hit *h = &part->hit[i];
        double n = times(count, h->image);

        for (int t = 0; t < AP_THRESHOLDS && n > 0; t++)
            if (!(h->ignored >> t & 1)) descent_step(&d[t], h->right >> t & 1, n, n_truths);
    }
    for (int t = 0; t < AP_THRESHOLDS;
         t++) /* what is left is recall 0, which the first finding has already */
        precision[t] = (d[t].sum + d[t].best * (d[t].recall + 1)) / AP_RECALLS;
}

static struct ap_part *sorted_part(struct ap *p, size_t category, size_t range)
{
    struct ap_part *part = &p->part[category * p->n_ranges + range];

    if (!part->sorted && part->n_hits > 0) qsort(part->hit, part->n_hits, sizeof *part->hit, compare_hits);
    part->sorted = true;
    return part;
}

bool ap_precision(struct ap *p, size_t category, size_t range, const uint32_t *count, double *precision)
{
    const struct ap_part *part = sorted_part(p, category, range);
    double n_truths = 0;

    for (size_t i = 0; i < part->n_truths; i++) n_truths += times(count, part->truths[i]);
    if (n_truths > 0) envelopes(part, n_truths, count, precision);
    return n_truths > 0;
}

void ap_mean_precision(struct ap *p, size_t range, const uint32_t *count, double *mean)
{
    double sum[AP_THRESHOLDS] = { 0 }, precision[AP_THRESHOLDS], all = 0;
    size_t n = 0;

    for (size_t k = 0; k < p->n_categories; k++) {
        if (!ap_precision(p, k, range, count, precision)) continue;
        for (int t = 0; t < AP_THRESHOLDS; t++) {
            sum[t] += precision[t];
            all += precision[t];
        }
        n++;
    }
    mean[0] = 100 * all / AP_THRESHOLDS / (double)n;
    mean[1] = 100 * sum[0] / (double)n;
    mean[2] = 100 * sum[5] / (double)n;
}

double ap_mean_recall(struct ap *p)
{
    double sum = 0;
    size_t n = 0;

    for (size_t k = 0; k < p->n_categories; k++) {
        const struct ap_part *part = &p->part[k * p->n_ranges];
        size_t right = 0;

        if (part->n_truths == 0) continue;
        for (size_t i = 0; i < part->n_hits; i++)
            for (int t = 0; t < AP_THRESHOLDS; t++) right += part->hit[i].right >> t & 1;
        sum += (double)right / (double)part->n_truths / AP_THRESHOLDS;
        n++;
    }
    return 100 * sum / (double)n;
}

struct ap_counts ap_counts(const struct ap *p)
{
    struct ap_counts c = { 0 };

    for (size_t k = 0; k < p->n_categories; k++) {
        const struct ap_part *part = &p->part[k * p->n_ranges];

        c.n_truths += part->n_truths;
        for (size_t i = 0; i < part->n_hits; i++) {
            if (part->hit[i].right & 1) c.n_right++;
            if (!((part->hit[i].right | part->hit[i].ignored) & 1)) c.n_wrong++;
        }
    }
    return c;
}
