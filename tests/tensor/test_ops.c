/*
 * test_ops.c - the ops whose way back is written in src/tensor, not in a kernel, each by itself: gradients against central differences.
 * Kernels have theirs in backend/test_cpu_gradients.c, ranks in language/test_llama.c.
 */
#include "support/weights.h"

enum { T = 6, N = 5, K = 7 };

/* Inputs of any op, all with gradients. */
struct inputs {
    struct tensor x, other, w, b, p;
    struct tensor map, places; /* of two maps of 2 x 2 cells */
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

static struct tensor *run_dropout(struct ctx *c, void *user)
{
    struct inputs *u = user;

    c->dropout_key = 5; /* the same each time */
    return dropout(c, dropout(c, columns(c, &u->x, 1, N)));
}

/* Two heads of one's keys and values each. */
static struct tensor *run_attention_dropout(struct ctx *c, void *user)
{
    static const int32_t first[] = { 0, 0, 1, 1 }, count[] = { 3, 4, 5, 5 };
    struct attention_shape s = { 4, 2, 2, 0.7f, first, count };
    struct inputs *u = user;
    struct tensor *q = rows(c, columns(c, &u->x, 0, 8), 1, 4);

    c->dropout_key = 9;
    return attention_dropout(c, q, columns(c, &u->other, 0, 4), columns(c, &u->x, 3, 4), &s);
}

/* Two heads of two numbers, and terms of position that are products of the queries. */
static struct tensor *run_attention_grid(struct ctx *c, void *user)
{
    static const int32_t first[] = { 0, 0, 0, 0, 4, 4, 4, 4 }, count[] = { 4, 4, 4, 4, 4, 4, 4, 4 };
    struct attention_shape s = { 2, 2, 2, 0.7f, first, count };
    struct inputs *u = user;
    struct tensor *q = columns(c, &u->map, 0, 4), *each = reshape(c, concat_columns(c, &q, 1), 16);
    struct grid_terms g = { 2, linear(c, each, &u->places, NULL), linear(c, each, &u->places, NULL) };

    return attention_grid(c, q, columns(c, &u->map, 4, 4), columns(c, &u->map, 8, 4), &s, &g);
}

static struct tensor *run_unpatches(struct ctx *c, void *user)
{
    struct map_shape s = map_rows(2, 2, 4, 4);
    struct inputs *u = user;

    return unpatches(c, columns(c, &u->map, 3, 8), &s, 2);
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
    param(&v, &u->map, PARAM_VECTOR, SPLIT_NONE, SHAPE(8, 12), "map");
    param(&v, &u->places, PARAM_MATRIX, SPLIT_NONE, SHAPE(3, 2), "places");
}

static void check_with(forward_function forward, bool recompute, double share)
{
    struct arena arena = { 0 };
    struct weights w;
    struct inputs u;
    struct ctx c;

    open_inputs(&u, &w, &c, &arena);
    c.recompute = recompute;
    c.dropout = share;
    weights_check_gradients(&c, &w, forward, &u, 5e-3);
    weights_free(&w);
    ctx_free(&c);
    arena_free(&arena);
}

static void check(forward_function forward, bool recompute)
{
    check_with(forward, recompute, 0);
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

static void test_maps(void **state)
{
    struct map_shape s = map_rows(2, 2, 4, 4);
    struct arena arena = { 0 };
    struct tensor *x, *again;
    struct weights w;
    struct inputs u;
    struct ctx c;

    (void)state;
    check(run_attention_grid, false);
    check(run_unpatches, false);
    open_inputs(&u, &w, &c, &arena);
    x = columns(&c, &u.map, 3, 8);
    again = patches(&c, unpatches(&c, x, &s, 2), &s, 2); /* there and back */
    for (int t = 0; t < 8; t++)
        assert_memory_equal(tensor_f32(x) + t * x->stride, tensor_f32(again) + t * 8, 8 * sizeof(float));
    weights_free(&w);
    ctx_free(&c);
    arena_free(&arena);
}

static void test_blocks(void **state)
{
    (void)state;
    check(run_block, false);
    check(run_block, true);
}

/* The weights of all heads together are what attention gives for rows of ones and zeros; `columns` and `share` are as said. */
static void test_attention_weights(void **state)
{
    static const int32_t first[] = { 0, 0, 1, 1 }, count[] = { 3, 4, 5, 5 };
    const struct attention_shape s = { 4, 2, 2, 0.7f, first, count };
    struct arena arena = { 0 };
    struct weights w;
    struct inputs u;
    struct ctx c;
    struct tensor *q, *k, *all, *few;

    (void)state;
    open_inputs(&u, &w, &c, &arena);
    q = rows(&c, columns(&c, &u.x, 0, 8), 1, 4);
    k = columns(&c, &u.other, 0, 4);
    all = attention_weights(&c, q, k, &s, 5, 1);
    few = attention_weights(&c, q, k, &s, 2, 0.25);
    for (int t = 0; t < 4; t++) {
        for (int p = 0; p < 5; p++) {
            struct tensor *v = tensor_new(&c, tensor_rows(k), 4, false), *y;
            float want = 0, got = tensor_f32(all)[t * 5 + p];

            memset(tensor_f32(v), 0, (size_t)(tensor_rows(k) * 4) * sizeof(float));
            for (int i = 0; i < 4; i++)
                tensor_f32(v)[(first[t] + p) * 4 + i] = 1; /* the p-th that row t sees */
            y = attention(&c, q, k, v, &s);
            for (int h = 0; h < 4; h++) want += tensor_f32(y)[t * 8 + 2 * h];
            if (!(fabsf(got - want) < 1e-5f))
                fail_msg("row %d, %d: %g, not %g", t, p, (double)got, (double)want);
            if (p < 2) assert_true(fabsf(tensor_f32(few)[t * 2 + p] - 0.25f * got) < 1e-6f);
        }
    }
    assert_int_equal(c.err.code, STATUS_OK);
    ctx_free(&c);
    weights_free(&w);
    arena_free(&arena);
}

static void test_dropout(void **state)
{
    struct arena arena = { 0 };
    struct weights w;
    struct inputs u;
    struct ctx c;
    struct tensor *x, *y, *z, *all, *few;
    int zeros = 0, differ = 0;

    (void)state;
    check_with(run_dropout, false, 0.3);
    check_with(run_attention_dropout, false, 0.3);
    open_inputs(&u, &w, &c, &arena);
    all = run_attention_dropout(&c, &u);
    c.dropout = 1e-12; /* leaves nothing out, but takes the other way */
    few = run_attention_dropout(&c, &u);
    for (int i = 0; i < 4 * 8; i++) assert_true(fabsf(tensor_f32(all)[i] - tensor_f32(few)[i]) < 1e-6f);
    x = tensor_new(&c, 100, 100, false);
    for (int i = 0; i < 10000; i++) tensor_f32(x)[i] = 3;
    c.dropout = 0;
    assert_ptr_equal(dropout(&c, x), x);
    c.dropout = 0.25;
    y = dropout(&c, x);
    z = dropout(&c, x);
    for (int i = 0; i < 10000; i++) {
        float yi = tensor_f32(y)[i];

        assert_true(yi == 0 || yi == 4);
        zeros += yi == 0;
        differ += yi != tensor_f32(z)[i];
    }
    assert_in_range(zeros, 2300, 2700);
    assert_in_range(differ, 3450, 4050); /* 2 * 0.25 * 0.75 */
    weights_free(&w);
    ctx_free(&c);
    arena_free(&arena);
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

/* The gradients of the second of T masks, half of whose true cells are shares; the others have none. And what is known: a mask that is
 * right costs nothing, an empty one its dice. */
static void test_mask_loss(void **state)
{
    const double weight = 0.7, step = 1e-3;
    struct arena arena = { 0 };
    struct tape tape = { NULL };
    float truth[N];
    struct mask_match m;
    struct weights w;
    struct inputs u;
    struct ctx c;

    (void)state;
    open_inputs(&u, &w, &c, &arena);
    c.tape = &tape;
    for (int i = 0; i < N; i++) truth[i] = i % 2 == 0 ? (float)(i % 3) / 2 : 1;
    m = mask_loss(&c, &u.other, 1, truth, weight);
    assert_true(m.loss > 0 && m.iou >= 0 && m.iou <= 1);
    for (int i = 0; i < T * N; i++) {
        struct tensor plain = u.other;
        float *x = tensor_f32(&u.other) + i, was = *x, dx = u.other.grad[i];
        double up, down;

        plain.grad = NULL;
        *x = was + (float)step;
        up = mask_loss(&c, &plain, 1, truth, weight).loss;
        *x = was - (float)step;
        down = mask_loss(&c, &plain, 1, truth, weight).loss;
        *x = was;
        assert_true(fabs(weight * (up - down) / (2 * step) - (double)dx) < 1e-4 * weight);
        assert_true((dx != 0) == (i / N == 1));
    }
    u.other.grad = NULL;
    for (int i = 0; i < N; i++) tensor_f32(&u.other)[i] = (truth[i] = i < 3) != 0 ? 90.0f : -90.0f;
    m = mask_loss(&c, &u.other, 0, truth, 0);
    assert_true(m.loss >= 0 && m.loss < 1e-9 && m.iou == 1);
    for (int i = 0; i < N; i++) tensor_f32(&u.other)[i] = -1000; /* three cells that are missed by 1000 */
    m = mask_loss(&c, &u.other, 0, truth, 0);
    assert_true(fabs(m.loss - (20 * 0.25 * 3 * 1000 / N + 1 - 1.0 / 4)) < 1e-6 && m.iou == 0);
    assert_true(fabs(squared_error(&c, &u.other, 1, -998, 1) - 4) < 1e-9);
    weights_free(&w);
    ctx_free(&c);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_products),
                                        cmocka_unit_test(test_moved),
                                        cmocka_unit_test(test_maps),
                                        cmocka_unit_test(test_blocks),
                                        cmocka_unit_test(test_attention_weights),
                                        cmocka_unit_test(test_dropout),
                                        cmocka_unit_test(test_load_balance),
                                        cmocka_unit_test(test_mask_loss) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
