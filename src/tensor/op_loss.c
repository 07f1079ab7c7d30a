/* op_loss.c - what a network is trained by: losses, which give a number and begin the way back. See ops.h. */
#include "tensor/op_common.h"

#include <math.h>

double cross_entropy(struct ctx *c, struct tensor *logits, const int32_t *target, double weight)
{
    int64_t T;
    double sum = 0;
    float *loss;

    if (logits == NULL) return 0;
    T = tensor_rows(logits);
    loss = ctx_alloc(c, (size_t)T, sizeof *loss);
    if (loss == NULL || T == 0) return 0;
    for (int64_t t = 0; t < T; t++) assert(target[t] >= 0 && target[t] < tensor_columns(logits));
    c->backend->cross_entropy(&c->exec, loss, logits, target, (float)(weight / (double)T));
    for (int64_t t = 0; t < T; t++) sum += (double)loss[t];
    return sum / (double)T;
}

/* The softmax of a row, in double, into p [E]. */
static void softmax_row(double *p, const float *x, int64_t E)
{
    double top = (double)x[0], sum = 0;

    for (int64_t i = 1; i < E; i++) top = (double)x[i] > top ? (double)x[i] : top;
    for (int64_t i = 0; i < E; i++) sum += p[i] = exp((double)x[i] - top);
    for (int64_t i = 0; i < E; i++) p[i] /= sum;
}

/* forward: y = scale sum_t sum_i count_i p[t,i]   so: dx[t,i] += weight scale p[t,i] (count_i - sum_j count_j p[t,j]) */
double load_balance(struct ctx *c, struct tensor *logits, const int32_t *choice, int k, double weight)
{
    int64_t T, E;
    double *p, *count, sum = 0, scale;

    if (logits == NULL) return 0;
    T = tensor_rows(logits);
    E = tensor_columns(logits);
    p = ctx_alloc(c, (size_t)E, sizeof *p);
    count = ctx_alloc(c, (size_t)E, sizeof *count);
    if (p == NULL || count == NULL || T == 0) return 0;
    scale = (double)E / ((double)T * k * (double)T);
    for (int64_t i = 0; i < E; i++) count[i] = 0;
    for (int64_t i = 0; i < T * k; i++) count[choice[i]]++;
    for (int64_t t = 0; t < T; t++) {
        double dot = 0;

        softmax_row(p, tensor_f32(logits) + t * logits->stride, E);
        for (int64_t i = 0; i < E; i++) dot += count[i] * p[i];
        sum += dot;
        for (int64_t i = 0; logits->grad != NULL && i < E; i++)
            logits->grad[t * logits->stride + i] += (float)(weight * scale * p[i] * (count[i] - dot));
    }
    return scale * sum;
}
