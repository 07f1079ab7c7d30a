/* simd_loss.c - cross-entropy: three passes over a row that stays in the cache, for its largest number, the sum, the gradient. */
#include "backend/cpu/simd/simd.h"

#include <math.h>

/* A NaN may be passed over: it shows in the sum. */
INLINE float largest(const float *x, int64_t D)
{
    vf top = splat(-INFINITY);
    float best = -INFINITY;
    int64_t i = 0;

    for (; i + WIDTH <= D; i += WIDTH) top = vmax(load(x + i), top);
    for (int lane = 0; lane < WIDTH; lane++)
        if (top[lane] > best) best = top[lane];
    for (; i < D; i++)
        if (x[i] > best) best = x[i];
    return best;
}

/* Sum of exp(x - top). */
INLINE float sum_exp(const float *x, int64_t D, float top)
{
    vf s[2] = { { 0 }, { 0 } };
    int64_t i = 0;
    float rest = 0;

    for (; i + 2 * WIDTH <= D; i += 2 * WIDTH) {
        s[0] += vexp(load(x + i) - top);
        s[1] += vexp(load(x + i + WIDTH) - top);
    }
    for (; i < D; i++) rest += expf(x[i] - top);
    return sum_lanes(s[0] + s[1]) + rest;
}

/* dx += scale * exp(x - top). */
INLINE void add_softmax(float *dx, const float *x, int64_t D, float top, float scale)
{
    int64_t i = 0;

    for (; i + WIDTH <= D; i += WIDTH) store(dx + i, load(dx + i) + scale * vexp(load(x + i) - top));
    for (; i < D; i++) dx[i] += scale * expf(x[i] - top);
}

void SIMD_NAME(cross_entropy)(const struct exec *e, float *loss, const struct tensor *logits,
                              const int32_t *target, float weight)
{
    int64_t T = tensor_rows(logits), D = tensor_columns(logits);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        const float *x = data_row(logits, t);
        float top = largest(x, D), sum = sum_exp(x, D, top);

        loss[t] = logf(sum) + (top - x[target[t]]);
        if (logits->grad == NULL) continue;
        add_softmax(grad_row(logits, t), x, D, top, weight / sum);
        grad_row(logits, t)[target[t]] -= weight;
    }
}
