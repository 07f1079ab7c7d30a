/* ref_activation.c - GELU, QuickGELU, SiLU, ReLU, SwiGLU and their gradients. */
#include "backend/cpu/ref/ref.h"

#include <math.h>

static const double sqrt_half = 0.70710678118654752440, inverse_sqrt_2pi = 0.39894228040143267794;

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* x times the standard normal's distribution function; erfc keeps the negative tail exact. */
static double value(double x, enum activation a)
{
    switch (a) {
    case ACT_GELU_ERF: return 0.5 * x * erfc(-x * sqrt_half);
    case ACT_GELU_QUICK: return x * sigmoid(1.702 * x);
    case ACT_RELU: return x < 0 ? 0 : x;
    case ACT_SILU: break;
    }
    return x * sigmoid(x);
}

static double slope(double x, enum activation a)
{
    double rate = a == ACT_GELU_QUICK ? 1.702 : 1, s;

    if (a == ACT_RELU) return x > 0;
    if (a == ACT_GELU_ERF) return 0.5 * erfc(-x * sqrt_half) + x * inverse_sqrt_2pi * exp(-0.5 * x * x);
    s = sigmoid(rate * x);
    return s + rate * x * s * (1 - s);
}

void ref_activate(const struct exec *e, struct tensor *y, const struct tensor *x, enum activation a)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++)
        for (int64_t i = 0; i < D; i++) data_row(y, t)[i] = (float)value((double)data_row(x, t)[i], a);
}

void ref_activate_backward(const struct exec *e, const struct tensor *y, const struct tensor *x,
                           enum activation a)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x);

    if (x->grad == NULL) return;
#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++)
        for (int64_t i = 0; i < D; i++)
            grad_row(x, t)[i] += (float)((double)grad_row(y, t)[i] * slope((double)data_row(x, t)[i], a));
}

void ref_swiglu(const struct exec *e, struct tensor *y, const struct tensor *gate, const struct tensor *up)
{
    int64_t T = tensor_rows(gate), D = tensor_columns(gate);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++)
        for (int64_t i = 0; i < D; i++)
            data_row(y, t)[i] =
                (float)(value((double)data_row(gate, t)[i], ACT_SILU) * (double)data_row(up, t)[i]);
}

void ref_swiglu_backward(const struct exec *e, const struct tensor *y, const struct tensor *gate,
                         const struct tensor *up)
{
    int64_t T = tensor_rows(gate), D = tensor_columns(gate);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        for (int64_t i = 0; i < D; i++) {
            double g = (double)data_row(gate, t)[i], u = (double)data_row(up, t)[i];
            double dy = (double)grad_row(y, t)[i];

            if (gate->grad != NULL) grad_row(gate, t)[i] += (float)(dy * u * slope(g, ACT_SILU));
            if (up->grad != NULL) grad_row(up, t)[i] += (float)(dy * value(g, ACT_SILU));
        }
    }
}
