/*
 * test_llama.c - the language model's one function in its several lives: with the tape (gradients against central
 * differences, dense, with experts, with adapters), over two ranks (the same logits and gradients as over one), and with the key/value cache in pieces of
 * any size and several sequences at once (the same as each alone).
 */
#include "support/ranks.h"
#include "support/weights.h"

#include "language/llama.h"

static const struct llama_config dense = { .dim = 16,
                                           .n_layers = 2,
                                           .n_heads = 4,
                                           .n_kv_heads = 2,
                                           .ffn_width = 24,
                                           .vocab = 14,
                                           .norm_eps = 1e-5f,
                                           .rope_theta = 10000,
                                           .rope_scale = 1 };
static const struct llama_config experts = { .dim = 16,
                                             .n_layers = 2,
                                             .n_heads = 4,
                                             .n_kv_heads = 2,
                                             .ffn_width = 12,
                                             .vocab = 14,
                                             .n_experts = 4,
                                             .n_experts_per_token = 2,
                                             .norm_eps = 1e-5f,
                                             .rope_theta = 1e6f,
                                             .rope_scale = 1 };

enum { T = 6 };
static const int32_t ids[T] = { 1, 5, 3, 3, 9, 13 };
static const int32_t positions[T] = { 0, 1, 2, 3, 4, 5 };
static const int32_t zeros[T] = { 0 };

struct model {
    struct llama llama;
    struct weights weights;
    struct ctx c;
    struct arena arena;
};

/* Adapters on every matrix of the layers and on the output, of several ranks; of some only a bias. */
static void adapt(struct model *m)
{
    struct weights *w = &m->weights;

    for (int i = 0; i < m->llama.config.n_layers; i++) {
        struct llama_layer *l = &m->llama.layers[i];

        weights_adapt(w, &l->wq, 3, true);
        weights_adapt(w, &l->wk, 2, false);
        weights_adapt(w, &l->wv, 1, false);
        weights_adapt(w, &l->wo, 3, true);
        weights_adapt(w, &l->w1, i == 0 ? 0 : 2, true);
        weights_adapt(w, &l->w2, 2, true);
        weights_adapt(w, &l->w3, 2, false);
    }
    weights_adapt(w, &m->llama.output, 2, true);
}

static void model_init(struct model *m, const struct llama_config *k, bool adapted, const char *level,
                       int rank, int ranks)
{
    struct param_visitor v = weights_visitor(&m->weights);
    const struct backend *b;
    struct err e = { 0 };

    memset(m, 0, sizeof *m);
    m->weights.seed = 7;
    m->weights.rank = rank;
    m->weights.ranks = ranks;
    assert_int_equal(cpu_backend(level, &b, &e), STATUS_OK);
    assert_int_equal(ctx_init(&m->c, b, &m->arena, 1, &e), STATUS_OK);
    assert_int_equal(llama_init(&m->llama, k, &m->weights.arena, &e), STATUS_OK);
    if (adapted) adapt(m);
    llama_params(&m->llama, &v);
    for (int i = 0; i < k->n_layers && k->n_experts > 0; i++) {
        struct tensor *gate = &m->llama.layers[i].gate;

        /* A router that is sure: a small step must not change which experts are chosen, where there is no gradient. */
        for (int64_t j = 0; j < k->n_experts * k->dim; j++) tensor_f32(gate)[j] *= 6;
    }
}

static void model_free(struct model *m)
{
    weights_free(&m->weights);
    ctx_free(&m->c);
    arena_free(&m->arena);
}

static struct tensor *run(struct ctx *c, void *user)
{
    struct model *m = user;
    struct llama_batch b = { .T = T, .position = positions, .first = zeros };

    return llama_logits(c, &m->llama,
                        llama_forward(c, &m->llama, llama_embed(c, &m->llama, ids, T), &b, NULL));
}

static void check_gradients(const struct llama_config *k, bool adapted, const char *level)
{
    struct model m;

    model_init(&m, k, adapted, level, 0, 1);
    weights_check_gradients(&m.c, &m.weights, run, &m, 2e-2);
    model_free(&m);
}

static void test_gradients(void **state)
{
    (void)state;
    check_gradients(&dense, false, "ref");
    check_gradients(&dense, false, "auto");
    check_gradients(&experts, false, "ref");
    check_gradients(&experts, false, "auto");
    check_gradients(&dense, true, "ref");
    check_gradients(&dense, true, "auto");
}

/* ---- ranks --------------------------------------------------------------------------------------------------- */

enum { RANKS = 2 };

struct rank_result {
    struct model model;
    const struct llama_config *config;
    float logits[T * 14];
};

static void run_rank(const struct comm *comm, void *user)
{
    struct rank_result *r = (struct rank_result *)user + comm->rank;
    struct tensor *y;

    r->model.c.comm = comm;
    y = run(&r->model.c, &r->model);
    if (y != NULL) memcpy(r->logits, y->data, sizeof r->logits);
    weights_loss(&r->model.c, run, &r->model, true);
}

/* The part of a full gradient that a rank's slice corresponds to, compared entry by entry. */
static void compare_slice(const struct named_weight *whole, const struct named_weight *part, int rank)
{
    int64_t n_rows = tensor_rows(part->t), n = tensor_columns(part->t), full = tensor_columns(whole->t);
    int64_t first_row = n_rows < tensor_rows(whole->t) ? rank * n_rows : 0, first = n < full ? rank * n : 0;

    assert_string_equal(whole->name, part->name);
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t i = 0; i < n; i++) {
            float want = whole->t->grad[(first_row + r) * full + first + i], got = part->t->grad[r * n + i];

            if (!(fabsf(got - want) <= 1e-4f * (1 + fabsf(want)))) {
                fail_msg("rank %d: gradient of %s at [%lld, %lld]: %g, with one rank %g", rank, part->name,
                         (long long)r, (long long)i, (double)got, (double)want);
            }
        }
    }
}

static void check_ranks(const struct llama_config *k, bool adapted)
{
    static struct rank_result results[RANKS];
    static struct model one;
    struct tensor *y;

    model_init(&one, k, adapted, "ref", 0, 1);
    for (int r = 0; r < RANKS; r++) model_init(&results[r].model, k, adapted, "ref", r, RANKS);
    ranks_run(RANKS, run_rank, results);
    y = run(&one.c, &one);
    assert_non_null(y);
    for (int r = 0; r < RANKS; r++) {
        for (int i = 0; i < T * k->vocab; i++) {
            if (!(fabsf(results[r].logits[i] - tensor_f32(y)[i]) <= 1e-4f))
                fail_msg("rank %d, logit %d", r, i);
        }
    }
    weights_loss(&one.c, run, &one, true);
    for (int r = 0; r < RANKS; r++) {
        for (size_t i = 0; i < one.weights.n; i++) {
            compare_slice(&one.weights.list[i], &results[r].model.weights.list[i], r);
        }
        model_free(&results[r].model);
    }
    model_free(&one);
}

static void test_ranks(void **state)
{
    (void)state;
    check_ranks(&dense, false);
    check_ranks(&experts, false);
    check_ranks(&dense, true);
}

/* ---- cache and ragged batches ---------------------------------------------------------------------------------- */

/* One sequence computed in steps of `step` tokens, its rows from `base` on: the last logits. */
static void compute_in_steps(struct model *m, struct kv_cache *kv, int step, int32_t base, float *logits)
{
    for (int t = 0; t < T; t += step) {
        int n = T - t < step ? T - t : step;
        int32_t first[T], row[T];
        struct llama_batch b = { .T = n, .position = positions + t, .cache_row = row, .first = first };
        struct tensor *y;

        for (int i = 0; i < n; i++) {
            first[i] = base;
            row[i] = base + t + i;
        }
        y = llama_forward(&m->c, &m->llama, llama_embed(&m->c, &m->llama, ids + t, n), &b, kv);
        y = llama_logits(&m->c, &m->llama, rows(&m->c, y, n - 1, 1));
        assert_non_null(y);
        memcpy(logits, y->data, (size_t)m->llama.config.vocab * sizeof *logits);
    }
}

static void check_close(const float *got, const float *want, int n, const char *what)
{
    for (int i = 0; i < n; i++) {
        if (!(fabsf(got[i] - want[i]) <= 2e-5f))
            fail_msg("%s: %d: %g, expected %g", what, i, (double)got[i], (double)want[i]);
    }
}

static void check_cache(const struct llama_config *k, const char *level)
{
    struct model m;
    struct kv_cache kv;
    struct err e = { 0 };
    float want[14], got[14];

    model_init(&m, k, false, level, 0, 1);
    assert_int_equal(kv_init(&kv, k, 1, 2 * T, DTYPE_F32, &e), STATUS_OK);
    memcpy(want, tensor_f32(run(&m.c, &m)) + (T - 1) * k->vocab, sizeof want);
    for (int step = 1; step <= T; step++) {
        compute_in_steps(&m, &kv, step, step % 2 == 0 ? 0 : T, got);
        check_close(got, want, k->vocab, "in steps");
    }
    kv_free(&kv);
    model_free(&m);
}

/* 8 bits a number move the logits, but not far: a step of the cache is 1/127 of its block's largest number. Types whose blocks would
 * straddle heads are refused. */
static void check_cache_types(void)
{
    static const enum dtype types[] = { DTYPE_F16, DTYPE_BF16, DTYPE_Q8_0 };
    static const float tolerance[] = { 2e-3f, 1e-2f, 2e-2f };
    struct llama_config wide = dense;
    struct model m;
    struct kv_cache kv;
    struct err e = { 0 };
    float want[14], got[14], largest = 0, apart = 0;

    assert_int_equal(kv_init(&kv, &dense, 1, T, DTYPE_Q8_0, &e), STATUS_UNSUPPORTED);
    assert_non_null(strstr(e.text, "q8_0"));
    wide.dim = 64;
    wide.n_heads = wide.n_kv_heads = 2;
    model_init(&m, &wide, false, "auto", 0, 1);
    memcpy(want, tensor_f32(run(&m.c, &m)) + (T - 1) * wide.vocab, sizeof want);
    for (int i = 0; i < wide.vocab; i++) largest = fmaxf(largest, fabsf(want[i]));
    for (int type = 0; type < 3; type++) {
        assert_int_equal(kv_init(&kv, &wide, 1, T, types[type], &e), STATUS_OK);
        compute_in_steps(&m, &kv, 1, T, got);
        for (int i = 0; i < wide.vocab; i++) {
            if (!(fabsf(got[i] - want[i]) <= tolerance[type] * largest))
                fail_msg("%s: %d: %g, expected %g", dtype_info(types[type])->name, i, (double)got[i],
                         (double)want[i]);
            apart = fmaxf(apart, fabsf(got[i] - want[i]));
        }
        kv_free(&kv);
    }
    assert_true(apart > 0);
    model_free(&m);
}

/* Two sequences of different lengths go through one step; each gets what it gets alone. */
static void check_ragged(const struct llama_config *k, const char *level)
{
    enum { A = 4, B = 2 };
    const int32_t both[A + B] = { 1, 5, 3, 3, 1, 9 }, position[A + B] = { 0, 1, 2, 3, 0, 1 };
    const int32_t row[A + B] = { 0, 1, 2, 3, 10, 11 }, first[A + B] = { 0, 0, 0, 0, 10, 10 };
    struct llama_batch b = { .T = A + B, .position = position, .cache_row = row, .first = first },
                       alone = { .T = B, .position = position + A, .cache_row = row + A, .first = first + A };
    struct model m;
    struct kv_cache kv;
    struct tensor *y, *z;
    struct err e = { 0 };

    model_init(&m, k, false, level, 0, 1);
    assert_int_equal(kv_init(&kv, k, 1, 2 * T, DTYPE_F32, &e), STATUS_OK);
    y = llama_logits(&m.c, &m.llama,
                     llama_forward(&m.c, &m.llama, llama_embed(&m.c, &m.llama, both, A + B), &b, &kv));
    z = llama_logits(&m.c, &m.llama,
                     llama_forward(&m.c, &m.llama, llama_embed(&m.c, &m.llama, both + A, B), &alone, &kv));
    assert_non_null(y);
    assert_non_null(z);
    check_close(tensor_f32(y) + A * k->vocab, tensor_f32(z), B * k->vocab, "ragged");
    kv_free(&kv);
    model_free(&m);
}

static void test_cache(void **state)
{
    (void)state;
    check_cache(&dense, "ref");
    check_cache(&dense, "auto");
    check_cache(&experts, "auto");
    check_cache_types();
    check_ragged(&dense, "ref");
    check_ragged(&dense, "auto");
    check_ragged(&experts, "auto");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_gradients), cmocka_unit_test(test_ranks),
                                        cmocka_unit_test(test_cache) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
