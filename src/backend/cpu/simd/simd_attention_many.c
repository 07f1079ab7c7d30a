/*
 * simd_attention_many.c - one head of up to MANY_ROWS rows. Everything is turned: a register holds the same thing of WIDTH
 * queries, so that neither scores nor values need turning, and a softmax is a loop down the keys.
 *
 *   q^T   panels of COLUMNS queries   [d][COLUMNS], scaled by scale * log2 e
 *   KEYS keys at a time, unpacked to float32 rows; for every panel:
 *     p   [KEYS][COLUMNS] = k q^T           register tiles; plus the terms of a map; 2^(p - largest so far) in place
 *     out^T [d][COLUMNS]  = out^T * (what a larger score shrinks it by) + v^T p
 *   y = out^T / sum, turned back
 *
 * Tiles of keys begin at multiples of KEYS from the sequence's first, and what a query does not see has the probability zero
 * exactly: so a row does not depend on the others.
 */
#include "backend/cpu/simd/simd_attention.h"
#include "backend/cpu/simd/tile.h"

#include <math.h>

enum {
    KEYS =
        132, /* whole register tiles at every level; keys and values of 128 numbers take 135 KB, a part of the second cache */
    SMALL =
        4, /* rows of the register tile where less than ROWS are left: ROWS * a + SMALL * b is any multiple of SMALL */
};

struct many_space {
    float q[MANY_ROWS * HEAD_DIM_MAX], out[MANY_ROWS * HEAD_DIM_MAX]; /* panels */
    float k[KEYS * HEAD_DIM_MAX], v[KEYS * HEAD_DIM_MAX];             /* rows of d_padded */
    float p[KEYS * COLUMNS];
    float largest[MANY_ROWS], sum[MANY_ROWS];
    /* Panels [side][COLUMNS]: what a key in row (column) i of the map adds to the score, times log2 e. */
    float row_term[MANY_ROWS * GRID_SIDE_MAX], column_term[MANY_ROWS * GRID_SIDE_MAX];
};
_Static_assert(sizeof(struct many_space) <= KERNEL_SCRATCH_BYTES, "attention's tiles fit a thread's scratch");
_Static_assert(MANY_ROWS % COLUMNS == 0 && KEYS % SMALL == 0 && HEAD_DIM_MAX % SMALL == 0, "whole tiles");

/* c[r] = c[r] * shrink + sum over i < n, in order, of a[r * row + i * step] b[i], where c and b are `vectors` vectors wide and
 * COLUMNS apart. Without `shrink`, c is only written. */
INLINE void tile(int rows, int vectors, int64_t n, const float *a, int64_t row, int64_t step, const float *b,
                 const vf *shrink, float *c)
{
    vf sum[ROWS][2];

    UNROLL
    for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = (vf){ 0 };
    for (int64_t i = 0; i < n; i++) {
        vf b0 = load(b + i * COLUMNS), b1 = vectors > 1 ? load(b + i * COLUMNS + WIDTH) : b0;

        UNROLL
        for (int r = 0; r < rows; r++) {
            sum[r][0] += a[r * row + i * step] * b0;
            if (vectors > 1) sum[r][1] += a[r * row + i * step] * b1;
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int j = 0; j < vectors; j++) {
            float *to = c + r * COLUMNS + j * WIDTH;

            store(to, shrink != NULL ? load(to) * shrink[j] + sum[r][j] : sum[r][j]);
        }
    }
}

/* `rows` rows of c, a multiple of SMALL, tile below tile. */
INLINE void column(int vectors, int64_t rows, int64_t n, const float *a, int64_t row, int64_t step,
                   const float *b, const vf *shrink, float *c)
{
    int64_t r = 0, small = 0;

    while ((rows - small) % ROWS != 0) small += SMALL;
    for (; r < rows - small; r += ROWS)
        tile(ROWS, vectors, n, a + r * row, row, step, b, shrink, c + r * COLUMNS);
    for (; r < rows; r += SMALL) tile(SMALL, vectors, n, a + r * row, row, step, b, shrink, c + r * COLUMNS);
}

/* One panel of queries, which see `visible` keys of the tile or fewer, and the n keys of a tile. */
struct panel {
    const float *q;
    float *out, *largest, *sum;
    int32_t visible[COLUMNS];
    int64_t least; /* of visible */
    const float *row_term, *column_term;
    int64_t side, cell; /* of the map, or 0; and of the tile's first key */
};

/* Scores become probabilities relative to the largest score so far, 2^0. */
INLINE void soften(int vectors, struct many_space *z, struct panel *x, int64_t n, vf shrink[2])
{
    typedef int32_t ints __attribute__((vector_size(4 * SIMD_WIDTH)));

    for (int j = 0; j < vectors; j++) {
        float *p = z->p + j * WIDTH;
        vf before = load(x->largest + j * WIDTH), largest = before, sum = { 0 };
        ints visible;

        memcpy(&visible, x->visible + j * WIDTH, sizeof visible);
        for (int64_t i = x->least; i < n; i++) {
            vu seen = (vu)(visible > (int32_t)i);

            store(p + i * COLUMNS, (vf)((seen & (vu)load(p + i * COLUMNS)) | (~seen & (vu)splat(-INFINITY))));
        }
        for (int64_t i = 0; i < n; i++) largest = vmax(largest, load(p + i * COLUMNS));
        for (int64_t i = 0; i < n; i++) {
            vf share = vexp2(load(p + i * COLUMNS) - largest);

            store(p + i * COLUMNS, share);
            sum += share;
        }
        shrink[j] = vexp2(before - largest);
        store(x->largest + j * WIDTH, largest);
        store(x->sum + j * WIDTH, load(x->sum + j * WIDTH) * shrink[j] + sum);
    }
}

/* Adds a map's terms to the scores of n keys. */
INLINE void add_terms(int vectors, struct many_space *z, const struct panel *x, int64_t n)
{
    int64_t row = x->cell / x->side, column = x->cell % x->side;

    for (int64_t i = 0; i < n; i++) {
        UNROLL
        for (int j = 0; j < vectors; j++) {
            float *p = z->p + i * COLUMNS + j * WIDTH;

            store(p, load(p) + (load(x->row_term + row * COLUMNS + j * WIDTH) +
                                load(x->column_term + column * COLUMNS + j * WIDTH)));
        }
        if (++column < x->side) continue;
        column = 0;
        row++;
    }
}

INLINE void panel_keys(int vectors, struct many_space *z, struct panel *x, int64_t n, int64_t d,
                       int64_t d_padded)
{
    vf shrink[2];

    column(vectors, round_up(n, SMALL), d, z->k, d_padded, 1, x->q, NULL, z->p);
    if (x->side > 0) add_terms(vectors, z, x, n);
    soften(vectors, z, x, n, shrink);
    column(vectors, d_padded, n, z->v, 1, d_padded, z->p, shrink, x->out);
}

/* All panels, and the keys p0 .. p0+n-1 of the sequence. */
static void tile_keys(struct many_space *z, const struct attention_job *j, struct attention_block b,
                      int64_t p0, int64_t n)
{
    int64_t d = j->s->head_dim, d_padded = round_up(d, SMALL), rows = b.t1 - b.t0;
    int64_t side = j->g != NULL ? j->g->side : 0;

    for (int64_t r = 0; r < rows; r += COLUMNS) {
        struct panel x = { .q = z->q + r * d,
                           .out = z->out + r * d_padded,
                           .largest = z->largest + r,
                           .sum = z->sum + r,
                           .least = n,
                           .row_term = z->row_term + r * side,
                           .column_term = z->column_term + r * side,
                           .side = side,
                           .cell = p0 };
        int64_t most = 0;

        for (int64_t i = 0; i < COLUMNS; i++) {
            int64_t visible = min_i64(n, j->s->count[b.t0 + min_i64(r + i, rows - 1)] - p0);

            x.visible[i] = visible > 0 ? (int32_t)visible : 0;
            x.least = min_i64(x.least, x.visible[i]);
            most = visible > most ? visible : most;
        }
        if (most == 0) continue;
        if (rows - r > WIDTH)
            panel_keys(2, z, &x, most, d, d_padded);
        else
            panel_keys(1, z, &x, most, d, d_padded);
    }
}

/* The terms of the block's queries, turned. Columns beyond the last query add nothing. */
static void begin_terms(struct many_space *z, const struct attention_job *j, struct attention_block b,
                        int head)
{
    int64_t side = j->g->side, rows = b.t1 - b.t0, cell = b.t0 - j->s->first[b.t0];
    size_t size = (size_t)(round_up(rows, COLUMNS) * side) * sizeof(float);

    memset(z->row_term, 0, size);
    memset(z->column_term, 0, size);
    for (int64_t r = 0; r < rows; r++, cell++) {
        int64_t row = (b.t0 + r) * j->s->heads + head, to = r / COLUMNS * COLUMNS * side + r % COLUMNS;
        const float *row_term = data_row(j->g->rows, row) + cell / side + side - 1,
                    *column_term = data_row(j->g->columns, row) + cell % side + side - 1;

        for (int64_t i = 0; i < side; i++) {
            z->row_term[to + i * COLUMNS] = row_term[-i] * LOG2_E;
            z->column_term[to + i * COLUMNS] = column_term[-i] * LOG2_E;
        }
    }
}

static void begin(struct many_space *z, const struct attention_job *j, struct attention_block b, int head)
{
    int64_t d = j->s->head_dim, rows = b.t1 - b.t0, padded = round_up(rows, COLUMNS);

    for (int64_t r = 0; r < rows; r += COLUMNS)
        panel_turn(data_row(j->q, b.t0 + r) + head * d, j->q->stride, min_i64(COLUMNS, rows - r), d,
                   z->q + r * d, COLUMNS, COLUMNS);
    for (int64_t i = 0; i < padded * d; i += WIDTH) store(z->q + i, load(z->q + i) * (j->s->scale * LOG2_E));
    memset(z->out, 0, (size_t)(padded * round_up(d, SMALL)) * sizeof *z->out);
    for (int64_t r = 0; r < padded; r++) {
        z->largest[r] = -INFINITY;
        z->sum[r] = 0;
    }
    if (j->g != NULL) begin_terms(z, j, b, head);
}

static void end(struct many_space *z, const struct attention_job *j, struct attention_block b, int head)
{
    int64_t d = j->s->head_dim, d_padded = round_up(d, SMALL), rows = b.t1 - b.t0;

    for (int64_t r = 0; r < rows; r += COLUMNS) {
        float *out = z->out + r * d_padded;
        int64_t here = min_i64(COLUMNS, rows - r), c = 0;
        float *y = data_row(j->y, b.t0 + r) + head * d;

        for (int64_t i = 0; i < COLUMNS; i += WIDTH) {
            vf by = 1 / load(z->sum + r + i);

            for (c = 0; c < d; c++) store(out + c * COLUMNS + i, load(out + c * COLUMNS + i) * by);
        }
        for (c = 0; c + 4 <= d; c += 4) {
            const float *four[4] = { out + c * COLUMNS, out + (c + 1) * COLUMNS, out + (c + 2) * COLUMNS,
                                     out + (c + 3) * COLUMNS };

            transpose_four(four, here, y + c, j->y->stride);
        }
        for (; c < d; c++)
            for (int64_t i = 0; i < here; i++) y[i * j->y->stride + c] = out[c * COLUMNS + i];
    }
}

void SIMD_NAME(attention_many)(const struct attention_job *j, struct attention_block b, int head,
                               void *scratch)
{
    const struct attention_shape *s = j->s;
    struct many_space *z = scratch;
    int64_t d = s->head_dim, first = s->first[b.t0], last = 0;

    begin(z, j, b, head);
    for (int64_t t = b.t0; t < b.t1; t++) last = s->count[t] > last ? s->count[t] : last;
    for (int64_t p = 0; p < last; p += KEYS) {
        int64_t n = min_i64(KEYS, last - p), kv = head / (s->heads / s->kv_heads),
                d_padded = round_up(d, SMALL);

        for (int64_t i = 0; i < n; i++) {
            unpack_head(j->k, first + p + i, kv, d, z->k + i * d_padded, d_padded);
            unpack_head(j->v, first + p + i, kv, d, z->v + i * d_padded, d_padded);
        }
        tile_keys(z, j, b, p, n);
    }
    end(z, j, b, head);
}
