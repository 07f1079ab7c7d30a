/*
 * tile.h - the register tile that every matrix product is made of: ROWS x COLUMNS sums held in registers while k runs.
 *
 *   a [k][ROWS]     a panel: ROWS rows of the left matrix, k by k
 *   b [k][COLUMNS]  a panel: COLUMNS columns of the right matrix, k by k
 *   c[r][n] = add[r][n] + sum over k, in order, of a[k][r] b[k][n]
 *
 * Rows and columns beyond a matrix's end are zero in the panels, so that there is one kernel and no remainder loop.
 */
#ifndef SPHINX_BACKEND_CPU_TILE_H
#define SPHINX_BACKEND_CPU_TILE_H

#include "backend/cpu/simd/vec.h"

enum { ROWS = SIMD_ROWS, COLUMNS = 2 * WIDTH };

/* add has rows ld_add apart; 0 repeats one row (a bias). c may be add. */
static inline void tile_full(int64_t k, const float *a, const float *b, const float *add, int64_t ld_add,
                             float *c, int64_t ld)
{
    vf sum[ROWS][2];

    UNROLL
    for (int r = 0; r < ROWS; r++) {
        __builtin_prefetch(add + r * ld_add);
        sum[r][0] = sum[r][1] = (vf){ 0 };
    }
    for (int64_t i = 0; i < k; i++) {
        vf b0 = load(b + i * COLUMNS), b1 = load(b + i * COLUMNS + WIDTH);

        UNROLL
        for (int r = 0; r < ROWS; r++) {
            sum[r][0] += a[i * ROWS + r] * b0;
            sum[r][1] += a[i * ROWS + r] * b1;
        }
    }
    UNROLL
    for (int r = 0; r < ROWS; r++) {
        store(c + r * ld, load(add + r * ld_add) + sum[r][0]);
        store(c + r * ld + WIDTH, load(add + r * ld_add + WIDTH) + sum[r][1]);
    }
}

/* The same for the last rows and columns of a matrix: nothing beyond rows x columns is read or written. */
static inline void tile_part(int64_t k, const float *a, const float *b, const float *add, int64_t ld_add,
                             float *c, int64_t ld, int64_t rows, int64_t columns)
{
    float edge[ROWS * COLUMNS] = { 0 };

    for (int64_t r = 0; r < rows; r++)
        memcpy(edge + r * COLUMNS, add + r * ld_add, (size_t)columns * sizeof *edge);
    tile_full(k, a, b, edge, COLUMNS, edge, COLUMNS);
    for (int64_t r = 0; r < rows; r++) memcpy(c + r * ld, edge + r * COLUMNS, (size_t)columns * sizeof *edge);
}

/* All tiles of one stretch of k: rows x columns of c from panels a and b, panel after panel, k elements each. The panel
 * of b stays in the first cache while those of a run past it. */
static inline void tiles(int64_t k, const float *a, const float *b, const float *add, int64_t ld_add,
                         float *c, int64_t ld, int64_t rows, int64_t columns)
{
    for (int64_t n = 0; n < columns; n += COLUMNS) {
        for (int64_t m = 0; m < rows; m += ROWS) {
            const float *pa = a + m * k, *pb = b + n * k, *from = add + m * ld_add + n;
            float *to = c + m * ld + n;

            if (rows - m >= ROWS && columns - n >= COLUMNS)
                tile_full(k, pa, pb, from, ld_add, to, ld);
            else
                tile_part(k, pa, pb, from, ld_add, to, ld, min_i64(rows - m, ROWS),
                          min_i64(columns - n, COLUMNS));
        }
    }
}

/* Splits row `row` [columns] of a right matrix into the panels it belongs to, `count` rows long each. What lies
 * beyond the last column is left alone. dst is where the row begins in the first panel. */
static inline void spread_row(const float *row, int64_t columns, int64_t count, float *dst)
{
    int64_t c = 0;

    for (; c + COLUMNS <= columns; c += COLUMNS, dst += COLUMNS * count)
        memcpy(dst, row + c, COLUMNS * sizeof *dst);
    if (c < columns) memcpy(dst, row + c, (size_t)(columns - c) * sizeof *dst);
}

/* dst[i * step + r] = rows[r][i] for four rows: blocks of 4 x 4 turned in registers. */
static inline void transpose_four(const float *const rows[4], int64_t k, float *dst, int64_t step)
{
    int64_t i = 0;

    for (; i + 4 <= k; i += 4) {
        v4f r0, r1, r2, r3, t0, t1, t2, t3;

        memcpy(&r0, rows[0] + i, sizeof r0);
        memcpy(&r1, rows[1] + i, sizeof r1);
        memcpy(&r2, rows[2] + i, sizeof r2);
        memcpy(&r3, rows[3] + i, sizeof r3);
        t0 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
        t1 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
        t2 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
        t3 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
        r0 = __builtin_shufflevector(t0, t1, 0, 1, 4, 5);
        r1 = __builtin_shufflevector(t0, t1, 2, 3, 6, 7);
        r2 = __builtin_shufflevector(t2, t3, 0, 1, 4, 5);
        r3 = __builtin_shufflevector(t2, t3, 2, 3, 6, 7);
        memcpy(dst + i * step, &r0, sizeof r0);
        memcpy(dst + (i + 1) * step, &r1, sizeof r1);
        memcpy(dst + (i + 2) * step, &r2, sizeof r2);
        memcpy(dst + (i + 3) * step, &r3, sizeof r3);
    }
    for (; i < k; i++)
        for (int r = 0; r < 4; r++) memcpy(dst + i * step + r, (const char *)(rows[r] + i), sizeof(float));
}

/* The same for two rows. */
static inline void transpose_two(const float *row0, const float *row1, int64_t k, float *dst, int64_t step)
{
    int64_t i = 0;

    for (; i + 4 <= k; i += 4) {
        v4f r0, r1, pair[2];

        memcpy(&r0, row0 + i, sizeof r0);
        memcpy(&r1, row1 + i, sizeof r1);
        pair[0] = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
        pair[1] = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
        for (int j = 0; j < 4; j++)
            memcpy(dst + (i + j) * step, (const float *)&pair[j / 2] + j % 2 * 2, 2 * sizeof *dst);
    }
    for (; i < k; i++) {
        dst[i * step] = row0[i];
        dst[i * step + 1] = row1[i];
    }
}

/* A panel `width` wide whose row r lies at from + r * ld: turned from [width][k] to [k][width], `step` apart, zero from `rows` on. */
static inline void panel_turn(const float *from, int64_t ld, int64_t rows, int64_t k, float *dst, int width,
                              int64_t step)
{
    int r = 0;

    for (; r + 4 <= width && r + 4 <= rows; r += 4) {
        const float *four[4] = { from + r * ld, from + (r + 1) * ld, from + (r + 2) * ld,
                                 from + (r + 3) * ld };

        transpose_four(four, k, dst + r, step);
    }
    for (; r + 2 <= width && r + 2 <= rows; r += 2)
        transpose_two(from + r * ld, from + (r + 1) * ld, k, dst + r, step);
    for (; r < width; r++)
        for (int64_t i = 0; i < k; i++) dst[i * step + r] = r < rows ? from[r * ld + i] : 0;
}

#endif
