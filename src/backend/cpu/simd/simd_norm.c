/* simd_norm.c - layer norm and RMS norm: a row fits the cache, so the mean comes first and the variance is summed
 * around it, in as many partial sums as there are lanes. */
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
