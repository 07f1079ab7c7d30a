/*
 * simd_quant_weights.h - rows of quantised weights, unpacked for the first cache: 256 columns of as many rows as the
 * product's register tile is wide, every type as bytes, four columns of one row a lane.
 *
 *   value = scale * factor * (q - bias) - offset
 *
 *   type   q           bias  factor              scale, offset
 *   q4_0   0 .. 15     8     1                   the block's, 0
 *   q8_0   -128 .. 127 0     1                   the block's, 0
 *   q4_K   0 .. 15     0     6 bits, of 32       of 256, of 32
 *   q6_K   0 .. 63     32    8 bits, of 16       of 256, 0
 *
 * Where sums of products have 32 bits (SUMS_WIDE), q8_0 is 0 .. 255 with the bias 128. Where they have 16, they fit once
 * the bias, which x's side subtracts, is gone: 16 products of at most 15 * 127, or 8 of at most 32 * 127.
 */
#ifndef SPHINX_BACKEND_CPU_SIMD_QUANT_WEIGHTS_H
#define SPHINX_BACKEND_CPU_SIMD_QUANT_WEIGHTS_H

#include "backend/cpu/simd/simd_int.h"
#include "tensor/quant.h"

enum {
    STRETCH = QUANT_LONG,              /* columns */
    BLOCKS = QUANT_LONG / QUANT_SHORT, /* x is rounded in blocks of QUANT_SHORT */
    STEPS = QUANT_SHORT / 4,           /* registers of a block */
    GROUP = 2 * WIDTH,                 /* rows */
};

struct quant_weights {
    vi q[BLOCKS][STEPS][2]; /* of two vectors of rows */
    vf scale[BLOCKS][2];
    vf offset[BLOCKS][2];    /* q4_K */
    vi factor[BLOCKS][2][2]; /* q4_K, of the whole block, and q6_K, of its halves; by factor_of */
};

INLINE int bias_of(enum dtype t)
{
    if (t == DTYPE_Q8_0) return SUMS_WIDE ? 128 : 0;
    return t == DTYPE_Q4_0 ? 8 : t == DTYPE_Q6_K ? 32 : 0;
}

/* Bytes with their sign, by add_signed. */
INLINE bool has_signs(enum dtype t)
{
    return t == DTYPE_Q8_0 && !SUMS_WIDE;
}

/* A scale of 256 columns, with factors for parts of them. */
INLINE bool has_factors(enum dtype t)
{
    return t == DTYPE_Q4_K || t == DTYPE_Q6_K;
}

/* How many factors 32 columns have. */
INLINE int parts_of(enum dtype t)
{
    return t == DTYPE_Q6_K ? 2 : 1;
}

/* Whether sums of products need no total_of. */
INLINE bool sums_ready(enum dtype t)
{
    return has_signs(t) || (SUMS_WIDE && !has_factors(t));
}

INLINE size_t block_bytes(enum dtype t)
{
    return t == DTYPE_Q4_0   ? sizeof(struct quant_q4_0)
           : t == DTYPE_Q8_0 ? sizeof(struct quant_q8_0)
           : t == DTYPE_Q4_K ? sizeof(struct quant_q4_k)
                             : sizeof(struct quant_q6_k);
}

INLINE void unpack_q4_0(struct quant_weights *w, int block, int v, const unsigned char *const *row, size_t at)
{
    vi turned[4];

    load_turned(row, at + offsetof(struct quant_q4_0, q), turned);
    UNROLL
    for (int i = 0; i < 4; i++) {
        w->q[block][i][v] = turned[i] & 0x0f0f0f0f;
        w->q[block][4 + i][v] = shift_right(turned[i], 4) & 0x0f0f0f0f;
    }
    w->scale[block][v] = load_halves(row, at + offsetof(struct quant_q4_0, scale));
}

INLINE void unpack_q8_0(struct quant_weights *w, int block, int v, const unsigned char *const *row, size_t at)
{
    vi turned[8];

    load_turned(row, at + offsetof(struct quant_q8_0, q), turned);
    load_turned(row, at + offsetof(struct quant_q8_0, q) + 16, turned + 4);
    UNROLL
    for (int i = 0; i < 8; i++)
        w->q[block][i][v] = SUMS_WIDE ? turned[i] ^ (vi)((vu){ 0 } + 0x80808080u) : turned[i];
    w->scale[block][v] = load_halves(row, at + offsetof(struct quant_q8_0, scale));
}

/* Scale, offset, and eight 6-bit pairs: the first 16 bytes of each row's block. */
INLINE void unpack_q4_k_groups(struct quant_weights *w, int v, const unsigned char *const *row, size_t at)
{
    vi head[4], scales[2], offsets[2];
    vf scale, offset;

    load_turned(row, at, head);
    scale = low_halves(head[0]);
    offset = low_halves(shift_right(head[0], 16));
    scales[0] = head[1] & 0x3f3f3f3f;
    offsets[0] = head[2] & 0x3f3f3f3f;
    scales[1] = (head[3] & 0x0f0f0f0f) | (shift_right(head[1], 2) & 0x30303030);
    offsets[1] = (shift_right(head[3], 4) & 0x0f0f0f0f) | (shift_right(head[2], 2) & 0x30303030);
    UNROLL
    for (int b = 0; b < BLOCKS; b++) {
        w->scale[b][v] = scale;
        w->offset[b][v] = offset * to_float(shift_right(offsets[b / 4], b % 4 * 8) & 0xff);
        w->factor[b][0][v] = factor_of(shift_right(scales[b / 4], b % 4 * 8) & 0xff);
    }
}

/* 64 columns, two blocks. */
INLINE void unpack_q4_k_pair(struct quant_weights *w, int pair, int v, const unsigned char *const *row,
                             size_t at)
{
    vi turned[8];

    at += offsetof(struct quant_q4_k, q) + (size_t)pair * 32;
    load_turned(row, at, turned);
    load_turned(row, at + 16, turned + 4);
    UNROLL
    for (int i = 0; i < 8; i++) {
        w->q[2 * pair][i][v] = turned[i] & 0x0f0f0f0f;
        w->q[2 * pair + 1][i][v] = shift_right(turned[i], 4) & 0x0f0f0f0f;
    }
}

INLINE void unpack_q6_k_groups(struct quant_weights *w, int v, const unsigned char *const *row, size_t at)
{
    vi groups[4];
    vf scale = load_halves(row, at + offsetof(struct quant_q6_k, scale));

    load_turned(row, at + offsetof(struct quant_q6_k, groups), groups);
    UNROLL
    for (int b = 0; b < BLOCKS; b++) {
        int first = b % 2 * 16;

        w->scale[b][v] = scale;
        w->factor[b][0][v] = factor_of((vi)((vu)groups[b / 2] << (24 - first)) >> 24);
        w->factor[b][1][v] = factor_of((vi)((vu)groups[b / 2] << (16 - first)) >> 24);
    }
}

/* 16 columns of each of the four blocks in one half of 128. */
INLINE void unpack_q6_k_quarters(struct quant_weights *w, int half, int sixteen, int v,
                                 const unsigned char *const *row, size_t at)
{
    vi low[8], high[4];
    size_t from = at + offsetof(struct quant_q6_k, low) + (size_t)(64 * half + 16 * sixteen);

    load_turned(row, from, low);
    load_turned(row, from + 32, low + 4);
    load_turned(row, at + offsetof(struct quant_q6_k, high) + (size_t)(32 * half + 16 * sixteen), high);
    UNROLL
    for (int i = 0; i < 4; i++) {
        int step = 4 * sixteen + i;
        vi a = low[i], b = low[4 + i], h = high[i];

        w->q[4 * half][step][v] = (a & 0x0f0f0f0f) | ((vi)((vu)h << 4) & 0x30303030);
        w->q[4 * half + 1][step][v] = (b & 0x0f0f0f0f) | ((vi)((vu)h << 2) & 0x30303030);
        w->q[4 * half + 2][step][v] = (shift_right(a, 4) & 0x0f0f0f0f) | (h & 0x30303030);
        w->q[4 * half + 3][step][v] = (shift_right(b, 4) & 0x0f0f0f0f) | (shift_right(h, 2) & 0x30303030);
    }
}

/* Part `part` of BLOCKS / 2 of a stretch, from byte `at` of each row on: two blocks of 32 columns (the last stretch of a
 * row may have fewer), or as much work on a block of 256. */
INLINE void unpack_part(enum dtype t, struct quant_weights *w, int part, int blocks,
                        const unsigned char *const *row, size_t at)
{
    UNROLL
    for (int v = 0; v < 2; v++, row += WIDTH) {
        if (t == DTYPE_Q4_K) {
            if (part == 0) unpack_q4_k_groups(w, v, row, at);
            unpack_q4_k_pair(w, part, v, row, at);
        } else if (t == DTYPE_Q6_K) {
            if (part == 0) unpack_q6_k_groups(w, v, row, at);
            unpack_q6_k_quarters(w, part / 2, part % 2, v, row, at);
        } else {
            for (int b = 2 * part; b < blocks && b < 2 * part + 2; b++) {
                if (t == DTYPE_Q4_0) unpack_q4_0(w, b, v, row, at + (size_t)b * sizeof(struct quant_q4_0));
                if (t == DTYPE_Q8_0) unpack_q8_0(w, b, v, row, at + (size_t)b * sizeof(struct quant_q8_0));
            }
        }
    }
}

/* ---- not turned ----------------------------------------------------------------------------------------------- */

/* 16 columns of rows 0, 4, 8, ..., each in four lanes: a half of 32 columns, the block `block` of those in the type's block at
 * `at`. */
INLINE vi load_columns(enum dtype t, const unsigned char *const *row, size_t at, int block, int half)
{
    int quarter = block % 4, sixteen = 16 * half;
    vi q, high;

    if (t == DTYPE_Q8_0) {
        q = load_fourths(row, at + offsetof(struct quant_q8_0, q) + (size_t)sixteen);
        return SUMS_WIDE ? q ^ (vi)((vu){ 0 } + 0x80808080u) : q;
    }
    if (t == DTYPE_Q4_0) {
        q = load_fourths(row, at + offsetof(struct quant_q4_0, q));
        return shift_right(q, 4 * half) & 0x0f0f0f0f;
    }
    if (t == DTYPE_Q4_K) {
        q = load_fourths(row, at + offsetof(struct quant_q4_k, q) + (size_t)(block / 2 * 32 + sixteen));
        return shift_right(q, block % 2 * 4) & 0x0f0f0f0f;
    }
    q = load_fourths(row, at + offsetof(struct quant_q6_k, low) +
                              (size_t)(block / 4 * 64 + quarter % 2 * 32 + sixteen));
    high = load_fourths(row, at + offsetof(struct quant_q6_k, high) + (size_t)(block / 4 * 32 + sixteen));
    high = quarter < 2 ? (vi)((vu)high << (4 - 2 * quarter)) : shift_right(high, 2 * quarter - 4);
    return (shift_right(q, quarter / 2 * 4) & 0x0f0f0f0f) | (high & 0x30303030);
}

/* What belongs to the type's block at `at` of WIDTH rows, but for q. */
INLINE void unpack_scales(enum dtype t, struct quant_weights *w, const unsigned char *const *row, size_t at)
{
    if (t == DTYPE_Q4_0) w->scale[0][0] = load_halves(row, at + offsetof(struct quant_q4_0, scale));
    if (t == DTYPE_Q8_0) w->scale[0][0] = load_halves(row, at + offsetof(struct quant_q8_0, scale));
    if (t == DTYPE_Q4_K) unpack_q4_k_groups(w, 0, row, at);
    if (t == DTYPE_Q6_K) unpack_q6_k_groups(w, 0, row, at);
}

#endif
