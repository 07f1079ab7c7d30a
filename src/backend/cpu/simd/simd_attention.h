/*
 * simd_attention.h - what the two ways of attention share (simd_attention.c chooses): the call, the rows of one sequence,
 * and rows of keys or values as float32.
 */
#ifndef SPHINX_BACKEND_CPU_SIMD_ATTENTION_H
#define SPHINX_BACKEND_CPU_SIMD_ATTENTION_H

#include "backend/cpu/simd/vec.h"
#include "tensor/quant.h"

#define LOG2_E 0x1.715476p0f

struct attention_job {
    struct tensor *y;
    const struct tensor *q, *k, *v;
    const struct attention_shape *s;
    const struct grid_terms *g; /* NULL: none */
};

/* Rows t0 .. t1-1 of q: one sequence's, all with the same `first`. */
struct attention_block {
    int64_t t0, t1;
};

/* A block of many rows is handed out head by head; this one computes one of them. At most MANY_ROWS rows. */
enum { MANY_ROWS = 288 };
void SIMD_NAME(attention_many)(const struct attention_job *j, struct attention_block b, int head,
                               void *scratch);

/* How a block of few rows is cut into tasks: `share` key/value heads each, or of one head its queries (rows times the
 * query heads that read it) in `parts`. */
struct attention_cut {
    int64_t share, parts;
};

/* So that about `want` tasks come out. */
struct attention_cut SIMD_NAME(attention_few_cut)(const struct attention_job *j, struct attention_block b,
                                                  int64_t want);
void SIMD_NAME(attention_few)(const struct attention_job *j, struct attention_block b, struct attention_cut c,
                              int64_t task, void *scratch);

static inline int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* WIDTH signed bytes as floats. Compilers widen bytes one by one where they are not told the instruction. */
INLINE vf load_bytes(const int8_t *p)
{
#if SIMD_WIDTH == 16 && defined(__AVX512F__)
    return (vf)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p)));
#elif SIMD_WIDTH == 8 && defined(__AVX2__)
    return (vf)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p)));
#else
    vf v;

    for (int i = 0; i < WIDTH; i++) v[i] = (float)p[i];
    return v;
#endif
}

/* A block's scale in all lanes. */
INLINE vf load_scale(const struct quant_q8_0 *b)
{
#if SIMD_WIDTH >= 8 && defined(__F16C__)
    return splat(_cvtsh_ss(quant_half(b->scale)));
#else
    return splat(f16_to_f32(quant_half(b->scale)));
#endif
}

/* Row p of head `kv` of the keys or values: d numbers as float32, zeros after them up to d_padded. */
static inline void unpack_head(const struct tensor *x, int64_t p, int64_t kv, int64_t d, float *to,
                               int64_t d_padded)
{
    const char *from = (const char *)x->data + dtype_bytes(x->dtype, (size_t)(p * x->stride + kv * d));
    int64_t i = 0;

    if (x->dtype == DTYPE_Q8_0) {
        const struct quant_q8_0 *b = (const void *)from;

        for (; i < d; i += QUANT_SHORT, b++) {
            vf scale = load_scale(b);

            for (int k = 0; k < QUANT_SHORT; k += WIDTH) store(to + i + k, load_bytes(b->q + k) * scale);
        }
    } else {
        const void *row = row_f32(x->dtype, from, d, to);

        if (row != to) memcpy(to, row, (size_t)d * sizeof *to);
        i = d;
    }
    for (; i < d_padded; i++) to[i] = 0;
}

#endif
