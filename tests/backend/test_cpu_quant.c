/*
 * test_cpu_quant.c - products with quantised weights: every level against the plain definition in integers, over awkward sizes
 * and the extremes of every type; against the float32 product within what rounding activations can cost; and the same bits
 * however many rows, threads and pieces there are.
 */
#include "support/kernels.h"

#include "backend/cpu/ref/ref.h"
#include "tensor/quant.h"

#include <float.h>

static const enum dtype dtypes[] = { DTYPE_Q4_0, DTYPE_Q8_0, DTYPE_Q4_K, DTYPE_Q6_K };
static const int64_t sizes_m[] = { 0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 17, 31, 33, 130 };
static const int64_t sizes_n[] = { 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 65, 127 };
static const int64_t blocks[] = { 1, 2, 3, 7, 8, 9, 16, 33 };
#define COUNT(a) (int)(sizeof(a) / sizeof *(a))

static int64_t block_of(enum dtype t)
{
    return (int64_t)dtype_info(t)->block_elements;
}

/* Any bytes, but for the scales (and the offset): f16 of 0.001 to 0.03. So every value of a type occurs, the extremes too. */
static struct tensor random_blocks(struct fixture *t, enum dtype dtype, int64_t rows, int64_t columns,
                                   int64_t gap_blocks)
{
    struct tensor w = tensor_matrix(dtype, NULL, rows, columns);
    size_t bytes, block = dtype_info(dtype)->block_bytes;
    unsigned char *p;

    w.stride = columns + gap_blocks * block_of(dtype);
    bytes = dtype_bytes(dtype, (size_t)(rows * w.stride));
    p = w.data = guarded_bytes(t, bytes, 1);
    for (size_t i = 0; i < bytes; i++) p[i] = (unsigned char)(random_bits(t) >> 11);
    for (size_t i = 0; i < bytes; i += block) {
        size_t at = dtype == DTYPE_Q6_K ? offsetof(struct quant_q6_k, scale) : 0;

        for (int j = 0; j < (dtype == DTYPE_Q4_K ? 2 : 1); j++) {
            uint16_t h = f32_to_f16(0.001f + 0.03f * (float)(random_bits(t) % 1000) / 1000);

            memcpy(p + i + at + 2 * (size_t)j, &h, sizeof h);
        }
        if (random_bits(t) % 8 == 0) memset(p + i + 4, random_bits(t) % 2 ? 0xff : 0x80, block / 2);
    }
    return w;
}

/* Sums of K/32 floats, each rounded to half an ulp; the terms' magnitudes are what they would add up to with one sign. */
static void assert_close_to_terms(struct fixture *t, const struct tensor *got, const struct tensor *want,
                                  const struct tensor *x, const struct tensor *w, const char *label)
{
    int64_t K = tensor_columns(x);
    float *row = guarded(t, K);

    for (int64_t n = 0; n < tensor_rows(w); n++) {
        tensor_row_f32(w, n, 0, K, row);
        for (int64_t m = 0; m < tensor_rows(x); m++) {
            double terms = 1, g, v; /* the bias */

            /* q4_K's terms are differences of larger numbers: offsets reach 63 times 0.031. */
            for (int64_t k = 0; k < K; k++)
                terms += fabs((double)tensor_f32(x)[m * x->stride + k]) *
                         (fabs((double)row[k]) + (w->dtype == DTYPE_Q4_K ? 4 : 0));
            g = (double)tensor_f32(got)[m * got->stride + n];
            v = (double)tensor_f32(want)[m * want->stride + n];
            if (!(fabs(g - v) <= (double)FLT_EPSILON * (2 + (double)(K / 256)) * terms))
                fail_msg("%s %s M=%d N=%d K=%d: at [%d, %d] got %.9g, want %.9g", label,
                         dtype_info(w->dtype)->name, (int)tensor_rows(x), (int)tensor_rows(w), (int)K, (int)m,
                         (int)n, g, v);
        }
    }
}

static void matches_the_definition(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < 4 * COUNT(sizes_m) * COUNT(sizes_n); i++) {
        enum dtype dtype = dtypes[i % 4];
        int64_t M = sizes_m[i / 4 % COUNT(sizes_m)], N = sizes_n[i / 4 / COUNT(sizes_m)];
        int64_t K = blocks[(i * 5 + i / 7) % COUNT(blocks)] * block_of(dtype);
        struct tensor x = random_matrix(&t, M, K, i % 3), w = random_blocks(&t, dtype, N, K, i % 2);
        struct tensor got = random_matrix(&t, M, N, 3), want = random_matrix(&t, M, N, 0);
        float *bias = i % 5 == 0 ? NULL : random_floats(&t, N);

        t.ref->linear(&t.exec, &want, &x, &w, bias);
        t.level->linear(&t.exec, &got, &x, &w, bias);
        assert_close_to_terms(&t, &got, &want, &x, &w, "linear");
        buffers_check(&t);
    }
    fixture_end(&t);
}

/* One block, the largest numbers x can have, all of one sign: the integer sums are at their limits. */
static void extremes_are_exact(void **state)
{
    static const unsigned char bytes[] = { 0x00, 0xff, 0x80, 0x7f, 0x08, 0xf0, 0x0f };
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < 4 * COUNT(bytes) * 2; i++) {
        enum dtype dtype = dtypes[i % 4];
        int64_t K = block_of(dtype), N = 17, M = 5;
        struct tensor x = random_matrix(&t, M, K, 0), w = random_blocks(&t, dtype, N, K, 0);
        struct tensor got = random_matrix(&t, M, N, 0), want = random_matrix(&t, M, N, 0);
        size_t block = dtype_info(dtype)->block_bytes;

        for (int64_t n = 0; n < N; n++) {
            unsigned char *b = (unsigned char *)w.data + (size_t)n * block;

            memset(b + (dtype == DTYPE_Q6_K   ? 0
                        : dtype == DTYPE_Q4_K ? 4
                                              : 2),
                   bytes[i / 8], block - (dtype == DTYPE_Q4_K ? 4 : 2));
        }
        for (int64_t k = 0; k < M * K; k++) tensor_f32(&x)[k] = i / 4 % 2 ? 1 : -1;
        t.ref->linear(&t.exec, &want, &x, &w, NULL);
        t.level->linear(&t.exec, &got, &x, &w, NULL);
        assert_close_to_terms(&t, &got, &want, &x, &w, "extremes");
        buffers_check(&t);
    }
    fixture_end(&t);
}

/* Precise: the float32 product. Otherwise x is off by half a step at most, a step being 1/127 of its block's largest. */
static void rounding_costs_what_it_must(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < 4 * 3; i++) {
        enum dtype dtype = dtypes[i % 4];
        int64_t M = i < 4 ? 1 : i < 8 ? 5 : 40, N = 19, K = 1024;
        struct tensor x = random_matrix(&t, M, K, 0), w = random_weight(&t, dtype, N, K, 0);
        struct tensor exact = random_matrix(&t, M, N, 0), precise = random_matrix(&t, M, N, 0);
        struct tensor rounded = random_matrix(&t, M, N, 0);
        bool differs = false;

        t.exec.precise = true;
        t.ref->linear(&t.exec, &exact, &x, &w, NULL);
        t.level->linear(&t.exec, &precise, &x, &w, NULL);
        t.exec.precise = false;
        t.level->linear(&t.exec, &rounded, &x, &w, NULL);
        assert_close_to_terms(&t, &precise, &exact, &x, &w, "precise");
        for (int64_t n = 0; n < N; n++) {
            float *row = guarded(&t, K);
            double bound = 1e-4;

            tensor_row_f32(&w, n, 0, K, row);
            for (int64_t k = 0; k < K; k++) bound += fabs((double)row[k]) / 254; /* |x| <= 1 */
            for (int64_t m = 0; m < M; m++) {
                double error =
                    fabs((double)(tensor_f32(&rounded)[m * N + n] - tensor_f32(&exact)[m * N + n]));

                if (!(error <= bound)) fail_msg("rounded: off by %g of at most %g", error, bound);
                if (error > 0) differs = true;
            }
        }
        assert_true(differs);
        buffers_check(&t);
    }
    fixture_end(&t);
}

static void rows_are_independent(void **state)
{
    static const int64_t rows[] = { 1, 2, 3, 5, 8, 31, 32, 33, 127, 128, 129 };
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < 4; i++) {
        int64_t N = 50, K = 3072; /* more than stays together with many rows */
        struct tensor x = random_matrix(&t, 261, K, 0), w = random_blocks(&t, dtypes[i], N, K, 0);
        struct tensor all = random_matrix(&t, 261, N, 0);

        t.level->linear(&t.exec, &all, &x, &w, NULL);
        for (int j = 0; j < COUNT(rows); j++) {
            struct tensor some = x, y = random_matrix(&t, rows[j], N, 0), last = all;
            int64_t first = 261 - rows[j];

            some.dim[0] = rows[j];
            t.level->linear(&t.exec, &y, &some, &w, NULL);
            assert_same_bits(&y, &all, "linear of the first rows");
            some.data = tensor_f32(&x) + first * x.stride;
            last.data = tensor_f32(&all) + first * all.stride;
            t.level->linear(&t.exec, &y, &some, &w, NULL);
            assert_same_bits(&y, &last, "linear of the last rows");
        }
        buffers_check(&t);
    }
    fixture_end(&t);
}

static void threads_give_the_same_bits(void **state)
{
    static const int64_t rows[] = { 1, 5, 100 };
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < 4 * COUNT(rows); i++) {
        int64_t M = rows[i / 4], N = 301, K = 512;
        struct tensor x = random_matrix(&t, M, K, 0), w = random_blocks(&t, dtypes[i % 4], N, K, 0);
        struct tensor y[THREADS_MAX];

        for (int n = 0; n < THREADS_MAX; n++) {
            t.exec.threads = n + 1;
            y[n] = random_matrix(&t, M, N, 0);
            t.level->linear(&t.exec, &y[n], &x, &w, NULL);
            assert_same_bits(&y[n], &y[0], "linear with more threads");
        }
        buffers_check(&t);
    }
    fixture_end(&t);
}

static void pieces_give_the_same_bits(void **state)
{
    static const int64_t rows[] = { 1, 4, 140 };
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < 4 * 2 * COUNT(rows) * 2; i++) {
        enum dtype dtype = dtypes[i % 4];
        int axis = i / 4 % 2, count = i / 8 % 2 ? 2 : 3;
        int64_t M = rows[i / 16], N = 66, K = count * block_of(dtype) * (i / 8 % 2 ? 8 : 7);
        struct tensor x = random_matrix(&t, M, K, 0), w = random_blocks(&t, dtype, N, K, 0), parts;
        struct tensor whole = random_matrix(&t, M, N, 0), pieces = random_matrix(&t, M, N, 0);
        struct tensor_pieces p;
        const void *data[3];
        int64_t stride[3];

        parts = cut(&t, &w, axis, count, &p, data, stride);
        t.level->linear(&t.exec, &whole, &x, &w, NULL);
        t.level->linear(&t.exec, &pieces, &x, &parts, NULL);
        assert_same_bits(&pieces, &whole, "linear with a weight in pieces");
        buffers_check(&t);
    }
    fixture_end(&t);
}

/* Numbers that are not finite spoil their row of x, or row of w, and nothing else; tiny ones are zeros. */
static void what_is_not_a_number_shows(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < 8; i++) {
        int64_t M = i < 4 ? 6 : 45, N = 40, K = 512;
        struct tensor x = random_matrix(&t, M, K, 0), w = random_blocks(&t, dtypes[i % 4], N, K, 0);
        struct tensor y = random_matrix(&t, M, N, 0);
        size_t at = dtypes[i % 4] == DTYPE_Q6_K ? offsetof(struct quant_q6_k, scale) : 0;
        uint16_t nan = 0x7e00;

        tensor_f32(&x)[2 * K + 17] = NAN;
        tensor_f32(&x)[3 * K + 511] = -INFINITY;
        for (int64_t k = 0; k < K; k++) tensor_f32(&x)[4 * K + k] = 1e-37f;
        memcpy((char *)w.data + dtype_bytes(w.dtype, (size_t)(33 * K)) + at, &nan, sizeof nan);
        t.level->linear(&t.exec, &y, &x, &w, NULL);
        for (int64_t m = 0; m < M; m++) {
            for (int64_t n = 0; n < N; n++) {
                float v = tensor_f32(&y)[m * N + n];

                assert_int_equal(isfinite(v) != 0, m != 2 && m != 3 && n != 33);
                if (m == 4 && n != 33) assert_true(v == 0);
            }
        }
        buffers_check(&t);
    }
    fixture_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_LEVEL(matches_the_definition),      EACH_LEVEL(extremes_are_exact),
        EACH_LEVEL(rounding_costs_what_it_must), EACH_LEVEL(rows_are_independent),
        EACH_LEVEL(threads_give_the_same_bits),  EACH_LEVEL(pieces_give_the_same_bits),
        EACH_LEVEL(what_is_not_a_number_shows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
