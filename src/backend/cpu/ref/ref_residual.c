/* ref_residual.c - sums of rows: the residual stream, position embeddings; and rotary embedding. */
#include "backend/cpu/ref/ref.h"

void ref_residual(const struct exec *e, struct tensor *y, const struct tensor *h, const struct tensor *x,
                  const float *gamma)
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

/* forward: y = h + gamma x   so: dh += dy, dx += gamma dy, dgamma += sum_t dy x */
void ref_residual_backward(const struct exec *e, const struct tensor *y, const struct tensor *h,
                           const struct tensor *x, const float *gamma, float *dgamma)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x);

#pragma omp parallel num_threads(threads_for(e, T *D))
    {
#pragma omp for schedule(static) nowait
        for (int64_t t = 0; t < T; t++) {
            const float *dy = grad_row(y, t);

            for (int64_t i = 0; h->grad != NULL && i < D; i++) grad_row(h, t)[i] += dy[i];
            for (int64_t i = 0; x->grad != NULL && i < D; i++)
                grad_row(x, t)[i] += gamma != NULL ? gamma[i] * dy[i] : dy[i];
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < D; i++) {
            double sum = 0;

            if (dgamma == NULL) continue;
            for (int64_t t = 0; t < T; t++) sum += (double)grad_row(y, t)[i] * (double)data_row(x, t)[i];
            dgamma[i] += (float)sum;
        }
    }
}

void ref_add_periodic(const struct exec *e, struct tensor *y, const struct tensor *x, const struct tensor *p)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x), period = tensor_rows(p);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++)
        for (int64_t i = 0; i < D; i++) data_row(y, t)[i] = data_row(x, t)[i] + data_row(p, t % period)[i];
}

void ref_add_periodic_backward(const struct exec *e, const struct tensor *y, const struct tensor *x,
                               const struct tensor *p)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x), period = tensor_rows(p);

#pragma omp parallel num_threads(threads_for(e, T *D))
    {
#pragma omp for schedule(static) nowait
        for (int64_t t = 0; t < T; t++)
            for (int64_t i = 0; x->grad != NULL && i < D; i++) grad_row(x, t)[i] += grad_row(y, t)[i];
#pragma omp for schedule(static)
        for (int64_t r = 0; r < period; r++)
            for (int64_t t = r; p->grad != NULL && t < T; t += period)
                for (int64_t i = 0; i < D; i++) grad_row(p, r)[i] += grad_row(y, t)[i];
    }
}

/* (a, b) -> (a cos - b sin, a sin + b cos) for every pair of every head. */
void ref_rope(const struct exec *e, struct tensor *y, const struct tensor *x, const float *angles,
              int head_dim)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        const float *angle = angles + t * head_dim, *xt = data_row(x, t);
        float *yt = data_row(y, t);

        for (int64_t head = 0; head < D; head += head_dim) {
            for (int i = 0; i < head_dim; i += 2) {
                float a = xt[head + i], b = xt[head + i + 1];

                yt[head + i] = a * angle[i] - b * angle[i + 1];
                yt[head + i + 1] = a * angle[i + 1] + b * angle[i];
            }
        }
    }
}

/* The gradient turns back: the rotation's transpose. */
void ref_rope_backward(const struct exec *e, const struct tensor *y, const struct tensor *x,
                       const float *angles, int head_dim)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x);

    if (x->grad == NULL) return;
#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        const float *angle = angles + t * head_dim, *dy = grad_row(y, t);
        float *dx = grad_row(x, t);

        for (int64_t head = 0; head < D; head += head_dim) {
            for (int i = 0; i < head_dim; i += 2) {
                float a = dy[head + i], b = dy[head + i + 1];

                dx[head + i] += a * angle[i] + b * angle[i + 1];
                dx[head + i + 1] += b * angle[i] - a * angle[i + 1];
            }
        }
    }
}
