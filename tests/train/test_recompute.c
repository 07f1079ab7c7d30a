/*
 * test_recompute.c - blocks computed again on the way back (ops.h, apply_block): the gradients are those of a step that keeps
 * everything, to the last bit, in less memory.
 */
#include "train/tiny_model.h"

enum { BATCH = 2 };

static const struct trainee_rule everything = { .encoders = true };
static const struct trainee_rule adapters = { .lora_rank = 3, .bias_tuning = true, .norm_tuning = true };
static const struct trainee_rule more_adapters = { .lora_rank = 3, .bias_tuning = true, .encoders = true };

struct seen {
    size_t n, layers;
};

static void look(void *user, const char *name, const struct tensor *x)
{
    struct seen *s = user;

    assert_non_null(x->data);
    s->n++;
    s->layers += strncmp(name, "llama.layer.", 12) == 0;
}

struct result {
    struct tiny_model m;
    struct seen seen;
    double loss;
    size_t peak;
};

static void run(struct result *r, const char *model, const struct trainee_rule *rule, bool bf16,
                bool recompute, double dropout)
{
    memset(r, 0, sizeof *r);
    tiny_model_open(&r->m, model, rule, bf16, "auto", 2);
    r->m.network.config.llama.balance = 0.5f; /* so that it decides some bits */
    r->m.c.recompute = recompute;
    r->m.c.dropout = dropout;
    r->m.c.observer = look;
    r->m.c.observer_user = &r->seen;
    r->loss = tiny_model_micro_batch(&r->m, 0, BATCH, 0.25);
    r->loss += tiny_model_micro_batch(&r->m, BATCH, BATCH, 0.75); /* adds to the gradients */
    r->peak = r->m.arena.used_peak;
}

static void check(const char *model, const struct trainee_rule *rule, bool bf16, double dropout)
{
    struct result kept, again;

    run(&kept, model, rule, bf16, false, dropout);
    run(&again, model, rule, bf16, true, dropout);
    assert_true(kept.loss == again.loss);
    assert_true(kept.seen.layers > 0);
    assert_int_equal(kept.seen.n, again.seen.n);
    assert_int_equal(kept.seen.layers, again.seen.layers);
    for (size_t i = 0; i < kept.m.trainees.n; i++) {
        const struct trainee *a = &kept.m.trainees.item[i], *b = &again.m.trainees.item[i];
        double size = 0;

        if (memcmp(a->grad, b->grad, a->n * sizeof *a->grad) != 0)
            fail_msg("%s: the gradient of %s is another one", model, a->name);
        for (size_t k = 0; k < a->n; k++) size += (double)a->grad[k] * (double)a->grad[k];
        if (size == 0 && strncmp(a->name, "layers.", 7) == 0) fail_msg("%s has no gradient", a->name);
    }
    print_message("%s%s: %zu kB of activations instead of %zu\n", model, bf16 ? ", bf16" : "",
                  again.peak / 1024, kept.peak / 1024);
    assert_true(again.peak < kept.peak);
    tiny_model_close(&kept.m);
    tiny_model_close(&again.m);
}

static void test_same_bits(void **state)
{
    (void)state;
    check("llama_ens", NULL, false, 0);
    check("llama_ens", NULL, true, 0);
    check("llama_ens", &everything, false, 0);
    check("llama_ens", &everything, false, 0.1);
    check("mixtral_sparse_ens", NULL, false, 0);
    check("llama_ens_peft", &adapters, false, 0);
    check("llama_ens_peft", &adapters, true, 0);
    check("llama_ens_peft", &more_adapters, false, 0);
}

/* What is computed a second time, in operations. */
static double repeated(const struct trainee_rule *rule)
{
    struct work once = { 0 }, twice = { 0 };
    struct tiny_model m;
    double loss;

    tiny_model_open(&m, "llama_ens", rule, false, "auto", 1);
    m.c.work = &once;
    loss = tiny_model_micro_batch(&m, 0, BATCH, 1);
    m.c.work = &twice;
    m.c.recompute = true;
    assert_true(loss == tiny_model_micro_batch(&m, 0, BATCH, 1));
    tiny_model_close(&m);
    return twice.flop - once.flop;
}

/* Blocks in which nothing has a gradient are not run a second time. */
static void test_frozen_blocks(void **state)
{
    static const char *const second[] = { "layers.1.*" }, *const neither[] = { "norm.weight",
                                                                               "output.weight" };
    double one = repeated(&(struct trainee_rule){ .only = second, .n_only = 1 });

    (void)state;
    assert_true(one > 0);
    assert_true(repeated(NULL) == 2 * one); /* the tiny model's language model has two layers */
    assert_true(repeated(&(struct trainee_rule){ .only = neither, .n_only = 2 }) == 0);
    assert_true(repeated(&everything) > 2 * one);
}

static struct {
    void (*linear)(const struct exec *e, struct tensor *y, const struct tensor *x, const struct tensor *w,
                   const float *bias);
    int left;
    atomic_bool cancel;
} stop;

static void linear_until(const struct exec *e, struct tensor *y, const struct tensor *x,
                         const struct tensor *w, const float *bias)
{
    if (stop.left-- == 0) stop.cancel = true;
    stop.linear(e, y, x, w, bias);
}

/* A run that is cancelled anywhere, on the way back too, ends with that and leaves a context that can be used. */
static void test_cancelled(void **state)
{
    struct report report = { .cancel = &stop.cancel };
    struct backend backend;
    struct tiny_model m;
    struct train_loss loss;
    bool ended = false;

    (void)state;
    tiny_model_open(&m, "llama_ens", NULL, false, "auto", 1);
    backend = *m.c.backend;
    stop.linear = backend.linear;
    backend.linear = linear_until;
    m.c.backend = &backend;
    m.c.report = &report;
    m.c.recompute = true;
    for (int after = 0; !ended; after += 5) {
        stop.left = after;
        stop.cancel = false;
        train_micro_batch(&m.c, &m.network, m.items, BATCH, 1, 1, &loss);
        ended = stop.left >= 0;
        assert_int_equal(m.c.err.code, ended ? STATUS_OK : STATUS_CANCELLED);
        assert_true(m.arena.used == 0 && m.c.tape == NULL);
        m.c.err = (struct err){ 0 };
        assert_true(after < 1000);
    }
    tiny_model_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_frozen_blocks),
        cmocka_unit_test(test_cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
