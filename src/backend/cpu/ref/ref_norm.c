/* ref_norm.c - layer norm and RMS norm. */
#include "backend/cpu/ref/ref.h"

#include <math.h>

struct moments {
    double mean, scale; /* normalised x = (x - mean) * scale; RMS norm has mean 0 */
};

static struct moments layer_moments(const float *x, int64_t D, float eps)
{
    struct moments m = { 0, 0 };
    double variance = 0;

    for (int64_t i = 0; i < D; i++) m.mean += (double)x[i];
    m.mean /= (double)D;
    for (int64_t i = 0; i < D; i++) variance += ((double)x[i] - m.mean) * ((double)x[i] - m.mean);
    m.scale = 1 / sqrt(variance / (double)D + (double)eps);
    return m;
}

static struct moments rms_moments(const float *x, int64_t D, float eps)
{
    struct moments m = { 0, 0 };
    double sum = 0;

    for (int64_t i = 0; i < D; i++) sum += (double)x[i] * (double)x[i];
    m.scale = 1 / sqrt(sum / (double)D + (double)eps);
    return m;
}

void ref_layer_norm(const struct exec *e, struct tensor *y, const struct tensor *x, const float *w,
                    const float *b, float eps)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        const float *xt = data_row(x, t);
        struct moments m = layer_moments(xt, D, eps);

        for (int64_t i = 0; i < D; i++)
            data_row(y, t)[i] = (float)(((double)xt[i] - m.mean) * m.scale * (double)w[i] + (double)b[i]);
    }
}

void ref_rms_norm(const struct exec *e, struct tensor *y, const struct tensor *x, const float *w, float eps)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        const float *xt = data_row(x, t);
        struct moments m = rms_moments(xt, D, eps);

        for (int64_t i = 0; i < D; i++) data_row(y, t)[i] = (float)((double)xt[i] * m.scale * (double)w[i]);
    }
}

/* forward: y = n w + b, n = (x - mean) scale   so, with g = dy w:
 *   dx += scale (g - mean(g) - n mean(g n))   (mean(g) is absent without centring)   dw += dy n   db += dy */
static void row_backward(float *dx, const float *x, const float *dy, const float *w, int64_t D,
                         struct moments m, bool centred)
{
    double mean_g = 0, mean_gn = 0;

    for (int64_t i = 0; i < D; i++) {
        double g = (double)dy[i] * (double)w[i];

        mean_g += g;
        mean_gn += g * ((double)x[i] - m.mean) * m.scale;
    }
    mean_g = centred ? mean_g / (double)D : 0;
    mean_gn /= (double)D;
    for (int64_t i = 0; i < D; i++) {
        double g = (double)dy[i] * (double)w[i], n = ((double)x[i] - m.mean) * m.scale;

        dx[i] += (float)(m.scale * (g - mean_g - n * mean_gn));
    }
}

/* Rows share dw and db, so these are summed by columns; the rows' moments wait in scratch meanwhile. */
static void norm_backward(const struct exec *e, const struct tensor *y, const struct tensor *x,
                          const float *w, float *dw, float *db, float eps, bool centred)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x);
    int64_t block = (int64_t)(KERNEL_SCRATCH_BYTES / sizeof(struct moments));
    struct moments *m = (struct moments *)(void *)e->scratch;

    for (int64_t t0 = 0; t0 < T; t0 += block) {
        int64_t t1 = min_i64(T, t0 + block);

#pragma omp parallel num_threads(threads_for(e, T *D))
        {
#pragma omp for schedule(static)
            for (int64_t t = t0; t < t1; t++) {
                m[t - t0] = (centred ? layer_moments : rms_moments)(data_row(x, t), D, eps);
                if (x->grad != NULL)
                    row_backward(grad_row(x, t), data_row(x, t), grad_row(y, t), w, D, m[t - t0], centred);
            }
#pragma omp for schedule(static)
            for (int64_t i = 0; i < D; i++) {
                double sum_w = 0, sum_b = 0;

                for (int64_t t = t0; t < t1; t++) {
                    double dy = (double)grad_row(y, t)[i];

                    sum_w += dy * ((double)data_row(x, t)[i] - m[t - t0].mean) * m[t - t0].scale;
                    sum_b += dy;
                }
                if (dw != NULL) dw[i] += (float)sum_w;
                if (db != NULL) db[i] += (float)sum_b;
            }
        }
    }
}

void ref_layer_norm_backward(const struct exec *e, const struct tensor *y, const struct tensor *x,
                             const float *w, float *dw, float *db, float eps)
{
    norm_backward(e, y, x, w, dw, db, eps, true);
}

void ref_rms_norm_backward(const struct exec *e, const struct tensor *y, const struct tensor *x,
                           const float *w, float *dw, float eps)
{
    norm_backward(e, y, x, w, dw, NULL, eps, false);
}
