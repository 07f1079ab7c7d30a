/*
 * resample.c - Pillow's 8-bit bicubic and bilinear, bit for bit, and torch's float interpolations.
 *
 *   img_resample:  rows that matter -> [rows, out_w, 3] 8 bit -> columns -> [out_h, out_w, 3]
 *
 * An axis is a table: per result its weights, the input positions they belong to, and the sum of the weights
 * that fell on fill color. That sum times the fill color is exact integer arithmetic, so leaving the
 * padding out changes no bit.
 */
#include "image/resample.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum { WEIGHT_BITS = 22, WEIGHT_HALF = 1 << (WEIGHT_BITS - 1) };

struct table {
    int count, taps_max;
    int *low, *taps; /* [count]: first input position, relative to the image, and how many */
    int *outside;    /* [count]: sum of the weights on fill color */
    int *weights;    /* [count, taps_max] */
};

/* Keys' cubic with a = -0.5, in Pillow's order of operations. */
static double cubic_sharp(double x)
{
    const double a = -0.5;

    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double weight_at(double x, enum img_filter filter)
{
    if (filter == IMG_FILTER_BICUBIC) return cubic_sharp(x);
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* How far from the middle weights are not 0. */
static double reach(enum img_filter filter)
{
    return filter == IMG_FILTER_BICUBIC ? 2.0 : 1.0;
}

int img_resample_taps(int from, long long to, enum img_filter filter)
{
    double scale = (double)from / (double)to;

    return (int)ceil(reach(filter) * (scale > 1.0 ? scale : 1.0)) * 2 + 1;
}

int img_resample_weights(int *weights, int *low, int from, long long to, long long i, enum img_filter filter)
{
    double scale = (double)from / (double)to, filter_scale = scale > 1.0 ? scale : 1.0;
    double center = ((double)i + 0.5) * scale, support = reach(filter) * filter_scale,
           inverse = 1.0 / filter_scale, sum = 0.0;
    int lo = (int)(center - support + 0.5), hi = (int)(center + support + 0.5);

    if (lo < 0) lo = 0;
    if (hi > from) hi = from;
    /* The weight is computed twice instead of kept: it must be divided by the sum in double. */
    for (int j = 0; j < hi - lo; j++) sum += weight_at((j + lo - center + 0.5) * inverse, filter);
    for (int j = 0; j < hi - lo; j++) {
        double w = weight_at((j + lo - center + 0.5) * inverse, filter);

        if (sum != 0.0) w /= sum;
        w *= 1 << WEIGHT_BITS;
        weights[j] = (int)(w < 0 ? w - 0.5 : w + 0.5);
    }
    *low = lo;
    return hi - lo;
}

static void table_free(struct table *t)
{
    free(t->low);
    free(t->taps);
    free(t->outside);
    free(t->weights);
    *t = (struct table){ 0 };
}

/* length is how many of the axis's `from` positions hold the image. */
static enum status table_init(struct table *t, const struct img_axis *axis, int length,
                              enum img_filter filter, struct err *e)
{
    size_t count = (size_t)axis->count;

    assert(axis->count >= 1 && axis->first >= 0 && axis->first + axis->count <= axis->to);
    assert(axis->offset >= 0 && length >= 1 && axis->offset + length <= axis->from);
    *t = (struct table){ .count = axis->count, .taps_max = img_resample_taps(axis->from, axis->to, filter) };
    t->low = malloc(count * sizeof *t->low);
    t->taps = malloc(count * sizeof *t->taps);
    t->outside = calloc(count, sizeof *t->outside);
    t->weights = malloc(count * (size_t)t->taps_max * sizeof *t->weights);
    if (t->low == NULL || t->taps == NULL || t->outside == NULL || t->weights == NULL) {
        table_free(t);
        return err_no_memory(e, "resampling weights");
    }
    for (int i = 0; i < axis->count; i++) {
        int *weights = t->weights + (size_t)i * (size_t)t->taps_max, low, kept = 0;
        int taps = img_resample_weights(weights, &low, axis->from, axis->to, axis->first + i, filter);

        t->low[i] = low > axis->offset ? low - axis->offset : 0;
        for (int j = 0; j < taps; j++) {
            int position = low + j - axis->offset;

            if (position >= 0 && position < length)
                weights[kept++] = weights[j];
            else
                t->outside[i] += weights[j];
        }
        t->taps[i] = kept;
    }
    return STATUS_OK;
}

static unsigned char weight_round(int sum)
{
    int v = sum >> WEIGHT_BITS;

    return (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void row_resample(unsigned char *out, const unsigned char *in, const struct table *t,
                         const unsigned char *fill)
{
    for (int x = 0; x < t->count; x++, out += 3) {
        const int *w = t->weights + (size_t)x * (size_t)t->taps_max;
        const unsigned char *p = in + 3 * (size_t)t->low[x];
        int r = WEIGHT_HALF + t->outside[x] * fill[0];
        int g = WEIGHT_HALF + t->outside[x] * fill[1];
        int b = WEIGHT_HALF + t->outside[x] * fill[2];

        for (int j = 0; j < t->taps[x]; j++, p += 3) {
            r += w[j] * p[0];
            g += w[j] * p[1];
            b += w[j] * p[2];
        }
        out[0] = weight_round(r);
        out[1] = weight_round(g);
        out[2] = weight_round(b);
    }
}

/* One result row from rows of `size` bytes; sums is scratch for one row. Rows of fill color stay exactly
 * that color in the horizontal pass, since its weights sum to 1 within a few units of 2^-22. */
static void column_resample(unsigned char *out, const unsigned char *rows, size_t size, const struct table *t,
                            int y, const unsigned char *fill, int *sums)
{
    const int *w = t->weights + (size_t)y * (size_t)t->taps_max;

    for (size_t k = 0; k < size; k += 3) {
        for (size_t c = 0; c < 3; c++) sums[k + c] = WEIGHT_HALF + t->outside[y] * fill[c];
    }
    for (int j = 0; j < t->taps[y]; j++) {
        const unsigned char *row = rows + size * (size_t)j;

        for (size_t k = 0; k < size; k++) sums[k] += w[j] * row[k];
    }
    for (size_t k = 0; k < size; k++) out[k] = weight_round(sums[k]);
}

/* The input rows that any result row asks for: from *first up to, not including, *end. */
static void rows_needed(const struct table *t, int *first, int *end)
{
    *first = INT_MAX;
    *end = 0;
    for (int i = 0; i < t->count; i++) {
        if (t->taps[i] == 0) continue;
        if (t->low[i] < *first) *first = t->low[i];
        if (t->low[i] + t->taps[i] > *end) *end = t->low[i] + t->taps[i];
    }
    if (*end == 0) *first = 0;
}

static enum status passes_run(struct image *out, const struct image *in, const struct table *tx,
                              const struct table *ty, const unsigned char *fill, struct err *e)
{
    size_t size = (size_t)out->width * 3, in_size = (size_t)in->width * 3;
    unsigned char *rows;
    int *sums, first, end;

    rows_needed(ty, &first, &end);
    rows = malloc(size * (size_t)(end - first) + 1);
    sums = malloc(size * sizeof *sums);
    if (rows == NULL || sums == NULL) {
        free(rows);
        free(sums);
        return err_no_memory(e, "resampling an image");
    }
    for (int y = first; y < end; y++) {
        row_resample(rows + size * (size_t)(y - first), in->rgb + in_size * (size_t)y, tx, fill);
    }
    for (int y = 0; y < out->height; y++) {
        const unsigned char *from = rows + (ty->taps[y] > 0 ? size * (size_t)(ty->low[y] - first) : 0);

        column_resample(out->rgb + size * (size_t)y, from, size, ty, y, fill, sums);
    }
    free(rows);
    free(sums);
    return STATUS_OK;
}

enum status img_resample(struct image *out, const struct image *in, const struct img_resampling *r,
                         struct err *e)
{
    struct table tx = { 0 }, ty = { 0 };
    enum status st;

    st = img_init(out, r->x.count, r->y.count, e);
    if (st == STATUS_OK) st = table_init(&tx, &r->x, in->width, r->filter, e);
    if (st == STATUS_OK) st = table_init(&ty, &r->y, in->height, r->filter, e);
    if (st == STATUS_OK) st = passes_run(out, in, &tx, &ty, r->fill, e);
    table_free(&tx);
    table_free(&ty);
    if (st != STATUS_OK) img_free(out);
    return st;
}

enum status img_resize(struct image *out, const struct image *in, int width, int height, struct err *e)
{
    struct img_resampling r = { .x = { .from = in->width, .to = width, .count = width },
                                .y = { .from = in->height, .to = height, .count = height } };

    return img_resample(out, in, &r, e);
}

/* ---- float planes, torch's way ------------------------------------------------------------------------ */

struct taps4 {
    int at[4];
    float w[4];
};

static int clamp_int(int v, int low, int high)
{
    return v < low ? low : v > high ? high : v;
}

/* torch's position is a float, of which the multiplication and subtraction are fused (a * b - c rounded once)
 * both on its CPU and its GPU. At a thousand pixels a float's spacing shows: positions in double are nearer
 * the truth and 2e-4 away from torch, fused ones 1.5e-6. The product of two floats is exact in double. */
static struct taps4 *taps4_make(int out, int in, double factor)
{
    const float a = -0.75f;
    float step = factor > 0 ? (float)(1.0 / factor) : (float)in / (float)out;
    struct taps4 *taps = malloc((size_t)out * sizeof *taps);

    if (taps == NULL) return NULL;
    for (int i = 0; i < out; i++) {
        float position = (float)((double)step * (i + 0.5) - 0.5), low = floorf(position);
        float t = position - low, u = 1 - t, t1 = t + 1, u1 = u + 1;

        for (int k = 0; k < 4; k++) taps[i].at[k] = clamp_int((int)low - 1 + k, 0, in - 1);
        taps[i].w[0] = ((a * t1 - 5 * a) * t1 + 8 * a) * t1 - 4 * a;
        taps[i].w[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
        taps[i].w[2] = ((a + 2) * u - (a + 3)) * u * u + 1;
        taps[i].w[3] = ((a * u1 - 5 * a) * u1 + 8 * a) * u1 - 4 * a;
    }
    return taps;
}

static float taps4_apply(const struct taps4 *t, const float *row)
{
    return t->w[0] * row[t->at[0]] + t->w[1] * row[t->at[1]] + t->w[2] * row[t->at[2]] +
           t->w[3] * row[t->at[3]];
}

enum status img_bicubic(float *out, int out_h, int out_w, const float *in, int in_h, int in_w, size_t planes,
                        double factor_h, double factor_w, struct err *e)
{
    struct taps4 *tx = taps4_make(out_w, in_w, factor_w), *ty = taps4_make(out_h, in_h, factor_h);

    if (tx == NULL || ty == NULL) {
        free(tx);
        free(ty);
        return err_no_memory(e, "interpolation weights");
    }
    for (size_t p = 0; p < planes; p++, in += (size_t)in_h * (size_t)in_w) {
        for (int y = 0; y < out_h; y++) {
            for (int x = 0; x < out_w; x++) {
                float v = 0;

                for (int k = 0; k < 4; k++) {
                    v += ty[y].w[k] * taps4_apply(&tx[x], in + (size_t)ty[y].at[k] * (size_t)in_w);
                }
                *out++ = v;
            }
        }
    }
    free(tx);
    free(ty);
    return STATUS_OK;
}

/* Where a result lies between two positions of the input. */
struct between {
    int low, high;
    float share; /* of high */
};

static struct between between_of(int i, int out, int in)
{
    float step = (float)in / (float)out, position = (float)((double)step * (i + 0.5) - 0.5);
    struct between b;

    if (position < 0) position = 0;
    b.low = clamp_int((int)position, 0, in - 1);
    b.high = clamp_int(b.low + 1, 0, in - 1);
    b.share = position - (float)b.low;
    return b;
}

void img_bilinear(float *out, int out_h, int out_w, const float *in, int in_h, int in_w, size_t in_stride)
{
    for (int y = 0; y < out_h; y++) {
        struct between v = between_of(y, out_h, in_h);
        const float *low = in + (size_t)v.low * in_stride, *high = in + (size_t)v.high * in_stride;

        for (int x = 0; x < out_w; x++) {
            struct between u = between_of(x, out_w, in_w);
            float above = (1 - u.share) * low[u.low] + u.share * low[u.high];
            float below = (1 - u.share) * high[u.low] + u.share * high[u.high];

            *out++ = (1 - v.share) * above + v.share * below;
        }
    }
}

void img_nearest(float *out, int out_h, int out_w, const float *in, int in_h, int in_w, size_t planes)
{
    for (size_t p = 0; p < planes; p++, in += (size_t)in_h * (size_t)in_w) {
        for (int y = 0; y < out_h; y++) {
            const float *row = in + (size_t)((int64_t)y * in_h / out_h) * (size_t)in_w;

            for (int x = 0; x < out_w; x++) *out++ = row[(int64_t)x * in_w / out_w];
        }
    }
}
