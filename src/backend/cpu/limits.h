/*
 * limits.h - what this machine can do at most, measured now: the yardsticks beside which benchmarks stand. Neighbours on a
 * shared machine come and go, so a limit counts only for the minute it was measured in.
 */
#ifndef SPHINX_BACKEND_CPU_LIMITS_H
#define SPHINX_BACKEND_CPU_LIMITS_H

#include "backend/cpu/cpu.h"

/* X(code, name, unit): arithmetic stays in registers; a multiply-add counts as two. */
#define LIMIT_MAP(X)                                                                                         \
    X(READ, "read", "B/s")  /* memory, larger than any cache, in four streams a thread */                    \
    X(F32, "f32", "FLOP/s") /* float32 fused multiply-adds, as wide as the level has them */                 \
    X(INT8, "int8", "OP/s") /* products of 8-bit integers, summed: maddubs, or VNNI's; 0: no such level */   \
    X(MATRIX, "matrix", "FLOP/s") /* bf16 products of the matrix unit; 0: the level does not use one */

enum limit {
#define X(code, ...) LIMIT_##code,
    LIMIT_MAP(X)
#undef X
        LIMIT_COUNT
};

/* "read", "f32", ... */
const char *limit_name(enum limit limit);

enum { LIMIT_MEMORY_BYTES = 512 << 20 };

/* Takes 10 to 100 ms. memory [LIMIT_MEMORY_BYTES], 64-byte aligned, written once by the caller so that its pages exist, is used by
 * LIMIT_READ only. clock gives seconds. Units a second, all threads together. */
double limit_measure(enum limit limit, enum cpu_level level, int threads, const void *memory,
                     double (*clock)(void));

#endif
