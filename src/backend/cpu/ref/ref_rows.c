/* ref_rows.c - rows that are moved, weighted, chosen and stored. */
#include "backend/cpu/ref/ref.h"

#include <math.h>
#include <string.h>

void ref_gather(const struct exec *e, struct tensor *y, const struct tensor *const *sources,
                const struct row_ref *ref)
{
    int64_t T = tensor_rows(y), D = tensor_columns(y);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++) tensor_row_f32(sources[ref[t].part], ref[t].row, 0, D, data_row(y, t));
}

/* Threads take columns: several rows of y may come from the same row. */
static void columns_of_thread(int64_t D, int64_t *first, int64_t *last)
{
    int64_t n = omp_get_num_threads(), i = omp_get_thread_num();

    *first = D * i / n;
    *last = D * (i + 1) / n;
}

void ref_gather_backward(const struct exec *e, const struct tensor *y, const struct tensor *const *sources,
                         const struct row_ref *ref)
{
    int64_t T = tensor_rows(y), D = tensor_columns(y);

#pragma omp parallel num_threads(threads_for(e, T *D))
    {
        int64_t first, last;

        columns_of_thread(D, &first, &last);
        for (int64_t t = 0; t < T; t++) {
            const struct tensor *source = sources[ref[t].part];

            if (source->grad == NULL) continue;
            for (int64_t i = first; i < last; i++) grad_row(source, ref[t].row)[i] += grad_row(y, t)[i];
        }
    }
}

void ref_combine(const struct exec *e, struct tensor *y, const struct tensor *x, const struct tensor *weight,
                 const int32_t *index, int taps)
{
    int64_t T = tensor_rows(y), D = tensor_columns(y);

#pragma omp parallel for num_threads(threads_for(e, T *D *taps)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        float *yt = data_row(y, t);

        memset(yt, 0, (size_t)D * sizeof *yt);
        for (int j = 0; j < taps; j++) {
            int32_t from = index[t * taps + j];
            float scale = data_row(weight, t)[j];

            for (int64_t i = 0; from >= 0 && i < D; i++) yt[i] += scale * data_row(x, from)[i];
        }
    }
}

void ref_combine_backward(const struct exec *e, const struct tensor *y, const struct tensor *x,
                          const struct tensor *weight, const int32_t *index, int taps)
{
    int64_t T = tensor_rows(y), D = tensor_columns(y);

#pragma omp parallel num_threads(threads_for(e, T *D *taps))
    {
        int64_t first, last;

        columns_of_thread(D, &first, &last);
        for (int64_t i = 0; x->grad != NULL && i < T * taps; i++) {
            float scale = data_row(weight, i / taps)[i % taps];

            if (index[i] < 0) continue;
            for (int64_t c = first; c < last; c++)
                grad_row(x, index[i])[c] += scale * grad_row(y, i / taps)[c];
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < T * taps; i++) {
            double sum = 0;

            if (weight->grad == NULL || index[i] < 0) continue;
            for (int64_t c = 0; c < D; c++)
                sum += (double)grad_row(y, i / taps)[c] * (double)data_row(x, index[i])[c];
            grad_row(weight, i / taps)[i % taps] += (float)sum;
        }
    }
}

static bool contains(const int32_t *list, int64_t n, int64_t value)
{
    for (int64_t i = 0; i < n; i++)
        if (list[i] == value) return true;
    return false;
}

/* A row of NaN still gives k different indices. */
void ref_softmax_top_k(const struct exec *e, struct tensor *y, int32_t *index, const struct tensor *x)
{
    int64_t T = tensor_rows(x), E = tensor_columns(x), k = tensor_columns(y);

#pragma omp parallel for num_threads(threads_for(e, T *E *k)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        const float *xt = data_row(x, t);
        int32_t *chosen = index + t * k;
        double sum = 0;

        for (int64_t j = 0; j < k; j++) {
            int64_t best = -1;

            for (int64_t i = 0; i < E; i++)
                if (!contains(chosen, j, i) && (best < 0 || xt[i] > xt[best])) best = i;
            chosen[j] = (int32_t)best;
            sum += exp((double)xt[best] - (double)xt[chosen[0]]);
        }
        for (int64_t j = 0; j < k; j++)
            data_row(y, t)[j] = (float)(exp((double)xt[chosen[j]] - (double)xt[chosen[0]]) / sum);
    }
}

/* forward: y = softmax of the chosen   so: dx[chosen j] += y_j (dy_j - sum_i dy_i y_i) */
void ref_softmax_top_k_backward(const struct exec *e, const struct tensor *y, const int32_t *index,
                                const struct tensor *x)
{
    int64_t T = tensor_rows(y), k = tensor_columns(y);

    if (x->grad == NULL) return;
#pragma omp parallel for num_threads(threads_for(e, T *k)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        const float *yt = data_row(y, t), *dy = grad_row(y, t);
        double dot = 0;

        for (int64_t j = 0; j < k; j++) dot += (double)dy[j] * (double)yt[j];
        for (int64_t j = 0; j < k; j++)
            grad_row(x, t)[index[t * k + j]] += (float)((double)yt[j] * ((double)dy[j] - dot));
    }
}

void ref_store_rows(const struct exec *e, struct tensor *dst, const int32_t *row, const struct tensor *x)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x);
    const struct dtype_info *info = dtype_info(dst->dtype);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++)
        info->from_f32((char *)dst->data + dtype_bytes(dst->dtype, (size_t)(row[t] * dst->stride)),
                       data_row(x, t), (size_t)D);
}
