/*
 * test_adapter.c - what an adapter adds to a product: the sum that tensor.h says, its gradients against central differences beside weights of
 * every type that stay as they are, and nothing that depends on other rows of the call.
 */
#include "support/weights.h"

enum { ROWS = 5, IN = 64, OUT = 33, RANK = 3, MANY = 32 };

struct layer {
    struct ctx c;
    struct arena arena;
    struct weights weights;
    struct tensor w, b;  /* frozen, in some type */
    struct tensor plain; /* the numbers of w in float32 */
    struct tensor *x;
};

static void layer_open(struct layer *l, enum dtype type, bool own_bias, const char *level, int64_t n_rows)
{
    int64_t dim[] = { OUT, IN };
    struct param_visitor v = weights_visitor(&l->weights);
    const struct backend *b;
    struct err e = { 0 };
    struct tensor full = { 0 };

    memset(l, 0, sizeof *l);
    assert_int_equal(cpu_backend(level, &b, &e), STATUS_OK);
    assert_int_equal(ctx_init(&l->c, b, &l->arena, 2, &e), STATUS_OK);
    l->weights.seed = 3;
    l->weights.ranks = 1;
    weights_adapt(&l->weights, &full, RANK, !own_bias);
    param(&v, &full, PARAM_MATRIX, SPLIT_NONE, 2, dim, "w.weight");
    if (own_bias) param(&v, &l->b, PARAM_VECTOR, SPLIT_NONE, 1, dim, "w.bias");
    l->x = weights_input(&l->weights, n_rows, IN);
    /* w, which was visited first, is frozen: its gradient is of no interest. */
    memmove(l->weights.list, l->weights.list + 1, --l->weights.n * sizeof *l->weights.list);
    l->w = tensor_matrix(type, arena_alloc(&l->weights.arena, dtype_bytes(type, OUT * IN)), OUT, IN);
    l->w.adapter = full.adapter;
    l->plain = tensor_matrix(DTYPE_F32, full.data, OUT, IN);
    dtype_info(type)->from_f32(l->w.data, tensor_f32(&full), OUT * IN);
    dtype_info(type)->to_f32(tensor_f32(&l->plain), l->w.data, OUT * IN);
}

static void layer_close(struct layer *l)
{
    weights_free(&l->weights);
    ctx_free(&l->c);
    arena_free(&l->arena);
}

static struct tensor *run(struct ctx *c, void *user)
{
    struct layer *l = user;

    return linear(c, l->x, &l->w, l->b.n_dims != 0 ? &l->b : NULL);
}

/* W x + b + B (A x) in double. */
static double expected(const struct layer *l, int64_t t, int64_t n)
{
    const struct adapter *a = l->w.adapter;
    const struct tensor *bias = l->b.n_dims != 0 ? &l->b : &a->bias;
    double y = (double)tensor_f32(bias)[n];

    for (int64_t k = 0; k < IN; k++) {
        double w = (double)tensor_f32(&l->plain)[n * IN + k];

        for (int64_t r = 0; r < RANK; r++)
            w += (double)tensor_f32(&a->b)[n * RANK + r] * (double)tensor_f32(&a->a)[r * IN + k];
        y += w * (double)tensor_f32(l->x)[t * IN + k];
    }
    return y;
}

static void test_sum(void **state)
{
    static const char *const levels[] = { "ref", "auto" };
    static const enum dtype types[] = { DTYPE_F32, DTYPE_BF16, DTYPE_F16, DTYPE_Q8_0, DTYPE_Q4_0 };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof types / sizeof *types; i++) {
        struct layer l;
        struct tensor *y;

        layer_open(&l, types[i / 2], i % 3 == 0, levels[i % 2], ROWS);
        l.c.exec.precise = true; /* activations stay as they are beside any type */
        y = run(&l.c, &l);
        assert_non_null(y);
        for (int64_t t = 0; t < ROWS; t++) {
            for (int64_t n = 0; n < OUT; n++) {
                double want = expected(&l, t, n), got = (double)tensor_f32(y)[t * y->stride + n];

                if (!(fabs(got - want) <= 1e-5 * (1 + fabs(want))))
                    fail_msg("%s: %g, expected %g", dtype_info(types[i / 2])->name, got, want);
            }
        }
        layer_close(&l);
    }
}

static void test_gradients(void **state)
{
    static const enum dtype types[] = { DTYPE_F32, DTYPE_BF16, DTYPE_Q8_0, DTYPE_Q4_0 };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof types / sizeof *types; i++) {
        struct layer l;

        layer_open(&l, types[i / 2], i % 2 == 0, "auto", ROWS);
        l.c.exec.precise = true;
        assert_int_equal(l.weights.n, 4); /* A, B, a bias, x */
        weights_check_gradients(&l.c, &l.weights, run, &l, 1e-2);
        if (i == 0) { /* the first layer of a network: only the adapter learns */
            assert_true(l.weights.list[0].t == &l.w.adapter->a && l.weights.list[1].t == &l.w.adapter->b);
            l.x->grad = l.b.grad = NULL;
            memset(l.w.adapter->a.grad, 0, RANK * IN * sizeof(float));
            memset(l.w.adapter->b.grad, 0, OUT * RANK * sizeof(float));
            l.weights.n = 2;
            weights_check_gradients(&l.c, &l.weights, run, &l, 1e-2);
        }
        layer_close(&l);
    }
}

/* Up to so many rows a row has the bits that it has alone; and without an adapter nothing is other than it was. */
static void test_rows_alone(void **state)
{
    struct layer l;
    struct tensor *y, *alone, plain;

    (void)state;
    layer_open(&l, DTYPE_BF16, false, "auto", MANY);
    y = run(&l.c, &l);
    for (int64_t t = 0; t < MANY; t++) {
        alone = linear(&l.c, rows(&l.c, l.x, t, 1), &l.w, NULL);
        assert_memory_equal(tensor_f32(alone), tensor_f32(y) + t * y->stride, OUT * sizeof(float));
    }
    plain = l.w;
    plain.adapter = NULL;
    alone = linear(&l.c, l.x, &plain, &l.w.adapter->bias);
    l.w.adapter->a.n_dims = 0;
    y = run(&l.c, &l);
    assert_memory_equal(tensor_f32(alone), tensor_f32(y), MANY * OUT * sizeof(float));
    layer_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_rows_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
