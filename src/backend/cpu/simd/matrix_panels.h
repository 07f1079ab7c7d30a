/*
 * matrix_panels.h - operands for the matrix unit (matrix_unit.h), as bf16 in whole tiles that follow each other:
 *
 *   left    TILE rows of a weight of any dtype:  tile after tile along k, each [16 rows][32]
 *   right   TILE rows of x, which are columns of its transpose:  tile after tile along k, each [16 pairs of k][16 rows][2]
 *
 * Sixteen lanes throughout, as the tiles have; narrower processors, which only test this, take them in parts.
 */
#ifndef SPHINX_BACKEND_CPU_MATRIX_PANELS_H
#define SPHINX_BACKEND_CPU_MATRIX_PANELS_H

#include "backend/cpu/simd/matrix_unit.h"
#include "backend/cpu/simd/vec.h"
#include "tensor/quant.h"

typedef float v16f __attribute__((vector_size(64)));
typedef int32_t v16i __attribute__((vector_size(64)));
typedef uint32_t v16u __attribute__((vector_size(64)));
typedef uint16_t v16h __attribute__((vector_size(32)));
typedef uint8_t v16b __attribute__((vector_size(16)));
typedef int8_t v16c __attribute__((vector_size(16)));

/* ---- 32 numbers ---------------------------------------------------------------------------------------------- */

/* a then b as bf16, nearest even. What is too small for a normal number may become zero: the unit takes it so. */
INLINE v16u to_bf16(v16f a, v16f b)
{
#ifdef __AVX512BF16__
    return (v16u)_mm512_cvtne2ps_pbh((__m512)b, (__m512)a);
#else
    v16f part[2] = { a, b };
    v16h half[2];
    v16u out;

    for (int i = 0; i < 2; i++) {
        v16u u = (v16u)part[i], nan = (v16u)((u & 0x7fffffffu) > 0x7f800000u);
        v16u rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;

        half[i] = __builtin_convertvector((nan & (u >> 16 | 0x40u)) | (~nan & rounded), v16h);
    }
    memcpy(&out, half, sizeof out);
    return out;
#endif
}

INLINE v16f load16(const float *p)
{
    v16f v;

    memcpy(&v, p, sizeof v);
    return v;
}

INLINE v16b load_bytes(const void *p)
{
    v16b b;

    memcpy(&b, p, sizeof b);
    return b;
}

INLINE v16f bytes_f32(v16b b)
{
    return __builtin_convertvector(__builtin_convertvector(b, v16i), v16f);
}

/* The f16 at p in every lane. */
INLINE v16f splat_half(const uint8_t p[2])
{
#ifdef __AVX512F__
    return (v16f)_mm512_cvtph_ps(_mm256_set1_epi16((short)quant_half(p)));
#else
    return (v16f){ 0 } + f16_to_f32(quant_half(p));
#endif
}

/* ---- a row of a weight: 32 numbers to each tile --------------------------------------------------------------- */

INLINE void put(uint16_t *row, int64_t k, v16u run)
{
    memcpy(row + k / TILE_K * TILE_ELEMENTS, &run, sizeof run);
}

static inline void put_q8_0(uint16_t *row, const struct quant_q8_0 *b, int64_t n)
{
    for (int64_t k = 0; k < n; k += QUANT_SHORT, b++) {
        v16f scale = splat_half(b->scale);
        v16f low = __builtin_convertvector(__builtin_convertvector((v16c)load_bytes(b->q), v16i), v16f);
        v16f high = __builtin_convertvector(__builtin_convertvector((v16c)load_bytes(b->q + 16), v16i), v16f);

        put(row, k, to_bf16(scale * low, scale * high));
    }
}

static inline void put_q4_0(uint16_t *row, const struct quant_q4_0 *b, int64_t n)
{
    for (int64_t k = 0; k < n; k += QUANT_SHORT, b++) {
        v16f scale = splat_half(b->scale);
        v16b q = load_bytes(b->q);

        put(row, k, to_bf16(scale * (bytes_f32(q & 15) - 8), scale * (bytes_f32(q >> 4) - 8)));
    }
}

static inline void put_q4_k(uint16_t *row, const struct quant_q4_k *b, int64_t n)
{
    for (int64_t k = 0; k < n; k += QUANT_LONG, b++) {
        float scale = f16_to_f32(quant_half(b->scale)), offset = f16_to_f32(quant_half(b->offset));

        for (int j = 0; j < QUANT_LONG / 32; j++) {
            const uint8_t *from = b->q + j / 2 * 32;
            v16b q0 = load_bytes(from), q1 = load_bytes(from + 16);
            int s, o;

            if (j % 2 == 1) {
                q0 >>= 4;
                q1 >>= 4;
            }
            quant_q4_k_group(b, j, &s, &o);
            put(row, k + 32 * j,
                to_bf16(scale * (float)s * bytes_f32(q0 & 15) - offset * (float)o,
                        scale * (float)s * bytes_f32(q1 & 15) - offset * (float)o));
        }
    }
}

/* 16 elements, from `at` on, of a block: 4 bits of `low` and 2 of `high`. */
INLINE v16f sixteen_of_q6_k(const struct quant_q6_k *b, float scale, int at)
{
    int half = at / 128, quarter = at % 128 / 32, i = at % 32;
    v16b low = load_bytes(b->low + 64 * half + 32 * (quarter % 2) + i);
    v16b high = load_bytes(b->high + 32 * half + i);

    low = quarter < 2 ? low & 15 : low >> 4;
    high = (v16b)(high >> (2 * quarter) & 3) << 4;
    return scale * (float)b->groups[at / 16] * (bytes_f32(low | high) - 32);
}

static inline void put_q6_k(uint16_t *row, const struct quant_q6_k *b, int64_t n)
{
    for (int64_t k = 0; k < n; k += QUANT_LONG, b++) {
        float scale = f16_to_f32(quant_half(b->scale));

        UNROLL
        for (int i = 0; i < QUANT_LONG; i += 32)
            put(row, k + i, to_bf16(sixteen_of_q6_k(b, scale, i), sixteen_of_q6_k(b, scale, i + 16)));
    }
}

/* The last 1 .. 31 numbers of a row, filled up with zeros. */
static inline void put_rest(uint16_t *row, int64_t k, const char *from, int64_t n)
{
    uint16_t run[TILE_K] = { 0 };

    memcpy(run, from, (size_t)n * sizeof *run);
    memcpy(row + k / TILE_K * TILE_ELEMENTS, run, sizeof run);
}

static inline void put_bf16(uint16_t *row, const char *from, int64_t n)
{
    int64_t k = 0;

    for (; k + TILE_K <= n; k += TILE_K)
        memcpy(row + k / TILE_K * TILE_ELEMENTS, from + 2 * k, TILE_ROW_BYTES);
    if (k < n) put_rest(row, k, from + 2 * k, n - k);
}

static inline void put_f32(uint16_t *row, const float *from, int64_t n)
{
    int64_t k = 0;

    for (; k + TILE_K <= n; k += TILE_K) put(row, k, to_bf16(load16(from + k), load16(from + k + TILE)));
    if (k < n) {
        float run[TILE_K] = { 0 };

        memcpy(run, from + k, (size_t)(n - k) * sizeof *run);
        put(row, k, to_bf16(load16(run), load16(run + TILE)));
    }
}

/* n numbers of dtype t at src, whole blocks; row is this row of the panel's first tile. unpacked [n] is scratch. */
static inline void put_row(enum dtype t, uint16_t *row, const void *src, int64_t n, float *unpacked)
{
    if (t == DTYPE_BF16)
        put_bf16(row, src, n);
    else if (t == DTYPE_Q8_0)
        put_q8_0(row, src, n);
    else if (t == DTYPE_Q4_0)
        put_q4_0(row, src, n);
    else if (t == DTYPE_Q4_K)
        put_q4_k(row, src, n);
    else if (t == DTYPE_Q6_K)
        put_q6_k(row, src, n);
    else
        put_f32(row, row_f32(t, src, n, unpacked), n);
}

/* ---- 16 x 16 turned ------------------------------------------------------------------------------------------- */

#define INTERLEAVE_LOW(x, y)                                                                                 \
    __builtin_shufflevector(x, y, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define INTERLEAVE_HIGH(x, y)                                                                                \
    __builtin_shufflevector(x, y, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define PAIRS_LOW(x, y)                                                                                      \
    __builtin_shufflevector(x, y, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define PAIRS_HIGH(x, y)                                                                                     \
    __builtin_shufflevector(x, y, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#define FOURS_EVEN(x, y)                                                                                     \
    __builtin_shufflevector(x, y, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define FOURS_ODD(x, y)                                                                                      \
    __builtin_shufflevector(x, y, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)

/* r[i] lane j becomes r[j] lane i. */
INLINE void turn16(v16u r[TILE])
{
    v16u t[TILE];

    UNROLL
    for (int i = 0; i < TILE; i += 2) {
        t[i] = INTERLEAVE_LOW(r[i], r[i + 1]);
        t[i + 1] = INTERLEAVE_HIGH(r[i], r[i + 1]);
    }
    UNROLL
    for (int i = 0; i < TILE; i += 4) {
        r[i] = PAIRS_LOW(t[i], t[i + 2]);
        r[i + 1] = PAIRS_HIGH(t[i], t[i + 2]);
        r[i + 2] = PAIRS_LOW(t[i + 1], t[i + 3]);
        r[i + 3] = PAIRS_HIGH(t[i + 1], t[i + 3]);
    }
    /* Now four l of r[4g + j] holds lane 4l + j of rows 4g .. 4g+3. */
    UNROLL
    for (int j = 0; j < 4; j++) {
        v16u even0 = FOURS_EVEN(r[j], r[4 + j]), odd0 = FOURS_ODD(r[j], r[4 + j]);
        v16u even1 = FOURS_EVEN(r[8 + j], r[12 + j]), odd1 = FOURS_ODD(r[8 + j], r[12 + j]);

        t[j] = FOURS_EVEN(even0, even1);
        t[4 + j] = FOURS_EVEN(odd0, odd1);
        t[8 + j] = FOURS_ODD(even0, even1);
        t[12 + j] = FOURS_ODD(odd0, odd1);
    }
    memcpy(r, t, sizeof t);
}

/* ---- rows of x ------------------------------------------------------------------------------------------------ */

/* n <= 32 numbers of each row; zeros beyond `rows` and n. */
INLINE void load_run(const float *x, int64_t ld, int64_t rows, int64_t n, v16u r[TILE])
{
    UNROLL
    for (int i = 0; i < TILE; i++) {
        const float *from = x + i * ld;
        float run[TILE_K] = { 0 };

        if (i >= rows) {
            r[i] = (v16u){ 0 };
        } else if (n == TILE_K) {
            r[i] = to_bf16(load16(from), load16(from + TILE));
        } else {
            memcpy(run, from, (size_t)n * sizeof *run);
            r[i] = to_bf16(load16(run), load16(run + TILE));
        }
    }
}

/* The right panel of `rows` (at most TILE) rows of x, ld floats apart, K columns. */
static inline void put_columns(uint16_t *panel, const float *x, int64_t ld, int64_t rows, int64_t K)
{
    for (int64_t k = 0; k < K; k += TILE_K, panel += TILE_ELEMENTS) {
        v16u r[TILE];

        if (rows == TILE && k + TILE_K <= K)
            load_run(x + k, ld, TILE, TILE_K, r);
        else
            load_run(x + k, ld, rows, min_i64(TILE_K, K - k), r);
        turn16(r);
        memcpy(panel, r, sizeof r);
    }
}

/* ---- results -------------------------------------------------------------------------------------------------- */

/* y[t][n] = sum[n][t] + bias[n] for t < rows, n < columns; bias may be NULL. */
static inline void put_results(float *y, int64_t ld, int64_t rows, int64_t columns, const float *sum,
                               const float *bias)
{
    v16u r[TILE];
    v16f add = { 0 };

    if (bias != NULL) memcpy(&add, bias, (size_t)columns * sizeof *bias);
    memcpy(r, sum, sizeof r);
    turn16(r);
    for (int64_t t = 0; t < rows; t++) {
        v16f v = (v16f)r[t] + add;

        if (columns == TILE)
            memcpy(y + t * ld, &v, sizeof v);
        else
            memcpy(y + t * ld, &v, (size_t)columns * sizeof *y);
    }
}

#endif
