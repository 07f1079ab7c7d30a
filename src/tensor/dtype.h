/*
 * dtype.h - how numbers are stored. A dtype is a row of a table: element counts and bytes of one block, and the
 * way from and to float32. Plain types have blocks of one element; quantised types have blocks of many, along
 * the fastest dimension, and add a row here and, where it pays, a faster kernel in the backend.
 */
#ifndef SPHINX_TENSOR_DTYPE_H
#define SPHINX_TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* X(code, name, name in safetensors or NULL, elements and bytes of a block, to f32, from f32). The two functions are
 * private to dtype.c and quant.c; NULL marks types that cannot hold weights. The order is never stored. */
#define DTYPE_MAP(X)                                                                                         \
    X(F32, "f32", "F32", 1, 4, f32_row_to_f32, f32_row_from_f32)                                             \
    X(F16, "f16", "F16", 1, 2, f16_row_to_f32, f16_row_from_f32)                                             \
    X(BF16, "bf16", "BF16", 1, 2, bf16_row_to_f32, bf16_row_from_f32)                                        \
    X(Q8_0, "q8_0", NULL, 32, 34, q8_0_row_to_f32, q8_0_row_from_f32)                                        \
    X(Q4_0, "q4_0", NULL, 32, 18, q4_0_row_to_f32, q4_0_row_from_f32)                                        \
    X(Q4_K, "q4_K", NULL, 256, 144, q4_k_row_to_f32, q4_k_row_from_f32)                                      \
    X(Q6_K, "q6_K", NULL, 256, 210, q6_k_row_to_f32, q6_k_row_from_f32)                                      \
    X(F64, "f64", "F64", 1, 8, f64_row_to_f32, NULL)                                                         \
    X(I64, "i64", "I64", 1, 8, NULL, NULL)                                                                   \
    X(I32, "i32", "I32", 1, 4, NULL, NULL)                                                                   \
    X(I16, "i16", "I16", 1, 2, NULL, NULL)                                                                   \
    X(I8, "i8", "I8", 1, 1, NULL, NULL)                                                                      \
    X(U8, "u8", "U8", 1, 1, NULL, NULL)                                                                      \
    X(BOOL, "bool", "BOOL", 1, 1, NULL, NULL)

enum dtype {
#define X(code, ...) DTYPE_##code,
    DTYPE_MAP(X)
#undef X
        DTYPE_COUNT
};

struct dtype_info {
    const char *name, *name_safetensors; /* NULL: safetensors has no such type */
    size_t block_elements, block_bytes;
    /* n elements, n a multiple of block_elements; src and dst may be unaligned and do not overlap. NULL where
     * the type cannot hold weights (integers). These are the definitions: plain C, bit-exact everywhere. */
    void (*to_f32)(float *dst, const void *src, size_t n);
    void (*from_f32)(void *dst, const float *src, size_t n); /* plain types round to nearest even */
};

const struct dtype_info *dtype_info(enum dtype t);

/* The type of that name, in capitals or not ("q4_k" and "q4_K"). False: there is none. */
bool dtype_find(const char *name, enum dtype *t);

/* Bytes of n elements. n must be a multiple of the block. */
size_t dtype_bytes(enum dtype t, size_t n);

/* Whether these numbers can be rounded to the type: f16, which quantised blocks are scaled by too, ends at DTYPE_F16_MAX and holds nothing
 * that is not finite. */
#define DTYPE_F16_MAX 65504
bool dtype_holds(enum dtype t, const float *x, size_t n);

/* True for the types that a weight may have. */
bool dtype_is_weight(enum dtype t);

static inline float bf16_to_f32(uint16_t h)
{
    uint32_t u = (uint32_t)h << 16;
    float f;

    memcpy(&f, &u, sizeof f);
    return f;
}

/* Rounds to nearest even; NaN stays NaN. */
uint16_t f32_to_bf16(float f);
float f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float f);

#endif
