/*
 * test_convert.c - conversions: every byte of a quantised file is the definition's, logits stay near, experts are turned for
 * llama.cpp; cancelled or impossible ones leave nothing behind. Round trips through all formats stand in tests/cli/test_convert.sh.
 */
#include "support/scratch.h"

#include "core/file.h"
#include "model/convert.h"
#include "model/dump.h"
#include "model/synthetic.h"
#include "sphinx.h"
#include "store/gguf.h"
#include "store/safetensors.h"

#include <math.h>

#define TINY      "tests/data/tiny/"
#define TOKENIZER "tests/data/tokenizer.model"

/* Rows that fill blocks of 256. */
static const char config[] =
    "{\"dim\": 256, \"n_layers\": 2, \"n_heads\": 4, \"n_kv_heads\": 2, \"multiple_of\": 256, \"vision\": {"
    "\"image_size\": 64, \"view_size\": 32, \"convnext\": {\"image_size\": 64, \"depths\": [1, 1, 1, 1], "
    "\"dims\": [32, 32, 64, 64]}, \"dinov2\": {\"patch_size\": 8, \"pretrain_size\": 32, \"width\": 64, "
    "\"layers\": 1, \"heads\": 2, \"ffn_width\": 96}}}";

/* Experts as wide as the model: only names tell which way round their w2 lies. */
static const char config_experts[] = "{\"dim\": 64, \"n_layers\": 2, \"n_heads\": 4, \"n_kv_heads\": 2, "
                                     "\"hidden_dim\": 64, \"moe\": {\"num_experts\": 4, "
                                     "\"num_experts_per_tok\": 2}, \"vision\": {\"image_size\": 64, "
                                     "\"view_size\": 32, \"convnext\": {\"image_size\": 64, "
                                     "\"depths\": [1, 1, 1, 1], \"dims\": [8, 8, 8, 8]}, \"clip\": "
                                     "{\"patch_size\": 16, \"width\": 16, \"layers\": 1, \"heads\": 2, "
                                     "\"mlp_width\": 16}, \"dinov2\": {\"patch_size\": 16, "
                                     "\"pretrain_size\": 32, \"width\": 16, \"layers\": 1, \"heads\": 2, "
                                     "\"ffn_width\": 16}, \"qformer\": {\"patch_size\": 16, "
                                     "\"vision_width\": 16, \"vision_layers\": 1, \"vision_heads\": 2, "
                                     "\"vision_mlp_width\": 16, \"queries\": 2, \"width\": 16, \"layers\": "
                                     "1, \"heads\": 2, \"mlp_width\": 16}}}";

struct fixture {
    struct scratch scratch;
    char model[512], out[512];
};

static void model_make_of(struct fixture *f, const char *llama_type, const char *sizes, enum dtype dtype,
                          bool safetensors)
{
    struct synthetic_options o = { .llama_type = llama_type,
                                   .tokenizer_path = TOKENIZER,
                                   .shards = safetensors ? 1 : 2,
                                   .safetensors = safetensors,
                                   .dtype = dtype,
                                   .seed = 3 };
    struct err e = { 0 };

    scratch_open(&f->scratch);
    snprintf(f->model, sizeof f->model, "%s/model", f->scratch.path);
    snprintf(f->out, sizeof f->out, "%s/out.gguf", f->scratch.path);
    o.config_path = scratch_path(&f->scratch, "config.json");
    scratch_write(o.config_path, sizes, strlen(sizes));
    if (synthetic_write(f->model, &o, &e) != STATUS_OK) fail_msg("%s", e.text);
}

static void model_make(struct fixture *f, enum dtype dtype, bool safetensors)
{
    model_make_of(f, "llama_ens_light", config, dtype, safetensors);
}

static enum status convert_as(enum model_format format, const char *from, const char *out,
                              struct policy *policy, bool text_only, const struct report *report,
                              struct err *e)
{
    struct load_options in = { .paths = &from, .n_paths = 1, .ranks = 1, .report = report };
    struct convert_options o = {
        .out = out, .format = format, .shards = 1, .text_only = text_only, .policy = policy, .threads = 2
    };
    struct convert_result result;

    return convert_model(&in, &o, &result, e);
}

static enum status convert(const char *from, const char *out, struct policy *policy, bool text_only,
                           const struct report *report, struct err *e)
{
    return convert_as(MODEL_GGUF, from, out, policy, text_only, report, e);
}

static void convert_to(const char *from, const char *out, enum dtype type)
{
    struct policy policy = { .type = type };
    struct err e = { 0 };

    if (convert(from, out, &policy, false, NULL, &e) != STATUS_OK) fail_msg("%s", e.text);
}

/* ---- bytes --------------------------------------------------------------------------------------------------- */

struct pair {
    struct checkpoint *from, *to;
    size_t n_of_type[DTYPE_COUNT];
};

/* Each row of the result is what the type's definition makes of the source's. */
static void compare(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct pair *k = v->user;
    struct ckpt_rule rule = ckpt_param_rule(p);
    struct tensor a, b;
    struct err e = { 0 };
    unsigned char *want, *scratch;
    float *row;
    int64_t n;

    if (slot == NULL) return;
    if (ckpt_tensor(k->from, p->name, &rule, 0, 1, &a, &e) != STATUS_OK ||
        ckpt_tensor(k->to, p->name, &rule, 0, 1, &b, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    n = tensor_columns(&a);
    row = malloc((size_t)n * sizeof *row);
    want = malloc((size_t)n * sizeof *row);
    scratch = malloc((size_t)n * sizeof *row);
    assert_true(row != NULL && want != NULL && scratch != NULL);
    for (int64_t r = 0; r < tensor_rows(&a); r++) {
        size_t bytes = dtype_bytes(b.dtype, (size_t)n);

        tensor_row_f32(&a, r, 0, n, row);
        dtype_info(b.dtype)->from_f32(want, row, (size_t)n);
        if (memcmp(want, tensor_row(&b, r, 0, n, scratch), bytes) != 0)
            fail_msg("%s, row %lld: other bytes", p->name, (long long)r);
    }
    k->n_of_type[b.dtype]++;
    free(row);
    free(want);
    free(scratch);
}

static void test_bytes(void **state)
{
    static const enum dtype types[] = { DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_K, DTYPE_Q6_K, DTYPE_F16 };
    struct fixture f;

    (void)state;
    model_make(&f, DTYPE_BF16, false);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const char *paths[] = { f.model, f.out };
        struct pair k = { 0 };
        struct param_visitor v = { .visit = compare, .user = &k };
        struct load_options o = { .paths = paths, .n_paths = 1, .ranks = 1 };
        struct model_config found;
        struct tokenizer *t;
        struct network n;
        struct err e = { 0 };

        convert_to(f.model, f.out, types[i]);
        assert_int_equal(ckpt_open(&k.from, &paths[0], 1, NULL, &e), STATUS_OK);
        assert_int_equal(ckpt_open(&k.to, &paths[1], 1, NULL, &e), STATUS_OK);
        assert_int_equal(load_config(&found, &t, &o, k.from, &e), STATUS_OK);
        assert_int_equal(network_init(&n, &found, &e), STATUS_OK);
        network_params(&n, &v);
        assert_true(k.n_of_type[types[i]] >= 14);
        assert_true(k.n_of_type[DTYPE_F32] > 20);
        network_free(&n);
        tok_close(t);
        ckpt_close(k.from);
        ckpt_close(k.to);
    }
    scratch_close(&f.scratch);
}

/* ---- logits -------------------------------------------------------------------------------------------------- */

static void logits_of(const struct fixture *f, const char *model, const char *image, float *logits, size_t n)
{
    const char *path = scratch_path(&f->scratch, "dump.safetensors");
    struct dump_options dump = { image, "What is in the image?", path, false };
    struct safetensors_file file;
    sphinx_error error = { 0 };
    sphinx_session *session;
    sphinx_model *m;
    struct err e = { 0 };

    if (sphinx_model_open(&m, &model, 1, NULL, &error) != SPHINX_OK) fail_msg("%s", error.text);
    assert_int_equal(sphinx_session_open(&session, m, NULL, &error), SPHINX_OK);
    if (dump_write(session, &dump, &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_int_equal(safetensors_open(&file, path, &e), STATUS_OK);
    for (size_t i = 0; i < file.count; i++) {
        if (strcmp(file.tensors[i].name, "logits") != 0) continue;
        assert_int_equal(file.tensors[i].dim[0], n);
        memcpy(logits, file.tensors[i].data, n * sizeof *logits);
    }
    safetensors_close(&file);
    sphinx_session_close(session);
    sphinx_model_close(m);
}

/* The distance of two models' logits, in the standard deviation of the first one's. */
static double distance(const struct fixture *f, const char *a, const char *b, const char *image)
{
    enum { VOCAB = 512 };
    float want[VOCAB], got[VOCAB];
    double scale = 0, error = 0;

    logits_of(f, a, image, want, VOCAB);
    logits_of(f, b, image, got, VOCAB);
    for (int i = 0; i < VOCAB; i++) scale += (double)want[i] * (double)want[i];
    for (int i = 0; i < VOCAB; i++) error += pow((double)got[i] - (double)want[i], 2);
    return sqrt(error / scale);
}

/* How far quantised weights move the logits, in standard deviations of the logits. An 8-bit weight is off by 0.4 % of the largest in
 * its block, a 6-bit one by 1.5 %, a 4-bit one by 7 %; over two layers and an encoder, random errors grow a little. The bounds are two to
 * four times what is seen with float32 activations, since some kernels round these to 8 or 16 bits too. */
static void test_logits(void **state)
{
    static const struct {
        enum dtype type;
        double bound;
    } cases[] = { { DTYPE_F32, 1e-6 },  { DTYPE_F16, 5e-3 }, { DTYPE_Q8_0, 0.04 },
                  { DTYPE_Q6_K, 0.08 }, { DTYPE_Q4_K, 0.2 }, { DTYPE_Q4_0, 0.2 } };
    struct fixture f;

    (void)state;
    model_make(&f, DTYPE_F32, false);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        double error;

        convert_to(f.model, f.out, cases[k].type);
        error = distance(&f, f.model, f.out, "tests/data/images/scene.png");
        print_message("%s: logits move by %.2g\n", dtype_info(cases[k].type)->name, error);
        if (!(error <= cases[k].bound)) fail_msg("more than %g", cases[k].bound);
    }
    scratch_close(&f.scratch);
}

/* ---- experts for llama.cpp ------------------------------------------------------------------------------------- */

static const struct raw_tensor *tensor_find(const struct gguf_file *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++) {
        if (strcmp(f->tensors[i].name, name) == 0) return &f->tensors[i];
    }
    fail_msg("%s is missing", name);
    return NULL;
}

/* [E * F, D] of upstream's w2 becomes [E, D, F], each expert's matrix the other way round; w1 is only seen in three dims. */
static void test_experts(void **state)
{
    struct policy keep = { .keep = true };
    struct ckpt_rule rule = { .split = CKPT_EXPERT_ROWS, .n_dims = 2 };
    const char *model = TINY "mixtral_sparse_ens-2shards";
    const struct raw_tensor *down, *gate;
    struct checkpoint *c;
    struct scratch scratch;
    struct gguf_file file;
    struct err e = { 0 };
    struct tensor w2;
    const char *out;
    float x;

    (void)state;
    scratch_open(&scratch);
    out = scratch_path(&scratch, "text.gguf");
    if (convert(model, out, &keep, true, NULL, &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_int_equal(gguf_open(&file, out, &e), STATUS_OK);
    down = tensor_find(&file, "blk.1.ffn_down_exps.weight");
    gate = tensor_find(&file, "blk.1.ffn_gate_exps.weight");
    assert_int_equal(down->n_dims, 3);
    assert_int_equal(down->dim[0], gate->dim[0]);
    assert_int_equal(down->dim[1], gate->dim[2]);
    assert_int_equal(down->dim[2], gate->dim[1]);
    rule.experts = (int)down->dim[0];
    rule.dim[0] = down->dim[0] * down->dim[2];
    rule.dim[1] = down->dim[1];
    assert_int_equal(ckpt_open(&c, &model, 1, NULL, &e), STATUS_OK);
    assert_int_equal(ckpt_tensor(c, "layers.1.feed_forward.w2", &rule, 0, 1, &w2, &e), STATUS_OK);
    for (int64_t i = 0; i < rule.dim[0] * rule.dim[1]; i++) {
        int64_t f = i % down->dim[2], d = i / down->dim[2] % down->dim[1],
                expert = i / down->dim[2] / down->dim[1];

        tensor_row_f32(&w2, expert * down->dim[2] + f, d, 1, &x);
        assert_true(((const float *)down->data)[i] == x);
    }
    ckpt_close(c);
    gguf_close(&file);
    scratch_close(&scratch);
}

/* What is turned is read again, in blocks too, and turned back for a folder. */
static void test_experts_again(void **state)
{
    static const struct {
        enum dtype type;
        double bound;
    } cases[] = { { DTYPE_F32, 1e-5 }, { DTYPE_BF16, 0.02 }, { DTYPE_Q8_0, 0.04 }, { DTYPE_Q4_0, 0.2 } };
    struct fixture f;
    char back[560];

    (void)state;
    model_make_of(&f, "mixtral_sparse_ens", config_experts, DTYPE_F32, false);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct policy as = { .type = cases[k].type }, full = { .type = DTYPE_F32 };
        struct err e = { 0 };
        double error;

        snprintf(back, sizeof back, "%s/back-%zu", f.scratch.path, k);
        if (convert(f.model, f.out, &as, true, NULL, &e) != STATUS_OK ||
            convert_as(MODEL_TORCH, f.out, back, &full, true, NULL, &e) != STATUS_OK)
            fail_msg("%s", e.text);
        error = distance(&f, f.model, f.out, NULL);
        print_message("experts in %s: logits move by %.2g\n", dtype_info(cases[k].type)->name, error);
        if (!(error <= cases[k].bound)) fail_msg("more than %g", cases[k].bound);
        error = distance(&f, f.out, back, NULL);
        if (!(error <= cases[k].bound)) fail_msg("and by %g as a folder", error);
    }
    scratch_close(&f.scratch);
}

static void test_experts_of_two_layouts(void **state)
{
    const char *paths[] = { "tests/data/gguf/mixtral.gguf", TINY "mixtral_sparse_ens" };
    struct load_options o = { .paths = paths, .n_paths = 2, .ranks = 1 };
    struct model_config found;
    struct checkpoint *c;
    struct tokenizer *t;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(ckpt_open(&c, paths, 2, NULL, &e), STATUS_OK);
    assert_int_equal(load_config(&found, &t, &o, c, &e), STATUS_UNSUPPORTED);
    assert_non_null(strstr(e.text, "layers.0.feed_forward.w2 is there in two layouts"));
    assert_null(t);
    ckpt_close(c);
}

/* ---- what goes wrong --------------------------------------------------------------------------------------------- */

static void assert_only(const struct scratch *s, const char *first, const char *second)
{
    struct dirent *entry;
    DIR *d = opendir(s->path);

    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, first) != 0 &&
            strcmp(entry->d_name, second) != 0)
            fail_msg("%s is left behind", entry->d_name);
    }
    closedir(d);
}

/* A number that is none, or that f16 cannot hold, in one weight. */
static void test_numbers(void **state)
{
    static const float bad[] = { NAN, INFINITY, 1e6f };
    struct safetensors_file s;
    struct fixture f;
    struct err e = { 0 };
    char weights[600];
    long at = -1;

    (void)state;
    model_make(&f, DTYPE_F32, true);
    snprintf(weights, sizeof weights, "%s/model.safetensors", f.model);
    assert_int_equal(safetensors_open(&s, weights, &e), STATUS_OK);
    for (size_t i = 0; i < s.count; i++) {
        if (strcmp(s.tensors[i].name, "layers.1.attention.wk.weight") == 0)
            at = (const char *)s.tensors[i].data - (const char *)s.map.data + (3 * 256 + 7) * 4;
    }
    safetensors_close(&s);
    assert_true(at > 0);
    for (size_t i = 0; i < 3; i++) {
        struct policy q4 = { .type = DTYPE_Q4_0 }, f16 = { .type = DTYPE_F16 };
        FILE *file = fopen(weights, "r+b");

        assert_non_null(file);
        fseek(file, at, SEEK_SET);
        assert_int_equal(fwrite(&bad[i], sizeof bad[i], 1, file), 1);
        fclose(file);
        assert_int_equal(convert(f.model, f.out, &q4, false, NULL, &e), STATUS_NUMERIC);
        assert_non_null(strstr(e.text, "layers.1.attention.wk.weight, row 3: "));
        err_clear(&e);
        assert_int_equal(convert(f.model, f.out, &f16, false, NULL, &e), STATUS_NUMERIC);
        err_clear(&e);
        assert_only(&f.scratch, "model", "config.json");
        convert_to(f.model, f.out, DTYPE_BF16);
        unlink(f.out);
    }
    scratch_close(&f.scratch);
}

struct cancelling {
    atomic_bool cancel;
    uint64_t seen;
};

static void cancel_halfway(void *user, const char *stage, uint64_t done, uint64_t total)
{
    struct cancelling *c = user;

    if (strcmp(stage, "convert") != 0) return;
    c->seen = done;
    if (done >= total / 2) atomic_store(&c->cancel, true);
}

static void test_cancel(void **state)
{
    struct policy policy = { .type = DTYPE_Q8_0 };
    struct cancelling c = { .seen = 0 };
    struct report report = { .progress = cancel_halfway, .user = &c, .cancel = &c.cancel };
    struct file_map old;
    struct fixture f;
    struct err e = { 0 };

    (void)state;
    model_make(&f, DTYPE_F16, false);
    scratch_write(f.out, "an old file", 11);
    assert_int_equal(convert(f.model, f.out, &policy, false, &report, &e), STATUS_CANCELLED);
    assert_true(c.seen > 0);
    assert_int_equal(file_map_open(&old, f.out, &e), STATUS_OK);
    assert_int_equal(old.size, 11);
    file_map_close(&old);
    unlink(f.out);
    assert_only(&f.scratch, "model", "config.json");
    scratch_close(&f.scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_bytes),
                                        cmocka_unit_test(test_logits),
                                        cmocka_unit_test(test_experts),
                                        cmocka_unit_test(test_experts_again),
                                        cmocka_unit_test(test_experts_of_two_layouts),
                                        cmocka_unit_test(test_numbers),
                                        cmocka_unit_test(test_cancel) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
