/* interval.c - see interval.h. */
#include "eval/interval.h"

#include "core/mix64.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double Z95 = 1.959963984540054; /* the normal distribution's 97.5 % point */
static const uint64_t SEED = 20231113;       /* any number */
static const struct interval none = { NAN, NAN };

struct interval interval_share(double hits, size_t n)
{
    double z2 = Z95 * Z95, m = (double)n, p = hits / m;
    double middle = (p + z2 / (2 * m)) / (1 + z2 / m);
    double half = Z95 / (1 + z2 / m) * sqrt(p * (1 - p) / m + z2 / (4 * m * m));

    if (n == 0) return none;
    return (struct interval){ fmax(middle - half, 0), fmin(middle + half, 1) };
}

static double mean(const double *value, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) sum += value[i];
    return sum / (double)n;
}

/* ---- bootstrap ------------------------------------------------------------------------------------------------- */

static int compare_doubles(const void *pa, const void *pb)
{
    const double *a = pa, *b = pb;

    return (*a > *b) - (*a < *b);
}

/* The 2.5th and 97.5th of a hundred of value [n], which is sorted here. NaN are left out. */
static struct interval percentiles(double *value, size_t n)
{
    size_t m = 0, tail;

    for (size_t i = 0; i < n; i++)
        if (!isnan(value[i])) value[m++] = value[i];
    if (m == 0 || m < n / 2) return none;
    qsort(value, m, sizeof *value, compare_doubles);
    tail = m / 40;
    return (struct interval){ value[tail], value[m - 1 - tail] };
}

/* A number below n, the same for the same position. */
static size_t draw(uint64_t position, size_t n)
{
    return (size_t)((mix64(SEED + position) >> 32) * (uint64_t)n >> 32);
}

/* How often each of n units is drawn in resample r. */
static void resample(uint32_t *count, size_t n, const uint32_t *stratum, size_t r)
{
    memset(count, 0, n * sizeof *count);
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && (stratum == NULL || stratum[end] == stratum[first]);) end++;
        for (size_t i = first; i < end; i++) count[first + draw((uint64_t)r * n + i, end - first)]++;
    }
}

enum status interval_bootstrap(struct interval *out, size_t n_figures, size_t n, const uint32_t *stratum,
                               size_t resamples, interval_statistic statistic, void *user, struct arena *a,
                               struct err *e)
{
    struct arena_mark mark = arena_mark(a);
    uint32_t *count = arena_calloc(a, n + 1, sizeof *count);
    double *value = arena_calloc(a, n_figures * resamples + 1, sizeof *value);
    double *figure = arena_calloc(a, n_figures + 1, sizeof *figure);

    if (count == NULL || value == NULL || figure == NULL) return err_no_memory(e, "a confidence interval");
    for (size_t f = 0; f < n_figures; f++) out[f] = none;
    for (size_t r = 0; r < resamples && n > 1; r++) {
        resample(count, n, stratum, r);
        statistic(user, count, figure);
        for (size_t f = 0; f < n_figures; f++) value[f * resamples + r] = figure[f];
    }
    for (size_t f = 0; f < n_figures && n > 1; f++) out[f] = percentiles(value + f * resamples, resamples);
    arena_reset(a, mark);
    return STATUS_OK;
}

struct interval interval_around(double value, struct interval range)
{
    double half = (range.high - range.low) / 2;

    if (isnan(half)) return none;
    return (struct interval){ fmax(value - half, 0), fmin(value + half, 100) };
}

struct values {
    const double *value;
    size_t n;
};

static void statistic_mean(void *user, const uint32_t *count, double *figure)
{
    const struct values *v = user;
    double sum = 0;

    for (size_t i = 0; i < v->n; i++) sum += count[i] * v->value[i];
    *figure = sum / (double)v->n;
}

enum status interval_mean(struct interval *out, const double *value, size_t n, struct arena *a, struct err *e)
{
    struct values v = { value, n };
    double m = mean(value, n), square = 0, half;
    bool share = true;

    *out = none;
    for (size_t i = 0; i < n; i++) share = share && (value[i] == 0 || value[i] == 1);
    if (share) {
        *out = interval_share(m * (double)n, n);
        return STATUS_OK;
    }
    if (n < 2) return STATUS_OK;
    if (n <= INTERVAL_BOOTSTRAP_MAX)
        return interval_bootstrap(out, 1, n, NULL, INTERVAL_RESAMPLES, statistic_mean, &v, a, e);
    for (size_t i = 0; i < n; i++) square += (value[i] - m) * (value[i] - m);
    half = Z95 * sqrt(square / (double)(n - 1) / (double)n);
    *out = (struct interval){ m - half, m + half };
    return STATUS_OK;
}

/* ---- two runs -------------------------------------------------------------------------------------------------- */

/* Two-sided: how likely a fair coin that is thrown n times shows one side at most `fewer` times. */
static double coin(size_t fewer, size_t n)
{
    double p = 0, half = -(double)n * log(2), all = lgamma((double)n + 1);

    if (2 * fewer >= n) return 1;
    for (size_t i = 0; i <= fewer; i++)
        p += exp(half + all - lgamma((double)i + 1) - lgamma((double)(n - i) + 1));
    return fmin(2 * p, 1);
}

/* Whether a sum of flipped differences is as far from 0 as the observed one, rounding aside. */
static bool as_far(double sum, double observed)
{
    return fabs(sum) >= fabs(observed) * (1 - 1e-12) - 1e-300;
}

/* d [n] differences, none 0. */
static double flips_exact(const double *d, size_t n, double observed)
{
    size_t far = 0, all = (size_t)1 << n;

    for (size_t signs = 0; signs < all; signs++) {
        double sum = 0;

        for (size_t i = 0; i < n; i++) sum += signs >> i & 1 ? -d[i] : d[i];
        if (as_far(sum, observed)) far++;
    }
    return (double)far / (double)all;
}

static double flips_random(const double *d, size_t n, double observed)
{
    size_t far = 1;

    for (size_t r = 0; r < INTERVAL_FLIPS; r++) {
        uint64_t bits = 0;
        double sum = 0;

        for (size_t i = 0; i < n; i++) {
            if (i % 64 == 0) bits = mix64(SEED + (uint64_t)r * (n / 64 + 1) + i / 64);
            sum += bits >> i % 64 & 1 ? -d[i] : d[i];
        }
        if (as_far(sum, observed)) far++;
    }
    return (double)far / (INTERVAL_FLIPS + 1.0);
}

/* What the questions that differ say: d [m], of t->n. */
static void test_differences(struct paired_test *t, const double *d, size_t m, bool shares)
{
    double observed = 0;

    for (size_t i = 0; i < m; i++) observed += d[i];
    if (shares) {
        t->method = "McNemar, exact";
        t->p = coin(t->n_better < t->n_worse ? t->n_better : t->n_worse, m);
    } else if (m <= INTERVAL_EXACT_MAX) {
        t->method = "sign flips, exact";
        t->p = flips_exact(d, m, observed);
    } else {
        t->method = "sign flips, 10000 random";
        t->p = flips_random(d, m, observed);
    }
}

enum status paired_test(struct paired_test *t, const double *a, const double *b, size_t n,
                        struct arena *memory, struct err *e)
{
    struct arena_mark mark = arena_mark(memory);
    double *all = arena_calloc(memory, n + 1, sizeof *all), *d = arena_calloc(memory, n + 1, sizeof *d);
    struct values v = { all, n };
    enum status st;
    bool shares = true;
    size_t m = 0;

    if (all == NULL || d == NULL) return err_no_memory(e, "a comparison");
    *t = (struct paired_test){ .n = n };
    for (size_t i = 0; i < n; i++) {
        shares = shares && (a[i] == 0 || a[i] == 1) && (b[i] == 0 || b[i] == 1);
        all[i] = b[i] - a[i];
        if (all[i] != 0) d[m++] = all[i];
        if (all[i] > 0) t->n_better++;
        if (all[i] < 0) t->n_worse++;
    }
    t->difference = n > 0 ? mean(all, n) : NAN;
    test_differences(t, d, m, shares);
    st = interval_bootstrap(&t->interval, 1, n, NULL, INTERVAL_RESAMPLES, statistic_mean, &v, memory, e);
    arena_reset(memory, mark);
    return st;
}
