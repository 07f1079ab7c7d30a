/* dtype.c - see dtype.h. */
#include "tensor/dtype.h"

#include "tensor/quant.h"

#include <assert.h>
#include <math.h>
#include <strings.h>

uint16_t f32_to_bf16(float f)
{
    uint32_t u;

    memcpy(&u, &f, sizeof u);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((u >> 16) | 0x40u); /* quiet NaN */
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

float f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = (h >> 10) & 31u, mantissa = h & 0x3ffu, u;
    float f;

    if (exponent == 31) {
        u = sign | 0x7f800000u | (mantissa << 13);
    } else if (exponent != 0) {
        u = sign | ((exponent + 112) << 23) | (mantissa << 13);
    } else {
        f = (float)mantissa * 0x1p-24f; /* zero and subnormals */
        return sign != 0 ? -f : f;
    }
    memcpy(&f, &u, sizeof f);
    return f;
}

uint16_t f32_to_f16(float f)
{
    uint32_t u, sign, magnitude;
    float scaled;

    memcpy(&u, &f, sizeof u);
    sign = (u >> 16) & 0x8000u;
    magnitude = u & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* 65520 and more: infinity */
    if (magnitude >= 0x38800000u) {                                  /* normal: 2^-14 and more */
        magnitude += 0xfffu + ((magnitude >> 13) & 1u);
        return (uint16_t)(sign | ((magnitude - 0x38000000u) >> 13));
    }
    /* Subnormal: adding 0.5 makes the float unit round at 2^-24, nearest even, for us. */
    memcpy(&scaled, &magnitude, sizeof scaled);
    scaled += 0.5f;
    memcpy(&u, &scaled, sizeof u);
    return (uint16_t)(sign | (u - 0x3f000000u));
}

static void f32_row_to_f32(float *dst, const void *src, size_t n)
{
    memcpy(dst, src, n * sizeof *dst);
}

static void f32_row_from_f32(void *dst, const float *src, size_t n)
{
    memcpy(dst, src, n * sizeof *src);
}

static void f64_row_to_f32(float *dst, const void *src, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double d;

        memcpy(&d, (const char *)src + i * sizeof d, sizeof d);
        dst[i] = (float)d;
    }
}

#define DEFINE_HALF(type)                                                                                    \
    static void type##_row_to_f32(float *dst, const void *src, size_t n)                                     \
    {                                                                                                        \
        for (size_t i = 0; i < n; i++) {                                                                     \
            uint16_t h;                                                                                      \
                                                                                                             \
            memcpy(&h, (const char *)src + i * sizeof h, sizeof h);                                          \
            dst[i] = type##_to_f32(h);                                                                       \
        }                                                                                                    \
    }                                                                                                        \
    static void type##_row_from_f32(void *dst, const float *src, size_t n)                                   \
    {                                                                                                        \
        for (size_t i = 0; i < n; i++) {                                                                     \
            uint16_t h = f32_to_##type(src[i]);                                                              \
                                                                                                             \
            memcpy((char *)dst + i * sizeof h, &h, sizeof h);                                                \
        }                                                                                                    \
    }
DEFINE_HALF(f16)
DEFINE_HALF(bf16)

static const struct dtype_info infos[DTYPE_COUNT] = {
#define X(code, name, safetensors, elements, bytes, to, from)                                                \
    [DTYPE_##code] = { name, safetensors, elements, bytes, to, from },
    DTYPE_MAP(X)
#undef X
};

const struct dtype_info *dtype_info(enum dtype t)
{
    assert((unsigned)t < DTYPE_COUNT);
    return &infos[t];
}

bool dtype_find(const char *name, enum dtype *t)
{
    for (int i = 0; i < DTYPE_COUNT; i++) {
        if (strcasecmp(infos[i].name, name) != 0) continue;
        *t = (enum dtype)i;
        return true;
    }
    return false;
}

size_t dtype_bytes(enum dtype t, size_t n)
{
    const struct dtype_info *i = dtype_info(t);

    assert(n % i->block_elements == 0);
    return n / i->block_elements * i->block_bytes;
}

bool dtype_holds(enum dtype t, const float *x, size_t n)
{
    if (t != DTYPE_F16 && dtype_info(t)->block_elements == 1) return true;
    for (size_t i = 0; i < n; i++) {
        if (!(fabsf(x[i]) <= DTYPE_F16_MAX)) return false;
    }
    return true;
}

bool dtype_is_weight(enum dtype t)
{
    return dtype_info(t)->to_f32 != NULL;
}
