/*
 * simd_int.h - vectors of small integers for products of quantised weights: a register holds 4 bytes of each of WIDTH
 * rows of the weight, lane r belonging to row r, and meets the same 4 bytes of x in all lanes.
 *
 * There are two ways to sum up, one an instruction set has and one that every processor can do:
 *
 *   SUMS_WIDE  four products are added to a lane's 32 bits by one instruction (VNNI)
 *   otherwise  pairs of products are added to a lane's two halves of 16 bits, and these are brought together at the end;
 *              halves may wrap around on the way, but what they end with must fit. Bytes that use all their 8 bits
 *              are brought to 32 bits at once (add_signed).
 */
#ifndef SPHINX_BACKEND_CPU_SIMD_INT_H
#define SPHINX_BACKEND_CPU_SIMD_INT_H

#include "backend/cpu/simd/vec.h"

typedef int32_t vi __attribute__((vector_size(4 * SIMD_WIDTH)));
typedef int16_t vi16 __attribute__((vector_size(4 * SIMD_WIDTH)));
typedef uint16_t vu16_all __attribute__((vector_size(4 * SIMD_WIDTH)));

#if (SIMD_WIDTH == 16 && defined(__AVX512VNNI__)) || (SIMD_WIDTH == 8 && defined(__AVXVNNI__))
enum { SUMS_WIDE = 1 };
#else
enum { SUMS_WIDE = 0 };
#endif

INLINE vi splat_int(int32_t i)
{
    return (vi){ 0 } + i;
}

/* The same four bytes in every lane. */
INLINE vi splat_four(const void *p)
{
    int32_t i;

    memcpy(&i, p, sizeof i);
    return splat_int(i);
}

INLINE vi shift_right(vi a, int bits)
{
    return (vi)((vu)a >> bits);
}

/* To the nearest, halves to even. |a| < 2^31. */
INLINE vi round_int(vf a)
{
#if SIMD_WIDTH == 16 && defined(__AVX512F__)
    return (vi)_mm512_cvtps_epi32((__m512)a);
#elif SIMD_WIDTH == 8 && defined(__AVX__)
    return (vi)_mm256_cvtps_epi32((__m256)a);
#elif SIMD_WIDTH == 4 && defined(__SSE2__)
    return (vi)_mm_cvtps_epi32((__m128)a);
#else
    vi r;

    for (int i = 0; i < WIDTH; i++) r[i] = (int32_t)__builtin_rintf(a[i]);
    return r;
#endif
}

INLINE vf to_float(vi a)
{
    return __builtin_convertvector(a, vf);
}

INLINE vi max_int(vi a, vi b)
{
    vi take = a > b;

    return (take & a) | (~take & b);
}

/* Lanes from -128 to 127, as bytes. gcc would move lane by lane. */
INLINE void store_bytes(int8_t *to, vi a)
{
#if SIMD_WIDTH == 16 && defined(__AVX512F__)
    _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtepi32_epi8((__m512i)a));
#elif SIMD_WIDTH == 8 && defined(__AVX2__)
    __m128i halves =
        _mm_packs_epi32(_mm256_castsi256_si128((__m256i)a), _mm256_extracti128_si256((__m256i)a, 1));

    _mm_storel_epi64((__m128i *)(void *)to, _mm_packs_epi16(halves, halves));
#elif SIMD_WIDTH == 4 && defined(__SSE2__)
    int bytes =
        _mm_cvtsi128_si32(_mm_packs_epi16(_mm_packs_epi32((__m128i)a, (__m128i)a), _mm_setzero_si128()));

    memcpy(to, &bytes, sizeof bytes);
#else
    for (int i = 0; i < WIDTH; i++) to[i] = (int8_t)a[i];
#endif
}

INLINE int32_t largest_lane(vi a)
{
    int32_t part[WIDTH];

    memcpy(part, &a, sizeof part);
    for (int step = WIDTH / 2; step > 0; step /= 2)
        for (int i = 0; i < step; i++) part[i] = part[i] > part[i + step] ? part[i] : part[i + step];
    return part[0];
}

/* Products of bytes, w unsigned and x signed, added in pairs to 16 bits. */
INLINE vi pair_products(vi w, vi x)
{
#if SIMD_WIDTH == 16 && defined(__AVX512BW__)
    return (vi)_mm512_maddubs_epi16((__m512i)w, (__m512i)x);
#elif SIMD_WIDTH == 8 && defined(__AVX2__)
    return (vi)_mm256_maddubs_epi16((__m256i)w, (__m256i)x);
#else
    vi16 even = (vi16)((vu16_all)x << 8) >> 8, odd = (vi16)x >> 8;

    return (vi)((vi16)((vu16_all)w & 0xff) * even + (vi16)((vu16_all)w >> 8) * odd);
#endif
}

/* a's halves times b's, added up: 32 bits. */
INLINE vi sum_halves(vi a, vi b)
{
#if SIMD_WIDTH == 16 && defined(__AVX512BW__)
    return (vi)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif SIMD_WIDTH == 8 && defined(__AVX2__)
    return (vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif SIMD_WIDTH == 4 && defined(__SSE2__)
    return (vi)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
    return ((vi)((vu)a << 16) >> 16) * ((vi)((vu)b << 16) >> 16) + (a >> 16) * (b >> 16);
#endif
}

/* sum += four products a lane, in the level's way. */
INLINE vi add_products(vi sum, vi w, vi x)
{
#if SIMD_WIDTH == 16 && defined(__AVX512VNNI__)
    return (vi)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)w, (__m512i)x);
#elif SIMD_WIDTH == 8 && defined(__AVXVNNI__)
    return (vi)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)w, (__m256i)x);
#else
    return (vi)((vu16_all)sum + (vu16_all)pair_products(w, x));
#endif
}

/* The magnitudes of bytes; -128 becomes 128, unsigned. */
INLINE vi byte_magnitudes(vi a)
{
#if SIMD_WIDTH == 16 && defined(__AVX512BW__)
    return (vi)_mm512_abs_epi8((__m512i)a);
#elif SIMD_WIDTH == 8 && defined(__AVX2__)
    return (vi)_mm256_abs_epi8((__m256i)a);
#else
    return a; /* unused by add_signed */
#endif
}

/* sum += four products a lane, 32 bits: w signed, above -128 unless x is; with w's magnitudes beside. */
INLINE vi add_signed(vi sum, vi w, vi magnitudes, vi x)
{
#if SIMD_WIDTH == 16 && defined(__AVX512BW__)
    __m512i turned =
        _mm512_mask_sub_epi8((__m512i)x, _mm512_movepi8_mask((__m512i)w), _mm512_setzero_si512(), (__m512i)x);

    return sum + sum_halves(pair_products(magnitudes, (vi)turned), splat_int(0x00010001));
#elif SIMD_WIDTH == 8 && defined(__AVX2__)
    vi turned = (vi)_mm256_sign_epi8((__m256i)x, (__m256i)w);

    return sum + sum_halves(pair_products(magnitudes, turned), splat_int(0x00010001));
#else
    vi16 even_w = (vi16)((vu16_all)w << 8) >> 8, even_x = (vi16)((vu16_all)x << 8) >> 8;

    (void)magnitudes;
    return sum + sum_halves((vi)even_w, (vi)even_x) + sum_halves((vi)((vi16)w >> 8), (vi)((vi16)x >> 8));
#endif
}

/* Makes the compiler finish a sum before it goes on. gcc would first compute a block's products, all of them, and run out
 * of registers. */
INLINE void settle(vi *sum)
{
#if defined(__x86_64__) && !defined(__clang__)
    __asm__("" : "+v"(*sum));
#else
    (void)sum;
#endif
}

/* What total_of takes: a factor, |f| < 2^15, as the level's sums want it. */
INLINE vi factor_of(vi f)
{
    return SUMS_WIDE ? f : (f & 0xffff) | (vi)((vu)f << 16);
}

/* The sums of add_products, times a factor. */
INLINE vi total_of(vi sum, vi factor)
{
    return SUMS_WIDE ? sum * factor : sum_halves(sum, factor);
}

/* ---- from rows to lanes -------------------------------------------------------------------------------------- */

/* 16 bytes of rows 0, 4, 8, ... */
INLINE vi load_fourths(const unsigned char *const *row, size_t offset)
{
#if SIMD_WIDTH == 16 && defined(__AVX512F__)
    __m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const void *)(row[0] + offset)));

    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(row[4] + offset)), 1);
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(row[8] + offset)), 2);
    return (vi)_mm512_inserti32x4(v, _mm_loadu_si128((const void *)(row[12] + offset)), 3);
#elif SIMD_WIDTH == 8 && defined(__AVX2__)
    __m256i v = _mm256_castsi128_si256(_mm_loadu_si128((const void *)(row[0] + offset)));

    return (vi)_mm256_inserti128_si256(v, _mm_loadu_si128((const void *)(row[4] + offset)), 1);
#else
    vi v;

    for (int i = 0; i < WIDTH / 4; i++) memcpy((char *)&v + 16 * i, row[4 * i] + offset, 16);
    return v;
#endif
}

#if SIMD_WIDTH == 16
#define LANES4(a, b, c, d)                                                                                   \
    a, b, c, d, a + 4, b + 4, c + 4, d + 4, a + 8, b + 8, c + 8, d + 8, a + 12, b + 12, c + 12, d + 12
#elif SIMD_WIDTH == 8
#define LANES4(a, b, c, d) a, b, c, d, a + 4, b + 4, c + 4, d + 4
#else
#define LANES4(a, b, c, d) a, b, c, d
#endif

/* out[j] = bytes 4j .. 4j+3 of the 16 at each row's offset, row by lane. */
INLINE void load_turned(const unsigned char *const *row, size_t offset, vi out[4])
{
    vi a = load_fourths(row, offset), b = load_fourths(row + 1, offset);
    vi c = load_fourths(row + 2, offset), d = load_fourths(row + 3, offset);
    vi ab = __builtin_shufflevector(a, b, LANES4(0, WIDTH, 1, WIDTH + 1));
    vi cd = __builtin_shufflevector(c, d, LANES4(0, WIDTH, 1, WIDTH + 1));
    vi ab2 = __builtin_shufflevector(a, b, LANES4(2, WIDTH + 2, 3, WIDTH + 3));
    vi cd2 = __builtin_shufflevector(c, d, LANES4(2, WIDTH + 2, 3, WIDTH + 3));

    out[0] = __builtin_shufflevector(ab, cd, LANES4(0, 1, WIDTH, WIDTH + 1));
    out[1] = __builtin_shufflevector(ab, cd, LANES4(2, 3, WIDTH + 2, WIDTH + 3));
    out[2] = __builtin_shufflevector(ab2, cd2, LANES4(0, 1, WIDTH, WIDTH + 1));
    out[3] = __builtin_shufflevector(ab2, cd2, LANES4(2, 3, WIDTH + 2, WIDTH + 3));
}

/* The same 16 bytes in every four lanes. */
INLINE vi splat_sixteen(const void *p)
{
#if SIMD_WIDTH == 16 && defined(__AVX512F__)
    return (vi)_mm512_broadcast_i32x4(_mm_loadu_si128(p));
#elif SIMD_WIDTH == 8 && defined(__AVX2__)
    return (vi)_mm256_broadcastsi128_si256(_mm_loadu_si128(p));
#else
    vi v;

    for (int i = 0; i < WIDTH / 4; i++) memcpy((char *)&v + 16 * i, p, 16);
    return v;
#endif
}

/* Sums of add_products, or of add_signed. */
INLINE vi add_sums(vi a, vi b, bool with_signs)
{
    return SUMS_WIDE || with_signs ? a + b : (vi)((vu16_all)a + (vu16_all)b);
}

/* Sums of four lanes each, to row by lane: lane r is the sum of lanes r / 4 * 4 .. r / 4 * 4 + 3 of s[r % 4]. */
INLINE vi sum_fours(const vi s[4], bool with_signs)
{
    vi a = add_sums(__builtin_shufflevector(s[0], s[1], LANES4(0, WIDTH, 1, WIDTH + 1)),
                    __builtin_shufflevector(s[0], s[1], LANES4(2, WIDTH + 2, 3, WIDTH + 3)), with_signs);
    vi b = add_sums(__builtin_shufflevector(s[2], s[3], LANES4(0, WIDTH, 1, WIDTH + 1)),
                    __builtin_shufflevector(s[2], s[3], LANES4(2, WIDTH + 2, 3, WIDTH + 3)), with_signs);

    return add_sums(__builtin_shufflevector(a, b, LANES4(0, 1, WIDTH, WIDTH + 1)),
                    __builtin_shufflevector(a, b, LANES4(2, 3, WIDTH + 2, WIDTH + 3)), with_signs);
}

/* The f16 at each row's offset. */
INLINE vf load_halves(const unsigned char *const *row, size_t offset)
{
    vu16 h = { 0 };

    UNROLL
    for (int r = 0; r < WIDTH; r++) {
        uint16_t one;

        memcpy(&one, row[r] + offset, sizeof one);
        h[r] = one;
    }
    return load_f16(&h);
}

/* The f16 in the low half of each lane. */
INLINE vf low_halves(vi a)
{
    vu16 h = __builtin_convertvector((vu)a, vu16);

    return load_f16(&h);
}

#endif
