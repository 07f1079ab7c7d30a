/* simd_activation.c - GELU, QuickGELU, SiLU and SwiGLU, element by element. */
#include "backend/cpu/simd/simd.h"

INLINE vf times_sigmoid(vf x, float rate)
{
    return x / (1 + vexp(x * -rate));
}

/* x times the share of a normal distribution below x: for x < 0 the tail itself, which stays exact far out; for x > 0 its
 * complement, which cancels nothing. */
INLINE vf gelu_erf(vf x)
{
    vf tail = normal_tail(vabs(x));
    vu positive = (vu)(x > 0);

    return x * (vf)((positive & (vu)(1 - tail)) | (~positive & (vu)tail));
}

INLINE vf activation(vf x, enum activation a)
{
    if (a == ACT_GELU_ERF) return gelu_erf(x);
    return times_sigmoid(x, a == ACT_GELU_QUICK ? 1.702f : 1);
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
