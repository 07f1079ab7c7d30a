/*
 * test_quant.c - quantised weights: blocks as other programs make and read them, cases worked out by hand, and how far numbers
 * move there and back.
 */
#include "support/golden.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <strings.h>

#include "tensor/quant.h"
#include "tensor/tensor.h"

enum { BLOCK_BYTES_MAX = 210 };

static const enum dtype types[] = { DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_K, DTYPE_Q6_K };
#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- against other programs ---------------------------------------------------------------------------------- */

static void unhex(void *to, size_t size, const char *hex)
{
    assert_non_null(hex);
    assert_int_equal(strcspn(hex, "\n"), 2 * size);
    for (size_t i = 0; i < size; i++) {
        unsigned byte;

        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        ((unsigned char *)to)[i] = (unsigned char)byte;
    }
}

static void golden_case(char *line)
{
    const char *verb = strtok(line, " "), *name = strtok(NULL, " "), *hex = strtok(NULL, " ");
    unsigned char block[BLOCK_BYTES_MAX], written[BLOCK_BYTES_MAX];
    float x[QUANT_LONG], got[QUANT_LONG];
    const struct dtype_info *info;
    enum dtype t;

    assert_true(dtype_find(name, &t));
    info = dtype_info(t);
    unhex(block, info->block_bytes, hex);
    unhex(x, info->block_elements * sizeof *x, strtok(NULL, " "));
    if (strcmp(verb, "read") == 0) {
        info->to_f32(got, block, info->block_elements);
        if (memcmp(got, x, info->block_elements * sizeof *x) != 0) fail_msg("%s is read otherwise", name);
    } else {
        info->from_f32(written, x, info->block_elements);
        if (memcmp(written, block, info->block_bytes) != 0) fail_msg("%s is written otherwise", name);
    }
}

static void other_programs_agree(void **state)
{
    (void)state;
    golden_each("tests/data/quant_golden.txt", 32, golden_case);
}

/* ---- by hand ------------------------------------------------------------------------------------------------- */

static void there_and_back(enum dtype t, const float *x, float *y, size_t n)
{
    unsigned char bytes[4 * BLOCK_BYTES_MAX];
    const struct dtype_info *info = dtype_info(t);

    assert_true(dtype_bytes(t, n) <= sizeof bytes);
    memset(bytes, 0xA5, sizeof bytes);
    info->from_f32(bytes, x, n);
    info->to_f32(y, bytes, n);
}

static void zeros_stay_zero(void **state)
{
    float x[QUANT_LONG] = { 0 }, y[QUANT_LONG];

    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        there_and_back(types[i], x, y, QUANT_LONG);
        for (int k = 0; k < QUANT_LONG; k++) assert_true(y[k] == 0);
    }
}

/* The number farthest from zero becomes -8 and is exact; its opposite would be +8 and is cut off at 7. */
static void q4_0_reaches_minus_eight(void **state)
{
    float x[QUANT_SHORT] = { 0 }, y[QUANT_SHORT];
    struct quant_q4_0 b;

    (void)state;
    x[3] = -4;
    x[4] = 4;
    x[20] = 1.25f; /* 2.5 steps: ties go up */
    x[21] = -1.25f;
    q4_0_row_from_f32(&b, x, QUANT_SHORT);
    assert_int_equal(quant_half(b.scale), 0x3800); /* 0.5 */
    assert_int_equal(b.q[3], 0x80);
    assert_int_equal(b.q[4], 0xBF); /* 15, and 11 for element 20 */
    assert_int_equal(b.q[5], 0x68);
    q4_0_row_to_f32(y, &b, QUANT_SHORT);
    assert_true(y[3] == -4 && y[4] == 3.5f && y[20] == 1.5f && y[21] == -1 && y[0] == 0);
    x[4] = 4.5f; /* now the positive one is farthest: the scale is negative */
    q4_0_row_from_f32(&b, x, QUANT_SHORT);
    assert_int_equal(quant_half(b.scale), 0xB880); /* -0.5625 */
    assert_int_equal(b.q[4] & 15, 0);
    q4_0_row_to_f32(y, &b, QUANT_SHORT);
    assert_true(y[4] == 4.5f && y[3] == -3.9375f);
}

static void q8_0_rounds_ties_away(void **state)
{
    float x[QUANT_SHORT] = { 127, -127, 2.5f, -2.5f, 3.5f, 0.49999997f, -0.5f }, y[QUANT_SHORT];
    struct quant_q8_0 b;

    (void)state;
    q8_0_row_from_f32(&b, x, QUANT_SHORT);
    assert_int_equal(quant_half(b.scale), 0x3c00); /* 1 */
    assert_int_equal(b.q[2], 3);
    assert_int_equal(b.q[3], -3);
    assert_int_equal(b.q[4], 4);
    assert_int_equal(b.q[5], 0);
    assert_int_equal(b.q[6], -1);
    q8_0_row_to_f32(y, &b, QUANT_SHORT);
    assert_true(y[0] == 127 && y[1] == -127 && y[31] == 0);
    b.q[0] = -128; /* never written, yet a file may hold it */
    q8_0_row_to_f32(y, &b, QUANT_SHORT);
    assert_true(y[0] == -128);
}

/* Sixteen levels at equal distances in each group of 32 have the error zero: they come back as they were. Groups of 16 are
 * as exact in q6_K where one reaches -32. */
static void levels_come_back_exactly(void **state)
{
    float x[QUANT_LONG], y[QUANT_LONG];

    (void)state;
    for (int i = 0; i < QUANT_LONG; i++) x[i] = (float)(i % 16) * 2 - 14;
    there_and_back(DTYPE_Q4_K, x, y, QUANT_LONG);
    for (int i = 0; i < QUANT_LONG; i++) assert_true(fabsf(y[i] - x[i]) < 14 * 0x1p-10f);
    for (int i = 0; i < QUANT_LONG; i++) x[i] = (float)(i % 16 == 0 ? -32 : i % 16 * 4 - 30);
    there_and_back(DTYPE_Q6_K, x, y, QUANT_LONG);
    for (int i = 0; i < QUANT_LONG; i++) assert_true(y[i] == x[i]);
}

/* The bits of groups 4 .. 7 are spread over two bytes each. */
static void q4_k_groups_are_unpacked(void **state)
{
    struct quant_q4_k b = { .groups = { 63, 0x40 | 1, 0x80 | 2, 0xC0 | 3, 4, 0x40 | 5, 0x80 | 62, 7, 0x21,
                                        0x43, 0x65, 0xF7 } };
    static const int scales[] = { 63, 1, 2, 3, 1, 16 + 3, 32 + 5, 48 + 7 };
    static const int offsets[] = { 4, 5, 62, 7, 2, 16 + 4, 32 + 6, 15 };

    (void)state;
    for (int j = 0; j < 8; j++) {
        int s, o;

        quant_q4_k_group(&b, j, &s, &o);
        assert_int_equal(s, scales[j]);
        assert_int_equal(o, offsets[j]);
    }
}

/* A group far below its neighbours keeps its sign and does not disturb them. */
static void small_groups_vanish_quietly(void **state)
{
    float x[QUANT_LONG], y[QUANT_LONG];

    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        for (int k = 0; k < QUANT_LONG; k++) x[k] = (k < 64 ? 1e-7f : 1) * ((float)(k % 32) - 16.5f) / 16;
        there_and_back(types[i], x, y, QUANT_LONG);
        for (int k = 0; k < QUANT_LONG; k++)
            if (!(fabsf(y[k] - x[k]) < (k < 64 ? 2e-7f : 0.14f)))
                fail_msg("%s: element %d is %g, was %g", dtype_info(types[i])->name, k, (double)y[k],
                         (double)x[k]);
    }
}

/* Numbers whose scale no f16 can hold, small or large; sums of squares that overflow. Nothing is undefined, and what cannot be
 * said is zero or not finite, never a wrong number. */
static void extremes_are_defined(void **state)
{
    static const float sizes[] = { 1e-45f, 1e-40f, 1.2e-38f, 1e-30f, 1e-12f, 2e7f, 1e20f, 3e38f };
    float x[QUANT_LONG], y[QUANT_LONG];

    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        for (size_t s = 0; s < COUNT(sizes); s++) {
            for (int k = 0; k < QUANT_LONG; k++) x[k] = sizes[s] * (float)(k % 7 - 3) / 3;
            there_and_back(types[i], x, y, QUANT_LONG);
            for (int k = 0; k < QUANT_LONG; k++) {
                bool close = sizes[s] < 1 ? fabsf(y[k]) <= 1e-7f
                                          : !isfinite(y[k]) || fabsf(y[k] - x[k]) <= sizes[s] * 0.13f;

                if (!close)
                    fail_msg("%s: %g came back as %g", dtype_info(types[i])->name, (double)x[k],
                             (double)y[k]);
            }
        }
    }
}

static void what_is_not_finite_is_seen(void **state)
{
    static const float bad[] = { NAN, INFINITY, -INFINITY };
    float x[2 * QUANT_LONG], y[2 * QUANT_LONG];

    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        int block = (int)dtype_info(types[i])->block_elements;

        for (size_t b = 0; b < COUNT(bad); b++) {
            for (int k = 0; k < 2 * QUANT_LONG; k++) x[k] = (float)(k % 5) - 2;
            x[QUANT_LONG + block - 1] = bad[b];
            there_and_back(types[i], x, y, 2 * QUANT_LONG);
            for (int k = 0; k < 2 * QUANT_LONG; k++) {
                bool spoilt = k >= QUANT_LONG && k < QUANT_LONG + block;

                assert_true(spoilt ? isnan(y[k]) : isfinite(y[k]));
            }
        }
    }
}

/* ---- at random ----------------------------------------------------------------------------------------------- */

static float random_normal(uint64_t *state)
{
    float sum = 0;

    for (int i = 0; i < 12; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        sum += (float)(*state >> 40) * 0x1p-24f;
    }
    return sum - 6;
}

/* Root mean square errors of normal numbers, in their deviation: a poorer search for scales would not stay below. And no number
 * moves by more than the largest of its group can explain. */
static void errors_are_bounded(void **state)
{
    static const double rms[] = { 0.0055, 0.0875, 0.0725, 0.0180 };
    static const double most[] = { 0.6 / 127, 1.01 / 8, 0.10, 0.045 };
    static const int group[] = { 32, 32, 32, 16 };
    enum { BLOCKS = 300 };

    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        double squares = 0;
        uint64_t random = 7;

        for (int b = 0; b < BLOCKS; b++) {
            float x[QUANT_LONG], y[QUANT_LONG];

            for (int k = 0; k < QUANT_LONG; k++) x[k] = random_normal(&random);
            there_and_back(types[i], x, y, QUANT_LONG);
            for (int k = 0; k < QUANT_LONG; k++) {
                double error = fabs((double)y[k] - (double)x[k]), largest = 0;

                for (int j = k / group[i] * group[i]; j < (k / group[i] + 1) * group[i]; j++)
                    largest = fmax(largest, fabs((double)x[j]));
                squares += error * error;
                if (!(error <= most[i] * largest))
                    fail_msg("%s: %g came back as %g", dtype_info(types[i])->name, (double)x[k],
                             (double)y[k]);
            }
        }
        if (!(sqrt(squares / (BLOCKS * QUANT_LONG)) < rms[i]))
            fail_msg("%s: error %g", dtype_info(types[i])->name, sqrt(squares / (BLOCKS * QUANT_LONG)));
    }
}

/* Any bytes are a block: reading them gives numbers or NaN, and nothing else happens. */
static void any_bytes_are_read(void **state)
{
    uint64_t random = 11;

    (void)state;
    for (int n = 0; n < 4000; n++) {
        unsigned char bytes[BLOCK_BYTES_MAX + 1]; /* read from an odd address */
        float y[QUANT_LONG];
        enum dtype t = types[n % 4];

        for (size_t i = 0; i < sizeof bytes; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = (unsigned char)(random >> 56);
        }
        dtype_info(t)->to_f32(y, bytes + 1, dtype_info(t)->block_elements);
    }
}

/* ---- tensors ------------------------------------------------------------------------------------------------- */

/* A matrix [4, 3 * 256] whole, and as three pieces abreast: any blocks of any row are the same. */
static void rows_in_pieces_are_rows(void **state)
{
    enum { ROWS = 4, PIECES = 3, COLUMNS = PIECES * QUANT_LONG };
    float x[COLUMNS], whole_row[COLUMNS], piece_row[COLUMNS];
    uint64_t random = 5;

    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        size_t row_bytes = dtype_bytes(types[i], COLUMNS), piece_bytes = row_bytes / PIECES;
        int64_t block = (int64_t)dtype_info(types[i])->block_elements;
        unsigned char *bytes = malloc(ROWS * row_bytes), *cut[PIECES];
        const void *data[PIECES];
        int64_t stride[PIECES];
        struct tensor_pieces p = { 1, PIECES, data, stride };
        struct tensor whole = tensor_matrix(types[i], bytes, ROWS, COLUMNS), pieces = whole, slice;

        for (int k = 0; k < PIECES; k++) {
            data[k] = cut[k] = malloc(ROWS * piece_bytes);
            stride[k] = QUANT_LONG;
        }
        for (size_t r = 0; r < ROWS; r++) {
            for (int k = 0; k < COLUMNS; k++) x[k] = random_normal(&random);
            dtype_info(types[i])->from_f32(bytes + r * row_bytes, x, COLUMNS);
            for (size_t k = 0; k < PIECES; k++)
                memcpy(cut[k] + r * piece_bytes, bytes + r * row_bytes + k * piece_bytes, piece_bytes);
        }
        pieces.data = NULL;
        pieces.pieces = &p;
        for (int64_t r = 0; r < ROWS; r++) {
            for (int64_t first = 0; first < COLUMNS; first += block) {
                int64_t n = COLUMNS - first;

                tensor_row_f32(&whole, r, first, n, whole_row);
                tensor_row_f32(&pieces, r, first, n, piece_row);
                assert_memory_equal(whole_row, piece_row, (size_t)n * sizeof(float));
            }
        }
        slice = tensor_slice_rows(&whole, 1, 2, NULL);
        assert_ptr_equal(slice.data, bytes + row_bytes);
        tensor_row_f32(&slice, 1, 0, COLUMNS, whole_row);
        tensor_row_f32(&whole, 2, 0, COLUMNS, piece_row);
        assert_memory_equal(whole_row, piece_row, sizeof whole_row);
        for (int k = 0; k < PIECES; k++) free(cut[k]);
        free(bytes);
    }
}

static void types_are_found_by_name(void **state)
{
    enum dtype t = DTYPE_COUNT;

    (void)state;
    for (int i = 0; i < DTYPE_COUNT; i++) {
        assert_true(dtype_find(dtype_info((enum dtype)i)->name, &t));
        assert_int_equal(t, i);
    }
    assert_true(dtype_find("Q4_k", &t) && t == DTYPE_Q4_K);
    assert_false(dtype_find("q4", &t));
    assert_false(dtype_find("", &t));
    assert_int_equal(t, DTYPE_Q4_K);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_programs_agree),        cmocka_unit_test(zeros_stay_zero),
        cmocka_unit_test(q4_0_reaches_minus_eight),    cmocka_unit_test(q8_0_rounds_ties_away),
        cmocka_unit_test(levels_come_back_exactly),    cmocka_unit_test(q4_k_groups_are_unpacked),
        cmocka_unit_test(small_groups_vanish_quietly), cmocka_unit_test(extremes_are_defined),
        cmocka_unit_test(what_is_not_finite_is_seen),  cmocka_unit_test(errors_are_bounded),
        cmocka_unit_test(any_bytes_are_read),          cmocka_unit_test(rows_in_pieces_are_rows),
        cmocka_unit_test(types_are_found_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
