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

/* ---- masks ----------------------------------------------------------------------------------------------------- */

static const double focal_alpha = 0.25, focal_share = 20;

/* log(sigmoid(z)) without overflow. */
static double log_sigmoid(double z)
{
    return z < 0 ? z - log1p(exp(z)) : -log1p(exp(-z));
}

/* (1-q)^2 log q of q = sigmoid(z), and its derivative by z: (1-q)^2 (1 - q - 2 q log q). */
static double focal_term(double z, double *slope)
{
    double log_q = log_sigmoid(z), q = exp(log_q), rest = (1 - q) * (1 - q);

    *slope = rest * (1 - q - 2 * q * log_q);
    return rest * log_q;
}

/* What a mask and the true one come to together. */
struct overlap {
    double both, mask, truth; /* sums of p t, p and t */
    int64_t cells_both, cells_any;
};

static struct overlap overlap_of(const float *x, const float *t, int64_t n)
{
    struct overlap o = { 0 };

    for (int64_t i = 0; i < n; i++) {
        double p = exp(log_sigmoid((double)x[i]));
        bool in = x[i] > 0, is = t[i] > 0.5f;

        o.both += p * (double)t[i];
        o.mask += p;
        o.truth += (double)t[i];
        o.cells_both += in && is;
        o.cells_any += in || is;
    }
    return o;
}

/* forward: dice = 1 - (2 both + 1) / (mask + truth + 1)   so: d dice / d p[i] = ((2 both + 1) / sum - 2 t[i]) / sum */
struct mask_match mask_loss(struct ctx *c, struct tensor *logits, int64_t row, const float *truth,
                            double weight)
{
    struct mask_match m = { 0, 0 };
    int64_t n;
    const float *x;
    float *dx;
    struct overlap o;
    double sum, part, focal = 0;

    if (logits == NULL || ctx_stopped(c)) return m;
    n = tensor_columns(logits);
    x = tensor_f32(logits) + row * logits->stride;
    dx = logits->grad != NULL ? logits->grad + row * logits->stride : NULL;
    o = overlap_of(x, truth, n);
    sum = o.mask + o.truth + 1;
    part = (2 * o.both + 1) / sum;
    for (int64_t i = 0; i < n; i++) {
        double z = (double)x[i], t = (double)truth[i], p = exp(log_sigmoid(z)), yes, no, slope;

        focal -= t * focal_alpha * focal_term(z, &yes) + (1 - t) * (1 - focal_alpha) * focal_term(-z, &no);
        if (dx == NULL) continue;
        slope = focal_share / (double)n * ((1 - t) * (1 - focal_alpha) * no - t * focal_alpha * yes);
        dx[i] += (float)(weight * (slope + (part - 2 * t) / sum * p * (1 - p)));
    }
    m.loss = focal_share * focal / (double)n + 1 - part;
    m.iou = o.cells_any > 0 ? (double)o.cells_both / (double)o.cells_any : 1;
    return m;
}

double squared_error(struct ctx *c, struct tensor *x, int64_t column, double target, double weight)
{
    double difference;

    if (x == NULL || ctx_stopped(c)) return 0;
    difference = (double)tensor_f32(x)[column] - target;
    if (x->grad != NULL) x->grad[column] += (float)(2 * weight * difference);
    return difference * difference;
}
