/*
 * test_cpu_attention.c - attention of every level against the plain definition: encoders, causal prefill, ragged
 * batches, decoding; every cache dtype and awkward head sizes.
 */
#include "support/kernels.h"

enum mode { FULL, SEGMENTS, CAUSAL, RAGGED, DECODE, MODES };

struct layout {
    int32_t *first, *count; /* [T] */
    int64_t T, P;
};

/* T rows in one of the ways that callers lay them out; `n` steers the sizes. */
static struct layout layout_of(struct fixture *t, enum mode mode, int64_t n)
{
    struct layout l = { .T = n, .P = n };

    if (mode == FULL) l.P = n + 5;
    if (mode == SEGMENTS) l.T = l.P = 3 * n;
    if (mode == DECODE) l.T = 4, l.P = 4 * n;
    l.first = guarded_bytes(t, (size_t)l.T * sizeof *l.first, 4);
    l.count = guarded_bytes(t, (size_t)l.T * sizeof *l.count, 4);
    for (int64_t i = 0; i < l.T; i++) {
        l.first[i] = 0;
        l.count[i] = (int32_t)l.P;
        if (mode == SEGMENTS) l.first[i] = (int32_t)(i / n * n), l.count[i] = (int32_t)n;
        if (mode == CAUSAL) l.count[i] = (int32_t)(i + 1);
        if (mode == DECODE) l.first[i] = (int32_t)(i * n), l.count[i] = (int32_t)(n - i * n / 8);
        if (mode == RAGGED) { /* any window, in no order */
            l.first[i] = (int32_t)(random_bits(t) % (uint32_t)l.P);
            l.count[i] = (int32_t)(1 + random_bits(t) % (uint32_t)(l.P - l.first[i]));
            if (i % 7 != 0) l.first[i] = l.first[i - 1], l.count[i] = 1;
        }
    }
    return l;
}

static void check(struct fixture *t, enum mode mode, int64_t n, int heads, int kv_heads, int d,
                  enum dtype dtype, float sharpness)
{
    struct layout l = layout_of(t, mode, n);
    struct attention_shape s = { heads, kv_heads, d, sharpness / sqrtf((float)d), l.first, l.count };
    struct tensor q = random_matrix(t, l.T, heads * d, 3), y = random_matrix(t, l.T, heads * d, 2);
    int64_t block = (int64_t)dtype_info(dtype)->block_elements;
    struct tensor k = random_weight(t, dtype, l.P, kv_heads * d, 7 * block),
                  v = random_weight(t, dtype, l.P, kv_heads * d, 9 * block);
    struct tensor want = random_matrix(t, l.T, heads * d, 0);

    t->ref->attention(&t->exec, &want, &q, &k, &v, &s);
    t->level->attention(&t->exec, &y, &q, &k, &v, &s);
    /* Values lie within 1; a score's rounding, some 1e-7 of it, moves a probability by as much. */
    assert_close(&y, &want, 2e-6 * (1 + (double)sharpness), "attention mode %d n=%d heads=%d/%d d=%d %s",
                 (int)mode, (int)n, heads, kv_heads, d, dtype_info(dtype)->name);
    buffers_check(t);
}

static void matches_the_definition(void **state)
{
    static const int64_t lengths[] = { 1, 2, 3, 4, 7, 17, 33, 127, 128, 129, 257, 300 };
    static const int dims[] = { 2, 8, 24, 64, 88, 128 };
    static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_BF16, DTYPE_F16 };
    struct fixture t;
    int turn = 0;

    fixture_begin(&t, *state);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (int mode = 0; mode < MODES; mode++, turn++) {
            check(&t, (enum mode)mode, lengths[i], i % 3 ? 4 : 3, i % 3 ? 2 : 3, dims[turn % 6],
                  dtypes[turn / 6 % 3], 1);
            check(&t, (enum mode)mode, lengths[i], 3, turn % 2 ? 1 : 3, 32 + turn % 3 * 32, DTYPE_Q8_0, 1);
        }
    fixture_end(&t);
}

static void extreme_shapes_and_scores(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    check(&t, CAUSAL, 9, 2, 1, 1, DTYPE_F32, 1);
    check(&t, FULL, 40, 1, 1, 15, DTYPE_BF16, 1);
    check(&t, FULL, 20, 1, 1, HEAD_DIM_MAX, DTYPE_F32, 1);
    check(&t, DECODE, 70, 130, 1, 17, DTYPE_F16, 1);
    check(&t, CAUSAL, 150, 2, 2, 32, DTYPE_F32, 100); /* nearly one-hot */
    check(&t, DECODE, 150, 2, 2, 32, DTYPE_F32, 100);
    fixture_end(&t);
}

/* Scores of 1e30 have no finite exponential, only finite differences. */
static void huge_scores_stay_finite(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    for (int mode = 0; mode < MODES; mode++) {
        struct layout l = layout_of(&t, (enum mode)mode, 50);
        struct attention_shape s = { 2, 2, 16, 1e30f, l.first, l.count };
        struct tensor q = random_matrix(&t, l.T, 32, 0), y = random_matrix(&t, l.T, 32, 0);
        struct tensor k = random_matrix(&t, l.P, 32, 0), v = random_matrix(&t, l.P, 32, 0);

        t.level->attention(&t.exec, &y, &q, &k, &v, &s);
        for (int64_t i = 0; i < l.T * 32; i++) assert_true(fabsf(tensor_f32(&y)[i]) <= 1);
        buffers_check(&t);
    }
    fixture_end(&t);
}

/* A query of NaN spoils its own row only. */
static void nan_stays_in_its_row(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    for (int mode = 0; mode < MODES; mode++) {
        struct layout l = layout_of(&t, (enum mode)mode, 30);
        struct attention_shape s = { 1, 1, 8, 1, l.first, l.count };
        struct tensor q = random_matrix(&t, l.T, 8, 0), y = random_matrix(&t, l.T, 8, 0);
        struct tensor k = random_matrix(&t, l.P, 8, 0), v = random_matrix(&t, l.P, 8, 0);

        tensor_f32(&q)[2 * 8 + 3] = NAN;
        t.level->attention(&t.exec, &y, &q, &k, &v, &s);
        for (int64_t i = 0; i < l.T * 8; i++) assert_int_equal(isnan(tensor_f32(&y)[i]) != 0, i / 8 == 2);
        buffers_check(&t);
    }
    fixture_end(&t);
}

/* Gradients of ones, to which kernels add: of the definition, of the level with one thread and with all. */
static void check_grid_backward(struct fixture *t, struct tensor *const x[5], const struct tensor *y,
                                const struct attention_shape *s, int side)
{
    const struct grid_terms g = { side, x[3], x[4] };
    float *grad[3][5];

    for (int which = 0; which < 3; which++) {
        for (int i = 0; i < 5; i++) {
            with_grad(t, x[i], false);
            grad[which][i] = x[i]->grad;
            for (int64_t n = 0; n < tensor_rows(x[i]) * x[i]->stride; n++) x[i]->grad[n] = 1;
        }
        t->exec.threads = which < 2 ? 1 : THREADS_MAX;
        (which == 0 ? t->ref : t->level)->attention_grid_backward(&t->exec, y, x[0], x[1], x[2], s, &g);
    }
    for (int i = 0; i < 5; i++) {
        int64_t n = tensor_rows(x[i]) * x[i]->stride;

        for (int64_t j = 0; j < n; j++) {
            if (!(fabsf(grad[1][i][j] - grad[0][i][j]) <= 1e-5f * (1 + fabsf(grad[0][i][j]))))
                fail_msg("side=%d d=%d, input %d, number %d: %g, expected %g", side, s->head_dim, i, (int)j,
                         (double)grad[1][i][j], (double)grad[0][i][j]);
        }
        assert_memory_equal(grad[1][i], grad[2][i], (size_t)n * sizeof(float));
    }
}

static void check_grid(struct fixture *t, int side, int64_t maps, int heads, int d)
{
    int64_t cells = (int64_t)side * side, T = maps * cells;
    int32_t *first = guarded_bytes(t, (size_t)T * sizeof *first, 4),
            *count = guarded_bytes(t, (size_t)T * sizeof *count, 4);
    struct attention_shape s = { heads, heads, d, 0.5f, first, count };
    struct tensor q = random_matrix(t, T, heads * d, 3), k = random_matrix(t, T, heads * d, 1),
                  v = random_matrix(t, T, heads * d, 2), y = random_matrix(t, T, heads * d, 5);
    struct tensor rows = random_matrix(t, T * heads, 2 * side - 1, 1),
                  columns = random_matrix(t, T * heads, 2 * side - 1, 2),
                  want = random_matrix(t, T, heads * d, 0);
    struct grid_terms g = { side, &rows, &columns };

    for (int64_t i = 0; i < T; i++) {
        first[i] = (int32_t)(i / cells * cells);
        count[i] = (int32_t)cells;
    }
    t->ref->attention_grid(&t->exec, &want, &q, &k, &v, &s, &g);
    t->level->attention_grid(&t->exec, &y, &q, &k, &v, &s, &g);
    assert_close(&y, &want, 4e-6, "attention_grid side=%d heads=%d d=%d", side, heads, d);
    with_grad(t, &want, true);
    check_grid_backward(t, (struct tensor *const[]){ &q, &k, &v, &rows, &columns }, &want, &s, side);
    buffers_check(t);
}

/* Maps smaller than a register, windows of SAM, and one that is cut into blocks of queries and tiles of keys. */
static void maps_match_the_definition(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    check_grid(&t, 1, 3, 2, 4);
    check_grid(&t, 2, 3, 2, 5);
    check_grid(&t, 5, 2, 3, 8);
    check_grid(&t, 14, 2, 2, 20);
    check_grid(&t, 19, 1, 1, 16);
    fixture_end(&t);
}

static void threads_give_the_same_bits(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    for (int mode = 0; mode < MODES; mode++) {
        struct layout l = layout_of(&t, (enum mode)mode, 290);
        struct attention_shape s = { 4, 2, 40, 0.3f, l.first, l.count };
        struct tensor q = random_matrix(&t, l.T, 160, 0), k = random_weight(&t, DTYPE_BF16, l.P, 80, 0);
        struct tensor v = random_weight(&t, DTYPE_BF16, l.P, 80, 0), y[THREADS_MAX];

        for (int n = 0; n < THREADS_MAX; n++) {
            t.exec.threads = n + 1;
            y[n] = random_matrix(&t, l.T, 160, 0);
            t.level->attention(&t.exec, &y[n], &q, &k, &v, &s);
            assert_same_bits(&y[n], &y[0], "attention with more threads");
        }
        buffers_check(&t);
    }
    fixture_end(&t);
}

/* Guessed tokens and batches are exact: up to BATCH_ROWS rows of a sequence give what each gives alone. */
static void few_rows_are_independent(void **state)
{
    static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_BF16, DTYPE_F16, DTYPE_Q8_0 };
    struct fixture t;
    int turn = 0;

    fixture_begin(&t, *state);
    for (int64_t n = 1; n <= BATCH_ROWS; n += 1 + n / 8, turn++) {
        struct layout l = { .T = 2 * n };
        int32_t first[2 * BATCH_ROWS], count[2 * BATCH_ROWS];
        int heads = turn / 4 % 2 ? 6 : 3, d = turn % 4 == 3 ? 64 : 40; /* keys read by one query or two */
        struct attention_shape s = { heads, 3, d, 0.3f, first, count };
        struct tensor q = random_matrix(&t, l.T, heads * d, 1), y = random_matrix(&t, l.T, heads * d, 0);
        struct tensor k = random_weight(&t, dtypes[turn % 4], 500, 3 * d, 0),
                      v = random_weight(&t, dtypes[turn % 4], 500, 3 * d, 0);

        for (int64_t i = 0; i < l.T; i++) { /* two sequences, n tokens each */
            first[i] = i < n ? 17 : 300;
            count[i] = (int32_t)(90 + i);
        }
        t.level->attention(&t.exec, &y, &q, &k, &v, &s);
        for (int64_t i = 0; i < l.T; i++) {
            struct attention_shape alone = { heads, 3, d, 0.3f, first + i, count + i };
            struct tensor qi = q, yi = random_matrix(&t, 1, heads * d, 0), want = y;

            qi.dim[0] = want.dim[0] = 1;
            qi.data = tensor_f32(&q) + i * q.stride;
            want.data = tensor_f32(&y) + i * y.stride;
            t.exec.threads = 1 + (int)(i % 3);
            t.level->attention(&t.exec, &yi, &qi, &k, &v, &alone);
            assert_same_bits(&yi, &want, "attention of one row");
        }
        buffers_check(&t);
    }
    fixture_end(&t);
}

/* Nor do many rows depend on those behind them: a prompt may be computed in parts. */
static void many_rows_are_independent(void **state)
{
    static const int64_t parts[] = { 33, 100, 257, 289 };
    struct fixture t;

    fixture_begin(&t, *state);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct layout l = layout_of(&t, CAUSAL, 400);
        struct attention_shape s = { 2, 1, 32, 0.3f, l.first, l.count };
        struct tensor q = random_matrix(&t, 400, 64, 1), y = random_matrix(&t, 400, 64, 0), part = y;
        struct tensor k = random_weight(&t, DTYPE_F16, 400, 32, 0),
                      v = random_weight(&t, DTYPE_F16, 400, 32, 0);

        t.level->attention(&t.exec, &y, &q, &k, &v, &s);
        q.dim[0] = parts[i];
        part = random_matrix(&t, parts[i], 64, 0);
        t.level->attention(&t.exec, &part, &q, &k, &v, &s);
        assert_same_bits(&part, &y, "attention of the first rows");
        buffers_check(&t);
    }
    fixture_end(&t);
}

/* q, k and v with gradients of ones, to which the kernel adds. */
static void reset_gradients(struct tensor *const x[3])
{
    for (int i = 0; i < 3; i++)
        for (int64_t n = 0; n < tensor_rows(x[i]) * x[i]->stride; n++) x[i]->grad[n] = 1;
}

/* Causal sequences of several lengths, or views whose rows see all; longer and shorter than the blocks of keys, with heads that share
 * keys. Against the plain definition, and the same bits for any number of threads. */
static void gradients_match(void **state)
{
    enum { LONG = 139, SHORT = 5 };
    static const int widths[] = { 32, 11, 128, 20 };
    struct fixture t;

    fixture_begin(&t, *state);
    for (int i = 0; i < 8; i++) {
        int32_t first[LONG + SHORT], count[LONG + SHORT];
        struct attention_shape s = { 2, i % 2 == 0 ? 2 : 1, widths[i % 4], 0.3f, first, count };
        int64_t d = s.head_dim, T = LONG + SHORT;
        struct tensor q = random_matrix(&t, T, 2 * d, 1), k = random_matrix(&t, T, s.kv_heads * d, 2),
                      v = random_matrix(&t, T, s.kv_heads * d, 0), y = random_matrix(&t, T, 2 * d, 3);
        struct tensor *const inputs[] = { &q, &k, &v };
        float *want[3];

        for (int r = 0; r < T; r++) {
            first[r] = r < LONG ? 0 : LONG;
            count[r] = i >= 4 ? (r < LONG ? LONG : SHORT) : r - first[r] + 1;
        }
        with_grad(&t, &y, true);
        for (int x = 0; x < 3; x++) with_grad(&t, inputs[x], false);
        t.ref->attention(&t.exec, &y, &q, &k, &v, &s);
        reset_gradients(inputs);
        t.ref->attention_backward(&t.exec, &y, &q, &k, &v, &s);
        for (int x = 0; x < 3; x++) {
            want[x] = inputs[x]->grad;
            with_grad(&t, inputs[x], false);
        }
        for (int threads = 1; threads <= THREADS_MAX; threads++) {
            float *before[3] = { q.grad, k.grad, v.grad };

            for (int x = 0; threads > 1 && x < 3; x++) with_grad(&t, inputs[x], false);
            t.exec.threads = threads;
            reset_gradients(inputs);
            t.level->attention_backward(&t.exec, &y, &q, &k, &v, &s);
            for (int x = 0; x < 3; x++) {
                struct tensor got = *inputs[x];
                int64_t n = T * got.stride;

                for (int64_t j = 0; j < n; j++) {
                    if (!(fabsf(got.grad[j] - want[x][j]) <= 1e-5f * (1 + fabsf(want[x][j]))))
                        fail_msg("case %d, input %d, number %d: %g, expected %g", i, x, (int)j,
                                 (double)got.grad[j], (double)want[x][j]);
                }
                assert_memory_equal(got.grad, before[x], (size_t)n * sizeof(float));
            }
        }
        buffers_check(&t);
    }
    fixture_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_LEVEL(matches_the_definition),    EACH_LEVEL(extreme_shapes_and_scores),
        EACH_LEVEL(huge_scores_stay_finite),   EACH_LEVEL(nan_stays_in_its_row),
        EACH_LEVEL(maps_match_the_definition), EACH_LEVEL(threads_give_the_same_bits),
        EACH_LEVEL(few_rows_are_independent),  EACH_LEVEL(many_rows_are_independent),
        EACH_LEVEL(gradients_match),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
