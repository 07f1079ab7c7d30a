/*
 * column_sums.h - gradients that all rows add to (those of norms' and scales' vectors): rows are cut into blocks whose length depends on the
 * shape alone, a thread sums a block by itself, and the blocks are added in order. So any number of threads gives the same bits, and
 * the rows are read once, together with what else is computed of them.
 */
#ifndef SPHINX_BACKEND_CPU_COLUMN_SUMS_H
#define SPHINX_BACKEND_CPU_COLUMN_SUMS_H

#include "backend/cpu/simd/vec.h"

struct column_sums {
    float *part; /* [blocks][width], zero at the start of a block */
    int64_t width, blocks, block_rows;
};

enum { SUM_ROWS_MIN = 32 };

/* Sums of `width` columns over T rows, in the first thread's scratch, of which `width` columns must take no more than a part. */
static inline struct column_sums column_sums_of(const struct exec *e, int64_t T, int64_t width)
{
    int64_t room = KERNEL_SCRATCH_BYTES / (int64_t)sizeof(float) / width;
    struct column_sums s = { (float *)(void *)e->scratch, width, 0, (T + room - 1) / room };

    if (s.block_rows < SUM_ROWS_MIN) s.block_rows = SUM_ROWS_MIN;
    s.blocks = (T + s.block_rows - 1) / s.block_rows;
    return s;
}

static inline float *column_sums_block(const struct column_sums *s, int64_t block)
{
    float *part = s->part + block * s->width;

    memset(part, 0, (size_t)s->width * sizeof *part);
    return part;
}

/* to[i] += the sums of column first + i. */
static inline void column_sums_add(const struct column_sums *s, int64_t first, int64_t n, float *to)
{
    for (int64_t b = 1; b < s->blocks; b++)
        for (int64_t i = 0; i < n; i++) s->part[first + i] += s->part[b * s->width + first + i];
    for (int64_t i = 0; i < n; i++) to[i] += s->part[first + i];
}

#endif
