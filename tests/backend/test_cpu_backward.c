/*
 * test_cpu_backward.c - the backward kernels that are written with vectors against their definitions in plain C, over awkward shapes and
 * strides, with and without the gradients that nobody wants; and the same bits with one thread as with three.
 */
#include "support/kernels.h"

static const int widths[] = { 1, 2, 7, 8, 15, 16, 17, 31, 33, 127, 200 };
static const int heights[] = { 1, 3, 40, 150 };

enum { N_WIDTHS = sizeof widths / sizeof *widths, N_HEIGHTS = sizeof heights / sizeof *heights };
enum side { DEFINITION, LEVEL, LEVEL_THREADS, SIDES };

/* The same inputs three times, each with gradients of its own. */
struct problem {
    struct fixture *t;
    int64_t T, D;
    bool wanted; /* the first input's gradient, and the vectors' */
    struct tensor y[SIDES], a[SIDES], b[SIDES];
    float *w, *dw[SIDES], *db[SIDES];
    float *angles;
};

static void copy_gradient(struct fixture *t, struct tensor *to, const struct tensor *from)
{
    size_t n = (size_t)(tensor_rows(from) * from->stride);

    *to = *from;
    to->grad = guarded(t, (int64_t)n);
    memcpy(to->grad, from->grad, n * sizeof *to->grad);
}

static void problem_begin(struct problem *p, struct fixture *t, int64_t T, int64_t D, bool wanted)
{
    *p = (struct problem){ .t = t, .T = T, .D = D, .wanted = wanted };
    p->y[0] = random_matrix(t, T, D, 2);
    p->a[0] = random_matrix(t, T, D, 1);
    p->b[0] = random_matrix(t, T, D, 3);
    with_grad(t, &p->y[0], true);
    with_grad(t, &p->a[0], true);
    with_grad(t, &p->b[0], true);
    p->w = random_floats(t, D);
    p->angles = random_floats(t, T * D);
    for (int side = 0; side < SIDES; side++) {
        if (side > 0) {
            copy_gradient(t, &p->y[side], &p->y[0]);
            copy_gradient(t, &p->a[side], &p->a[0]);
            copy_gradient(t, &p->b[side], &p->b[0]);
        }
        p->dw[side] = wanted ? guarded(t, D) : NULL;
        p->db[side] = wanted ? guarded(t, D) : NULL;
        for (int64_t i = 0; wanted && i < D; i++) p->dw[side][i] = p->db[side][i] = 0.5f;
    }
    for (int side = 0; side < SIDES && !wanted; side++) p->a[side].grad = NULL;
}

static void compare(const float *got, const float *want, int64_t n, double tolerance, const char *name,
                    const struct problem *p)
{
    for (int64_t i = 0; i < n; i++) {
        if (!(fabs((double)got[i] - (double)want[i]) <= tolerance))
            fail_msg("%s, %lld x %lld: number %lld is %.9g, want %.9g", name, (long long)p->T,
                     (long long)p->D, (long long)i, (double)got[i], (double)want[i]);
    }
}

static void compare_matrix(const struct tensor *x, double tolerance, const char *name,
                           const struct problem *p)
{
    if (x[DEFINITION].grad == NULL) return;
    for (int64_t t = 0; t < tensor_rows(x); t++) {
        const float *got = x[LEVEL].grad + t * x->stride;

        compare(got, x[DEFINITION].grad + t * x->stride, p->D, tolerance, name, p);
        assert_memory_equal(got, x[LEVEL_THREADS].grad + t * x->stride, (size_t)p->D * sizeof *got);
    }
}

/* Rows add up in the vectors' gradients. */
static void compare_vector(float *const *d, const char *name, const struct problem *p)
{
    if (d[DEFINITION] == NULL) return;
    compare(d[LEVEL], d[DEFINITION], p->D, 4e-6 * (double)(p->T + 4), name, p);
    assert_memory_equal(d[LEVEL], d[LEVEL_THREADS], (size_t)p->D * sizeof **d);
}

enum kernel {
    LAYER_NORM,
    RMS_NORM,
    GELU_ERF,
    GELU_QUICK,
    SILU,
    RELU,
    SWIGLU,
    RESIDUAL,
    SCALED,
    PERIODIC,
    ROPE,
    KERNELS
};

static const char *const names[KERNELS] = { "layer_norm", "rms_norm",     "gelu_erf", "gelu_quick",
                                            "silu",       "relu",         "swiglu",   "residual",
                                            "scaled",     "add_periodic", "rope" };

static void run(struct problem *p, enum kernel kernel, enum side side)
{
    const struct backend *k = side == DEFINITION ? p->t->ref : p->t->level;
    struct tensor *y = &p->y[side], *a = &p->a[side], *b = &p->b[side], few = *b;
    struct exec e = p->t->exec;

    e.threads = side == LEVEL_THREADS ? THREADS_MAX : 1;
    few.dim[0] = (p->T + 2) / 3;
    switch (kernel) {
    case LAYER_NORM: k->layer_norm_backward(&e, y, a, p->w, p->dw[side], p->db[side], 1e-2f); break;
    case RMS_NORM: k->rms_norm_backward(&e, y, a, p->w, p->dw[side], 1e-2f); break;
    case GELU_ERF: k->activate_backward(&e, y, a, ACT_GELU_ERF); break;
    case GELU_QUICK: k->activate_backward(&e, y, a, ACT_GELU_QUICK); break;
    case SILU: k->activate_backward(&e, y, a, ACT_SILU); break;
    case RELU: k->activate_backward(&e, y, a, ACT_RELU); break;
    case SWIGLU: k->swiglu_backward(&e, y, a, b); break;
    case RESIDUAL: k->residual_backward(&e, y, a, b, NULL, NULL); break;
    case SCALED: k->residual_backward(&e, y, b, a, p->w, p->dw[side]); break;
    case PERIODIC: k->add_periodic_backward(&e, y, a, &few); break;
    case ROPE:
        if (p->D % 2 == 0) k->rope_backward(&e, y, a, p->angles, (int)p->D);
        break;
    case KERNELS: break;
    }
}

static void check(struct fixture *t, enum kernel kernel, int64_t T, int64_t D, bool wanted)
{
    struct problem p;
    /* A norm divides by a row's size, which may be small where there are few numbers. */
    double tolerance = kernel <= RMS_NORM ? 2e-4 : 2e-5;

    problem_begin(&p, t, T, D, wanted);
    for (int side = 0; side < SIDES; side++) run(&p, kernel, (enum side)side);
    compare_matrix(p.a, tolerance, names[kernel], &p);
    compare_matrix(p.b, tolerance, names[kernel], &p);
    compare_vector(p.dw, names[kernel], &p);
    compare_vector(p.db, names[kernel], &p);
    buffers_check(t);
}

static void all_kernels(void **state)
{
    struct fixture t;

    fixture_begin(&t, *state);
    for (int kernel = 0; kernel < KERNELS; kernel++)
        for (int i = 0; i < N_HEIGHTS; i++)
            for (int j = 0; j < N_WIDTHS; j++)
                check(&t, (enum kernel)kernel, heights[i], widths[j], (i + j) % 4 != 0);
    /* Enough for several threads, and for blocks of rows that do not end together with the rows. */
    for (int kernel = 0; kernel < KERNELS; kernel++) check(&t, (enum kernel)kernel, 333, 130, true);
    fixture_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = { EACH_LEVEL(all_kernels) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
