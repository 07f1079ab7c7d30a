/*
 * ref_quant.c - the product of activations with quantised weights in integers: what every level computes, unless activations
 * must keep their precision.
 *
 *   x in blocks of 32:  x = x_scale * x_q, rounded, x_q -127 .. 127
 *   w in blocks of 32:  w = scale * (factor * w_q) - offset, exactly what its type says (tensor/quant.h)
 *   y = bias + sum over blocks of  scale * x_scale * sum(factor * w_q * x_q) - offset * x_scale * sum(x_q)
 *
 * The sums inside a block are exact; those over blocks are double here, and float in the order of k elsewhere.
 */
#include "backend/cpu/ref/ref.h"

#include "tensor/quant.h"

#include <assert.h>
#include <float.h>
#include <math.h>

/* 32 weights. */
struct weight_block {
    float scale, offset;
    int q[QUANT_SHORT]; /* with its factor */
};

static void read_q4_0(const struct quant_q4_0 *b, struct weight_block *w)
{
    w->scale = f16_to_f32(quant_half(b->scale));
    for (int i = 0; i < QUANT_SHORT; i++)
        w->q[i] = (i < QUANT_SHORT / 2 ? b->q[i] & 15 : b->q[i - QUANT_SHORT / 2] >> 4) - 8;
}

static void read_q8_0(const struct quant_q8_0 *b, struct weight_block *w)
{
    w->scale = f16_to_f32(quant_half(b->scale));
    for (int i = 0; i < QUANT_SHORT; i++) w->q[i] = b->q[i];
}

static void read_q4_k(const struct quant_q4_k *b, int block, struct weight_block *w)
{
    const uint8_t *q = b->q + block / 2 * QUANT_SHORT;
    int scale, offset;

    quant_q4_k_group(b, block, &scale, &offset);
    w->scale = f16_to_f32(quant_half(b->scale));
    w->offset = f16_to_f32(quant_half(b->offset)) * (float)offset;
    for (int i = 0; i < QUANT_SHORT; i++) w->q[i] = scale * (block % 2 == 0 ? q[i] & 15 : q[i] >> 4);
}

static void read_q6_k(const struct quant_q6_k *b, int block, struct weight_block *w)
{
    w->scale = f16_to_f32(quant_half(b->scale));
    for (int i = 0; i < QUANT_SHORT; i++) {
        int half = block / 4, part = block % 4;
        int low = b->low[64 * half + part % 2 * 32 + i] >> part / 2 * 4 & 15;
        int high = b->high[32 * half + i] >> 2 * part & 3;

        w->q[i] = b->groups[2 * block + i / 16] * ((low | high << 4) - 32);
    }
}

/* Block `block` of the 256 columns, or fewer, at `row`. */
static void read_block(enum dtype t, const void *row, int block, struct weight_block *w)
{
    w->offset = 0;
    if (t == DTYPE_Q4_0)
        read_q4_0((const struct quant_q4_0 *)row + block, w);
    else if (t == DTYPE_Q8_0)
        read_q8_0((const struct quant_q8_0 *)row + block, w);
    else if (t == DTYPE_Q4_K)
        read_q4_k(row, block, w);
    else
        read_q6_k(row, block, w);
}

float ref_round_block(const float *x, int8_t *q)
{
    float top = 0, scale;

    memset(q, 0, QUANT_SHORT);
    for (int i = 0; i < QUANT_SHORT; i++) {
        if (!isfinite(x[i])) return (float)NAN;
        top = fmaxf(top, fabsf(x[i]));
    }
    scale = top / 127;
    if (scale < FLT_MIN) return 0;
    for (int i = 0; i < QUANT_SHORT; i++) q[i] = (int8_t)rintf(x[i] * (1 / scale));
    return scale;
}

/* What one block adds to y. */
static double block_product(const struct weight_block *w, const float *x)
{
    int8_t q[QUANT_SHORT];
    double scale = (double)ref_round_block(x, q);
    int products = 0, sum = 0;

    for (int i = 0; i < QUANT_SHORT; i++) {
        products += w->q[i] * q[i];
        sum += q[i];
    }
    return (double)w->scale * scale * products - (double)w->offset * scale * sum;
}

void ref_linear_rounded(const struct exec *e, struct tensor *y, const struct tensor *x,
                        const struct tensor *w, const float *bias)
{
    int64_t T = tensor_rows(x), K = tensor_columns(x), N = tensor_columns(y);

    assert(K % (int64_t)dtype_info(w->dtype)->block_elements == 0);
#pragma omp parallel for num_threads(threads_for(e, T *K *N)) schedule(static)
    for (int64_t n = 0; n < N; n++) {
        for (int64_t t = 0; t < T; t++) {
            double sum = bias != NULL ? (double)bias[n] : 0;

            for (int64_t k = 0; k < K; k += QUANT_LONG) {
                int64_t count = min_i64(QUANT_LONG, K - k);
                unsigned char gathered[QUANT_LONG / QUANT_SHORT * sizeof(struct quant_q8_0)];
                const void *row = tensor_row(w, n, k, count, gathered);
                struct weight_block b;

                for (int i = 0; i < count / QUANT_SHORT; i++) {
                    read_block(w->dtype, row, i, &b);
                    sum += block_product(&b, data_row(x, t) + k + i * QUANT_SHORT);
                }
            }
            data_row(y, t)[n] = (float)sum;
        }
    }
}
