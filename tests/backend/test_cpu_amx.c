/*
 * test_cpu_amx.c - products on the matrix unit against the plain definition given operands rounded to bf16: awkward sizes,
 * every weight dtype, pieces, threads. The kernel is run with the unit's operations in plain C (matrix_unit.h), on any
 * processor; and with its instructions, where there are any.
 */
#include "backend/cpu/kernels.h"
#include "backend/cpu/simd/simd_matrix.h"
#include "support/kernels.h"

/* simd_matrix.c, built for this test (tests.cmake). */
bool matrix_linear_emulated(const struct exec *e, struct tensor *y, const struct tensor *x,
                            const struct tensor *w, const float *bias);

static const enum dtype dtypes[] = { DTYPE_BF16, DTYPE_F16, DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_K, DTYPE_Q6_K };
static const int64_t sizes_m[] = { 33, 34, 47, 48, 49, 63, 64, 65, 127, 257 };
static const int64_t sizes_n[] = { 1, 2, 15, 16, 17, 31, 32, 33, 65, 129 };
static const int64_t sizes_k[] = { 1, 2, 31, 32, 33, 63, 65, 255, 511, 512, 513, 1023 };
#define COUNT(a) (int)(sizeof(a) / sizeof *(a))

/* The instructions, or the emulation, by the test's name. False: this processor has no such unit, and the test is skipped. */
struct unit {
    struct fixture t;
    bool emulated;
};

static void unit_begin(struct unit *u, const char *name)
{
    u->emulated = strcmp(name, "emulated") == 0;
    fixture_begin(&u->t, u->emulated ? "portable" : name);
}

static void product(struct unit *u, struct tensor *y, const struct tensor *x, const struct tensor *w,
                    const float *bias)
{
    if (!u->emulated)
        u->t.level->linear(&u->t.exec, y, x, w, bias);
    else
        assert_true(matrix_linear_emulated(&u->t.exec, y, x, w, bias));
}

/* As float32 numbers that bf16 has. */
static struct tensor rounded(struct fixture *t, const struct tensor *a)
{
    struct tensor r = random_matrix(t, tensor_rows(a), tensor_columns(a), 0);

    for (int64_t i = 0; i < tensor_rows(a); i++) {
        float *row = tensor_f32(&r) + i * r.stride;

        tensor_row_f32(a, i, 0, tensor_columns(a), row);
        for (int64_t k = 0; k < tensor_columns(a); k++) row[k] = bf16_to_f32(f32_to_bf16(row[k]));
    }
    return r;
}

/* Random terms within 1: K roundings of sums that grow like sqrt(K). A number of q4_K is a difference, which the kernel rounds
 * once and the definition three times: now and then the two lie on different sides of a bf16's boundary. */
static double tolerance(enum dtype dtype, int64_t K)
{
    return 1e-7 * (double)K + 1e-6 + (dtype == DTYPE_Q4_K ? 0x1p-7 : 0);
}

static void check(struct unit *u, enum dtype dtype, int64_t M, int64_t N, int64_t K, int variant)
{
    struct fixture *t = &u->t;
    int64_t gap = variant % 2 * (int64_t)dtype_info(dtype)->block_elements;
    struct tensor x = random_matrix(t, M, K, variant % 3), w = random_weight(t, dtype, N, K, gap);
    struct tensor x16 = rounded(t, &x), w16 = rounded(t, &w);
    struct tensor got = random_matrix(t, M, N, 3), want = random_matrix(t, M, N, 0);
    float *bias = variant % 4 == 0 ? NULL : random_floats(t, N);

    t->ref->linear(&t->exec, &want, &x16, &w16, bias);
    product(u, &got, &x, &w, bias);
    assert_close(&got, &want, tolerance(dtype, K), "%s M=%d N=%d K=%d", dtype_info(dtype)->name, (int)M,
                 (int)N, (int)K);
    buffers_check(t);
}

static void matches_the_definition(void **state)
{
    struct unit u;

    unit_begin(&u, *state);
    for (int i = 0; i < COUNT(sizes_m) * COUNT(sizes_n); i++) {
        enum dtype dtype = dtypes[(i + i / COUNT(sizes_m)) % COUNT(dtypes)];
        int64_t K = sizes_k[(i * 5 + i / COUNT(sizes_k)) % COUNT(sizes_k)];

        check(&u, dtype, sizes_m[i % COUNT(sizes_m)], sizes_n[i / COUNT(sizes_m)], whole_blocks(dtype, K), i);
    }
    fixture_end(&u.t);
}

/* More rows than are packed together, more columns than a block, in every thread; and rows so long that few find room. */
static void large_shapes_match(void **state)
{
    struct unit u;

    unit_begin(&u, *state);
    check(&u, DTYPE_BF16, 1100, 70, 64, 1);
    check(&u, DTYPE_F16, 40, 801, 96, 2);
    check(&u, DTYPE_BF16, 70, 20, 60000, 3);
    u.t.exec.threads = 1;
    check(&u, DTYPE_BF16, 70, 20, 60000, 4);
    check(&u, DTYPE_Q4_0, 40, 801, 1088, 5);
    fixture_end(&u.t);
}

static void pieces_give_the_same_bits(void **state)
{
    struct unit u;

    unit_begin(&u, *state);
    for (int i = 0; i < 2 * COUNT(dtypes); i++) {
        struct fixture *t = &u.t;
        enum dtype dtype = dtypes[i / 2];
        int64_t M = 40, N = 66, K = whole_blocks(dtype, 303) * 2;
        struct tensor x = random_matrix(t, M, K, 0), w = random_weight(t, dtype, N, K, 0), parts;
        struct tensor whole = random_matrix(t, M, N, 0), pieces = random_matrix(t, M, N, 0);
        struct tensor_pieces p;
        const void *data[2];
        int64_t stride[2];

        parts = cut(t, &w, i % 2, 2, &p, data, stride);
        product(&u, &whole, &x, &w, NULL);
        product(&u, &pieces, &x, &parts, NULL);
        assert_same_bits(&pieces, &whole, "a weight in pieces");
        buffers_check(t);
    }
    fixture_end(&u.t);
}

static void rows_and_threads_give_the_same_bits(void **state)
{
    struct unit u;
    int64_t M = 530, N = 99, K = 600;

    unit_begin(&u, *state);
    struct tensor x = random_matrix(&u.t, M, K, 0), w = random_weight(&u.t, DTYPE_F16, N, K, 0);
    struct tensor all = random_matrix(&u.t, M, N, 0), y = random_matrix(&u.t, M, N, 0);

    product(&u, &all, &x, &w, NULL);
    for (int threads = 1; threads <= THREADS_MAX; threads += 2) {
        u.t.exec.threads = threads;
        product(&u, &y, &x, &w, NULL);
        assert_same_bits(&y, &all, "with other threads");
    }
    for (int64_t m = 33; m < M; m = 2 * m + 1) {
        struct tensor some = x, fewer = random_matrix(&u.t, m, N, 0);

        some.dim[0] = m;
        product(&u, &fewer, &some, &w, NULL);
        assert_same_bits(&fewer, &all, "of fewer rows");
    }
    fixture_end(&u.t);
}

/* Each pattern of bf16 alone in a row of zeros, met with ones: its value comes out, or zero for what is below 2^-126. */
static void every_half_is_read(void **state)
{
    enum { N = 65536, K = 33, M = 33 };
    struct unit u;

    unit_begin(&u, *state);
    struct tensor x = random_matrix(&u.t, M, K, 0), w = tensor_matrix(DTYPE_BF16, NULL, N, K);
    struct tensor y = random_matrix(&u.t, M, N, 0);
    uint16_t *halves = guarded_bytes(&u.t, (size_t)N * K * 2, 2);

    memset(halves, 0, (size_t)N * K * 2);
    for (uint32_t n = 0; n < N; n++) halves[n * K + n % K] = (uint16_t)n;
    for (int64_t k = 0; k < M * K; k++) tensor_f32(&x)[k] = 1;
    w.data = halves;
    product(&u, &y, &x, &w, NULL);
    for (uint32_t n = 0; n < N; n++) {
        float got = tensor_f32(&y)[n], want = bf16_to_f32((uint16_t)n);

        if (fabsf(want) < 0x1p-126f) want = 0;
        if (isnan(want) ? !isnan(got) : !(got == want))
            fail_msg("bf16 0x%04x: got %.9g, want %.9g", n, (double)got, (double)want);
    }
    fixture_end(&u.t);
}

/* One NaN in x spoils its row, one in w its column, and nothing else. */
static void nan_stays_in_its_row(void **state)
{
    struct unit u;
    int64_t M = 45, N = 40, K = 50;

    unit_begin(&u, *state);
    struct tensor x = random_matrix(&u.t, M, K, 0), w = random_weight(&u.t, DTYPE_BF16, N, K, 0);
    struct tensor y = random_matrix(&u.t, M, N, 0);
    const uint16_t infinity = 0x7f80;

    tensor_f32(&x)[2 * K + 17] = NAN;
    memcpy((char *)w.data + 2 * (33 * K + 49), &infinity, sizeof infinity);
    product(&u, &y, &x, &w, NULL);
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++)
            assert_int_equal(isfinite(tensor_f32(&y)[m * N + n]) != 0, m != 2 && n != 33);
    fixture_end(&u.t);
}

/* Few rows, float32 weights and precise products are for other kernels. */
static void leaves_the_rest_to_others(void **state)
{
    struct fixture t;

    (void)state;
    fixture_begin(&t, "portable");
    struct tensor x = random_matrix(&t, 33, 40, 0), y = random_matrix(&t, 33, 8, 0), few = x, few_y = y;
    struct tensor w = random_weight(&t, DTYPE_BF16, 8, 40, 0), w32 = random_weight(&t, DTYPE_F32, 8, 40, 0);

    few.dim[0] = few_y.dim[0] = 32;
    assert_true(matrix_linear_emulated(&t.exec, &y, &x, &w, NULL));
    assert_false(matrix_linear_emulated(&t.exec, &few_y, &few, &w, NULL));
    assert_false(matrix_linear_emulated(&t.exec, &y, &x, &w32, NULL));
    t.exec.precise = true;
    assert_false(matrix_linear_emulated(&t.exec, &y, &x, &w, NULL));
    fixture_end(&t);
}

/* At the level itself, what is not for the unit takes the kernels of the level below, bit by bit; the rest does not. */
static void the_level_has_both(void **state)
{
    struct fixture t;
    const struct backend *below;
    struct err e = { 0 };
    int64_t N = 50, K = 256;

    fixture_begin(&t, *state);
    assert_int_equal(cpu_backend("avx512vnni", &below, &e), STATUS_OK);
#define CHECK(kernel) assert_true(t.level->kernel == below->kernel);
    KERNELS_SIMD_REST(CHECK)
    KERNELS_PLAIN(CHECK)
#undef CHECK
    for (int i = 0; i < 4 * COUNT(dtypes); i++) {
        int64_t M = i % 4 == 0 ? 32 : 40;
        struct tensor x = random_matrix(&t, M, K, 0), w = random_weight(&t, dtypes[i / 4], N, K, 0);
        struct tensor got = random_matrix(&t, M, N, 0), want = random_matrix(&t, M, N, 0);

        if (i % 4 == 1) w = random_weight(&t, DTYPE_F32, N, K, 0);
        t.exec.precise = i % 4 == 2;
        t.level->linear(&t.exec, &got, &x, &w, NULL);
        below->linear(&t.exec, &want, &x, &w, NULL);
        if (i % 4 < 3)
            assert_same_bits(&got, &want, "a product for the level below");
        else
            assert_memory_not_equal(got.data, want.data, (size_t)(M * N) * sizeof(float));
        buffers_check(&t);
    }
    fixture_end(&t);
}

#define BOTH(test) ON_LEVEL(test, "emulated"), ON_LEVEL(test, "amx")

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(matches_the_definition),
        BOTH(large_shapes_match),
        BOTH(pieces_give_the_same_bits),
        BOTH(rows_and_threads_give_the_same_bits),
        BOTH(every_half_is_read),
        BOTH(nan_stays_in_its_row),
        cmocka_unit_test(leaves_the_rest_to_others),
        ON_LEVEL(the_level_has_both, "amx"),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
