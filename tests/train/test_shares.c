/*
 * test_shares.c - ranks that learn from parts of each batch, each with the moments of its share of the weights: what one rank learns from all of
 * it, and the same bits on every rank. Ranks are threads here (support/ranks.h).
 */
#include "support/ranks.h"

#include "train/tiny_model.h"

enum { STEPS = 8, MODELS = RANKS_MAX };

static const double tolerance = 1e-5;

struct run {
    struct tiny_model m[MODELS];
    double loss[MODELS][STEPS], norm[MODELS][STEPS];
    bool updated[MODELS][STEPS];
    float *moment[MODELS][2]; /* of all trainees, one behind the other */
    bool broken;              /* the last rank's gradient is infinite in the second step */
    bool bf16;
};

static struct optimizer optimizer(void)
{
    struct optimizer o = optimizer_default();

    o.weight_decay = 0.1;
    o.clip = 0.8; /* of norms around 1: some steps are clipped */
    return o;
}

static void moments(struct run *r, size_t rank)
{
    struct trainees *t = &r->m[rank].trainees;
    size_t at = 0, ranks = trainees_ranks(t);
    struct err e = { 0 };

    for (int k = 0; k < 2; k++) r->moment[rank][k] = calloc(t->n_numbers + t->n * ranks, sizeof(float));
    for (size_t i = 0; i < t->n; at += t->item[i++].n) {
        for (int k = 0; k < 2; k++) {
            struct trainee *x = &t->item[i];
            float *moment = k == 0 ? x->mean : x->square, *all = r->moment[rank][k] + at;

            if (trainee_moment_get(t, x, moment, all, &e) != STATUS_OK) fail_msg("%s", e.text);
            memset(moment, 0, x->n_own * sizeof *moment);
            trainee_moment_put(x, moment, all); /* and back */
        }
    }
}

/* Sample 0 is shorter than it was, so that ranks have unequal numbers of targets. */
static void open_uneven(struct run *r, size_t rank, const struct comm *comm)
{
    tiny_model_open_rank(&r->m[rank], "llama_ens", NULL, r->bf16, "auto", 1, comm);
    r->m[rank].samples[0].n -= r->m[rank].samples[0].n / 2;
}

/* Rank r of R learns from sample step R + r: as spec 10 section 7 deals them, with B and A being 1. */
static void run_rank(const struct comm *comm, void *user)
{
    struct run *r = user;
    size_t rank = (size_t)comm->rank, ranks = (size_t)comm->size;
    struct tiny_model *m = &r->m[rank];
    struct optimizer o = optimizer();

    open_uneven(r, rank, comm);
    for (size_t i = 0; i < STEPS; i++) {
        trainees_zero_grad(&m->trainees);
        r->loss[rank][i] = tiny_model_micro_batch(m, i * ranks + rank, 1, 1.0 / (double)ranks);
        if (r->broken && i == 1 && rank + 1 == ranks) m->trainees.item[2].grad[3] = INFINITY;
        r->updated[rank][i] = tiny_model_update(m, &o, 1e-3, &r->norm[rank][i]);
        if (i == STEPS / 2) moments(r, rank);
    }
    assert_int_equal(o.skipped, r->broken ? 1 : 0);
}

/* The same with one rank: R micro-batches of one sample, or one of R samples. */
static void run_one(struct run *r, size_t ranks, bool together)
{
    struct optimizer o = optimizer();

    open_uneven(r, 0, NULL);
    for (size_t i = 0; i < STEPS; i++) {
        trainees_zero_grad(&r->m[0].trainees);
        if (together) r->loss[0][i] = tiny_model_micro_batch(&r->m[0], i * ranks, ranks, 1);
        for (size_t k = 0; !together && k < ranks; k++)
            r->loss[0][i] +=
                tiny_model_micro_batch(&r->m[0], i * ranks + k, 1, 1.0 / (double)ranks) / (double)ranks;
        tiny_model_update(&r->m[0], &o, 1e-3, &r->norm[0][i]);
        if (i == STEPS / 2) moments(r, 0);
    }
}

static void close_run(struct run *r)
{
    for (size_t i = 0; i < MODELS; i++) {
        if (r->m[i].trainees.n > 0) tiny_model_close(&r->m[i]);
        for (int k = 0; k < 2; k++) free(r->moment[i][k]);
    }
    free(r);
}

static struct run *new_run(bool bf16)
{
    struct run *r = calloc(1, sizeof *r);

    assert_non_null(r);
    r->bf16 = bf16;
    return r;
}

static double difference(const float *got, const float *want, size_t n)
{
    double d = 0, size = 0;

    for (size_t i = 0; i < n; i++) {
        d += ((double)got[i] - (double)want[i]) * ((double)got[i] - (double)want[i]);
        size += (double)want[i] * (double)want[i];
    }
    return size > 0 ? sqrt(d / size) : d > 0 ? INFINITY : 0;
}

/* Everything that the ranks have in common is the same to the last bit. */
static void check_ranks_agree(const struct run *r, size_t ranks)
{
    const struct trainees *t = &r->m[0].trainees;

    for (size_t k = 1; k < ranks; k++) {
        assert_memory_equal(r->norm[0], r->norm[k], sizeof r->norm[0]);
        assert_memory_equal(r->updated[0], r->updated[k], sizeof r->updated[0]);
        for (size_t i = 0; i < t->n; i++) {
            const struct trainee *a = &t->item[i], *b = &r->m[k].trainees.item[i];

            if (memcmp(a->master, b->master, a->n * sizeof(float)) != 0)
                fail_msg("rank %zu has another %s", k, a->name);
            if (a->rounded != NULL) assert_memory_equal(a->rounded, b->rounded, a->n * sizeof *a->rounded);
        }
        for (int m = 0; m < 2; m++)
            assert_memory_equal(r->moment[0][m], r->moment[k][m], t->n_numbers * sizeof(float));
    }
}

static void check_shares(const struct run *r, size_t ranks)
{
    for (size_t i = 0; i < r->m[0].trainees.n; i++) {
        size_t at = 0;

        for (size_t k = 0; k < ranks; k++) {
            const struct trainee *x = &r->m[k].trainees.item[i];

            assert_true(x->n_own <= x->share && x->share <= (x->n + ranks - 1) / ranks);
            assert_true(x->n_own == 0 || x->own == at);
            at += x->n_own;
        }
        assert_int_equal(at, r->m[0].trainees.item[i].n);
    }
}

static void check(size_t ranks, bool bf16)
{
    struct run *several = new_run(bf16), *one = new_run(bf16);
    double worst = 0;

    ranks_run((int)ranks, run_rank, several);
    run_one(one, ranks, false);
    check_ranks_agree(several, ranks);
    check_shares(several, ranks);
    for (size_t i = 0; i < STEPS; i++) {
        double loss = 0;

        for (size_t k = 0; k < ranks; k++) loss += several->loss[k][i] / (double)ranks;
        worst = fmax(worst, fabs(loss / one->loss[0][i] - 1));
        worst = fmax(worst, fabs(several->norm[0][i] / one->norm[0][i] - 1));
        assert_true(several->updated[0][i]);
    }
    if (!bf16 && !(worst <= tolerance)) fail_msg("%zu ranks: losses and norms differ by %g", ranks, worst);
    for (int k = 0; k < 2 && !bf16; k++) {
        size_t n = one->m[0].trainees.n_numbers;

        assert_true(difference(several->moment[0][k], one->moment[0][k], n) <= 10 * tolerance);
    }
    for (size_t i = 0; i < one->m[0].trainees.n && !bf16; i++) {
        const struct trainee *got = &several->m[0].trainees.item[i], *want = &one->m[0].trainees.item[i];

        assert_true(difference(got->master, want->master, want->n) <= tolerance);
    }
    print_message("%zu ranks%s: losses and norms within %.1e\n", ranks, bf16 ? ", bf16" : "", worst);
    close_run(several);
    close_run(one);
}

static void test_as_one(void **state)
{
    (void)state;
    check(2, false);
    check(3, false);
    check(2, true);
}

/* Spec 10 section 4: the mean of the ranks' means, which is not the mean over all targets. */
static void test_ranks_weigh_alike(void **state)
{
    struct run *several = new_run(false), *together = new_run(false);
    double loss, norm;

    (void)state;
    ranks_run(2, run_rank, several);
    run_one(together, 2, true);
    loss = fabs((several->loss[0][0] + several->loss[1][0]) / 2 / together->loss[0][0] - 1);
    norm = fabs(several->norm[0][0] / together->norm[0][0] - 1);
    print_message("unequal numbers of targets: loss differs by %.1e, norm by %.1e\n", loss, norm);
    assert_true(loss > 10 * tolerance && norm > 1e-3);
    close_run(several);
    close_run(together);
}

/* A gradient of one rank that is not finite: none makes the step. */
static void test_all_skip(void **state)
{
    struct run *r = new_run(false);

    (void)state;
    r->broken = true;
    ranks_run(3, run_rank, r);
    check_ranks_agree(r, 3);
    for (size_t i = 0; i < STEPS; i++) assert_true(r->updated[0][i] == (i != 1));
    close_run(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_as_one),
                                        cmocka_unit_test(test_ranks_weigh_alike),
                                        cmocka_unit_test(test_all_skip) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
