/*
 * test_cpu_gradients.c - every backward kernel against finite differences of its forward.
 *
 * With y = f(x) and the loss sum(dy * y), the kernel's gradient of each input is compared with
 * (loss(x + h) - loss(x - h)) / 2h. Inputs are within 1 and h is 1/64, so the cubic term is some 1e-4, and float32 outputs
 * add 1e-6 / h. Gradients start at one, for kernels must add to them.
 */
#include "support/kernels.h"

enum { INPUTS_MAX = 3 };

/* A forward and its backward over the same tensors and parameters. */
struct problem {
    struct fixture *t;
    struct tensor y, in[INPUTS_MAX];
    int n_inputs;
    float *parameter[2], *d_parameter[2];
    int64_t n_parameter[2];
    void (*forward)(struct problem *p);
    void (*backward)(struct problem *p);
    struct attention_shape attention;
    struct map_shape map;
    const struct tensor *sources[2];
    struct row_ref *ref;
    int32_t *index;
    int choice;
};

static void ones(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = 1;
}

static void add_input(struct problem *p, int64_t rows, int64_t columns)
{
    struct tensor *x = &p->in[p->n_inputs++];

    *x = random_matrix(p->t, rows, columns, 1);
    with_grad(p->t, x, false);
    ones(x->grad, rows * x->stride);
}

static void add_parameter(struct problem *p, int i, int64_t n)
{
    p->parameter[i] = random_floats(p->t, n);
    p->d_parameter[i] = guarded(p->t, n);
    p->n_parameter[i] = n;
    ones(p->d_parameter[i], n);
}

static void set_output(struct problem *p, int64_t rows, int64_t columns)
{
    p->y = random_matrix(p->t, rows, columns, 2);
    with_grad(p->t, &p->y, true);
}

static double loss(struct problem *p)
{
    double sum = 0;

    p->forward(p);
    for (int64_t r = 0; r < tensor_rows(&p->y); r++)
        for (int64_t c = 0; c < tensor_columns(&p->y); c++)
            sum += (double)p->y.grad[r * p->y.stride + c] * (double)tensor_f32(&p->y)[r * p->y.stride + c];
    return sum;
}

static void check_number(struct problem *p, float *x, float dx, const char *name, int64_t at)
{
    const float h = 0x1p-6f, kept = *x;
    double up, down, slope;

    *x = kept + h;
    up = loss(p);
    *x = kept - h;
    down = loss(p);
    *x = kept;
    slope = (up - down) / (2 * (double)h);
    if (!(fabs((double)dx - 1 - slope) <= 2e-3 * (1 + fabs(slope))))
        fail_msg("%s, number %lld: gradient %.6g, finite difference %.6g", name, (long long)at,
                 (double)dx - 1, slope);
}

static void check(struct problem *p, const char *name)
{
    p->forward(p);
    p->backward(p);
    for (int i = 0; i < p->n_inputs; i++) {
        for (int64_t k = 0; k < tensor_rows(&p->in[i]) * p->in[i].stride; k++) {
            if (k % p->in[i].stride < tensor_columns(&p->in[i]))
                check_number(p, tensor_f32(&p->in[i]) + k, p->in[i].grad[k], name, k);
            else if (p->in[i].grad[k] != 1)
                fail_msg("%s: gradient written between rows", name);
        }
    }
    for (int i = 0; i < 2; i++)
        for (int64_t k = 0; k < p->n_parameter[i]; k++)
            check_number(p, p->parameter[i] + k, p->d_parameter[i][k], name, k);
    buffers_check(p->t);
}

#define KERNEL(p) (p)->t->level
#define EXEC(p)   &(p)->t->exec

/* ---- one pair a kernel ---------------------------------------------------------------------------------------- */

static void linear_forward(struct problem *p)
{
    KERNEL(p)->linear(EXEC(p), &p->y, &p->in[0], &p->in[1], NULL);
}

static void linear_backward(struct problem *p)
{
    struct tensor *x = &p->in[0], *w = &p->in[1], *y = &p->y;

    KERNEL(p)->linear_transposed(EXEC(p), x->grad, x->stride, y->grad, y->stride, tensor_rows(x), w, true);
    KERNEL(p)->linear_weight_grad(EXEC(p), w->grad, w->stride, y->grad, y->stride, x->data, x->stride,
                                  tensor_rows(x), tensor_rows(w), tensor_columns(w));
}

static void attention_forward(struct problem *p)
{
    KERNEL(p)->attention(EXEC(p), &p->y, &p->in[0], &p->in[1], &p->in[2], &p->attention);
}

static void attention_backward(struct problem *p)
{
    KERNEL(p)->attention_backward(EXEC(p), &p->y, &p->in[0], &p->in[1], &p->in[2], &p->attention);
}

static void layer_norm_forward(struct problem *p)
{
    KERNEL(p)->layer_norm(EXEC(p), &p->y, &p->in[0], p->parameter[0], p->parameter[1], 0.1f);
}

static void layer_norm_backward(struct problem *p)
{
    KERNEL(p)->layer_norm_backward(EXEC(p), &p->y, &p->in[0], p->parameter[0], p->d_parameter[0],
                                   p->d_parameter[1], 0.1f);
}

static void rms_norm_forward(struct problem *p)
{
    KERNEL(p)->rms_norm(EXEC(p), &p->y, &p->in[0], p->parameter[0], 0.1f);
}

static void rms_norm_backward(struct problem *p)
{
    KERNEL(p)->rms_norm_backward(EXEC(p), &p->y, &p->in[0], p->parameter[0], p->d_parameter[0], 0.1f);
}

static void activate_forward(struct problem *p)
{
    KERNEL(p)->activate(EXEC(p), &p->y, &p->in[0], (enum activation)p->choice);
}

static void activate_backward(struct problem *p)
{
    KERNEL(p)->activate_backward(EXEC(p), &p->y, &p->in[0], (enum activation)p->choice);
}

static void swiglu_forward(struct problem *p)
{
    KERNEL(p)->swiglu(EXEC(p), &p->y, &p->in[0], &p->in[1]);
}

static void swiglu_backward(struct problem *p)
{
    KERNEL(p)->swiglu_backward(EXEC(p), &p->y, &p->in[0], &p->in[1]);
}

static void residual_forward(struct problem *p)
{
    KERNEL(p)->residual(EXEC(p), &p->y, &p->in[0], &p->in[1], p->parameter[0]);
}

static void residual_backward(struct problem *p)
{
    KERNEL(p)->residual_backward(EXEC(p), &p->y, &p->in[0], &p->in[1], p->parameter[0], p->d_parameter[0]);
}

static void add_periodic_forward(struct problem *p)
{
    KERNEL(p)->add_periodic(EXEC(p), &p->y, &p->in[0], &p->in[1]);
}

static void add_periodic_backward(struct problem *p)
{
    KERNEL(p)->add_periodic_backward(EXEC(p), &p->y, &p->in[0], &p->in[1]);
}

/* The angles are no input: parameter 1 holds them without a gradient to check. */
static void rope_forward(struct problem *p)
{
    KERNEL(p)->rope(EXEC(p), &p->y, &p->in[0], p->parameter[1], 4);
}

static void rope_backward(struct problem *p)
{
    KERNEL(p)->rope_backward(EXEC(p), &p->y, &p->in[0], p->parameter[1], 4);
}

static void gather_forward(struct problem *p)
{
    KERNEL(p)->gather(EXEC(p), &p->y, p->sources, p->ref);
}

static void gather_backward(struct problem *p)
{
    KERNEL(p)->gather_backward(EXEC(p), &p->y, p->sources, p->ref);
}

static void combine_forward(struct problem *p)
{
    KERNEL(p)->combine(EXEC(p), &p->y, &p->in[0], &p->in[1], p->index, 3);
}

static void combine_backward(struct problem *p)
{
    KERNEL(p)->combine_backward(EXEC(p), &p->y, &p->in[0], &p->in[1], p->index, 3);
}

static void top_k_forward(struct problem *p)
{
    KERNEL(p)->softmax_top_k(EXEC(p), &p->y, p->index, &p->in[0]);
}

static void top_k_backward(struct problem *p)
{
    KERNEL(p)->softmax_top_k_backward(EXEC(p), &p->y, p->index, &p->in[0]);
}

/* The kernel is told the gradient of its losses, all alike, and gives both at once. */
static const float loss_weight = 0.7f;

static void cross_entropy_forward(struct problem *p)
{
    struct tensor x = p->in[0];
    float losses[8];

    x.grad = NULL;
    KERNEL(p)->cross_entropy(EXEC(p), losses, &x, p->index, loss_weight);
    for (int64_t r = 0; r < tensor_rows(&p->y); r++) tensor_f32(&p->y)[r * p->y.stride] = losses[r];
}

static void cross_entropy_backward(struct problem *p)
{
    float losses[8];

    KERNEL(p)->cross_entropy(EXEC(p), losses, &p->in[0], p->index, loss_weight);
}

static void patches_forward(struct problem *p)
{
    KERNEL(p)->patches(EXEC(p), &p->y, p->in[0].data, &p->map, 2);
}

static void patches_backward(struct problem *p)
{
    KERNEL(p)->patches_backward(EXEC(p), &p->y, p->in[0].grad, &p->map, 2);
}

static void conv_forward(struct problem *p)
{
    KERNEL(p)->depthwise_conv(EXEC(p), &p->y, &p->in[0], p->parameter[0], p->parameter[1], 4, 5, 3);
}

static void conv_backward(struct problem *p)
{
    KERNEL(p)->depthwise_conv_backward(EXEC(p), &p->y, &p->in[0], p->parameter[0], p->d_parameter[0],
                                       p->d_parameter[1], 4, 5, 3);
}

/* ---- tests ---------------------------------------------------------------------------------------------------- */

static struct problem problem_of(struct fixture *t, void (*forward)(struct problem *),
                                 void (*backward)(struct problem *))
{
    struct problem p = { .t = t, .forward = forward, .backward = backward };

    return p;
}

static void products(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    for (int T = 2; T <= 11; T += 9) {
        struct problem p = problem_of(&t, linear_forward, linear_backward);

        add_input(&p, T, 19);
        add_input(&p, 7, 19);
        set_output(&p, T, 7);
        check(&p, "linear");
    }
    fixture_end(&t);
}

static void attention(void **state)
{
    int32_t first[] = { 0, 0, 0, 0, 4, 4, 4 }, count[] = { 1, 2, 3, 4, 3, 3, 3 };
    struct fixture t;

    fixture_begin(&t, *state);
    struct problem p = problem_of(&t, attention_forward, attention_backward);

    p.attention = (struct attention_shape){ 4, 2, 6, 0.7f, first, count };
    add_input(&p, 7, 24);
    add_input(&p, 7, 12);
    add_input(&p, 7, 12);
    set_output(&p, 7, 24);
    check(&p, "attention");
    fixture_end(&t);
}

static void norms(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    struct problem p = problem_of(&t, layer_norm_forward, layer_norm_backward);

    add_input(&p, 5, 9);
    add_parameter(&p, 0, 9);
    add_parameter(&p, 1, 9);
    set_output(&p, 5, 9);
    check(&p, "layer_norm");
    p = problem_of(&t, rms_norm_forward, rms_norm_backward);
    add_input(&p, 5, 9);
    add_parameter(&p, 0, 9);
    set_output(&p, 5, 9);
    check(&p, "rms_norm");
    fixture_end(&t);
}

static void elementwise(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    for (int a = 0; a <= (int)ACT_SILU; a++) {
        struct problem p = problem_of(&t, activate_forward, activate_backward);

        p.choice = a;
        add_input(&p, 3, 21);
        set_output(&p, 3, 21);
        check(&p, "activate");
    }
    struct problem p = problem_of(&t, swiglu_forward, swiglu_backward);

    add_input(&p, 3, 21);
    add_input(&p, 3, 21);
    set_output(&p, 3, 21);
    check(&p, "swiglu");
    fixture_end(&t);
}

static void sums(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    for (int gamma = 0; gamma < 2; gamma++) {
        struct problem p = problem_of(&t, residual_forward, residual_backward);

        add_input(&p, 4, 9);
        add_input(&p, 4, 9);
        if (gamma) add_parameter(&p, 0, 9);
        set_output(&p, 4, 9);
        check(&p, "residual");
    }
    struct problem p = problem_of(&t, add_periodic_forward, add_periodic_backward);

    add_input(&p, 7, 5);
    add_input(&p, 3, 5);
    set_output(&p, 7, 5);
    check(&p, "add_periodic");
    p = problem_of(&t, rope_forward, rope_backward);
    add_input(&p, 3, 12);
    p.parameter[1] = random_floats(&t, 12);
    set_output(&p, 3, 12);
    check(&p, "rope");
    fixture_end(&t);
}

static void moved_rows(void **state)
{
    struct row_ref ref[] = { { 0, 1 }, { 1, 2 }, { 0, 1 }, { 1, 0 }, { 0, 3 } };
    int32_t index[] = { 0, 1, -1, 2, 2, 3, -1, -1, 0, 3, 1, 2, 0, 0, 0 };
    struct fixture t;

    fixture_begin(&t, *state);
    struct problem p = problem_of(&t, gather_forward, gather_backward);

    add_input(&p, 4, 6);
    add_input(&p, 3, 6);
    set_output(&p, 5, 6);
    p.sources[0] = &p.in[0];
    p.sources[1] = &p.in[1];
    p.ref = ref;
    check(&p, "gather");
    p = problem_of(&t, combine_forward, combine_backward);
    add_input(&p, 4, 6);
    add_input(&p, 5, 3);
    set_output(&p, 5, 6);
    p.index = index;
    check(&p, "combine");
    p = problem_of(&t, top_k_forward, top_k_backward);
    add_input(&p, 5, 8);
    for (int64_t i = 0; i < 5 * p.in[0].stride; i++) /* far apart: the choice must not change with a step */
        if (i % p.in[0].stride < 8) tensor_f32(&p.in[0])[i] = (float)(i * 5 % 8) * 0.3f;
    set_output(&p, 5, 3);
    p.index = index;
    check(&p, "softmax_top_k");
    fixture_end(&t);
}

static void losses(void **state)
{
    int32_t target[] = { 18, 0, 7, 7, 11 };
    struct fixture t;

    fixture_begin(&t, *state);
    struct problem p = problem_of(&t, cross_entropy_forward, cross_entropy_backward);

    add_input(&p, 5, 19);
    set_output(&p, 5, 1);
    for (int64_t i = 0; i < 5; i++) p.y.grad[i * p.y.stride] = loss_weight;
    p.index = target;
    check(&p, "cross_entropy");
    fixture_end(&t);
}

static void maps(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    struct problem p = problem_of(&t, patches_forward, patches_backward);

    add_input(&p, 1, 2 * 4 * 5 * 3);
    p.map = (struct map_shape){ 2, 4, 5, 3, 60, 15, 3, 1 };
    set_output(&p, 2 * 2 * 2, 12);
    check(&p, "patches");
    p = problem_of(&t, conv_forward, conv_backward);
    add_input(&p, 2 * 4 * 5, 3);
    add_parameter(&p, 0, 3 * 9);
    add_parameter(&p, 1, 3);
    set_output(&p, 2 * 4 * 5, 3);
    check(&p, "depthwise_conv");
    fixture_end(&t);
}

/* The plain definitions, then every level's table. */
#define EACH_TABLE(test) { #test " (ref)", test, NULL, NULL, "ref" }, EACH_LEVEL(test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_TABLE(products), EACH_TABLE(attention),  EACH_TABLE(norms),  EACH_TABLE(elementwise),
        EACH_TABLE(sums),     EACH_TABLE(moved_rows), EACH_TABLE(losses), EACH_TABLE(maps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
