/*
 * quant.h - weights in blocks of 4, 6 and 8 bits, laid out as in GGUF files.
 *
 *   type   elements  bytes  bits a weight   value of element i
 *   q8_0   32        34     8.5             scale * q[i]                            q -128 .. 127
 *   q4_0   32        18     4.5             scale * (q[i] - 8)                      q 0 .. 15
 *   q4_K   256       144    4.5             scale * s[i/32] * q[i] - offset * o[i/32]   q 0 .. 15, s and o 0 .. 63
 *   q6_K   256       210    6.5625          scale * s[i/16] * (q[i] - 32)           q 0 .. 63, s -128 .. 127
 *
 * Products and differences are float32, rounded one by one in this order. Scales and offsets of whole blocks are f16, little
 * endian; structs are made of bytes, so a block may lie at any address.
 *
 * A block with an infinity or a NaN gets the scale NaN: all of it reads back as NaN, and a search for weights that are not
 * finite finds it. So it does where numbers are so large that f16 cannot hold their scale (500,000 in q4_0).
 *
 * The functions are rows of the dtype table (dtype.h): n elements, a multiple of the block.
 */
#ifndef SPHINX_TENSOR_QUANT_H
#define SPHINX_TENSOR_QUANT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { QUANT_SHORT = 32, QUANT_LONG = 256 }; /* elements of a block of q8_0 and q4_0, and of q4_K and q6_K */

struct quant_q8_0 {
    uint8_t scale[2];
    int8_t q[QUANT_SHORT];
};

struct quant_q4_0 {
    uint8_t scale[2];
    uint8_t q[QUANT_SHORT / 2]; /* element i in the low half of byte i, element 16 + i in the high half */
};

/* Eight groups of 32. Of every 64 elements, the first 32 are in the low halves of 32 bytes, the others in the high ones.
 * The groups' 6-bit scales s and offsets o:
 *
 *   byte j      < 4   two high bits of s[4 + j]   s[j]
 *   byte 4 + j        two high bits of o[4 + j]   o[j]
 *   byte 8 + j        four low bits of o[4 + j]   four low bits of s[4 + j]
 */
struct quant_q4_k {
    uint8_t scale[2], offset[2];
    uint8_t groups[12];
    uint8_t q[QUANT_LONG / 2];
};

/* Sixteen groups of 16. Of every 128 elements, 64 bytes of `low` have four bits each and 32 bytes of `high` two:
 *
 *   low[i]   i < 64   elements i (low half) and 64 + i (high half)
 *   high[i]  i < 32   elements i, 32 + i, 64 + i, 96 + i, from the lowest bits up
 */
struct quant_q6_k {
    uint8_t low[QUANT_LONG / 2], high[QUANT_LONG / 4];
    int8_t groups[QUANT_LONG / 16];
    uint8_t scale[2];
};

/* The bits of a block's scale or offset. */
static inline uint16_t quant_half(const uint8_t p[2])
{
    uint16_t h;

    memcpy(&h, p, sizeof h);
    return h;
}

/* s and o of group j < 8. */
static inline void quant_q4_k_group(const struct quant_q4_k *b, int j, int *scale, int *offset)
{
    const uint8_t *g = b->groups;

    *scale = j < 4 ? g[j] & 63 : (g[j + 4] & 15) | (g[j - 4] >> 6) << 4;
    *offset = j < 4 ? g[j + 4] & 63 : g[j + 4] >> 4 | (g[j] >> 6) << 4;
}

void q8_0_row_to_f32(float *dst, const void *src, size_t n);
void q4_0_row_to_f32(float *dst, const void *src, size_t n);
void q4_k_row_to_f32(float *dst, const void *src, size_t n);
void q6_k_row_to_f32(float *dst, const void *src, size_t n);

/* q8_0 and q4_0 scale by the largest number. q4_K and q6_K look for the scales, and offsets, whose weighted squared error is
 * least: larger numbers weigh more. */
void q8_0_row_from_f32(void *dst, const float *src, size_t n);
void q4_0_row_from_f32(void *dst, const float *src, size_t n);
void q4_k_row_from_f32(void *dst, const float *src, size_t n);
void q6_k_row_from_f32(void *dst, const float *src, size_t n);

#endif
