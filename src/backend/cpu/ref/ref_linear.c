/* ref_linear.c - matrix products with a weight, the plain way. */
#include "backend/cpu/ref/ref.h"

/* Columns of a weight that are unpacked together (a multiple of every dtype's block), rows that are summed together. */
enum { COLUMN_BLOCK = 256, ROW_BLOCK = KERNEL_SCRATCH_BYTES / sizeof(double) };

/* y[t, n] = bias[n] + sum_k x[t, k] w[n, k], rows at most ROW_BLOCK at a time: their sums wait in scratch. */
static void column_of_y(struct tensor *y, const struct tensor *x, const struct tensor *w, const float *bias,
                        int64_t n, int64_t t0, int64_t t1, double *sum)
{
    int64_t K = tensor_columns(x);

    for (int64_t t = t0; t < t1; t++) sum[t - t0] = bias != NULL ? (double)bias[n] : 0;
    for (int64_t k0 = 0; k0 < K; k0 += COLUMN_BLOCK) {
        int64_t count = min_i64(COLUMN_BLOCK, K - k0);
        float row[COLUMN_BLOCK];

        tensor_row_f32(w, n, k0, count, row);
        for (int64_t t = t0; t < t1; t++)
            for (int64_t k = 0; k < count; k++)
                sum[t - t0] += (double)data_row(x, t)[k0 + k] * (double)row[k];
    }
    for (int64_t t = t0; t < t1; t++) data_row(y, t)[n] = (float)sum[t - t0];
}

void ref_linear(const struct exec *e, struct tensor *y, const struct tensor *x, const struct tensor *w,
                const float *bias)
{
    int64_t T = tensor_rows(x), K = tensor_columns(x), N = tensor_columns(y);

    if (linear_rounds(e, w->dtype)) {
        ref_linear_rounded(e, y, x, w, bias);
        return;
    }
#pragma omp parallel for num_threads(threads_for(e, T *K *N)) schedule(static)
    for (int64_t n = 0; n < N; n++)
        for (int64_t t = 0; t < T; t += ROW_BLOCK)
            column_of_y(y, x, w, bias, n, t, min_i64(T, t + ROW_BLOCK), thread_scratch(e));
}

/* out[t, k] (+)= sum_n in[t, n] w[n, k] */
void ref_linear_transposed(const struct exec *e, float *out, int64_t ld_out, const float *in, int64_t ld_in,
                           int64_t rows, const struct tensor *w, bool accumulate)
{
    int64_t N = tensor_rows(w), K = tensor_columns(w);

#pragma omp parallel for num_threads(threads_for(e, rows *K *N)) schedule(static)
    for (int64_t k0 = 0; k0 < K; k0 += COLUMN_BLOCK) {
        int64_t count = min_i64(COLUMN_BLOCK, K - k0);

        for (int64_t t = 0; t < rows; t++) {
            double sum[COLUMN_BLOCK] = { 0 };
            float row[COLUMN_BLOCK];

            for (int64_t n = 0; n < N; n++) {
                tensor_row_f32(w, n, k0, count, row);
                for (int64_t k = 0; k < count; k++) sum[k] += (double)in[t * ld_in + n] * (double)row[k];
            }
            for (int64_t k = 0; k < count; k++) {
                float *o = &out[t * ld_out + k0 + k];

                *o = (float)(accumulate ? (double)*o + sum[k] : sum[k]);
            }
        }
    }
}

/* forward: y[t, n] += x[t, k] w[n, k]   so: dw[n, k] += sum_t dy[t, n] x[t, k] */
void ref_linear_weight_grad(const struct exec *e, float *dw, int64_t ld_dw, const float *dy, int64_t ld_dy,
                            const float *x, int64_t ld_x, int64_t rows, int64_t n, int64_t k)
{
#pragma omp parallel for num_threads(threads_for(e, rows *n *k)) schedule(static)
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < k; j++) {
            double sum = 0;

            for (int64_t t = 0; t < rows; t++) sum += (double)dy[t * ld_dy + i] * (double)x[t * ld_x + j];
            dw[i * ld_dw + j] += (float)sum;
        }
    }
}
