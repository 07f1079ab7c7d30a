/* simd_norm.c - layer norm and RMS norm, and their gradients: a row fits the cache, so the mean comes first and the variance is summed
 * around it, in as many partial sums as there are lanes. */
#include "backend/cpu/ref/ref.h"
#include "backend/cpu/simd/column_sums.h"
#include "backend/cpu/simd/simd.h"

#include <math.h>

/* Sum of (x - mean)^2, or of x when `squares` is false. */
INLINE float row_sum(const float *x, int64_t D, float mean, bool squares)
{
    vf s[4] = { { 0 }, { 0 }, { 0 }, { 0 } };
    int64_t i = 0;
    float rest = 0;

    for (; i + 4 * WIDTH <= D; i += 4 * WIDTH) {
        UNROLL
        for (int j = 0; j < 4; j++) {
            vf v = load(x + i + j * WIDTH) - mean;

            s[j] += squares ? v * v : v;
        }
    }
    for (; i < D; i++) rest += squares ? (x[i] - mean) * (x[i] - mean) : x[i] - mean;
    return sum_lanes((s[0] + s[1]) + (s[2] + s[3])) + rest;
}

void SIMD_NAME(layer_norm)(const struct exec *e, struct tensor *y, const struct tensor *x, const float *w,
                           const float *b, float eps)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        const float *xt = data_row(x, t);
        float *yt = data_row(y, t);
        float mean = row_sum(xt, D, 0, false) / (float)D;
        float scale = 1 / sqrtf(row_sum(xt, D, mean, true) / (float)D + eps);
        int64_t i = 0;

        for (; i + WIDTH <= D; i += WIDTH)
            store(yt + i, (load(xt + i) - mean) * scale * load(w + i) + load(b + i));
        for (; i < D; i++) yt[i] = (xt[i] - mean) * scale * w[i] + b[i];
    }
}

void SIMD_NAME(rms_norm)(const struct exec *e, struct tensor *y, const struct tensor *x, const float *w,
                         float eps)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        const float *xt = data_row(x, t);
        float *yt = data_row(y, t);
        float scale = 1 / sqrtf(row_sum(xt, D, 0, true) / (float)D + eps);
        int64_t i = 0;

        for (; i + WIDTH <= D; i += WIDTH) store(yt + i, load(xt + i) * scale * load(w + i));
        for (; i < D; i++) yt[i] = xt[i] * scale * w[i];
    }
}

/* ---- gradients ------------------------------------------------------------------------------------------------ */

struct norm_job {
    const struct tensor *y, *x;
    const float *w;
    float eps;
    bool centred; /* layer norm */
};

/* Sums of g and of g n over a row, where g = dy w and n = (x - mean) scale. */
INLINE void sum_products(const float *x, const float *dy, const float *w, int64_t D, float mean, float scale,
                         float *sum_g, float *sum_gn)
{
    vf g_lanes[2] = { { 0 }, { 0 } }, gn_lanes[2] = { { 0 }, { 0 } };
    float g_rest = 0, gn_rest = 0;
    int64_t i = 0;

    for (; i + 2 * WIDTH <= D; i += 2 * WIDTH) {
        UNROLL
        for (int j = 0; j < 2; j++) {
            vf g = load(dy + i + j * WIDTH) * load(w + i + j * WIDTH);

            g_lanes[j] += g;
            gn_lanes[j] += g * (load(x + i + j * WIDTH) - mean);
        }
    }
    for (; i < D; i++) {
        g_rest += dy[i] * w[i];
        gn_rest += dy[i] * w[i] * (x[i] - mean);
    }
    *sum_g = sum_lanes(g_lanes[0] + g_lanes[1]) + g_rest;
    *sum_gn = (sum_lanes(gn_lanes[0] + gn_lanes[1]) + gn_rest) * scale;
}

/* forward: y = n w + b   so: dx += scale (g - mean(g) - n mean(g n)) (mean(g) is absent without centring), dw += dy n, db += dy.
 * dw, db [D] are sums of this block. */
static void norm_row_backward(const struct norm_job *j, int64_t t, float *dw, float *db)
{
    const float *x = data_row(j->x, t), *dy = grad_row(j->y, t), *w = j->w;
    float *dx = j->x->grad != NULL ? grad_row(j->x, t) : NULL;
    int64_t D = tensor_columns(j->x), i = 0;
    float mean = j->centred ? row_sum(x, D, 0, false) / (float)D : 0;
    float scale = 1 / sqrtf(row_sum(x, D, mean, true) / (float)D + j->eps), mean_g, mean_gn;

    sum_products(x, dy, w, D, mean, scale, &mean_g, &mean_gn);
    mean_g = j->centred ? mean_g / (float)D : 0;
    mean_gn /= (float)D;
    for (; i + WIDTH <= D; i += WIDTH) {
        vf d = load(dy + i), n = (load(x + i) - mean) * scale;

        if (dx != NULL) store(dx + i, load(dx + i) + scale * (d * load(w + i) - mean_g - n * mean_gn));
        store(dw + i, load(dw + i) + d * n);
        store(db + i, load(db + i) + d);
    }
    for (; i < D; i++) {
        float n = (x[i] - mean) * scale;

        if (dx != NULL) dx[i] += scale * (dy[i] * w[i] - mean_g - n * mean_gn);
        dw[i] += dy[i] * n;
        db[i] += dy[i];
    }
}

static void norm_backward(const struct exec *e, const struct norm_job *j, float *dw, float *db)
{
    int64_t T = tensor_rows(j->x), D = tensor_columns(j->x);
    struct column_sums s = column_sums_of(e, T, 2 * D);

#pragma omp parallel num_threads(threads_for(e, T *D))
    {
#pragma omp for schedule(static)
        for (int64_t b = 0; b < s.blocks; b++) {
            float *part = column_sums_block(&s, b);

            for (int64_t t = b * s.block_rows; t < min_i64(T, (b + 1) * s.block_rows); t++)
                norm_row_backward(j, t, part, part + D);
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < D; i += WIDTH) {
            if (dw != NULL) column_sums_add(&s, i, min_i64(WIDTH, D - i), dw + i);
            if (db != NULL) column_sums_add(&s, D + i, min_i64(WIDTH, D - i), db + i);
        }
    }
}

/* Rows so wide that a sum of them fills the scratch are left to the definition. */
static bool too_wide(const struct tensor *x)
{
    return tensor_columns(x) > KERNEL_SCRATCH_BYTES / 64;
}

void SIMD_NAME(layer_norm_backward)(const struct exec *e, const struct tensor *y, const struct tensor *x,
                                    const float *w, float *dw, float *db, float eps)
{
    if (too_wide(x))
        ref_layer_norm_backward(e, y, x, w, dw, db, eps);
    else
        norm_backward(e, &(struct norm_job){ y, x, w, eps, true }, dw, db);
}

void SIMD_NAME(rms_norm_backward)(const struct exec *e, const struct tensor *y, const struct tensor *x,
                                  const float *w, float *dw, float eps)
{
    if (too_wide(x))
        ref_rms_norm_backward(e, y, x, w, dw, eps);
    else
        norm_backward(e, &(struct norm_job){ y, x, w, eps, false }, dw, NULL);
}
