/* op_loss.c - what a network is trained by: losses, which give a number and begin the way back. See ops.h. */
#include "tensor/op_common.h"

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
