/* simd_rows.c - rows of the key/value cache, rounded to its type as the definitions (tensor/dtype.c, tensor/quant.c) do, bit by
 * bit; only of a NaN's bits no more is kept than that it is one. */
#include "backend/cpu/simd/simd.h"
#include "tensor/quant.h"

#include <math.h>

/* WIDTH numbers in 16 bits each, at any address. */
INLINE void store_f16(char *to, vf x)
{
#if SIMD_WIDTH == 16 && defined(__AVX512F__)
    _mm256_storeu_si256((void *)to, _mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT));
#elif SIMD_WIDTH == 8 && defined(__F16C__)
    _mm_storeu_si128((void *)to, _mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT));
#else
    for (int i = 0; i < WIDTH; i++) {
        uint16_t h = f32_to_f16(x[i]);

        memcpy(to + i * (int)sizeof h, &h, sizeof h);
    }
#endif
}

INLINE void store_bf16(char *to, vf x)
{
    vu u = (vu)x, nan = (vu)((u & 0x7fffffffu) > 0x7f800000u);
    vu16 half = __builtin_convertvector(
        (((u + 0x7fffu + ((u >> 16) & 1u)) & ~nan) | ((u | 0x400000u) & nan)) >> 16, vu16);

    memcpy(to, &half, sizeof half);
}

static void block_to_q8_0(struct quant_q8_0 *b, const float *x)
{
    vf far = { 0 }, zeros = { 0 };
    float largest = 0, scale, by;
    uint16_t half;

    for (int i = 0; i < QUANT_SHORT; i += WIDTH) {
        far = vmax(far, vabs(load(x + i)));
        zeros += load(x + i) * 0;
    }
    for (int i = 0; i < WIDTH; i++) largest = far[i] > largest ? far[i] : largest;
    scale = largest / 127;
    by = isfinite(1 / scale) ? 1 / scale : 0;
    if (sum_lanes(zeros) != 0) { /* NaN: something is not finite */
        q8_0_row_from_f32(b, x, QUANT_SHORT);
        return;
    }
    half = f32_to_f16(scale);
    memcpy(b->scale, &half, sizeof half);
    for (int i = 0; i < QUANT_SHORT; i++) {
        float magnitude = fabsf(x[i] * by);
        int whole = (int)magnitude;

        whole += magnitude - (float)whole >= 0.5f;
        b->q[i] = (int8_t)(x[i] < 0 ? -whole : whole);
    }
}

static void row_to(enum dtype t, char *to, const float *x, int64_t n)
{
    int64_t i = 0;

    if (t == DTYPE_F16)
        for (; i + WIDTH <= n; i += WIDTH) store_f16(to + 2 * i, load(x + i));
    if (t == DTYPE_BF16)
        for (; i + WIDTH <= n; i += WIDTH) store_bf16(to + 2 * i, load(x + i));
    if (t == DTYPE_Q8_0)
        for (; i < n; i += QUANT_SHORT)
            block_to_q8_0((struct quant_q8_0 *)(void *)to + i / QUANT_SHORT, x + i);
    dtype_info(t)->from_f32(to + dtype_bytes(t, (size_t)i), x + i, (size_t)(n - i));
}

void SIMD_NAME(store_rows)(const struct exec *e, struct tensor *dst, const int32_t *row,
                           const struct tensor *x)
{
    int64_t T = tensor_rows(x), D = tensor_columns(x);

#pragma omp parallel for num_threads(threads_for(e, T *D)) schedule(static)
    for (int64_t t = 0; t < T; t++)
        row_to(dst->dtype, (char *)dst->data + dtype_bytes(dst->dtype, (size_t)row[t] * (size_t)dst->stride),
               data_row(x, t), D);
}
