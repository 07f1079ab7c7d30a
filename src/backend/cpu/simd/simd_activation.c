/* simd_activation.c - GELU, QuickGELU, SiLU, ReLU, SwiGLU and their gradients, element by element. */
#include "backend/cpu/simd/simd.h"

INLINE vf sigmoid(vf x)
{
    return 1 / (1 + vexp(-x));
}

INLINE vf times_sigmoid(vf x, float rate)
{
    return x / (1 + vexp(x * -rate));
}

/* The share of a normal distribution below x: for x < 0 the tail itself, which stays exact far out; for x > 0 its complement,
 * which cancels nothing. */
INLINE vf normal_share(vf x)
{
    vf tail = normal_tail(vabs(x));
    vu positive = (vu)(x > 0);

    return (vf)((positive & (vu)(1 - tail)) | (~positive & (vu)tail));
}

INLINE vf activation(vf x, enum activation a)
{
    if (a == ACT_GELU_ERF) return x * normal_share(x);
    if (a == ACT_RELU) return vmax(x, (vf){ 0 });
    return times_sigmoid(x, a == ACT_GELU_QUICK ? 1.702f : 1);
}

/* (x s(rate x))' = s + rate x s (1 - s); (x Phi(x))' = Phi + x phi */
INLINE vf slope(vf x, enum activation a)
{
    float rate = a == ACT_GELU_QUICK ? 1.702f : 1;
    vf s;

    if (a == ACT_RELU) return (vf)((vu)(x > 0) & (vu)splat(1));
    if (a == ACT_GELU_ERF) return normal_share(x) + x * 0x1.988454p-2f * vexp(x * x * -0.5f);
    s = sigmoid(x * rate);
    return s + x * rate * s * (1 - s);
}

INLINE void activate_row(float *y, const float *x, int64_t D, enum activation a)
{
    int64_t i = 0;

    for (; i + WIDTH <= D; i += WIDTH) store(y + i, activation(load(x + i), a));
    if (i < D) store_part(y + i, activation(load_part(x + i, D - i), a), D - i);
}

void SIMD_NAME(activate)(const struct exec *e, struct tensor *y, const struct tensor *x, enum activation a)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        switch (a) {
        case ACT_GELU_ERF: activate_row(data_row(y, t), data_row(x, t), D, ACT_GELU_ERF); break;
        case ACT_GELU_QUICK: activate_row(data_row(y, t), data_row(x, t), D, ACT_GELU_QUICK); break;
        case ACT_SILU: activate_row(data_row(y, t), data_row(x, t), D, ACT_SILU); break;
        case ACT_RELU: activate_row(data_row(y, t), data_row(x, t), D, ACT_RELU); break;
        }
    }
}

void SIMD_NAME(swiglu)(const struct exec *e, struct tensor *y, const struct tensor *gate,
                       const struct tensor *up)
{
    int64_t T = tensor_rows(gate), D = tensor_columns(gate);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        const float *g = data_row(gate, t), *u = data_row(up, t);
        float *to = data_row(y, t);
        int64_t i = 0;

        for (; i + WIDTH <= D; i += WIDTH) store(to + i, times_sigmoid(load(g + i), 1) * load(u + i));
        if (i < D)
            store_part(to + i, times_sigmoid(load_part(g + i, D - i), 1) * load_part(u + i, D - i), D - i);
    }
}

INLINE void slope_row(float *dx, const float *x, const float *dy, int64_t D, enum activation a)
{
    int64_t i = 0;

    for (; i + WIDTH <= D; i += WIDTH) store(dx + i, load(dx + i) + load(dy + i) * slope(load(x + i), a));
    if (i < D) {
        vf add = load_part(dy + i, D - i) * slope(load_part(x + i, D - i), a);

        store_part(dx + i, load_part(dx + i, D - i) + add, D - i);
    }
}

void SIMD_NAME(activate_backward)(const struct exec *e, const struct tensor *y, const struct tensor *x,
                                  enum activation a)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x);

    if (x->grad == NULL) return;
#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        const float *xt = data_row(x, t), *dy = grad_row(y, t);

        switch (a) {
        case ACT_GELU_ERF: slope_row(grad_row(x, t), xt, dy, D, ACT_GELU_ERF); break;
        case ACT_GELU_QUICK: slope_row(grad_row(x, t), xt, dy, D, ACT_GELU_QUICK); break;
        case ACT_SILU: slope_row(grad_row(x, t), xt, dy, D, ACT_SILU); break;
        case ACT_RELU: slope_row(grad_row(x, t), xt, dy, D, ACT_RELU); break;
        }
    }
}

/* forward: y = silu(g) u   so: dg += dy u silu'(g), du += dy silu(g). Either may be NULL. */
INLINE void swiglu_gradients(float *dg, float *du, vf g, vf u, vf dy, int64_t n)
{
    vf s = sigmoid(g), dg_add = dy * u * (s + g * s * (1 - s)), du_add = dy * g * s;

    if (n >= WIDTH) {
        if (dg != NULL) store(dg, load(dg) + dg_add);
        if (du != NULL) store(du, load(du) + du_add);
        return;
    }
    if (dg != NULL) store_part(dg, load_part(dg, n) + dg_add, n);
    if (du != NULL) store_part(du, load_part(du, n) + du_add, n);
}

void SIMD_NAME(swiglu_backward)(const struct exec *e, const struct tensor *y, const struct tensor *gate,
                                const struct tensor *up)
{
    int64_t T = tensor_rows(gate), D = tensor_columns(gate);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        const float *g = data_row(gate, t), *u = data_row(up, t), *dy = grad_row(y, t);
        float *dg = gate->grad != NULL ? grad_row(gate, t) : NULL,
              *du = up->grad != NULL ? grad_row(up, t) : NULL;
        int64_t i = 0;

        for (; i + WIDTH <= D; i += WIDTH)
            swiglu_gradients(dg != NULL ? dg + i : NULL, du != NULL ? du + i : NULL, load(g + i), load(u + i),
                             load(dy + i), WIDTH);
        if (i < D)
            swiglu_gradients(dg != NULL ? dg + i : NULL, du != NULL ? du + i : NULL, load_part(g + i, D - i),
                             load_part(u + i, D - i), load_part(dy + i, D - i), D - i);
    }
}
