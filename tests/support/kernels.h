/*
 * kernels.h - for tests of kernels: every level in turn, buffers between canaries, random numbers, and comparisons that
 * NaN fails.
 */
#ifndef TESTS_SUPPORT_KERNELS_H
#define TESTS_SUPPORT_KERNELS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"

/* The test once a level; where the processor lacks one, the test is listed as skipped under its name. What level amx adds
 * has a test of its own (test_cpu_amx). */
#define ON_LEVEL(test, level)                                                                                \
    {                                                                                                        \
#test " (" level ")", test, NULL, NULL, level                                                        \
    }
#define EACH_LEVEL(test)                                                                                     \
    ON_LEVEL(test, "portable"), ON_LEVEL(test, "avx2"), ON_LEVEL(test, "avx512"), ON_LEVEL(test, "avx512vnni")

enum { BUFFERS_MAX = 4096, CANARY_BYTES = 256, CANARY = 0xA5, THREADS_MAX = 3 };

struct fixture {
    const struct backend *level, *ref;
    struct exec exec;
    uint64_t random;
    struct {
        unsigned char *memory;
        size_t size;
    } buffer[BUFFERS_MAX];
    int n_buffers;
};

/* Skips the test where `level` does not run. */
static inline void fixture_begin(struct fixture *t, const char *level)
{
    struct err e = { 0 };

    memset(t, 0, sizeof *t);
    if (cpu_backend(level, &t->level, &e) != STATUS_OK) {
        print_message("%s\n", e.text);
        skip();
    }
    assert_int_equal(cpu_backend("ref", &t->ref, &e), STATUS_OK);
    t->random = 20231107;
    t->exec.threads = 2;
    t->exec.scratch = aligned_alloc(64, (size_t)THREADS_MAX * KERNEL_SCRATCH_BYTES);
    assert_non_null(t->exec.scratch);
    memset(t->exec.scratch, 0xFF, (size_t)THREADS_MAX * KERNEL_SCRATCH_BYTES); /* NaN: reading it shows */
}

/* Frees all buffers after looking at their canaries. */
static inline void buffers_check(struct fixture *t)
{
    for (int i = 0; i < t->n_buffers; i++) {
        const unsigned char *m = t->buffer[i].memory;

        for (size_t j = 0; j < CANARY_BYTES; j++) {
            if (m[j] != CANARY)
                fail_msg("buffer %d: written %zu bytes before its start", i, CANARY_BYTES - j);
            if (m[CANARY_BYTES + t->buffer[i].size + j] != CANARY)
                fail_msg("buffer %d: written %zu bytes after its end", i, j);
        }
        free(t->buffer[i].memory);
    }
    t->n_buffers = 0;
}

static inline void fixture_end(struct fixture *t)
{
    buffers_check(t);
    free(t->exec.scratch);
}

/* `align` bytes beyond a multiple of 64. */
static inline void *guarded_bytes(struct fixture *t, size_t size, size_t align)
{
    size_t all = (size + 2 * CANARY_BYTES + 127) / 64 * 64;
    unsigned char *m = aligned_alloc(64, all);

    assert_non_null(m);
    assert_true(t->n_buffers < BUFFERS_MAX && align < 64 && CANARY_BYTES % 64 == 0);
    memset(m, CANARY, all);
    t->buffer[t->n_buffers].memory = m;
    t->buffer[t->n_buffers++].size = size + align;
    return m + CANARY_BYTES + align;
}

/* Aligned to float only. */
static inline float *guarded(struct fixture *t, int64_t n)
{
    return guarded_bytes(t, (size_t)n * sizeof(float), 4);
}

static inline uint32_t random_bits(struct fixture *t)
{
    t->random = t->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(t->random >> 33);
}

/* Uniform in -1 .. 1. */
static inline float random_float(struct fixture *t)
{
    return (float)random_bits(t) * 0x1p-30f - 1;
}

static inline float *random_floats(struct fixture *t, int64_t n)
{
    float *p = guarded(t, n);

    for (int64_t i = 0; i < n; i++) p[i] = random_float(t);
    return p;
}

/* A matrix of random numbers with `gap` unused columns (of NaN) between rows. */
static inline struct tensor random_matrix(struct fixture *t, int64_t rows, int64_t columns, int64_t gap)
{
    struct tensor m = tensor_matrix(DTYPE_F32, NULL, rows, columns);

    m.stride = columns + gap;
    m.data = guarded(t, rows * m.stride);
    for (int64_t i = 0; i < rows * m.stride; i++)
        tensor_f32(&m)[i] = i % m.stride < columns ? random_float(t) : NAN;
    return m;
}

/* n, or the next number of elements that makes whole blocks of the dtype. */
static inline int64_t whole_blocks(enum dtype dtype, int64_t n)
{
    int64_t block = (int64_t)dtype_info(dtype)->block_elements;

    return (n + block - 1) / block * block;
}

/* The same rounded to a weight's dtype, at an odd address where the type allows bytes. Columns and gap are multiples of the
 * dtype's block. */
static inline struct tensor random_weight(struct fixture *t, enum dtype dtype, int64_t rows, int64_t columns,
                                          int64_t gap)
{
    enum { BLOCK_MAX = 256 };
    struct tensor w = tensor_matrix(dtype, NULL, rows, columns);
    int64_t block = (int64_t)dtype_info(dtype)->block_elements;

    w.stride = columns + gap;
    w.data = guarded_bytes(t, dtype_bytes(dtype, (size_t)(rows * w.stride)), dtype == DTYPE_F32 ? 4 : 1);
    for (int64_t i = 0; i < rows * w.stride; i += block) {
        float x[BLOCK_MAX];
        double wide;
        char *to = (char *)w.data + dtype_bytes(dtype, (size_t)i);

        for (int64_t j = 0; j < block; j++) x[j] = i % w.stride < columns ? random_float(t) : NAN;
        wide = (double)x[0];
        if (dtype == DTYPE_F64)
            memcpy(to, &wide, sizeof wide);
        else
            dtype_info(dtype)->from_f32(to, x, (size_t)block);
    }
    return w;
}

/* The same weight cut along an axis; each piece in its own buffer. p, data [count] and stride [count] are the result's. */
static inline struct tensor cut(struct fixture *t, const struct tensor *w, int axis, int count,
                                struct tensor_pieces *p, const void **data, int64_t *stride)
{
    int64_t rows = tensor_rows(w) / (axis == 0 ? count : 1),
            columns = tensor_columns(w) / (axis == 1 ? count : 1);
    size_t row_bytes = dtype_bytes(w->dtype, (size_t)columns);
    struct tensor c = *w;

    for (int i = 0; i < count; i++) {
        int64_t row0 = axis == 0 ? i * rows : 0, column0 = axis == 1 ? i * columns : 0;
        char *to = guarded_bytes(t, (size_t)rows * row_bytes, 1 + (size_t)i);

        for (int64_t r = 0; r < rows; r++)
            memcpy(to + (size_t)r * row_bytes, tensor_row(w, row0 + r, column0, columns, NULL), row_bytes);
        data[i] = to;
        stride[i] = columns;
    }
    *p = (struct tensor_pieces){ axis, count, data, stride };
    c.data = NULL;
    c.pieces = p;
    return c;
}

/* Gives x a gradient of zeros, or of random numbers. */
static inline void with_grad(struct fixture *t, struct tensor *x, bool random)
{
    int64_t n = tensor_rows(x) * x->stride;

    x->grad = guarded(t, n);
    for (int64_t i = 0; i < n; i++) x->grad[i] = random ? random_float(t) : 0;
}

/* Fails unless every |got - want| <= tolerance; NaN fails, and so does the gap between rows having been written. */
static inline void assert_close(const struct tensor *got, const struct tensor *want, double tolerance,
                                const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static inline void assert_close(const struct tensor *got, const struct tensor *want, double tolerance,
                                const char *fmt, ...)
{
    char label[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(label, sizeof label, fmt, args);
    va_end(args);
    for (int64_t r = 0; r < tensor_rows(want); r++) {
        for (int64_t c = 0; c < tensor_columns(want); c++) {
            double g = (double)tensor_f32(got)[r * got->stride + c];
            double w = (double)tensor_f32(want)[r * want->stride + c];

            if (!(fabs(g - w) <= tolerance))
                fail_msg("%s: at [%lld, %lld] got %.9g, want %.9g within %.3g", label, (long long)r,
                         (long long)c, g, w, tolerance);
        }
        for (int64_t c = tensor_columns(got); c < got->stride; c++)
            if (!isnan(tensor_f32(got)[r * got->stride + c])) fail_msg("%s: written between rows", label);
    }
}

static inline void assert_same_bits(const struct tensor *a, const struct tensor *b, const char *label)
{
    for (int64_t r = 0; r < tensor_rows(a); r++)
        if (memcmp(tensor_f32(a) + r * a->stride, tensor_f32(b) + r * b->stride,
                   (size_t)tensor_columns(a) * sizeof(float)) != 0)
            fail_msg("%s: row %lld differs", label, (long long)r);
}

#endif
