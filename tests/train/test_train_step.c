/*
 * test_train_step.c - loss, gradients and whole runs of AdamW against PyTorch (tools/reference/train.py), in float32; and what
 * must hold of a step whatever the numbers are.
 */
#include "train/tiny_model.h"

enum { BATCH = 2, ACCUMULATE = 2, STEPS = 50, FIRST_SNAPSHOT = 20 };

static const double loss_tolerance = 1e-5, gradient_tolerance = 1e-4, run_tolerance = 1e-4;
static const struct schedule schedule = { 5e-4, 5e-5, 5, STEPS };
static const struct schedule small_schedule = { 1e-3, 1e-4, 5, STEPS }; /* of adapters */

/* As upstream's llama_ens_peft; and adapters on matrices of every encoder, a convolution, a projection, one of the language model's, with
 * biases and norms of all of them. */
static const struct trainee_rule small_rule = { .lora_rank = 3, .bias_tuning = true, .norm_tuning = true };
static const char *const encoder_targets[] = {
    "clip.visual.conv1.weight",       "clip.*.attn.in_proj_weight",       "clip.*.mlp.c_fc.weight",
    "openclip_*.mlp.fc2.weight",      "dinov2_*.attn.qkv.weight",         "dinov2_*.mlp.w3.weight",
    "qformer.*.self_attn.qkv.weight", "qformer.*.attention.query.weight", "visual_proj.0.weight",
    "layers.1.attention.wq.weight",
};
static const char *const encoder_learned[] = {
    "*.lora_?.weight",      "layers.*.bias",
    "clip.*.ln_1.*",        "clip.*.c_fc.bias",
    "openclip_*.fc1.bias",  "openclip_*.blocks.?.norm.*",
    "dinov2_*.norm1.*",     "dinov2_*.attn.proj.bias",
    "qformer.*.query.bias", "qformer.*.LayerNorm.weight",
};
static const struct trainee_rule encoder_rule = {
    .only = encoder_learned,
    .n_only = sizeof encoder_learned / sizeof *encoder_learned,
    .encoders = true,
    .lora_rank = 2,
    .lora_targets = encoder_targets,
    .n_lora_targets = sizeof encoder_targets / sizeof *encoder_targets,
    .bias_tuning = true,
    .norm_tuning = true,
};

static double relative(double got, double want)
{
    return fabs(got - want) / fabs(want);
}

/* ||got - want|| / ||want|| over the numbers that the golden keeps, and the error of the whole tensor's norm; the larger. */
static double compare(const struct tiny_model *m, const char *prefix, const struct trainee *x,
                      const float *got)
{
    char name[256];
    const struct raw_tensor *want, *norm;
    double difference = 0, size = 0, all = 0;
    size_t kept, every;

    snprintf(name, sizeof name, "%s/%s", prefix, x->name);
    want = golden_tensor(m, name);
    kept = golden_count(want);
    every = (x->n + kept - 1) / kept;
    assert_int_equal(kept, (x->n + every - 1) / every);
    for (size_t i = 0; i < kept; i++) {
        double w = (double)((const float *)want->data)[i], d = (double)got[i * every] - w;

        difference += d * d;
        size += w * w;
    }
    if (size == 0) return difference == 0 ? 0 : INFINITY;
    if (every == 1) return sqrt(difference / size);
    snprintf(name, sizeof name, "%s/%s.norm", prefix, x->name);
    norm = golden_tensor(m, name);
    for (size_t i = 0; i < x->n; i++) all += (double)got[i] * (double)got[i];
    return fmax(sqrt(difference / size), relative(sqrt(all), (double)*(const float *)norm->data));
}

static size_t golden_gradients(const struct tiny_model *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->golden.count; i++) {
        const char *name = m->golden.tensors[i].name;
        size_t length = strlen(name);

        n += strncmp(name, "grad/", 5) == 0 && strcmp(name + length - 5, ".norm") != 0;
    }
    return n;
}

static void check_gradients(const char *model, const struct trainee_rule *rule, const char *level)
{
    struct tiny_model m;
    double loss, want, worst = 0;
    const char *worst_name = "";

    tiny_model_open(&m, model, rule, false, level, 1);
    loss = tiny_model_micro_batch(&m, 0, BATCH, 1);
    want = (double)*(const float *)golden_tensor(&m, "loss")->data;
    if (!(relative(loss, want) <= loss_tolerance))
        fail_msg("%s: loss %.9g, expected %.9g", level, loss, want);
    assert_int_equal(m.trainees.n, golden_gradients(&m));
    for (size_t i = 0; i < m.trainees.n; i++) {
        const struct trainee *x = &m.trainees.item[i];
        double error = compare(&m, "grad", x, x->grad);

        if (!(error <= gradient_tolerance))
            fail_msg("%s: gradient of %s differs by %g", level, x->name, error);
        if (error > worst) {
            worst = error;
            worst_name = x->name;
        }
    }
    print_message("%s, %s: loss within %.1e, %zu gradients within %.1e (%s)\n", model, level,
                  relative(loss, want), m.trainees.n, worst, worst_name);
    tiny_model_close(&m);
}

/* One optimizer step of two micro-batches; returns their mean loss. */
static double scheduled_step(struct tiny_model *m, const struct schedule *s, struct optimizer *o,
                             size_t index, double *norm)
{
    double loss = 0;

    trainees_zero_grad(&m->trainees);
    for (size_t a = 0; a < ACCUMULATE; a++)
        loss += tiny_model_micro_batch(m, (index * ACCUMULATE + a) * BATCH, BATCH, 1.0 / ACCUMULATE);
    assert_true(tiny_model_update(m, o, schedule_lr(s, (double)index), norm));
    return loss / ACCUMULATE;
}

static double step(struct tiny_model *m, struct optimizer *o, size_t index, double *norm)
{
    return scheduled_step(m, &schedule, o, index, norm);
}

static double golden_number(const struct tiny_model *m, const char *run, const char *what, size_t i)
{
    char name[64];

    snprintf(name, sizeof name, "%s/%s", run, what);
    assert_int_equal(golden_count(golden_tensor(m, name)), STEPS);
    return (double)((const float *)golden_tensor(m, name)->data)[i];
}

static double compare_parameters(const struct tiny_model *m, const char *run, size_t steps)
{
    char prefix[64];
    double worst = 0;

    snprintf(prefix, sizeof prefix, "%s/%zu", run, steps);
    for (size_t i = 0; i < m->trainees.n; i++) {
        const struct trainee *x = &m->trainees.item[i];
        double error = compare(m, prefix, x, x->master);

        if (!(error <= run_tolerance))
            fail_msg("%s after %zu steps: %s differs by %g", run, steps, x->name, error);
        worst = fmax(worst, error);
    }
    return worst;
}

static void check_run(const char *model, const struct trainee_rule *rule, const char *level, const char *run,
                      double clip)
{
    const struct schedule *s = rule != NULL ? &small_schedule : &schedule;
    struct optimizer o = optimizer_default();
    struct tiny_model m;
    double worst_loss = 0, worst_norm = 0, parameters[2] = { 0 };

    o.weight_decay = 0.1;
    o.clip = clip;
    tiny_model_open(&m, model, rule, false, level, 1);
    for (size_t i = 0; i < STEPS; i++) {
        double norm, loss = scheduled_step(&m, s, &o, i, &norm);
        double loss_error = relative(loss, golden_number(&m, run, "loss", i));
        double norm_error = relative(norm, golden_number(&m, run, "norm", i));

        assert_true(fabs(schedule_lr(s, (double)i) - golden_number(&m, run, "lr", i)) < 1e-9);
        if (!(loss_error <= run_tolerance)) fail_msg("%s, step %zu: loss differs by %g", run, i, loss_error);
        if (!(norm_error <= 10 * run_tolerance))
            fail_msg("%s, step %zu: norm differs by %g", run, i, norm_error);
        worst_loss = fmax(worst_loss, loss_error);
        worst_norm = fmax(worst_norm, norm_error);
        if (i + 1 == FIRST_SNAPSHOT) parameters[0] = compare_parameters(&m, run, i + 1);
    }
    parameters[1] = compare_parameters(&m, run, STEPS);
    print_message(
        "%s, %s, %s: losses within %.1e, norms %.1e, parameters %.1e after 20 steps and %.1e after 50\n",
        model, level, run, worst_loss, worst_norm, parameters[0], parameters[1]);
    tiny_model_close(&m);
}

static void test_gradients(void **state)
{
    (void)state;
    check_gradients("llama_ens", NULL, "ref");
    check_gradients("llama_ens", NULL, "auto");
    check_gradients("mixtral_sparse_ens", NULL, "ref");
    check_gradients("mixtral_sparse_ens", NULL, "auto");
}

static void test_small_gradients(void **state)
{
    (void)state;
    check_gradients("llama_ens_peft", &small_rule, "ref");
    check_gradients("llama_ens_peft", &small_rule, "auto");
    check_gradients("llama_ens-adapters", &encoder_rule, "auto");
}

static void test_small_runs(void **state)
{
    (void)state;
    check_run("llama_ens_peft", &small_rule, "auto", "clipped", 0.5);
    check_run("llama_ens-adapters", &encoder_rule, "auto", "clipped", 0.5);
}

static void test_runs(void **state)
{
    (void)state;
    check_run("llama_ens", NULL, "auto", "free", 0);
    check_run("llama_ens", NULL, "auto", "clipped", 0.5);
    check_run("mixtral_sparse_ens", NULL, "auto", "clipped", 0.5);
}

/* ---- properties ------------------------------------------------------------------------------------------------ */

static void test_threads(void **state)
{
    struct optimizer o[2] = { optimizer_default(), optimizer_default() };
    struct tiny_model m[2];
    double norm[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        o[i].clip = 1;
        tiny_model_open(&m[i], "llama_ens", NULL, false, "auto", i == 0 ? 1 : 3);
        for (size_t k = 0; k < 6; k++) step(&m[i], &o[i], k, &norm[i]);
    }
    assert_true(norm[0] == norm[1]);
    for (size_t i = 0; i < m[0].trainees.n; i++) {
        const struct trainee *a = &m[0].trainees.item[i], *b = &m[1].trainees.item[i];

        if (memcmp(a->master, b->master, a->n * sizeof(float)) != 0)
            fail_msg("%s depends on threads", a->name);
    }
    for (int i = 0; i < 2; i++) tiny_model_close(&m[i]);
}

/* Accumulated micro-batches give the gradient of one large batch where each holds as many targets, and another where not. */
static void test_accumulation(void **state)
{
    struct tiny_model m;
    struct sample cut[2];
    float *whole;

    (void)state;
    tiny_model_open(&m, "llama_ens", NULL, false, "auto", 1);
    for (int other = 0; other < 2; other++) {
        double difference = 0, size = 0, norm;
        size_t at = 0;

        for (size_t i = 0; i < 2; i++) { /* two targets each; then two and four */
            cut[i] = m.samples[i];
            cut[i].labels = calloc(cut[i].n, sizeof *cut[i].labels);
            assert_non_null(cut[i].labels);
            for (size_t k = 1; k <= (other != 0 && i == 1 ? 4u : 2u); k++) cut[i].labels[k] = cut[i].ids[k];
            m.items[i].sample = &cut[i];
        }
        trainees_zero_grad(&m.trainees);
        tiny_model_micro_batch(&m, 0, 2, 1);
        norm = gradient_norm(&m.trainees, 2);
        whole = calloc(m.trainees.n_numbers, sizeof *whole);
        assert_non_null(whole);
        for (size_t i = 0; i < m.trainees.n; i++) {
            memcpy(whole + at, m.trainees.item[i].grad, m.trainees.item[i].n * sizeof *whole);
            at += m.trainees.item[i].n;
        }
        trainees_zero_grad(&m.trainees);
        for (size_t i = 0; i < 2; i++) tiny_model_micro_batch(&m, i, 1, 0.5);
        at = 0;
        for (size_t i = 0; i < m.trainees.n; i++) {
            for (size_t k = 0; k < m.trainees.item[i].n; k++, at++) {
                double d = (double)whole[at] - (double)m.trainees.item[i].grad[k];

                difference += d * d;
                size += (double)whole[at] * (double)whole[at];
            }
        }
        assert_true(relative(norm, sqrt(size)) < 1e-6);
        if (other == 0)
            assert_true(sqrt(difference / size) < 1e-5);
        else
            assert_true(sqrt(difference / size) > 1e-2);
        free(whole);
        for (size_t i = 0; i < 2; i++) free(cut[i].labels);
    }
    tiny_model_close(&m);
}

struct frozen {
    uint64_t sum;
    size_t n, trained;
};

static void add_frozen(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct frozen *f = v->user;

    for (int i = 0; slot != NULL && i < p->experts; i++) {
        if (slot[i].grad != NULL) {
            f->trained++;
            continue;
        }
        for (int64_t r = 0; r < tensor_rows(&slot[i]); r++) {
            for (int64_t k = 0; k < tensor_columns(&slot[i]); k++) {
                uint32_t bits;
                float x;

                tensor_row_f32(&slot[i], r, k, 1, &x);
                memcpy(&bits, &x, sizeof bits);
                f->sum = f->sum * 1099511628211u + bits;
                f->n++;
            }
        }
    }
}

static struct frozen frozen_of(struct tiny_model *m)
{
    struct frozen f = { 0 };
    struct param_visitor v = { .visit = add_frozen, .user = &f };

    network_params(&m->network, &v);
    return f;
}

static void test_frozen_weights(void **state)
{
    static const char *const only[] = { "visual_proj.*", "start_img" }, *const except[] = { "*.bias" };
    struct trainee_rule rule = { .only = only, .n_only = 2, .except = except, .n_except = 1 };
    struct optimizer o = optimizer_default();
    struct tiny_model m;
    struct frozen before, after;
    double norm, first, last = 0;

    (void)state;
    tiny_model_open(&m, "llama_ens", &rule, false, "auto", 1);
    assert_int_equal(m.trainees.n, 3);
    before = frozen_of(&m);
    first = step(&m, &o, 6, &norm);
    for (size_t i = 0; i < 10; i++) last = step(&m, &o, 6, &norm);
    after = frozen_of(&m);
    assert_true(before.n == after.n && before.sum == after.sum && after.trained == 3);
    assert_true(last < first);
    tiny_model_close(&m);
}

/* Encoders that train get a gradient through all of the model; a step along it lowers the loss. */
static void test_encoders_train(void **state)
{
    static const char *const only[] = { "clip.*", "openclip_*", "dinov2_*", "qformer.*" };
    struct trainee_rule rule = { .only = only, .n_only = 4, .encoders = true };
    struct tiny_model m;
    struct optimizer o = optimizer_default();
    double norm, before, after;

    (void)state;
    tiny_model_open(&m, "llama_ens", &rule, false, "auto", 1);
    before = tiny_model_micro_batch(&m, 0, BATCH, 1);
    assert_true(tiny_model_update(&m, &o, 1e-4, &norm) && norm > 0);
    after = tiny_model_micro_batch(&m, 0, BATCH, 0);
    assert_true(after < before);
    tiny_model_close(&m);
}

static void test_features_may_be_kept(void **state)
{
    struct tiny_model m;
    struct features f[BATCH];
    double seconds[ENCODER_COUNT], fresh;

    (void)state;
    tiny_model_open(&m, "llama_ens", NULL, false, "auto", 1);
    fresh = tiny_model_micro_batch(&m, 0, BATCH, 0);
    for (size_t i = 0; i < BATCH; i++) {
        assert_true(encode_features(&m.c, &m.network, m.items[i].planes, 0, &f[i], seconds));
        m.items[i].features = &f[i];
        m.items[i].planes = NULL;
    }
    /* Encoded together, images are summed in another order than one by one. */
    assert_true(relative(tiny_model_micro_batch(&m, 0, BATCH, 1), fresh) < 1e-6);
    tiny_model_close(&m);
}

/* Two images through the encoders at once give each one's words, also where an image's first view becomes more words than its others. */
static void test_images_together(void **state)
{
    const char *paths[] = { "tests/data/tiny/llama_ens5p2" };
    struct load_options o = { .paths = paths, .n_paths = 1 };
    struct tiny_model m = { 0 };
    struct model_config config;
    struct features f;
    struct tensor *both;
    const float *planes[2];
    const struct backend *b;
    double seconds[ENCODER_COUNT];
    struct err e = { 0 };
    size_t size;

    (void)state;
    assert_int_equal(cpu_backend("auto", &b, &e), STATUS_OK);
    assert_int_equal(ctx_init(&m.c, b, &m.arena, 2, &e), STATUS_OK);
    assert_int_equal(ckpt_open(&m.checkpoint, paths, 1, NULL, &e), STATUS_OK);
    assert_int_equal(load_config(&config, &m.tokenizer, &o, m.checkpoint, &e), STATUS_OK);
    assert_int_equal(network_init(&m.network, &config, &e), STATUS_OK);
    assert_int_equal(load_weights(&m.network, m.checkpoint, &o, &e), STATUS_OK);
    size = (size_t)(3 * config.views.image_size * config.views.image_size);
    for (size_t i = 0; i < 2; i++) {
        float *x = ctx_alloc(&m.c, size, sizeof *x);

        for (size_t k = 0; k < size; k++) x[k] = (float)((k * (2 * i + 5)) % 97) / 97 - 0.4f;
        planes[i] = x;
    }
    assert_true(encode_features_of(&m.c, &m.network, planes, 2, 0, &f, seconds));
    both = encode_mix(&m.c, &m.network, &f);
    assert_int_equal(tensor_rows(both), 2 * encode_words(&m.network));
    for (int64_t i = 0; i < 2; i++) {
        struct tensor *one = encode_image(&m.c, &m.network, planes[i], 0, seconds);

        for (int64_t k = 0; k < tensor_rows(one) * tensor_columns(one); k++) {
            float want = tensor_f32(one)[k];
            float got = tensor_f32(both)[i * tensor_rows(one) * tensor_columns(one) + k];

            if (!(fabsf(got - want) < 1e-4f))
                fail_msg("image %d, number %d: %g, alone %g", (int)i, (int)k, (double)got, (double)want);
        }
    }
    tiny_model_close(&m);
}

/* Weights rounded to bf16 give a loss near by, from masters that stay float32. */
static void test_bf16(void **state)
{
    struct optimizer o = optimizer_default();
    struct tiny_model m;
    double norm, want, loss;
    bool finer = false;

    (void)state;
    tiny_model_open(&m, "llama_ens", NULL, true, "auto", 1);
    want = (double)*(const float *)golden_tensor(&m, "loss")->data;
    loss = tiny_model_micro_batch(&m, 0, BATCH, 1);
    assert_true(relative(loss, want) < 2e-2 && loss != want);
    assert_true(tiny_model_update(&m, &o, 1e-4, &norm));
    for (size_t i = 0; i < m.trainees.n; i++) {
        const struct trainee *x = &m.trainees.item[i];

        if (x->rounded == NULL) continue;
        assert_int_equal(x->slot->dtype, DTYPE_BF16);
        for (size_t k = 0; k < x->n; k++) {
            assert_int_equal(x->rounded[k], f32_to_bf16(x->master[k]));
            if (bf16_to_f32(x->rounded[k]) != x->master[k]) finer = true;
        }
    }
    assert_true(finer);
    assert_true(tiny_model_micro_batch(&m, 0, BATCH, 0) < loss);
    tiny_model_close(&m);
}

static void test_norm_not_finite(void **state)
{
    struct optimizer o = optimizer_default();
    struct tiny_model m;
    double norm;
    float before;

    (void)state;
    tiny_model_open(&m, "llama_ens", NULL, false, "auto", 1);
    tiny_model_micro_batch(&m, 0, BATCH, 1);
    before = m.trainees.item[0].master[0];
    for (int i = 0; i < 2; i++) {
        m.trainees.item[m.trainees.n - 1].grad[5] = i == 0 ? INFINITY : NAN;
        assert_false(tiny_model_update(&m, &o, 1e-3, &norm));
    }
    assert_true(!isfinite(norm) && m.trainees.item[0].master[0] == before);
    assert_true(o.steps == 0 && o.skipped == 2 && o.skipped_in_a_row == 2);
    m.trainees.item[m.trainees.n - 1].grad[5] = 0;
    assert_true(tiny_model_update(&m, &o, 1e-3, &norm));
    assert_true(o.steps == 1 && o.skipped == 2 && o.skipped_in_a_row == 0);
    tiny_model_close(&m);
}

static void test_loss_not_finite(void **state)
{
    struct tiny_model m;
    struct train_loss loss;

    (void)state;
    tiny_model_open(&m, "llama_ens", NULL, false, "auto", 1);
    m.trainees.item[m.trainees.n - 1].master[7] = NAN; /* output.weight */
    train_micro_batch(&m.c, &m.network, m.items, BATCH, 1, 1, &loss);
    assert_int_equal(m.c.err.code, STATUS_NUMERIC);
    assert_true(gradient_norm(&m.trainees, 2) == 0);
    tiny_model_close(&m);
}

static void test_no_targets(void **state)
{
    struct tiny_model m;
    struct sample none;
    struct train_item item;
    int32_t labels[64] = { 5 }; /* the first id is never predicted */
    struct train_loss loss = { 1, 1, 1, 1 };

    (void)state;
    tiny_model_open(&m, "llama_ens", NULL, false, "auto", 1);
    none = m.samples[0];
    none.labels = labels;
    item = (struct train_item){ &none, m.items[0].planes, NULL };
    train_micro_batch(&m.c, &m.network, &item, 1, 1, 1, &loss);
    assert_true(m.c.err.code == STATUS_OK && loss.answers == 0 && loss.n_targets == 0);
    assert_true(gradient_norm(&m.trainees, 2) == 0);
    tiny_model_close(&m);
}

/* B is zero: before the first step the model says what it said. A is noise of deviation 0.02, drawn from the seed. */
static void test_adapters_begin(void **state)
{
    struct trainee_rule rule = { .lora_rank = 4, .bias_tuning = true, .encoders = true, .seed = 1 };
    struct tiny_model m[3];
    double before, sum = 0;
    size_t n = 0, n_same = 0;

    (void)state;
    tiny_model_open(&m[0], "llama_ens", NULL, false, "auto", 1);
    before = tiny_model_micro_batch(&m[0], 0, BATCH, 0);
    for (int i = 1; i < 3; i++) {
        tiny_model_open(&m[i], "llama_ens", &rule, false, "auto", 1);
        assert_true(tiny_model_micro_batch(&m[i], 0, BATCH, 0) == before);
        rule.seed++;
    }
    for (size_t i = 0; i < m[1].trainees.n; i++) {
        const struct trainee *x = &m[1].trainees.item[i];

        if (strstr(x->name, ".lora_a.") == NULL) continue;
        n_same += memcmp(x->master, m[2].trainees.item[i].master, x->n * sizeof *x->master) == 0;
        for (size_t k = 0; k < x->n; k++) sum += (double)x->master[k] * (double)x->master[k];
        n += x->n;
    }
    assert_true(n_same == 0 && n > 5000 && fabs(sqrt(sum / (double)n) - 0.02) < 5e-4);
    for (int i = 0; i < 3; i++) tiny_model_close(&m[i]);
}

/* What adapters are for: the base stays as it is, in 8 bits, and they learn beside it. */
static void test_quantised_base(void **state)
{
    struct optimizer o = optimizer_default();
    struct tiny_model m;
    struct tensor *quantised[16];
    unsigned char *data, *kept;
    double norm, first = 0, last = 0;
    size_t bytes, n = 0;

    (void)state;
    tiny_model_open(&m, "llama_ens", &(struct trainee_rule){ .lora_rank = 4 }, false, "auto", 1);
    for (int i = 0; i < m.network.config.llama.n_layers; i++) {
        struct llama_layer *l = &m.network.llama.layers[i];
        struct tensor *all[] = {
            &l->wq, &l->wk, &l->wv, &l->wo, &l->w1, &l->w3
        }; /* w2's rows fill no blocks */

        for (size_t k = 0; k < sizeof all / sizeof *all; k++) quantised[n++] = all[k];
    }
    for (size_t i = 0; i < n; i++) {
        size_t count = (size_t)(tensor_rows(quantised[i]) * tensor_columns(quantised[i]));

        assert_true(quantised[i]->pieces == NULL && quantised[i]->grad == NULL);
        data = arena_alloc(&m.network.arena, dtype_bytes(DTYPE_Q8_0, count));
        dtype_info(DTYPE_Q8_0)->from_f32(data, tensor_f32(quantised[i]), count);
        quantised[i]->dtype = DTYPE_Q8_0;
        quantised[i]->data = data;
    }
    bytes = dtype_bytes(DTYPE_Q8_0, (size_t)(quantised[0]->dim[0] * quantised[0]->dim[1]));
    kept = malloc(bytes);
    assert_non_null(kept);
    memcpy(kept, quantised[0]->data, bytes);
    for (size_t i = 0; i < 20; i++) {
        last = scheduled_step(&m, &small_schedule, &o, 6, &norm);
        if (i == 0) first = last;
    }
    assert_true(last < 0.98 * first);
    assert_memory_equal(kept, quantised[0]->data, bytes);
    free(kept);
    tiny_model_close(&m);
}

static size_t count_trained(const struct trainee_rule *rule, const char *part)
{
    struct tiny_model m;
    size_t n = 0;

    tiny_model_open(&m, "llama_ens", rule, false, "auto", 1);
    for (size_t i = 0; i < m.trainees.n; i++) n += strstr(m.trainees.item[i].name, part) != NULL;
    tiny_model_close(&m);
    return n;
}

/* Which weights such a run trains: of two layers seven matrices, five biases, two norms. */
static void test_small_set(void **state)
{
    static const char *const one[] = { "*.wq.weight" }, *const clip[] = { "clip.*.c_fc.weight" };
    struct trainee_rule rule = { .lora_rank = 2 };

    (void)state;
    assert_int_equal(count_trained(&rule, ""), 2 * 7 * 2);
    rule.norm_tuning = true;
    assert_int_equal(count_trained(&rule, ""), 2 * 7 * 2 + 2 * 2 + 1);
    rule.bias_tuning = true;
    assert_int_equal(count_trained(&rule, ""), 2 * 7 * 2 + 2 * 2 + 1 + 2 * 5);
    assert_int_equal(count_trained(&rule, "_proj."), 0);
    rule.encoders = true;
    assert_int_equal(count_trained(&rule, "visual_proj"), 0);
    assert_true(count_trained(&rule, "clip.visual.transformer.resblocks.1.attn.in_proj.lora_b") == 1);
    assert_true(count_trained(&rule, "clip.visual.transformer.resblocks.1.ln_2.weight") == 1);
    assert_true(count_trained(&rule, "conv_dw.bias") == 5 && count_trained(&rule, "pos_embed") == 0);
    rule = (struct trainee_rule){ .lora_rank = 2, .lora_targets = one, .n_lora_targets = 1 };
    assert_int_equal(count_trained(&rule, ""), 4);
    rule.lora_targets = clip;
    assert_int_equal(count_trained(&rule, "c_fc.lora_"), 4);
    assert_int_equal(count_trained(&(struct trainee_rule){ .bias_tuning = true }, ""), 10);
}

static void expect_refused(const struct trainee_rule *rule, enum status want, const char *word)
{
    const struct trainee_rule *first = rule->lora_rank == 7 ? &small_rule : NULL;
    struct tiny_model m;
    struct trainees t;
    struct err e = { 0 };

    tiny_model_open(&m, first != NULL ? "llama_ens_peft" : "llama_ens", first, false, "auto", 1);
    if (want == STATUS_UNSUPPORTED) m.network.llama.layers[1].wq.dtype = DTYPE_Q8_0;
    assert_int_equal(trainees_init(&t, &m.network, rule, false, NULL, &e), want);
    if (strstr(e.text, word) == NULL) fail_msg("\"%s\" does not name %s", e.text, word);
    tiny_model_close(&m);
}

static void test_rules_refused(void **state)
{
    static const char *const typo[] = { "visual_porj.*" }, *const encoder[] = { "clip.*" },
                             *const all[] = { "*" }, *const table[] = { "tok_embeddings.weight" },
                             *const first[] = { "layers.0.*" };

    (void)state;
    expect_refused(&(struct trainee_rule){ .only = typo, .n_only = 1 }, STATUS_BAD_ARGUMENT, "visual_porj");
    expect_refused(&(struct trainee_rule){ .only = encoder, .n_only = 1 }, STATUS_BAD_ARGUMENT, "frozen");
    expect_refused(&(struct trainee_rule){ .except = all, .n_except = 1 }, STATUS_BAD_ARGUMENT, "no weight");
    expect_refused(&(struct trainee_rule){ .lora_rank = 2, .lora_targets = typo, .n_lora_targets = 1 },
                   STATUS_BAD_ARGUMENT, "visual_porj");
    expect_refused(&(struct trainee_rule){ .lora_rank = 2, .lora_targets = table, .n_lora_targets = 1 },
                   STATUS_BAD_ARGUMENT, "tok_embeddings");
    expect_refused(&(struct trainee_rule){ .lora_rank = 2, .except = first, .n_except = 1 },
                   STATUS_BAD_ARGUMENT, "layers.0.feed_forward.w3.lora_b.weight");
    expect_refused(&(struct trainee_rule){ .lora_rank = 7 }, STATUS_BAD_ARGUMENT, "of rank 3");
    expect_refused(&(struct trainee_rule){ 0 }, STATUS_UNSUPPORTED, "layers.1.attention.wq.weight is q8_0");
}

static void test_schedule(void **state)
{
    struct schedule s = { 1, 0.1, 4, 10 }, flat = { 2, 2, 0, 0 };

    (void)state;
    assert_true(schedule_lr(&s, 0) == 0 && schedule_lr(&s, 1) == 0.25);
    assert_true(schedule_lr(&s, 4) == 1 && fabs(schedule_lr(&s, 7) - 0.55) < 1e-12);
    assert_true(schedule_lr(&s, 10) == 0.1 && schedule_lr(&s, 1e9) == 0.1);
    assert_true(schedule_lr(&flat, 0) == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),       cmocka_unit_test(test_runs),
        cmocka_unit_test(test_small_gradients), cmocka_unit_test(test_small_runs),
        cmocka_unit_test(test_adapters_begin),  cmocka_unit_test(test_quantised_base),
        cmocka_unit_test(test_small_set),       cmocka_unit_test(test_threads),
        cmocka_unit_test(test_accumulation),    cmocka_unit_test(test_frozen_weights),
        cmocka_unit_test(test_encoders_train),  cmocka_unit_test(test_features_may_be_kept),
        cmocka_unit_test(test_images_together), cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_norm_not_finite), cmocka_unit_test(test_loss_not_finite),
        cmocka_unit_test(test_no_targets),      cmocka_unit_test(test_rules_refused),
        cmocka_unit_test(test_schedule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
