/*
 * test_ops.c - the ops whose way back is written in src/tensor, not in a kernel, each by itself: gradients against central differences.
 * Kernels have theirs in backend/test_cpu_gradients.c, ranks in language/test_llama.c.
 */
#include "support/weights.h"

enum { T = 6, N = 5, K = 7 };

/* Inputs of any op, all with gradients. */
struct inputs {
    struct tensor x, other, w, b, p;
};

static struct tensor *run_linear(struct ctx *c, void *user)
{
    struct inputs *u = user;

    return linear(c, columns(c, &u->x, 1, K), &u->w, &u->b);
}

static struct tensor *run_linear_transposed(struct ctx *c, void *user)
{
    struct inputs *u = user;

    return linear_transposed(c, columns(c, &u->x, 2, N), &u->w);
}

/* Each part twice over, so that gradients add up. */
static struct tensor *run_concat(struct ctx *c, void *user)
{
    struct inputs *u = user;
    struct tensor *parts[] = { &u->other, columns(c, &u->x, 3, 2), &u->other, columns(c, &u->x, 4, 3) };

    return concat_columns(c, parts, 4);
}

/* Rows of views, some of them more than once. */
static struct tensor *run_embed(struct ctx *c, void *user)
{
    static const int32_t ids[] = { 3, 0, 3, 3, 1 };
    struct inputs *u = user;
    struct tensor *y = embed(c, rows(c, &u->x, 1, 4), ids, 5);

    return add_periodic(c, y, &u->p);
}

static struct tensor *gated(struct ctx *c, const void *args, struct tensor *x)
{
    const struct inputs *u = *(const struct inputs *const *)args;
    struct tensor *other = (struct tensor *)(uintptr_t)&u->other;

    other = linear(c, linear_transposed(c, other, &u->w), &u->w, NULL);
    return residual(c, x, swiglu(c, x, other), NULL);
}

/* Two blocks that share what they look at; kept, then computed again. */
static struct tensor *run_block(struct ctx *c, void *user)
{
    const struct inputs *u = user;
    struct tensor *x = linear(c, columns(c, (struct tensor *)(uintptr_t)&u->x, 0, K), &u->w, NULL);

    return apply_block(c, gated, &u, sizeof u, apply_block(c, gated, &u, sizeof u, x));
}

static void open_inputs(struct inputs *u, struct weights *w, struct ctx *c, struct arena *a)
{
    struct param_visitor v = weights_visitor(w);
    const struct backend *b;
    struct err e = { 0 };

    memset(u, 0, sizeof *u);
    *w = (struct weights){ .seed = 7, .ranks = 1 };
    assert_int_equal(cpu_backend("auto", &b, &e), STATUS_OK);
    assert_int_equal(ctx_init(c, b, a, 2, &e), STATUS_OK);
    param(&v, &u->x, PARAM_VECTOR, SPLIT_NONE, SHAPE(T, K + 2), "x");
    param(&v, &u->other, PARAM_VECTOR, SPLIT_NONE, SHAPE(T, N), "other");
    param(&v, &u->w, PARAM_MATRIX, SPLIT_NONE, SHAPE(N, K), "w");
    param(&v, &u->b, PARAM_VECTOR, SPLIT_NONE, SHAPE(N), "b");
    param(&v, &u->p, PARAM_VECTOR, SPLIT_NONE, SHAPE(2, K + 2), "p");
}

static void check(forward_function forward, bool recompute)
{
    struct arena arena = { 0 };
    struct weights w;
    struct inputs u;
    struct ctx c;

    open_inputs(&u, &w, &c, &arena);
    c.recompute = recompute;
    weights_check_gradients(&c, &w, forward, &u, 5e-3);
    weights_free(&w);
    ctx_free(&c);
    arena_free(&arena);
}

static void test_products(void **state)
{
    (void)state;
    check(run_linear, false);
    check(run_linear_transposed, false);
}

static void test_moved(void **state)
{
    (void)state;
    check(run_concat, false);
    check(run_embed, false);
}

static void test_blocks(void **state)
{
    (void)state;
    check(run_block, false);
    check(run_block, true);
}

/* The one op that begins the way back and is no kernel. */
static void test_load_balance(void **state)
{
    enum { CHOSEN = 2 };
    static const int32_t choice[T * CHOSEN] = { 0, 1, 0, 3, 0, 1, 2, 0, 0, 4, 1, 3 };
    const double weight = 0.7, step = 1e-3;
    struct arena arena = { 0 };
    struct tape tape = { NULL };
    struct weights w;
    struct inputs u;
    struct ctx c;
    double value;

    (void)state;
    open_inputs(&u, &w, &c, &arena);
    c.tape = &tape;
    value = load_balance(&c, &u.other, choice, CHOSEN, weight);
    assert_true(value > 0);
    for (int i = 0; i < T * N; i++) {
        struct tensor plain = u.other;
        float *x = tensor_f32(&u.other) + i, was = *x, dx = u.other.grad[i];
        double up, down;

        plain.grad = NULL;
        *x = was + (float)step;
        up = load_balance(&c, &plain, choice, CHOSEN, weight);
        *x = was - (float)step;
        down = load_balance(&c, &plain, choice, CHOSEN, weight);
        *x = was;
        assert_true(fabs(weight * (up - down) / (2 * step) - (double)dx) < 1e-4 * weight);
    }
    for (int i = 0; i < T * N; i++) tensor_f32(&u.other)[i] = 3; /* all alike, whatever is chosen */
    assert_true(fabs(load_balance(&c, &u.other, choice, CHOSEN, 0) - 1) < 1e-6);
    weights_free(&w);
    ctx_free(&c);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_products), cmocka_unit_test(test_moved),
                                        cmocka_unit_test(test_blocks), cmocka_unit_test(test_load_balance) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
