/* simd_residual.c - sums of rows, rotary embedding, and their gradients: loops that the compiler turns into vectors by itself once they are
 * told which pointers there are. */
#include "backend/cpu/ref/ref.h"
#include "backend/cpu/simd/column_sums.h"
#include "backend/cpu/simd/simd.h"

void SIMD_NAME(residual)(const struct exec *e, struct tensor *y, const struct tensor *h,
                         const struct tensor *x, const float *gamma)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        float *yt = data_row(y, t);
        const float *ht = data_row(h, t), *xt = data_row(x, t);

        if (gamma == NULL)
            for (int64_t i = 0; i < D; i++) yt[i] = ht[i] + xt[i];
        else
            for (int64_t i = 0; i < D; i++) yt[i] = ht[i] + gamma[i] * xt[i];
    }
}

static void add(float *restrict to, const float *restrict from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] += from[i];
}

static void add_product(float *restrict to, const float *restrict a, const float *restrict b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] += a[i] * b[i];
}

/* forward: y = h + gamma x   so: dh += dy, dx += gamma dy, dgamma += sum_t dy x */
void SIMD_NAME(residual_backward)(const struct exec *e, const struct tensor *y, const struct tensor *h,
                                  const struct tensor *x, const float *gamma, float *dgamma)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x);
    struct column_sums s = column_sums_of(e, T, D);

    if (D > KERNEL_SCRATCH_BYTES / 64) {
        ref_residual_backward(e, y, h, x, gamma, dgamma);
        return;
    }
#pragma omp parallel num_threads(threads_for(e, T *D))
    {
#pragma omp for schedule(static)
        for (int64_t b = 0; b < s.blocks; b++) {
            float *part = dgamma != NULL ? column_sums_block(&s, b) : NULL;

            for (int64_t t = b * s.block_rows; t < min_i64(T, (b + 1) * s.block_rows); t++) {
                const float *dy = grad_row(y, t);

                if (h->grad != NULL) add(grad_row(h, t), dy, D);
                if (x->grad != NULL && gamma == NULL) add(grad_row(x, t), dy, D);
                if (x->grad != NULL && gamma != NULL) add_product(grad_row(x, t), gamma, dy, D);
                if (part != NULL) add_product(part, dy, data_row(x, t), D);
            }
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < D; i += WIDTH)
            if (dgamma != NULL) column_sums_add(&s, i, min_i64(WIDTH, D - i), dgamma + i);
    }
}

void SIMD_NAME(add_periodic)(const struct exec *e, struct tensor *y, const struct tensor *x,
                             const struct tensor *p)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x), period = tensor_rows(p);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        float *yt = data_row(y, t);
        const float *xt = data_row(x, t), *pt = data_row(p, t % period);

        for (int64_t i = 0; i < D; i++) yt[i] = xt[i] + pt[i];
    }
}

void SIMD_NAME(add_periodic_backward)(const struct exec *e, const struct tensor *y, const struct tensor *x,
                                      const struct tensor *p)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x), period = tensor_rows(p);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t r = 0; r < period; r++) {
        for (int64_t t = r; t < T; t += period) {
            if (x->grad != NULL) add(grad_row(x, t), grad_row(y, t), D);
            if (p->grad != NULL) add(grad_row(p, r), grad_row(y, t), D);
        }
    }
}

/* (a, b) -> (a cos - b sin, a sin + b cos) for every pair of a head; backward turns the other way. y may be x. */
INLINE void turn_pairs(float *y, const float *x, const float *angle, int head_dim, float way, bool accumulate)
{
    for (int i = 0; i < head_dim; i += 2) {
        float a = x[i], b = x[i + 1], cosine = angle[i], sine = way * angle[i + 1];
        float first = a * cosine - b * sine, second = b * cosine + a * sine;

        y[i] = accumulate ? y[i] + first : first;
        y[i + 1] = accumulate ? y[i + 1] + second : second;
    }
}

void SIMD_NAME(rope)(const struct exec *e, struct tensor *y, const struct tensor *x, const float *angles,
                     int head_dim)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++)
        for (int64_t head = 0; head < D; head += head_dim)
            turn_pairs(data_row(y, t) + head, data_row(x, t) + head, angles + t * head_dim, head_dim, 1,
                       false);
}

void SIMD_NAME(rope_backward)(const struct exec *e, const struct tensor *y, const struct tensor *x,
                              const float *angles, int head_dim)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x);

    if (x->grad == NULL) return;
#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++)
        for (int64_t head = 0; head < D; head += head_dim)
            turn_pairs(grad_row(x, t) + head, grad_row(y, t) + head, angles + t * head_dim, head_dim, -1,
                       true);
}
