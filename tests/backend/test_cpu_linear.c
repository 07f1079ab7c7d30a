/*
 * test_cpu_linear.c - products with weights: every level against the plain definition, over awkward sizes, every
 * weight dtype, pieces, threads; and every 16-bit pattern as a weight.
 */
#include "support/kernels.h"

static const enum dtype dtypes[] = { DTYPE_F32,  DTYPE_BF16, DTYPE_F16,  DTYPE_F64,
                                     DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_K, DTYPE_Q6_K };
enum { N_FLOATS = 4 }; /* the first ones are not quantised */
static const int64_t sizes_m[] = { 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 127, 257 };
static const int64_t sizes_n[] = { 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 127, 257 };
static const int64_t sizes_k[] = { 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 127, 255, 256, 257, 512, 1023 };
#define COUNT(a) (int)(sizeof(a) / sizeof *(a))

/* Random terms within 1: K roundings of sums that grow like sqrt(K), each half an ulp at most. */
static double tolerance(int64_t K)
{
    return 1e-7 * (double)K + 1e-6;
}

static void matches_the_definition(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < COUNT(sizes_m) * COUNT(sizes_n); i++) {
        int64_t M = sizes_m[i % COUNT(sizes_m)], N = sizes_n[i / COUNT(sizes_m)];
        enum dtype dtype = dtypes[(i + i / COUNT(sizes_m)) % COUNT(dtypes)];
        int64_t K = whole_blocks(dtype, sizes_k[(i * 5 + i / COUNT(sizes_k)) % COUNT(sizes_k)]);
        struct tensor x = random_matrix(&t, M, K, i % 3),
                      w = random_weight(&t, dtype, N, K, whole_blocks(dtype, i % 2));
        struct tensor got = random_matrix(&t, M, N, 3), want = random_matrix(&t, M, N, 0);
        float *bias = i % 4 == 0 ? NULL : random_floats(&t, N);

        t.ref->linear(&t.exec, &want, &x, &w, bias);
        t.level->linear(&t.exec, &got, &x, &w, bias);
        assert_close(&got, &want, tolerance(K), "linear %s M=%d N=%d K=%d", dtype_info(dtype)->name, (int)M,
                     (int)N, (int)K);
        buffers_check(&t);
    }
    fixture_end(&t);
}

/* K longer than any block of the kernels, so that partial sums meet. */
static void long_rows_match(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < 2 * COUNT(dtypes); i++) {
        enum dtype dtype = dtypes[i / 2];
        int64_t M = i % 2 ? 5 : 35, N = 37, K = whole_blocks(dtype, 9001);
        struct tensor x = random_matrix(&t, M, K, 0),
                      w = random_weight(&t, dtype, N, K, whole_blocks(dtype, 5));
        struct tensor got = random_matrix(&t, M, N, 1), want = random_matrix(&t, M, N, 0);

        t.ref->linear(&t.exec, &want, &x, &w, NULL);
        t.level->linear(&t.exec, &got, &x, &w, NULL);
        assert_close(&got, &want, 2e-4, "linear %s M=%d K=%d", dtype_info(w.dtype)->name, (int)M, (int)K);
        buffers_check(&t);
    }
    fixture_end(&t);
}

static void gradients_match_the_definition(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < COUNT(sizes_m) * COUNT(sizes_k); i++) {
        enum dtype dtype = dtypes[(i + i / COUNT(sizes_m)) % COUNT(dtypes)];
        int64_t M = sizes_m[i % COUNT(sizes_m)], K = whole_blocks(dtype, sizes_k[i / COUNT(sizes_m)]),
                N = sizes_n[(i * 3) % COUNT(sizes_n)];
        struct tensor w = random_weight(&t, dtype, N, K, whole_blocks(dtype, i % 2));
        struct tensor in = random_matrix(&t, M, N, i % 3), x = random_matrix(&t, M, K, i % 3);
        struct tensor got = random_matrix(&t, M, K, 2), want = random_matrix(&t, M, K, 0);
        struct tensor got_w = random_matrix(&t, N, K, 2), want_w = random_matrix(&t, N, K, 0);
        bool accumulate = i % 2 == 0;

        for (int64_t r = 0; r < M; r++)
            memcpy(tensor_f32(&want) + r * want.stride, tensor_f32(&got) + r * got.stride,
                   (size_t)K * sizeof(float));
        for (int64_t r = 0; r < N; r++)
            memcpy(tensor_f32(&want_w) + r * want_w.stride, tensor_f32(&got_w) + r * got_w.stride,
                   (size_t)K * sizeof(float));
        t.ref->linear_transposed(&t.exec, want.data, want.stride, in.data, in.stride, M, &w, accumulate);
        t.level->linear_transposed(&t.exec, got.data, got.stride, in.data, in.stride, M, &w, accumulate);
        assert_close(&got, &want, tolerance(N), "linear_transposed M=%d N=%d K=%d", (int)M, (int)N, (int)K);
        t.ref->linear_weight_grad(&t.exec, want_w.data, want_w.stride, in.data, in.stride, x.data, x.stride,
                                  M, N, K);
        t.level->linear_weight_grad(&t.exec, got_w.data, got_w.stride, in.data, in.stride, x.data, x.stride,
                                    M, N, K);
        assert_close(&got_w, &want_w, tolerance(M), "linear_weight_grad M=%d N=%d K=%d", (int)M, (int)N,
                     (int)K);
        buffers_check(&t);
    }
    fixture_end(&t);
}

static void pieces_give_the_same_bits(void **state)
{
    static const int64_t rows[] = { 1, 3, 8, 32, 40 };
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < 2 * COUNT(rows) * COUNT(dtypes); i++) {
        int axis = i % 2, count = i % 4 < 2 ? 2 : 3;
        enum dtype dtype = dtypes[i / 2 / COUNT(rows)];
        int64_t M = rows[i / 2 % COUNT(rows)], N = 66, K = count * whole_blocks(dtype, 606 / count);
        struct tensor x = random_matrix(&t, M, K, 0), in = random_matrix(&t, M, N, 0);
        struct tensor w = random_weight(&t, dtype, N, K, 0), parts;
        struct tensor whole = random_matrix(&t, M, N, 0), pieces = random_matrix(&t, M, N, 0);
        struct tensor whole_t = random_matrix(&t, M, K, 0), pieces_t = random_matrix(&t, M, K, 0);
        struct tensor_pieces p;
        const void *data[3];
        int64_t stride[3];

        parts = cut(&t, &w, axis, count, &p, data, stride);
        t.level->linear(&t.exec, &whole, &x, &w, NULL);
        t.level->linear(&t.exec, &pieces, &x, &parts, NULL);
        assert_same_bits(&pieces, &whole, "linear with a weight in pieces");
        t.level->linear_transposed(&t.exec, whole_t.data, K, in.data, N, M, &w, false);
        t.level->linear_transposed(&t.exec, pieces_t.data, K, in.data, N, M, &parts, false);
        assert_same_bits(&pieces_t, &whole_t, "linear_transposed with a weight in pieces");
        buffers_check(&t);
    }
    fixture_end(&t);
}

static void threads_give_the_same_bits(void **state)
{
    static const int64_t rows[] = { 1, 5, 8, 33, 100 };
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < N_FLOATS * COUNT(rows); i++) {
        int64_t M = rows[i / N_FLOATS], N = 301, K = 515;
        struct tensor x = random_matrix(&t, M, K, 0), w = random_weight(&t, dtypes[i % N_FLOATS], N, K, 0),
                      y[THREADS_MAX];
        struct tensor in = random_matrix(&t, M, N, 0), dx[THREADS_MAX], dw[THREADS_MAX];

        for (int n = 0; n < THREADS_MAX; n++) {
            t.exec.threads = n + 1;
            y[n] = random_matrix(&t, M, N, 0);
            dx[n] = random_matrix(&t, M, K, 0);
            dw[n] = random_matrix(&t, N, K, 0);
            memset(dw[n].data, 0, (size_t)(N * K) * sizeof(float));
            t.level->linear(&t.exec, &y[n], &x, &w, NULL);
            t.level->linear_transposed(&t.exec, dx[n].data, K, in.data, N, M, &w, false);
            t.level->linear_weight_grad(&t.exec, dw[n].data, K, in.data, N, x.data, K, M, N, K);
            assert_same_bits(&y[n], &y[0], "linear with more threads");
            assert_same_bits(&dx[n], &dx[0], "linear_transposed with more threads");
            assert_same_bits(&dw[n], &dw[0], "linear_weight_grad with more threads");
        }
        buffers_check(&t);
    }
    fixture_end(&t);
}

/* What a row of x gives does not depend on how many others there are. */
static void check_rows(struct fixture *t, enum dtype dtype)
{
    int64_t N = 50, K = 700;
    struct tensor x = random_matrix(t, 301, K, 0), w = random_weight(t, dtype, N, K, 0);
    struct tensor all = random_matrix(t, 301, N, 0);

    t->level->linear(&t->exec, &all, &x, &w, NULL);
    for (int64_t M = 33; M < 301; M = M * 3 / 2) {
        struct tensor some = x, y = random_matrix(t, M, N, 0);

        some.dim[0] = M;
        t->level->linear(&t->exec, &y, &some, &w, NULL);
        assert_same_bits(&y, &all, "linear of fewer rows");
    }
    for (int64_t M = 2; M <= BATCH_ROWS; M++) {
        struct tensor some = x, y = random_matrix(t, M, N, 0), one = random_matrix(t, 1, N, 0), last = y;
        struct tensor back = random_matrix(t, M, K, 0), back_one = random_matrix(t, 1, K, 0),
                      back_last = back;

        some.dim[0] = M;
        t->level->linear(&t->exec, &y, &some, &w, NULL);
        t->level->linear_transposed(&t->exec, back.data, K, y.data, N, M, &w, false);
        some.dim[0] = last.dim[0] = back_last.dim[0] = 1;
        some.data = tensor_f32(&x) + (M - 1) * x.stride;
        last.data = tensor_f32(&y) + (M - 1) * N;
        back_last.data = tensor_f32(&back) + (M - 1) * K;
        t->level->linear(&t->exec, &one, &some, &w, NULL);
        t->level->linear_transposed(&t->exec, back_one.data, K, one.data, N, 1, &w, false);
        assert_same_bits(&one, &last, "linear of one row");
        assert_same_bits(&back_one, &back_last, "linear_transposed of one row");
    }
    buffers_check(t);
}

static void rows_are_independent(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < N_FLOATS; i++) check_rows(&t, dtypes[i]);
    fixture_end(&t);
}

/* Each pattern alone in a row of zeros, met with ones: its value comes out. */
static void every_half_is_read_exactly(void **state)
{
    enum { N = 65536, K = 33 };
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < 4; i++) {
        enum dtype dtype = i % 2 ? DTYPE_F16 : DTYPE_BF16;
        int64_t M = i / 2 ? 1 : 34;
        struct tensor x = random_matrix(&t, M, K, 0), w = tensor_matrix(dtype, NULL, N, K);
        struct tensor y = random_matrix(&t, M, N, 0);
        uint16_t *halves = guarded_bytes(&t, (size_t)N * K * 2, 2);

        memset(halves, 0, (size_t)N * K * 2);
        for (uint32_t n = 0; n < N; n++) halves[n * K + n % K] = (uint16_t)n;
        for (int64_t k = 0; k < M * K; k++) tensor_f32(&x)[k] = 1;
        w.data = halves;
        t.level->linear(&t.exec, &y, &x, &w, NULL);
        for (uint32_t n = 0; n < N; n++) {
            float got = tensor_f32(&y)[n], want;
            uint16_t h = (uint16_t)n;

            dtype_info(dtype)->to_f32(&want, &h, 1);
            if (isnan(want) ? !isnan(got) : !(got == want))
                fail_msg("%s 0x%04x: got %.9g, want %.9g", dtype_info(dtype)->name, n, (double)got,
                         (double)want);
        }
        buffers_check(&t);
    }
    fixture_end(&t);
}

/* One NaN in x spoils its row, one in w its column, and nothing else. */
static void nan_stays_in_its_row(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < 2; i++) {
        int64_t M = i ? 3 : 45, N = 40, K = 50;
        struct tensor x = random_matrix(&t, M, K, 0), w = random_weight(&t, DTYPE_F32, N, K, 0);
        struct tensor y = random_matrix(&t, M, N, 0);

        tensor_f32(&x)[2 * K + 17] = NAN;
        tensor_f32(&w)[33 * K + 49] = INFINITY;
        t.level->linear(&t.exec, &y, &x, &w, NULL);
        for (int64_t m = 0; m < M; m++)
            for (int64_t n = 0; n < N; n++)
                assert_int_equal(isfinite(tensor_f32(&y)[m * N + n]) != 0, m != 2 && n != 33);
        buffers_check(&t);
    }
    fixture_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_LEVEL(matches_the_definition),         EACH_LEVEL(long_rows_match),
        EACH_LEVEL(gradients_match_the_definition), EACH_LEVEL(pieces_give_the_same_bits),
        EACH_LEVEL(threads_give_the_same_bits),     EACH_LEVEL(rows_are_independent),
        EACH_LEVEL(every_half_is_read_exactly),     EACH_LEVEL(nan_stays_in_its_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
