/* ref_loss.c - the loss of a prediction, and its gradient in the same pass. */
#include "backend/cpu/ref/ref.h"

#include <math.h>

/* loss = log sum_i exp(x_i) - x_target   so: dx_i += weight (softmax_i - [i = target]) */
void ref_cross_entropy(const struct exec *e, float *loss, const struct tensor *logits, const int32_t *target,
                       float weight)
{
    int64_t T = tensor_rows(logits), D = tensor_columns(logits);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        const float *x = data_row(logits, t);
        double top = (double)x[0], sum = 0, log_sum;

        for (int64_t i = 1; i < D; i++) top = (double)x[i] > top ? (double)x[i] : top;
        for (int64_t i = 0; i < D; i++) sum += exp((double)x[i] - top);
        log_sum = top + log(sum);
        loss[t] = (float)(log_sum - (double)x[target[t]]);
        if (logits->grad == NULL) continue;
        for (int64_t i = 0; i < D; i++)
            grad_row(logits, t)[i] += (float)((double)weight * exp((double)x[i] - log_sum));
        grad_row(logits, t)[target[t]] -= weight;
    }
}
