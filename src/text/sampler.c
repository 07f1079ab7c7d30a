/* sampler.c - see sampler.h. */
#include "text/sampler.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct sampler_entry {
    float weight; /* exp(logit - max) or the logit itself: only the order and the ratios count */
    int32_t id;
};

/* ---- options ------------------------------------------------------------------------------------------- */

struct sampler_options sampler_options_default(void)
{
    return (struct sampler_options){ .top_p = 1.0f, .repeat_penalty = 1.0f, .repeat_last_n = 64 };
}

/* Comparisons are written so that NaN fails. */
static enum status options_check(const struct sampler_options *o, struct err *e)
{
    if (!(o->temperature >= 0.0f && isfinite(o->temperature)))
        return err_set(e, STATUS_BAD_ARGUMENT, "temperature is %g, it must be 0 or more",
                       (double)o->temperature);
    if (!(o->top_p >= 0.0f && o->top_p <= 1.0f))
        return err_set(e, STATUS_BAD_ARGUMENT, "top-p is %g, it must be 0 to 1", (double)o->top_p);
    if (o->top_k < 0)
        return err_set(e, STATUS_BAD_ARGUMENT, "top-k is %d, it must be 0 (off) or more", (int)o->top_k);
    if (!(o->min_p >= 0.0f && o->min_p < 1.0f))
        return err_set(e, STATUS_BAD_ARGUMENT, "min-p is %g, it must be at least 0 and below 1",
                       (double)o->min_p);
    if (!(o->repeat_penalty > 0.0f && isfinite(o->repeat_penalty)))
        return err_set(e, STATUS_BAD_ARGUMENT, "repeat penalty is %g, it must be more than 0 (1 is off)",
                       (double)o->repeat_penalty);
    if (o->repeat_last_n < -1)
        return err_set(e, STATUS_BAD_ARGUMENT, "repeat-last-n is %d, it must be -1 (all), 0 (off) or more",
                       (int)o->repeat_last_n);
    return STATUS_OK;
}

enum status sampler_options_set(struct sampler *s, const struct sampler_options *o, struct err *e)
{
    enum status st = options_check(o, e);

    if (st != STATUS_OK) return st;
    s->options = *o;
    s->n_draws = 0;
    return STATUS_OK;
}

enum status sampler_init(struct sampler *s, const struct sampler_options *o, int32_t vocab, struct err *e)
{
    enum status st;

    assert(vocab > 0);
    *s = (struct sampler){ .vocab = vocab };
    st = sampler_options_set(s, o, e);
    if (st != STATUS_OK) return st;
    s->logits = calloc((size_t)vocab, sizeof *s->logits);
    s->entries = calloc((size_t)vocab, sizeof *s->entries);
    s->penalised = calloc((size_t)vocab, sizeof *s->penalised);
    if (s->logits == NULL || s->entries == NULL || s->penalised == NULL) {
        sampler_free(s);
        return err_no_memory(e, "the sampler");
    }
    return STATUS_OK;
}

void sampler_free(struct sampler *s)
{
    free(s->logits);
    free(s->entries);
    free(s->penalised);
    *s = (struct sampler){ 0 };
}

/* ---- probabilities ------------------------------------------------------------------------------------- */

/* The largest logit's id, the lowest if several are equal. */
static enum status max_find(const float *logits, int32_t vocab, int32_t *best, struct err *e)
{
    int32_t i;

    *best = 0;
    for (i = 0; i < vocab; i++) {
        if (!(logits[i] < INFINITY))
            return err_set(e, STATUS_NUMERIC, "the model's output is not a number: logit %d of %d is %f",
                           (int)i, (int)vocab, (double)logits[i]);
        if (logits[i] > logits[*best]) *best = i;
    }
    if (logits[*best] == -INFINITY)
        return err_set(e, STATUS_NUMERIC, "the model's output rules out every token: all %d logits are -inf",
                       (int)vocab);
    return STATUS_OK;
}

/* log(sum(exp(logits))) */
static double log_sum(const float *logits, int32_t vocab, float max)
{
    double sum = 0.0;
    int32_t i;

    for (i = 0; i < vocab; i++) sum += (double)expf(logits[i] - max);
    return (double)max + log(sum);
}

/* Descending weight, then ascending id: no two entries are equal, so every cut is defined. */
static bool entry_before(struct sampler_entry a, struct sampler_entry b)
{
    return a.weight > b.weight || (a.weight == b.weight && a.id < b.id);
}

static int entry_compare(const void *a, const void *b)
{
    const struct sampler_entry *x = a, *y = b;

    return entry_before(*x, *y) ? -1 : entry_before(*y, *x) ? 1 : 0;
}

static void entry_swap(struct sampler_entry *a, struct sampler_entry *b)
{
    struct sampler_entry t = *a;

    *a = *b;
    *b = t;
}

/* Divides [lo, hi) at the median of three: entries before it come to stand before it. Returns its place. */
static size_t partition(struct sampler_entry *x, size_t lo, size_t hi)
{
    size_t mid = lo + (hi - lo) / 2, last = hi - 1, place = lo, i;

    if (entry_before(x[mid], x[lo])) entry_swap(&x[mid], &x[lo]);
    if (entry_before(x[last], x[lo])) entry_swap(&x[last], &x[lo]);
    if (entry_before(x[mid], x[last])) entry_swap(&x[mid], &x[last]); /* the median is last now */
    for (i = lo; i < last; i++)
        if (entry_before(x[i], x[last])) entry_swap(&x[i], &x[place++]);
    entry_swap(&x[place], &x[last]);
    return place;
}

enum measure {
    MEASURE_COUNT,
    MEASURE_MASS,
};

static double measure_one(struct sampler_entry x, enum measure m)
{
    return m == MEASURE_COUNT ? 1.0 : (double)x.weight;
}

/* Moves to the front the entries before which, in order, there is at most `limit`, and returns how many they
 * are. Like quickselect it looks only into the side where the border is: n steps on average, no sorting. */
static size_t select_front(struct sampler_entry *x, size_t n, double limit, enum measure m)
{
    size_t lo = 0, hi = n; /* entries before lo stay, those from hi on go */
    double before = 0.0;   /* measure of [0, lo) */

    while (lo < hi) {
        size_t pivot = partition(x, lo, hi), i;
        double upper = 0.0;

        for (i = lo; i < pivot; i++) upper += measure_one(x[i], m);
        if (before + upper <= limit) {
            before += upper + measure_one(x[pivot], m);
            lo = pivot + 1;
        } else {
            hi = pivot;
        }
    }
    return lo;
}

/* ---- the draw ------------------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Uniform in (0, 1), the same for the same arguments. */
static double uniform(uint64_t seed, uint64_t draw, int32_t id)
{
    const uint64_t step = 0x9e3779b97f4a7c15u; /* SplitMix64's increment */
    uint64_t bits = mix(mix(mix(seed + step) + draw * step) + (uint64_t)id * step);

    return ((double)(bits >> 12) + 0.5) * 0x1p-52;
}

/* argmax of weight / -log(u) */
static int32_t race(const struct sampler *s, size_t n)
{
    double best_time = INFINITY;
    int32_t best = s->entries[0].id;
    size_t i;

    for (i = 0; i < n; i++) {
        struct sampler_entry x = s->entries[i];
        double time = -log(uniform(s->options.seed, s->n_draws, x.id)) / (double)x.weight;

        if (time < best_time || (time == best_time && x.id < best)) {
            best_time = time;
            best = x.id;
        }
    }
    return best;
}

/* Copies logits to s->logits with the repeat penalty on them. */
static const float *penalise(struct sampler *s, const float *logits, const int32_t *recent, size_t n_recent)
{
    const struct sampler_options *o = &s->options;
    size_t first = 0, i;

    if (o->repeat_last_n >= 0 && n_recent > (size_t)o->repeat_last_n)
        first = n_recent - (size_t)o->repeat_last_n;
    if (o->repeat_penalty == 1.0f || first == n_recent) return logits;
    memcpy(s->logits, logits, (size_t)s->vocab * sizeof *logits);
    for (i = first; i < n_recent; i++) {
        int32_t id = recent[i];

        if (id < 0 || id >= s->vocab || s->penalised[id]) continue;
        s->penalised[id] = 1;
        if (s->logits[id] > 0.0f)
            s->logits[id] /= o->repeat_penalty;
        else
            s->logits[id] *= o->repeat_penalty;
    }
    for (i = first; i < n_recent; i++)
        if (recent[i] >= 0 && recent[i] < s->vocab) s->penalised[recent[i]] = 0;
    return s->logits;
}

/* Fills s->entries with what top-k, top-p and min-p leave; returns how many that is, at least 1. */
static size_t entries_cut(struct sampler *s, const float *logits, float max)
{
    const struct sampler_options *o = &s->options;
    size_t n = 0, kept, i;
    int32_t id;

    for (id = 0; id < s->vocab; id++) {
        float weight = expf((logits[id] - max) / o->temperature);

        if (weight > 0.0f) s->entries[n++] = (struct sampler_entry){ weight, id };
    }
    if (o->top_k > 0 && (size_t)o->top_k < n)
        n = select_front(s->entries, n, (double)o->top_k - 1.0, MEASURE_COUNT);
    if (o->top_p < 1.0f) {
        double mass = 0.0;

        for (i = 0; i < n; i++) mass += (double)s->entries[i].weight;
        n = select_front(s->entries, n, (double)o->top_p * mass, MEASURE_MASS);
    }
    for (i = 0, kept = 0; i < n; i++) /* the largest weight is 1 */
        if (s->entries[i].weight >= o->min_p) s->entries[kept++] = s->entries[i];
    return kept;
}

/* Copies logits to s->logits, unless they are there, with those that the constraint does not allow at -inf. The likeliest alone is tested first:
 * where there is no luck in the draw, it mostly is enough. */
static enum status constrain(struct sampler *s, const float **logits, int32_t *best, struct err *e)
{
    const unsigned char *allowed;
    bool allows = false;
    enum status st = STATUS_OK;
    int32_t id;

    if (s->options.temperature == 0.0f) st = constraint_allows(s->constraint, *best, &allows, e);
    if (st != STATUS_OK || allows) return st;
    st = constraint_mask(s->constraint, &allowed, e);
    if (st != STATUS_OK) return st;
    for (id = 0; id < s->vocab; id++) s->logits[id] = allowed[id] ? (*logits)[id] : -INFINITY;
    *logits = s->logits;
    return max_find(*logits, s->vocab, best, e);
}

enum status sampler_next(struct sampler *s, const float *logits, const int32_t *recent, size_t n_recent,
                         int32_t *id, float *logprob, struct err *e)
{
    const float *changed;
    int32_t best, best_changed;
    enum status st = max_find(logits, s->vocab, &best, e);

    if (st != STATUS_OK) return st;
    changed = penalise(s, logits, recent, n_recent);
    st = max_find(changed, s->vocab, &best_changed, e);
    if (st == STATUS_OK && s->constraint != NULL) st = constrain(s, &changed, &best_changed, e);
    if (st != STATUS_OK) return st;
    if (s->options.temperature == 0.0f)
        *id = best_changed;
    else
        *id = race(s, entries_cut(s, changed, changed[best_changed]));
    s->n_draws++;
    if (logprob != NULL) *logprob = (float)((double)logits[*id] - log_sum(logits, s->vocab, logits[best]));
    return STATUS_OK;
}

enum status sampler_top(struct sampler *s, const float *logits, int32_t n, struct sampler_candidate *top,
                        struct err *e)
{
    int32_t best, i;
    double sum;
    size_t kept;
    enum status st = max_find(logits, s->vocab, &best, e);

    assert(n >= 0 && n <= s->vocab);
    if (st != STATUS_OK || n == 0) return st;
    for (i = 0; i < s->vocab; i++) s->entries[i] = (struct sampler_entry){ logits[i], i };
    kept = select_front(s->entries, (size_t)s->vocab, (double)n - 1.0, MEASURE_COUNT);
    assert(kept == (size_t)n);
    qsort(s->entries, kept, sizeof *s->entries, entry_compare);
    sum = log_sum(logits, s->vocab, logits[best]);
    for (i = 0; i < n; i++)
        top[i] = (struct sampler_candidate){ s->entries[i].id, (float)((double)s->entries[i].weight - sum) };
    return STATUS_OK;
}
