/*
 * test_cpu_rows.c - norms, activations and what moves rows: every level against the plain definition, in place, with gaps
 * between rows, over awkward widths and extreme values; and the definitions against formulas written out here.
 */
#include "support/kernels.h"

static const int64_t widths[] = { 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 127, 257, 1023, 1408 };
enum { N_WIDTHS = sizeof widths / sizeof *widths };

static void norms_match(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < 4 * N_WIDTHS; i++) {
        int64_t D = widths[i / 4], T = i % 4 == 0 ? 1 : 40;
        struct tensor x = random_matrix(&t, T, D, i % 3), y = random_matrix(&t, T, D, 2),
                      want = random_matrix(&t, T, D, 0);
        float *w = random_floats(&t, D), *b = random_floats(&t, D);

        for (int64_t r = 0; i % 4 == 3 && r < T; r++) /* far from zero: the variance must not drown */
            for (int64_t c = 0; c < D; c++) tensor_f32(&x)[r * x.stride + c] += 100;
        t.ref->layer_norm(&t.exec, &want, &x, w, b, 1e-5f);
        t.level->layer_norm(&t.exec, &y, &x, w, b, 1e-5f);
        /* 100 + noise is stored to 4e-6 of the noise, and a mean is no better; narrow rows divide by little. */
        assert_close(&y, &want, i % 4 == 3 ? 2e-3 : 1e-4, "layer_norm T=%d D=%d", (int)T, (int)D);
        t.ref->rms_norm(&t.exec, &want, &x, w, 1e-5f);
        t.level->rms_norm(&t.exec, &y, &x, w, 1e-5f);
        assert_close(&y, &want, 2e-6, "rms_norm T=%d D=%d", (int)T, (int)D);
        t.level->rms_norm(&t.exec, &x, &x, w, 1e-5f);
        assert_same_bits(&x, &y, "rms_norm in place");
        buffers_check(&t);
    }
    fixture_end(&t);
}

/* From -30 to 30 in fine steps, and the ends of the number line. */
static struct tensor number_line(struct fixture *t, int64_t n)
{
    static const float ends[] = { 0.0f, -0.0f, 1e-40f, -1e-40f, 1e-30f, -1e-30f, 1e30f, INFINITY, 3.4e38f };
    struct tensor x = random_matrix(t, 1, n, 0);

    for (int64_t i = 0; i < n; i++) tensor_f32(&x)[i] = (float)(60.0 * (double)i / (double)n - 30);
    memcpy(tensor_f32(&x), ends, sizeof ends);
    return x;
}

static void activations_are_accurate(void **state)
{
    static const enum activation kinds[] = { ACT_GELU_ERF, ACT_GELU_QUICK, ACT_SILU, ACT_RELU };
    struct fixture t;

    fixture_begin(&t, *state);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        int64_t n = 400003;
        struct tensor x = number_line(&t, n), y = random_matrix(&t, 1, n, 0);

        t.level->activate(&t.exec, &y, &x, kinds[i]);
        for (int64_t k = 0; k < n; k++) {
            double v = (double)tensor_f32(&x)[k], got = (double)tensor_f32(&y)[k], want;

            if (kinds[i] == ACT_GELU_ERF)
                want = 0.5 * v * erfc(-v * 0.70710678118654752440);
            else if (kinds[i] == ACT_RELU)
                want = v > 0 ? v : 0;
            else
                want = v / (1 + exp(-(kinds[i] == ACT_SILU ? 1.0 : 1.702) * v));
            /* A few ulp of exp and of the normal tail; 1.702 x is rounded before exp sees it, which far out costs as many ulp
             * as x is large. Below 1e-36 only the absolute error counts. */
            if (!(got == want || fabs(got - want) <= 1e-36 + fabs(want) * (5e-7 + (v < 0 ? -1e-7 * v : 0))))
                fail_msg("activation %zu of %.9g: got %.9g, want %.9g", i, v, got, want);
        }
        t.level->activate(&t.exec, &x, &x, kinds[i]);
        assert_same_bits(&x, &y, "activate in place");
        tensor_f32(&x)[5] = NAN;
        t.level->activate(&t.exec, &y, &x, kinds[i]);
        assert_true(isnan(tensor_f32(&y)[5]) && !isnan(tensor_f32(&y)[4]));
        buffers_check(&t);
    }
    fixture_end(&t);
}

static void elementwise_kernels_match(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < N_WIDTHS; i++) {
        int64_t D = widths[i], T = 1 + 7 * (i % 5);
        struct tensor x = random_matrix(&t, T, D, 1), u = random_matrix(&t, T, D, 4),
                      y = random_matrix(&t, T, D, 2);
        struct tensor want = random_matrix(&t, T, D, 0);

        for (int a = 0; a <= (int)ACT_RELU; a++) {
            t.ref->activate(&t.exec, &want, &x, (enum activation)a);
            t.level->activate(&t.exec, &y, &x, (enum activation)a);
            assert_close(&y, &want, 2e-7, "activate %d T=%d D=%d", a, (int)T, (int)D);
        }
        t.ref->swiglu(&t.exec, &want, &x, &u);
        t.level->swiglu(&t.exec, &y, &x, &u);
        assert_close(&y, &want, 2e-7, "swiglu T=%d D=%d", (int)T, (int)D);
        t.level->swiglu(&t.exec, &x, &x, &u);
        assert_same_bits(&x, &y, "swiglu in place of the gate");
        buffers_check(&t);
    }
    fixture_end(&t);
}

static void losses_match(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < N_WIDTHS; i++) {
        int64_t D = widths[i], T = 3 + 20 * (i % 2);
        struct tensor x = random_matrix(&t, T, D, i % 3), definition;
        float *want = guarded(&t, T * x.stride);
        struct tensor got = tensor_matrix(DTYPE_F32, guarded(&t, T), T, 1),
                      loss = tensor_matrix(DTYPE_F32, guarded(&t, T), T, 1);
        int32_t target[23];

        for (int64_t r = 0; r < T; r++) {
            target[r] = (int32_t)(random_bits(&t) % (uint32_t)D);
            for (int64_t c = 0; c < D; c++) tensor_f32(&x)[r * x.stride + c] *= r % 2 == 0 ? 1 : 40;
        }
        with_grad(&t, &x, true);
        memcpy(want, x.grad, (size_t)(T * x.stride) * sizeof(float));
        t.level->cross_entropy(&t.exec, got.data, &x, target, 0.3f);
        definition = x;
        definition.grad = want;
        t.ref->cross_entropy(&t.exec, loss.data, &definition, target, 0.3f);
        assert_close(&got, &loss, 1e-5, "cross_entropy T=%d D=%d", (int)T, (int)D); /* losses up to 80 */
        for (int64_t k = 0; k < T * x.stride; k++)
            if (!(fabsf(x.grad[k] - want[k]) <= 5e-7f)) fail_msg("gradient D=%d, number %d", (int)D, (int)k);
        tensor_f32(&x)[D - 1] = NAN;
        t.level->cross_entropy(&t.exec, got.data, &x, target, 0.3f);
        assert_true(isnan(tensor_f32(&got)[0]) && !isnan(tensor_f32(&got)[1]));
        buffers_check(&t);
    }
    fixture_end(&t);
}

static void threads_give_the_same_bits(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    struct tensor x = random_matrix(&t, 61, 999, 1), y[THREADS_MAX];
    float *w = random_floats(&t, 999);

    for (int kernel = 0; kernel < 4; kernel++) {
        for (int n = 0; n < THREADS_MAX; n++) {
            t.exec.threads = n + 1;
            y[n] = random_matrix(&t, 61, 999, 0);
            if (kernel == 0) t.level->layer_norm(&t.exec, &y[n], &x, w, w, 1e-6f);
            if (kernel == 1) t.level->rms_norm(&t.exec, &y[n], &x, w, 1e-6f);
            if (kernel == 2) t.level->activate(&t.exec, &y[n], &x, ACT_GELU_ERF);
            if (kernel == 3) t.level->swiglu(&t.exec, &y[n], &x, &x);
            assert_same_bits(&y[n], &y[0], "more threads");
        }
    }
    fixture_end(&t);
}

/* ---- the plain kernels, against formulas ---------------------------------------------------------------------- */

static void rows_are_moved_and_added(void **state)
{
    struct fixture t;
    int64_t T = 11, D = 6;

    (void)state;
    fixture_begin(&t, "ref");
    struct tensor h = random_matrix(&t, T, D, 1), x = random_matrix(&t, T, D, 2),
                  p = random_matrix(&t, 4, D, 0);
    struct tensor y = random_matrix(&t, T, D, 3), want = random_matrix(&t, T, D, 0),
                  weight = random_matrix(&t, T, 2, 1);
    struct tensor half = random_weight(&t, DTYPE_BF16, 5, D, 1);
    const struct tensor *sources[] = { &x, &half };
    float *gamma = random_floats(&t, D);
    struct row_ref ref[11];
    int32_t index[22];

#define AT(m, r, c) tensor_f32(&(m))[(r) * (m).stride + (c)]
#define WANT(value)                                                                                          \
    for (int64_t r = 0; r < T; r++)                                                                          \
        for (int64_t c = 0; c < D; c++) AT(want, r, c) = (value)
    t.ref->residual(&t.exec, &y, &h, &x, NULL);
    WANT(AT(h, r, c) + AT(x, r, c));
    assert_close(&y, &want, 1e-7, "residual");
    t.ref->residual(&t.exec, &y, &h, &x, gamma);
    WANT(AT(h, r, c) + gamma[c] * AT(x, r, c));
    assert_close(&y, &want, 3e-7, "residual with gamma");
    t.ref->add_periodic(&t.exec, &y, &x, &p);
    WANT(AT(x, r, c) + AT(p, r % 4, c));
    assert_close(&y, &want, 1e-7, "add_periodic");
    for (int r = 0; r < 11; r++) {
        ref[r] = (struct row_ref){ r % 2, r % 5 };
        index[2 * r] = r % 3 == 0 ? -1 : 10 - r;
        index[2 * r + 1] = r;
    }
    t.ref->gather(&t.exec, &y, sources, ref);
    for (int64_t r = 0; r < T; r++) tensor_row_f32(sources[ref[r].part], ref[r].row, 0, D, &AT(want, r, 0));
    assert_close(&y, &want, 0, "gather");
    t.ref->combine(&t.exec, &y, &x, &weight, index, 2);
    WANT((r % 3 == 0 ? 0 : AT(weight, r, 0) * AT(x, 10 - r, c)) + AT(weight, r, 1) * AT(x, r, c));
    assert_close(&y, &want, 3e-7, "combine");
    fixture_end(&t);
}

/* A quantised table, whole and in pieces abreast: the embeddings of a converted checkpoint, and of one in shards. */
static void quantised_rows_are_gathered(void **state)
{
    static const enum dtype dtypes[] = { DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_K, DTYPE_Q6_K };
    enum { ROWS = 5, HALF = 512 };
    struct fixture t;

    (void)state;
    fixture_begin(&t, "ref");
    for (int i = 0; i < 4; i++) {
        struct tensor left = random_weight(&t, dtypes[i], ROWS, HALF, 0),
                      right = random_weight(&t, dtypes[i], ROWS, HALF, 256);
        const void *data[] = { left.data, right.data };
        int64_t stride[] = { left.stride, right.stride };
        struct tensor_pieces p = { 1, 2, data, stride };
        struct tensor both = { .dtype = dtypes[i], .n_dims = 2, .dim = { ROWS, 2 * HALF }, .pieces = &p };
        const struct tensor *sources[] = { &both };
        struct row_ref ref[] = { { 0, 4 }, { 0, 0 }, { 0, 4 }, { 0, 2 } };
        struct tensor y = random_matrix(&t, 4, 2 * HALF, 3);

        t.ref->gather(&t.exec, &y, sources, ref);
        for (int r = 0; r < 4; r++) {
            float want[2 * HALF];

            tensor_row_f32(&left, ref[r].row, 0, HALF, want);
            tensor_row_f32(&right, ref[r].row, 0, HALF, want + HALF);
            assert_memory_equal(&AT(y, r, 0), want, sizeof want);
        }
    }
    fixture_end(&t);
}

static void rope_turns_pairs(void **state)
{
    struct fixture t;
    int64_t T = 5;
    int d = 4;

    (void)state;
    fixture_begin(&t, "ref");
    struct tensor x = random_matrix(&t, T, 3 * d, 1), y = random_matrix(&t, T, 3 * d, 0);
    float *angles = guarded(&t, T * d);

    for (int64_t i = 0; i < T * d; i += 2) angles[i] = cosf((float)i), angles[i + 1] = sinf((float)i);
    t.ref->rope(&t.exec, &y, &x, angles, d);
    for (int64_t r = 0; r < T; r++) {
        for (int64_t c = 0; c < 3 * d; c += 2) {
            float turn = (float)(r * d + c % d), a = AT(x, r, c), b = AT(x, r, c + 1);

            assert_true(fabsf(AT(y, r, c) - (a * cosf(turn) - b * sinf(turn))) < 1e-6f);
            assert_true(fabsf(AT(y, r, c + 1) - (a * sinf(turn) + b * cosf(turn))) < 1e-6f);
        }
    }
    t.ref->rope(&t.exec, &x, &x, angles, d);
    assert_same_bits(&x, &y, "rope in place");
    fixture_end(&t);
}

static void the_largest_are_chosen(void **state)
{
    struct fixture t;
    float row[] = { 0.5f, 2.0f, 2.0f, -1.0f, 7.0f, NAN, NAN, NAN, NAN, NAN };
    struct tensor x = tensor_matrix(DTYPE_F32, row, 2, 5), y;
    int32_t index[6];

    (void)state;
    fixture_begin(&t, "ref");
    y = random_matrix(&t, 2, 3, 0);
    t.ref->softmax_top_k(&t.exec, &y, index, &x);
    assert_true(index[0] == 4 && index[1] == 1 && index[2] == 2);
    assert_true(fabsf(AT(y, 0, 0) - 1 / (1 + 2 * expf(-5))) < 1e-6f && AT(y, 0, 1) == AT(y, 0, 2));
    assert_true(index[3] != index[4] && index[4] != index[5] && index[3] != index[5]);
    for (int i = 3; i < 6; i++) assert_in_range(index[i], 0, 4);
    fixture_end(&t);
}

static void stored_rows_are_rounded(void **state)
{
    static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_Q8_0 };
    static const float odd[] = { 0,     -0.0f,  65504,    65520,     -1e30f,      6e-8f,
                                 3e-8f, 1e-40f, INFINITY, -INFINITY, 1 + 0x1p-9f, 1 + 3 * 0x1p-9f,
                                 0.5f,  -1.5f,  126.5f,   1e-6f };
    enum { T = 41, D = 96 };
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < 4; i++) {
        int64_t block = (int64_t)dtype_info(dtypes[i])->block_elements, columns = block > 1 ? D : 89;
        struct tensor x = random_matrix(&t, T, columns, 2),
                      cache = random_weight(&t, dtypes[i], T + 9, columns, block);
        int32_t rows[T];

        for (int r = 0; r < T; r++) {
            rows[r] = T + 8 - r;
            for (int64_t c = 0; c < columns; c++)
                AT(x, r, c) *=
                    r % 8 == 2 ? 0 : ldexpf(1, (r % 8 - 4) * 8); /* a row of zeros, and all sizes */
        }
        for (int c = 0; c < 16; c++) AT(x, 3, 7 + c) = odd[c];
        AT(x, 4, 40) = NAN;
        AT(x, 5, 40) = 127; /* whole and half steps of a block */
        for (int c = 0; c < 31; c++) AT(x, 5, 32 + (c + 9) % 32) = (float)c - 15.5f;
        AT(x, 5, 40) = 127;
        t.level->store_rows(&t.exec, &cache, rows, &x);
        for (int r = 0; r < T; r++) {
            unsigned char stored[D * 4];
            float got[D], want[D];

            dtype_info(dtypes[i])->from_f32(stored, &AT(x, r, 0), (size_t)columns);
            dtype_info(dtypes[i])->to_f32(want, stored, (size_t)columns);
            tensor_row_f32(&cache, rows[r], 0, columns, got);
            for (int64_t c = 0; c < columns; c++)
                if (memcmp(got + c, want + c, sizeof *got) != 0 && !(isnan(got[c]) && isnan(want[c])))
                    fail_msg("%s: row %d, column %d: %.9g became %.9g, not %.9g", dtype_info(dtypes[i])->name,
                             r, (int)c, (double)AT(x, r, c), (double)got[c], (double)want[c]);
        }
        buffers_check(&t);
    }
    fixture_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_LEVEL(norms_match),
        EACH_LEVEL(activations_are_accurate),
        EACH_LEVEL(elementwise_kernels_match),
        EACH_LEVEL(losses_match),
        EACH_LEVEL(threads_give_the_same_bits),
        cmocka_unit_test(rows_are_moved_and_added),
        cmocka_unit_test(quantised_rows_are_gathered),
        cmocka_unit_test(rope_turns_pairs),
        cmocka_unit_test(the_largest_are_chosen),
        EACH_LEVEL(stored_rows_are_rounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
