/*
 * matrix_unit.h - the processor's matrix unit (AMX): eight tiles of 16 rows of 64 bytes, and one product of tiles,
 *
 *   sum [16][16] f32  +=  a [16][32] bf16  .  b [16][16][2] bf16      b[i][n][j] being row 2i+j, column n
 *
 * Where the compiler targets the unit, these are its instructions; elsewhere the same operations in plain C, for tests: bit
 * by bit what the instruction does, so that the kernel around it is checked on any processor and by the sanitizers. Tiles
 * are always whole: kernels fill up their panels with zeros.
 *
 * The unit rounds each product-and-add once, to the nearest even, sums even and odd terms of a product of tiles apart, and
 * takes numbers below 2^-126 as zero, in and out.
 */
#ifndef SPHINX_BACKEND_CPU_MATRIX_UNIT_H
#define SPHINX_BACKEND_CPU_MATRIX_UNIT_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Rows of a tile, bytes and bf16 numbers in one, bf16 numbers in all of it. */
enum { TILE = 16, TILE_ROW_BYTES = 64, TILE_K = 32, TILE_ELEMENTS = TILE * TILE_K };

/* What `ldtilecfg` reads: 1 is the only palette with tiles. */
struct tile_shapes {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

#ifdef __AMX_BF16__
#include <immintrin.h>

/* Its state is this thread's registers, from begin to end. They are big: left unused but filled, they would be saved at
 * every task switch. */
struct matrix_unit {
    struct tile_shapes shapes;
};

static inline void matrix_unit_begin(struct matrix_unit *u)
{
    memset(&u->shapes, 0, sizeof u->shapes);
    u->shapes.palette = 1;
    for (int i = 0; i < 8; i++) {
        u->shapes.rows[i] = TILE;
        u->shapes.row_bytes[i] = TILE_ROW_BYTES;
    }
    _tile_loadconfig(&u->shapes);
}

static inline void matrix_unit_end(struct matrix_unit *u)
{
    (void)u;
    _tile_release();
}

/* Tiles are named by literal numbers. Loads and stores are asm without "memory" in some compilers: matrix_unit_fence stands
 * between them and plain reads and writes of the same memory. */
#define matrix_unit_fence()        __asm__ volatile("" ::: "memory")
#define tile_zero(u, tile)         _tile_zero(tile)
#define tile_load(u, tile, from)   _tile_loadd(tile, from, TILE_ROW_BYTES)
#define tile_store(u, tile, to)    _tile_stored(tile, to, TILE_ROW_BYTES)
#define tile_product(u, sum, a, b) _tile_dpbf16ps(sum, a, b)

#else

struct matrix_unit {
    union {
        float f[TILE][TILE];
        uint16_t h[TILE][TILE_K];
    } tile[8];
};

static inline void matrix_unit_begin(struct matrix_unit *u)
{
    memset(u, 0, sizeof *u);
}

static inline void matrix_unit_end(struct matrix_unit *u)
{
    memset(u, 0xff, sizeof *u); /* NaN */
}

static inline void matrix_unit_fence(void) {}

static inline void tile_zero(struct matrix_unit *u, int tile)
{
    memset(&u->tile[tile], 0, sizeof u->tile[tile]);
}

static inline void tile_load(struct matrix_unit *u, int tile, const void *from)
{
    memcpy(&u->tile[tile], from, sizeof u->tile[tile]);
}

static inline void tile_store(struct matrix_unit *u, int tile, void *to)
{
    memcpy(to, &u->tile[tile], sizeof u->tile[tile]);
}

static inline float flush_subnormal(float x)
{
    return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x;
}

static inline float bf16_flushed(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float f;

    memcpy(&f, &bits, sizeof f);
    return flush_subnormal(f);
}

static inline void tile_product(struct matrix_unit *u, int sum, int a, int b)
{
    for (int m = 0; m < TILE; m++) {
        for (int n = 0; n < TILE; n++) {
            float part[2] = { 0, 0 }, *s = &u->tile[sum].f[m][n];

            for (int k = 0; k < TILE_K; k++) {
                float x = bf16_flushed(u->tile[a].h[m][k]);
                float y = bf16_flushed(u->tile[b].h[k / 2][2 * n + k % 2]);

                part[k % 2] = flush_subnormal(fmaf(x, y, part[k % 2]));
            }
            *s = flush_subnormal(flush_subnormal(*s) + flush_subnormal(part[0] + part[1]));
        }
    }
}

#endif
#endif
