/*
 * vec.h - vectors of floats as the compiler knows them, WIDTH lanes, and what kernels need beyond + - * /: loads from
 * every weight type, sums over lanes, exp and the tail of a normal distribution.
 *
 * Kernels in this folder are written once and compiled for every level (levels.cmake), which sets
 *   SIMD_LEVEL   the suffix of every name: portable, avx2, avx512
 *   SIMD_WIDTH   floats in a register: 4, 8, 16
 *   SIMD_ROWS    rows of the register tile of a matrix product (tile.h)
 * together with the instruction set's flags. Only maxima and conversions from f16 need the instruction by name.
 */
#ifndef SPHINX_BACKEND_CPU_VEC_H
#define SPHINX_BACKEND_CPU_VEC_H

#include "backend/cpu/kernels.h"

#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#define SIMD_PASTE2(a, b) a##_##b
#define SIMD_PASTE(a, b)  SIMD_PASTE2(a, b)
#define SIMD_NAME(name)   SIMD_PASTE(name, SIMD_LEVEL)

enum { WIDTH = SIMD_WIDTH };

typedef float vf __attribute__((vector_size(4 * SIMD_WIDTH)));
typedef uint32_t vu __attribute__((vector_size(4 * SIMD_WIDTH)));
typedef uint16_t vu16 __attribute__((vector_size(2 * SIMD_WIDTH)));
typedef float v4f __attribute__((vector_size(16)));

#define INLINE static inline __attribute__((always_inline))
/* In front of a loop with a constant count: the register tiles must be unrolled to live in registers. Clang does so by
 * itself, and warns of the pragma where a count turns out to vary. */
#ifdef __clang__
#define UNROLL
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* ---- memory: pointers need no alignment ---------------------------------------------------------------------- */

INLINE vf load(const void *p)
{
    vf v;

    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void store(void *p, vf v)
{
    memcpy(p, &v, sizeof v);
}

/* The first n < WIDTH lanes; the others are zero. */
INLINE vf load_part(const float *p, int64_t n)
{
    vf v = { 0 };

    for (int64_t i = 0; i < n; i++) v[i] = p[i];
    return v;
}

INLINE void store_part(float *p, vf v, int64_t n)
{
    for (int64_t i = 0; i < n; i++) p[i] = v[i];
}

INLINE vf splat(float x)
{
#if SIMD_WIDTH == 16
    return (vf){ x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x };
#elif SIMD_WIDTH == 8
    return (vf){ x, x, x, x, x, x, x, x };
#else
    return (vf){ x, x, x, x };
#endif
}

INLINE vf load_bf16(const void *p)
{
#if SIMD_WIDTH == 16 && defined(__AVX512F__)
    return (vf)((vu)_mm512_cvtepu16_epi32(_mm256_loadu_si256(p)) << 16);
#elif SIMD_WIDTH == 8 && defined(__AVX2__)
    return (vf)((vu)_mm256_cvtepu16_epi32(_mm_loadu_si128(p)) << 16);
#else
    vu16 h;

    memcpy(&h, p, sizeof h);
    return (vf)(__builtin_convertvector(h, vu) << 16);
#endif
}

INLINE vf load_f16(const void *p)
{
#if SIMD_WIDTH == 16 && defined(__AVX512F__)
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256(p));
#elif SIMD_WIDTH == 8 && defined(__F16C__)
    return (vf)_mm256_cvtph_ps(_mm_loadu_si128(p));
#else
    /* Exponent and mantissa move into place; 2^112 mends the exponent's bias and makes subnormals normal, exactly. */
    vu16 h;
    vu u, magnitude, special;
    vf scaled;

    memcpy(&h, p, sizeof h);
    u = __builtin_convertvector(h, vu);
    magnitude = (u & 0x7fffu) << 13;
    special = (vu)(magnitude >= 0x0f800000u) & 0x7f800000u; /* infinity and NaN keep the largest exponent */
    scaled = (vf)magnitude * 0x1p112f;
    return (vf)((vu)scaled | special | ((u & 0x8000u) << 16));
#endif
}

/* WIDTH elements of a plain dtype; a constant t leaves one load. */
INLINE vf load_as(enum dtype t, const void *p)
{
    if (t == DTYPE_BF16) return load_bf16(p);
    if (t == DTYPE_F16) return load_f16(p);
    return load(p);
}

INLINE bool dtype_loads(enum dtype t)
{
    return t == DTYPE_F32 || t == DTYPE_BF16 || t == DTYPE_F16;
}

/* n elements as float32: in place for float32 itself, else unpacked to buffer [n]. */
static inline const void *row_f32(enum dtype t, const void *src, int64_t n, float *buffer)
{
    int64_t i = 0;

    if (t == DTYPE_F32) return src;
    if (t == DTYPE_BF16)
        for (; i + WIDTH <= n; i += WIDTH) store(buffer + i, load_bf16((const uint16_t *)src + i));
    else if (t == DTYPE_F16)
        for (; i + WIDTH <= n; i += WIDTH) store(buffer + i, load_f16((const uint16_t *)src + i));
    dtype_info(t)->to_f32(buffer + i, (const char *)src + dtype_bytes(t, (size_t)i), (size_t)(n - i));
    return buffer;
}

/* ---- lanes --------------------------------------------------------------------------------------------------- */

INLINE float sum_lanes(vf v)
{
    float part[WIDTH];

    store(part, v);
    for (int step = WIDTH / 2; step > 0; step /= 2)
        for (int i = 0; i < step; i++) part[i] += part[i + step];
    return part[0];
}

/* The larger and the smaller, lane by lane; NaN in a stays. */
INLINE vf vmax(vf a, vf b)
{
#if SIMD_WIDTH == 16 && defined(__AVX512F__)
    return (vf)_mm512_max_ps((__m512)b, (__m512)a);
#elif SIMD_WIDTH == 8 && defined(__AVX__)
    return (vf)_mm256_max_ps((__m256)b, (__m256)a);
#elif SIMD_WIDTH == 4 && defined(__SSE2__)
    return (vf)_mm_max_ps((__m128)b, (__m128)a);
#else
    vu take = (vu)(a < b);

    return (vf)((take & (vu)b) | (~take & (vu)a));
#endif
}

INLINE vf vmin(vf a, vf b)
{
#if SIMD_WIDTH == 16 && defined(__AVX512F__)
    return (vf)_mm512_min_ps((__m512)b, (__m512)a);
#elif SIMD_WIDTH == 8 && defined(__AVX__)
    return (vf)_mm256_min_ps((__m256)b, (__m256)a);
#elif SIMD_WIDTH == 4 && defined(__SSE2__)
    return (vf)_mm_min_ps((__m128)b, (__m128)a);
#else
    vu take = (vu)(a > b);

    return (vf)((take & (vu)b) | (~take & (vu)a));
#endif
}

INLINE vf vabs(vf a)
{
    return (vf)((vu)a & 0x7fffffffu);
}

/* ---- functions ----------------------------------------------------------------------------------------------- */

/* exp(a + b) for |b| < 0.1, about 1 ulp: 2^n times a minimax polynomial (Remez, 1.9e-9) of the rest, |rest| <= ln 2 / 2.
 * 2^n in two factors, so that results run smoothly into subnormals and infinity. NaN stays NaN. */
INLINE vf exp_sum(vf a, vf b)
{
    const float round = 0x1.8p23f; /* adding it leaves the nearest integer in the low bits */
    vf shifted, n, r, p;
    vu exponent, half;

    a = vmin(vmax(a, splat(-105)), splat(89));
    shifted = a * 0x1.715476p0f + round;
    n = shifted - round;
    r = a - n * 0x1.62e4p-1f - n * 0x1.7f7d1cp-20f + b; /* ln 2, its first 15 bits exact in the product */
    p = r * 0x1.6ab96ep-10f + 0x1.126d1ep-7f;
    p = p * r + 0x1.55589ap-5f;
    p = p * r + 0x1.55540ap-3f;
    p = p * r + 0x1.fffffap-2f;
    p = p * r + 1;
    p = p * r + 1;
    exponent = (vu)shifted - 0x4b400000u;      /* n, two's complement */
    half = (((exponent + 1024u) >> 1) - 512u); /* floor(n / 2) */
    return p * (vf)((half + 127u) << 23) * (vf)((exponent - half + 127u) << 23);
}

INLINE vf vexp(vf a)
{
    return exp_sum(a, (vf){ 0 });
}

/* 2^a for a <= 0, about 1 ulp, by the same scheme: a minimax polynomial (Remez, 2e-9) of the rest, |rest| <= 1/2. Below the
 * normal numbers, from -126 on, exactly 0. NaN stays NaN. */
INLINE vf vexp2(vf a)
{
    const float round = 0x1.8p23f + 127; /* leaves the exponent's bits of 2^n at the bottom */
    vf shifted = a + round, r = a - (shifted - round), p;

    p = r * 0x1.41fbbcp-13f + 0x1.5f3e54p-10f;
    p = p * r + 0x1.3b2d4cp-7f;
    p = p * r + 0x1.c6aee8p-5f;
    p = p * r + 0x1.ebfbdcp-3f;
    p = p * r + 0x1.62e430p-1f;
    p = p * r + 1;
    return (vf)((vu)(p * (vf)((vu)shifted << 23)) & ~(vu)(a < -126));
}

/* The share of a normal distribution beyond x >= 0, erfc(t) / 2 at t = x / sqrt 2, to a few ulp down to the subnormals:
 * exp(-x^2 / 2) f / (1 + t), where f is a polynomial (Remez, 7e-9) in 1 / (t + 5/2), mapped to -1 .. 1, as Shepherd and
 * Laframboise (1981) do for double. x^2 is taken in two parts, else its rounding would cost x^2 ulp. From 15 on the
 * result is zero in float32. */
INLINE vf normal_tail(vf x)
{
    vf top, t, u, f;

    x = vmin(x, splat(15));
    top = (vf)((vu)x & 0xfffff000u); /* its square is exact */
    t = x * 0x1.6a09e6p-1f;
    u = -0x1.8ac43p2f / (t + 2.5f) + 0x1.77a04cp0f;
    f = u * 0x1.0a88a4p-15f + -0x1.c3e5d8p-17f;
    f = f * u + -0x1.cb3bp-12f;
    f = f * u + 0x1.ec8b1ap-12f;
    f = f * u + 0x1.3f80fep-8f;
    f = f * u + -0x1.3f713cp-6f;
    f = f * u + 0x1.8bf4ecp-6f;
    f = f * u + 0x1.3f481ep-5f;
    f = f * u + -0x1.c5a5a8p-3f;
    f = f * u + 0x1.930b3cp-1f;
    return 0.5f * exp_sum(-0.5f * top * top, 0.5f * (top - x) * (top + x)) * f / (t + 1);
}

#endif
