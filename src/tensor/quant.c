/*
 * quant.c - see quant.h. The definition: every operation is rounded by itself, so the bits are the same on every
 * processor (the build forbids contraction).
 */
#include "tensor/quant.h"

#include "tensor/dtype.h"

#include <math.h>

_Static_assert(sizeof(struct quant_q8_0) == 34 && sizeof(struct quant_q4_0) == 18 &&
                   sizeof(struct quant_q4_k) == 144 && sizeof(struct quant_q6_k) == 210,
               "blocks are stored as they stand");

enum { Q4_K_GROUP = 32, Q4_K_GROUPS = 8, Q6_K_GROUP = 16, Q6_K_GROUPS = 16 };

#define HALF_NAN 0x7e00u

static void put_half(uint8_t p[2], uint16_t h)
{
    memcpy(p, &h, sizeof h);
}

/* What no block of any type can hold, for want of a scale in f16: NaN, infinities, numbers of a thousand millions. Below, no sum
 * of squares overflows. */
static bool out_of_range(const float *x, int n)
{
    bool inside = true;

    for (int i = 0; i < n; i++) inside &= fabsf(x[i]) < 1e9f;
    return !inside;
}

/* 1 / x; 0 where that is infinite: what so small a scale could tell apart, f16 rounds to zero. */
static float inverse(float x)
{
    float y = 1 / x;

    return isfinite(y) ? y : 0;
}

/* The nearest of low .. high, ties to even. NaN, which only overflow makes, gives low. */
static int nearest(float x, int low, int high)
{
    const float round = 0x1.8p23f; /* added, it leaves no bits behind the point */

    if (!(x > (float)low)) return low;
    if (x >= (float)high) return high;
    return (int)(x + round - round);
}

/* The first of the numbers that are farthest from zero; 0 if all are zero. */
static float farthest(const float *x, int n)
{
    float far = 0;

    for (int i = 0; i < n; i++) far = fabsf(x[i]) > fabsf(far) ? x[i] : far;
    return far;
}

/* ---- q8_0 -------------------------------------------------------------------------------------------------- */

void q8_0_row_to_f32(float *dst, const void *src, size_t n)
{
    const struct quant_q8_0 *b = src;

    for (size_t k = 0; k < n; k += QUANT_SHORT, b++) {
        float scale = f16_to_f32(quant_half(b->scale));

        for (int i = 0; i < QUANT_SHORT; i++) dst[k + (size_t)i] = scale * (float)b->q[i];
    }
}

/* Ties are rounded away from zero, unlike elsewhere: so other programs do. */
static int8_t nearest_away(float x)
{
    float magnitude = fabsf(x);
    int whole = (int)magnitude;

    if (magnitude - (float)whole >= 0.5f) whole++;
    return (int8_t)(x < 0 ? -whole : whole);
}

void q8_0_row_from_f32(void *dst, const float *src, size_t n)
{
    struct quant_q8_0 *b = dst;

    for (size_t k = 0; k < n; k += QUANT_SHORT, b++) {
        const float *x = src + k;
        float scale = fabsf(farthest(x, QUANT_SHORT)) / 127, by = inverse(scale);

        memset(b, 0, sizeof *b);
        put_half(b->scale, HALF_NAN);
        if (out_of_range(x, QUANT_SHORT)) continue;
        put_half(b->scale, f32_to_f16(scale));
        for (int i = 0; i < QUANT_SHORT; i++) b->q[i] = nearest_away(x[i] * by);
    }
}

/* ---- q4_0 -------------------------------------------------------------------------------------------------- */

void q4_0_row_to_f32(float *dst, const void *src, size_t n)
{
    const struct quant_q4_0 *b = src;

    for (size_t k = 0; k < n; k += QUANT_SHORT, b++) {
        float scale = f16_to_f32(quant_half(b->scale));

        for (size_t i = 0; i < QUANT_SHORT / 2; i++) {
            dst[k + i] = scale * (float)((b->q[i] & 15) - 8);
            dst[k + i + QUANT_SHORT / 2] = scale * (float)((b->q[i] >> 4) - 8);
        }
    }
}

/* The farthest number becomes -8 exactly, whatever its sign; its opposite is cut off at 7. Ties go up. */
void q4_0_row_from_f32(void *dst, const float *src, size_t n)
{
    struct quant_q4_0 *b = dst;

    for (size_t k = 0; k < n; k += QUANT_SHORT, b++) {
        const float *x = src + k;
        float scale = farthest(x, QUANT_SHORT) / -8, by = inverse(scale);

        memset(b, 0, sizeof *b);
        put_half(b->scale, HALF_NAN);
        if (out_of_range(x, QUANT_SHORT)) continue;
        put_half(b->scale, f32_to_f16(scale));
        for (int i = 0; i < QUANT_SHORT; i++) {
            int q = (int)(x[i] * by + 8.5f), half = i % (QUANT_SHORT / 2);

            b->q[half] |= (uint8_t)((q < 15 ? q : 15) << (i == half ? 0 : 4));
        }
    }
}

/* ---- groups side by side ------------------------------------------------------------------------------------ */

/* The search for scales takes most of the time of writing a checkpoint, so it runs over four groups side by side: lane j of
 * every vector belongs to group j, whose sums keep their order. */
enum { LANES = 4 };

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t lane_mask __attribute__((vector_size(LANES * sizeof(int32_t))));

/* a where the mask is set, else b. */
static inline lanes choose(lane_mask mask, lanes a, lanes b)
{
    return (lanes)((mask & (lane_mask)a) | (~mask & (lane_mask)b));
}

static inline lanes magnitude(lanes a)
{
    return choose(a < 0, -a, a);
}

/* Rounded to low .. high, ties to even; NaN gives low. */
static inline lanes nearest_lanes(lanes a, lanes low, lanes high)
{
    const float round = 0x1.8p23f;

    a = choose(a > low, a, low);
    return choose(a < high, a, high) + round - round;
}

/* Element i of `size` of each of four groups that follow each other. */
static void take_lanes(lanes *to, const float *x, int size)
{
    for (int i = 0; i < size; i++)
        for (int j = 0; j < LANES; j++) to[i][j] = x[j * size + i];
}

/* ---- q4_K -------------------------------------------------------------------------------------------------- */

void q4_k_row_to_f32(float *dst, const void *src, size_t n)
{
    const struct quant_q4_k *b = src;

    for (size_t k = 0; k < n; k += QUANT_LONG, b++) {
        float scale = f16_to_f32(quant_half(b->scale)), offset = f16_to_f32(quant_half(b->offset));

        for (int j = 0; j < Q4_K_GROUPS; j++) {
            const uint8_t *q = b->q + j / 2 * Q4_K_GROUP;
            float *out = dst + k + j * Q4_K_GROUP, group_scale, group_offset;
            int s, o, shift = j % 2 * 4;

            quant_q4_k_group(b, j, &s, &o);
            group_scale = scale * (float)s;
            group_offset = offset * (float)o;
            for (int i = 0; i < Q4_K_GROUP; i++)
                out[i] = group_scale * (float)(q[i] >> shift & 15) - group_offset;
        }
    }
}

/* What x ~ scale * q + low is fitted to: weights that grow with the numbers, and their sums. */
struct q4_k_fit {
    lanes x[Q4_K_GROUP], weight[Q4_K_GROUP];
    lanes sum_w, sum_wx;
};

static void q4_k_weigh(struct q4_k_fit *f)
{
    lanes squares = { 0 }, sum_w = { 0 }, sum_wx = { 0 };

    for (int i = 0; i < Q4_K_GROUP; i++) squares += f->x[i] * f->x[i];
    for (int j = 0; j < LANES; j++) squares[j] = sqrtf(squares[j] / Q4_K_GROUP);
    for (int i = 0; i < Q4_K_GROUP; i++) {
        f->weight[i] = squares + magnitude(f->x[i]);
        sum_w += f->weight[i];
        sum_wx += f->weight[i] * f->x[i];
    }
    f->sum_w = sum_w;
    f->sum_wx = sum_wx;
}

/* q = by * (x - low), rounded to 0 .. 15, ties to even. */
static void q4_k_round(const struct q4_k_fit *f, lanes by, lanes low, lanes *q)
{
    const lanes zero = { 0 };

    for (int i = 0; i < Q4_K_GROUP; i++) q[i] = nearest_lanes(by * (f->x[i] - low), zero, zero + 15);
}

/* The weighted squared error of scale * q + low. */
static lanes q4_k_error(const struct q4_k_fit *f, const lanes *q, lanes scale, lanes low)
{
    lanes error = { 0 };

    for (int i = 0; i < Q4_K_GROUP; i++) {
        lanes off = scale * q[i] + low - f->x[i];

        error += f->weight[i] * (off * off);
    }
    return error;
}

/* The scale and low <= 0 of least error for q; an infinite scale where all q of a group are equal. */
static void q4_k_solve(const struct q4_k_fit *f, const lanes *q, lanes *scale, lanes *low)
{
    const lanes zero = { 0 };
    lanes sum_q = zero, sum_qq = zero, sum_xq = zero, determinant, both, lowest;

    for (int i = 0; i < Q4_K_GROUP; i++) {
        lanes wq = f->weight[i] * q[i];

        sum_q += wq;
        sum_qq += wq * q[i];
        sum_xq += wq * f->x[i];
    }
    determinant = f->sum_w * sum_qq - sum_q * sum_q;
    both = (f->sum_w * sum_xq - f->sum_wx * sum_q) / determinant;
    lowest = (sum_qq * f->sum_wx - sum_q * sum_xq) / determinant;
    *scale = choose(determinant > 0, choose(lowest > 0, sum_xq / sum_qq, both), zero + INFINITY);
    *low = choose(lowest > 0, zero, lowest);
}

/* The best scale and offset of four groups, each by itself. The plain ones span its range; then 21 spans from a little less to
 * a little more are tried, each improved by least squares. */
static void q4_k_search(const float *x, float *best_scale, float *offset)
{
    const lanes zero = { 0 };
    lanes low, high, by, scale, error, q[Q4_K_GROUP];
    struct q4_k_fit f;

    take_lanes(f.x, x, Q4_K_GROUP);
    low = high = f.x[0];
    for (int i = 1; i < Q4_K_GROUP; i++) {
        low = choose(f.x[i] < low, f.x[i], low);
        high = choose(f.x[i] > high, f.x[i], high);
    }
    low = choose(low > 0, zero, low); /* offsets are not negative */
    by = 15 / (high - low);
    scale = choose(high == low, zero, 1 / by);
    q4_k_weigh(&f);
    q4_k_round(&f, by, low, q);
    error = choose(high == low, zero, q4_k_error(&f, q, scale, low)); /* nothing is better */
    for (int step = 0; step <= 20; step++) {
        lanes try_scale, try_low, try_error;
        lane_mask better;

        by = (-1.0f + 0.1f * (float)step + 15) / (high - low);
        q4_k_round(&f, by, low, q);
        q4_k_solve(&f, q, &try_scale, &try_low);
        try_error = q4_k_error(&f, q, try_scale, try_low);
        better = try_error < error;
        error = choose(better, try_error, error);
        scale = choose(better, try_scale, scale);
        low = choose(better, try_low, low);
    }
    low = -low;
    memcpy(best_scale, &scale, sizeof scale);
    memcpy(offset, &low, sizeof low);
}

/* The groups' scales and offsets as 6-bit parts of the largest. */
static void q4_k_put_groups(struct quant_q4_k *b, const float *scale, const float *offset)
{
    float most_scale = 0, most_offset = 0, by_scale, by_offset;

    for (int j = 0; j < Q4_K_GROUPS; j++) {
        most_scale = scale[j] > most_scale ? scale[j] : most_scale;
        most_offset = offset[j] > most_offset ? offset[j] : most_offset;
    }
    by_scale = most_scale > 0 ? 63 / most_scale : 0;
    by_offset = most_offset > 0 ? 63 / most_offset : 0;
    put_half(b->scale, f32_to_f16(most_scale / 63));
    put_half(b->offset, f32_to_f16(most_offset / 63));
    for (int j = 0; j < Q4_K_GROUPS; j++) {
        int s = nearest(by_scale * scale[j], 0, 63), o = nearest(by_offset * offset[j], 0, 63);

        if (j < 4) {
            b->groups[j] = (uint8_t)s;
            b->groups[j + 4] = (uint8_t)o;
        } else {
            b->groups[j + 4] = (uint8_t)((s & 15) | (o & 15) << 4);
            b->groups[j - 4] |= (uint8_t)(s >> 4 << 6);
            b->groups[j] |= (uint8_t)(o >> 4 << 6);
        }
    }
}

/* Elements are rounded last, to what the rounded scales will make of them. */
void q4_k_row_from_f32(void *dst, const float *src, size_t n)
{
    struct quant_q4_k *b = dst;

    for (size_t k = 0; k < n; k += QUANT_LONG, b++) {
        float scale[Q4_K_GROUPS], offset[Q4_K_GROUPS];

        memset(b, 0, sizeof *b);
        put_half(b->scale, HALF_NAN);
        if (out_of_range(src + k, QUANT_LONG)) continue;
        for (int j = 0; j < Q4_K_GROUPS; j += LANES)
            q4_k_search(src + k + j * Q4_K_GROUP, scale + j, offset + j);
        q4_k_put_groups(b, scale, offset);
        for (int j = 0; j < Q4_K_GROUPS; j++) {
            const float *x = src + k + j * Q4_K_GROUP;
            uint8_t *q = b->q + j / 2 * Q4_K_GROUP;
            float group_scale, group_offset;
            int s, o;

            quant_q4_k_group(b, j, &s, &o);
            group_scale = f16_to_f32(quant_half(b->scale)) * (float)s;
            group_offset = f16_to_f32(quant_half(b->offset)) * (float)o;
            if (group_scale == 0) continue;
            for (int i = 0; i < Q4_K_GROUP; i++)
                q[i] |= (uint8_t)(nearest((x[i] + group_offset) / group_scale, 0, 15) << j % 2 * 4);
        }
    }
}

/* ---- q6_K -------------------------------------------------------------------------------------------------- */

/* Far below the least f16: what is smaller is zero. */
static const float q6_k_vanishing = 1e-15f;

/* Where element i of a block lies: a byte of `low` and of `high`, and how far its bits are shifted there. */
struct q6_k_place {
    int low, low_shift, high, high_shift;
};

static struct q6_k_place q6_k_place(int i)
{
    int half = i / 128, in = i % 128;

    return (struct q6_k_place){ half * 64 + in % 64, in / 64 * 4, half * 32 + in % 32, in / 32 * 2 };
}

/* The 32 elements of two groups that are the same bits of 32 bytes each. */
static void q6_k_read(float *dst, const struct quant_q6_k *b, int first)
{
    struct q6_k_place p = q6_k_place(first);
    float scale = f16_to_f32(quant_half(b->scale));
    float scales[2] = { scale * (float)b->groups[first / Q6_K_GROUP],
                        scale * (float)b->groups[first / Q6_K_GROUP + 1] };

    for (int i = 0; i < 2 * Q6_K_GROUP; i++) {
        int q = (b->low[p.low + i] >> p.low_shift & 15) | (b->high[p.high + i] >> p.high_shift & 3) << 4;

        dst[i] = scales[i / Q6_K_GROUP] * (float)(q - 32);
    }
}

void q6_k_row_to_f32(float *dst, const void *src, size_t n)
{
    const struct quant_q6_k *b = src;

    for (size_t k = 0; k < n; k += QUANT_LONG, b++)
        for (int i = 0; i < QUANT_LONG; i += 2 * Q6_K_GROUP) q6_k_read(dst + k + i, b, i);
}

/* The sums that give the best scale, sum_xq / sum_qq, for the q that by * x rounds to, weighted by x^2. */
static void q6_k_sums(const lanes *x, lanes by, lanes *sum_xq, lanes *sum_qq)
{
    const lanes zero = { 0 };
    lanes xq = zero, qq = zero;

    for (int i = 0; i < Q6_K_GROUP; i++) {
        lanes q = nearest_lanes(by * x[i], zero - 32, zero + 31), w = x[i] * x[i];

        xq += w * x[i] * q;
        qq += w * q * q;
    }
    *sum_xq = xq;
    *sum_qq = qq;
}

/* The best scale of four groups, each by itself: the farthest number at -32, and at 18 places around it. */
static void q6_k_search(const float *from, float *best_scale)
{
    const lanes zero = { 0 };
    lanes x[Q6_K_GROUP], far = zero, sum_xq, sum_qq, scale, best;

    take_lanes(x, from, Q6_K_GROUP);
    for (int i = 0; i < Q6_K_GROUP; i++) far = choose(magnitude(x[i]) > magnitude(far), x[i], far);
    q6_k_sums(x, -32 / far, &sum_xq, &sum_qq);
    scale = choose(sum_qq != 0, sum_xq / sum_qq, zero);
    best = scale * sum_xq;
    for (int step = -9; step <= 9; step++) {
        lane_mask better;

        if (step == 0) continue;
        q6_k_sums(x, -(32 + 0.1f * (float)step) / far, &sum_xq, &sum_qq);
        better = (sum_qq > 0) & (sum_xq * sum_xq > best * sum_qq);
        scale = choose(better, sum_xq / sum_qq, scale);
        best = choose(better, scale * sum_xq, best);
    }
    scale = choose(magnitude(far) < q6_k_vanishing, zero, scale);
    memcpy(best_scale, &scale, sizeof scale);
}

/* Elements are rounded last, to what the rounded scales will make of them. */
static void q6_k_put_group(struct quant_q6_k *b, int j, const float *x)
{
    float scale = f16_to_f32(quant_half(b->scale)) * (float)b->groups[j];

    for (int i = 0; i < Q6_K_GROUP; i++) {
        struct q6_k_place p = q6_k_place(j * Q6_K_GROUP + i);
        int q = scale != 0 ? nearest(x[i] / scale, -32, 31) + 32 : 32;

        b->low[p.low] |= (uint8_t)((q & 15) << p.low_shift);
        b->high[p.high] |= (uint8_t)(q >> 4 << p.high_shift);
    }
}

void q6_k_row_from_f32(void *dst, const float *src, size_t n)
{
    struct quant_q6_k *b = dst;

    for (size_t k = 0; k < n; k += QUANT_LONG, b++) {
        float scale[Q6_K_GROUPS], far, by;

        memset(b, 0, sizeof *b);
        put_half(b->scale, HALF_NAN);
        if (out_of_range(src + k, QUANT_LONG)) continue;
        for (int j = 0; j < Q6_K_GROUPS; j += LANES) q6_k_search(src + k + j * Q6_K_GROUP, scale + j);
        far = farthest(scale, Q6_K_GROUPS);
        by = fabsf(far) < q6_k_vanishing ? 0 : -128 / far;
        put_half(b->scale, by != 0 ? f32_to_f16(1 / by) : 0);
        for (int j = 0; j < Q6_K_GROUPS; j++) {
            b->groups[j] = (int8_t)nearest(by * scale[j], -128, 127);
            q6_k_put_group(b, j, src + k + j * Q6_K_GROUP);
        }
    }
}
