/* test_cpu_conv.c - depthwise convolution of every level against the plain definition; the definitions by hand. */
#include "support/kernels.h"

static void matches_the_definition(void **state)
{
    /* maps, height, width, channels, size */
    static const int64_t cases[][5] = { { 1, 1, 1, 1, 7 },    { 2, 3, 5, 17, 7 },   { 1, 8, 8, 48, 7 },
                                        { 3, 4, 2, 16, 3 },   { 1, 65, 66, 15, 7 }, { 1, 7, 130, 4, 5 },
                                        { 2, 16, 16, 33, 1 }, { 1, 6, 6, 3, 17 },   { 1, 5, 5, 3, 4 },
                                        { 1, 64, 64, 20, 7 } };
    struct fixture t;

    fixture_begin(&t, *state);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t *c = cases[i];
        int64_t rows = c[0] * c[1] * c[2], C = c[3];
        int size = (int)c[4];
        struct tensor x = random_matrix(&t, rows, C, (int64_t)i % 3), y = random_matrix(&t, rows, C, 2);
        struct tensor want = random_matrix(&t, rows, C, 0);
        float *w = random_floats(&t, C * size * size), *bias = random_floats(&t, C);

        t.ref->depthwise_conv(&t.exec, &want, &x, w, bias, c[1], c[2], size);
        for (t.exec.threads = 1; t.exec.threads <= THREADS_MAX; t.exec.threads++) {
            t.level->depthwise_conv(&t.exec, &y, &x, w, bias, c[1], c[2], size);
            assert_close(&y, &want, 1e-5, "depthwise_conv %dx%dx%d C=%d size %d", (int)c[0], (int)c[1],
                         (int)c[2], (int)C, size);
        }
        t.exec.threads = 2;
        buffers_check(&t);
    }
    fixture_end(&t);
}

/* Against the plain definition; with the kernel's gradient or without; the same bits for any number of threads. */
static void gradients_match(void **state)
{
    static const int64_t cases[][5] = { { 1, 1, 1, 1, 7 },   { 2, 3, 5, 17, 7 }, { 11, 8, 8, 48, 7 },
                                        { 1, 65, 66, 5, 7 }, { 3, 6, 6, 33, 3 }, { 1, 6, 6, 3, 17 } };
    struct fixture t;

    fixture_begin(&t, *state);
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        const int64_t *c = cases[i / 2];
        int64_t rows = c[0] * c[1] * c[2], C = c[3], taps = c[4] * c[4];
        struct tensor y = random_matrix(&t, rows, C, 1), x = random_matrix(&t, rows, C, (int64_t)i % 3);
        float *w = random_floats(&t, C * taps), *dx[1 + THREADS_MAX], *dw[1 + THREADS_MAX],
              *db[1 + THREADS_MAX];
        bool kernel = i % 2 == 0;

        with_grad(&t, &y, true);
        for (int side = 0; side <= THREADS_MAX; side++) { /* 0: the definition */
            const struct backend *b = side == 0 ? t.ref : t.level;

            with_grad(&t, &x, false);
            dx[side] = x.grad;
            dw[side] = guarded(&t, C * taps);
            db[side] = guarded(&t, C);
            for (int64_t k = 0; k < C * taps; k++) dw[side][k] = 1;
            for (int64_t k = 0; k < C; k++) db[side][k] = 1;
            for (int64_t k = 0; k < rows * x.stride; k++) x.grad[k] = 1;
            t.exec.threads = side == 0 ? 1 : side;
            b->depthwise_conv_backward(&t.exec, &y, &x, w, kernel ? dw[side] : NULL, kernel ? db[side] : NULL,
                                       c[1], c[2], (int)c[4]);
        }
        for (int side = 1; side <= THREADS_MAX; side++) {
            for (int64_t k = 0; k < rows * x.stride; k++) assert_true(fabsf(dx[side][k] - dx[0][k]) < 1e-5f);
            for (int64_t k = 0; k < C * taps; k++)
                assert_true(fabsf(dw[side][k] - dw[0][k]) < 1e-6f * (float)(rows + 20));
            for (int64_t k = 0; k < C; k++)
                assert_true(fabsf(db[side][k] - db[0][k]) < 1e-6f * (float)(rows + 20));
            assert_memory_equal(dx[side], dx[1], (size_t)(rows * x.stride) * sizeof(float));
            assert_memory_equal(dw[side], dw[1], (size_t)(C * taps) * sizeof(float));
            assert_memory_equal(db[side], db[1], (size_t)C * sizeof(float));
        }
        buffers_check(&t);
    }
    fixture_end(&t);
}

static void zeros_surround_a_map(void **state)
{
    struct fixture t;
    float x[] = { 1, 2, 3, 4 }, w[] = { 1, 10, 100, 1000, 1e4f, 1e5f, 1e6f, 1e7f, 1e8f }, bias[] = { 0.5f },
          y[4];
    struct tensor in = tensor_matrix(DTYPE_F32, x, 4, 1), out = tensor_matrix(DTYPE_F32, y, 4, 1);

    (void)state;
    fixture_begin(&t, "ref");
    t.ref->depthwise_conv(&t.exec, &out, &in, w, bias, 2, 2, 3);
    assert_true(y[0] ==
                (float)(1e4 * 1 + 1e5 * 2 + 1e7 * 3 + 1e8 * 4 + 0.5)); /* top left: taps from the centre on */
    assert_true(y[3] == (float)(1 * 1 + 10 * 2 + 1e3 * 3 + 1e4 * 4 + 0.5));
    fixture_end(&t);
}

static void patches_are_cut_in_weight_order(void **state)
{
    struct fixture t;
    struct map_shape planar = { 2, 4, 5, 3, 60, 5, 1, 20 };
    float x[120];
    struct tensor y;

    (void)state;
    fixture_begin(&t, "ref");
    for (int i = 0; i < 120; i++) x[i] = (float)i;
    y = random_matrix(&t, 2 * 2 * 2, 12, 1); /* the fifth column of cells is left out */
    t.ref->patches(&t.exec, &y, x, &planar, 2);
    for (int v = 0; v < 2; v++)
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 2; j++)
                for (int c = 0; c < 12; c++) {
                    int cell = v * 60 + c / 4 * 20 + (2 * i + c / 2 % 2) * 5 + 2 * j + c % 2;

                    assert_true(tensor_f32(&y)[((v * 2 + i) * 2 + j) * y.stride + c] == (float)cell);
                }
    fixture_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_LEVEL(matches_the_definition),
        EACH_LEVEL(gradients_match),
        cmocka_unit_test(zeros_surround_a_map),
        cmocka_unit_test(patches_are_cut_in_weight_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
