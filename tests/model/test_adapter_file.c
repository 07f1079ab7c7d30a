/*
 * test_adapter_file.c - adapters in files: on a model they make of it what upstream's checkpoint with them is, to the last bit; scaled, they are
 * between; merged, they make the same answers; and what does not fit is refused in a sentence.
 */
#include "support/scratch.h"

#include "core/digest.h"
#include "core/file.h"
#include "core/mix64.h"
#include "model/adapter_file.h"
#include "model/convert.h"
#include "model/dump.h"
#include "model/load.h"
#include "sphinx.h"
#include "store/safetensors.h"

#include <math.h>

#define TINY "tests/data/tiny/"

enum { VOCAB = 512, GREEDY = 24, TENSORS_MAX = 128 };

static const char question[] = "What is in the image?", picture[] = "tests/data/images/scene.png";
static const double merge_tolerance = 1e-5;

/* ---- an adapter: what the checkpoint llama_ens_peft trained ---------------------------------------------------------- */

struct tuned {
    struct adapter_tensor item[TENSORS_MAX];
    int64_t dim[TENSORS_MAX][TENSOR_DIMS_MAX];
    size_t n;
    bool products_only;
    struct arena arena;
};

static void collect(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct tuned *t = v->user;
    bool product = strstr(p->name, ".lora_") != NULL;
    float *numbers;

    if (slot == NULL || (!product && t->products_only)) return;
    if (!product && strcmp(p->name, "norm.weight") != 0 &&
        (strncmp(p->name, "layers.", 7) != 0 || p->kind == PARAM_MATRIX))
        return;
    assert_true(t->n < TENSORS_MAX);
    numbers = arena_calloc(&t->arena, (size_t)(tensor_rows(slot) * tensor_columns(slot)), sizeof *numbers);
    assert_non_null(numbers);
    for (int64_t r = 0; r < tensor_rows(slot); r++)
        tensor_row_f32(slot, r, 0, tensor_columns(slot), numbers + r * tensor_columns(slot));
    memcpy(t->dim[t->n], p->dim, sizeof p->dim);
    t->item[t->n] =
        (struct adapter_tensor){ arena_strdup(&t->arena, p->name), p->n_dims, t->dim[t->n], numbers };
    t->n++;
}

static void write_adapter(const char *path, bool products_only)
{
    const char *paths[] = { TINY "llama_ens", TINY "llama_ens_peft" };
    struct load_options o = { .paths = paths, .n_paths = 2 };
    struct tuned t = { .products_only = products_only };
    struct param_visitor v = { .visit = collect, .user = &t };
    struct checkpoint *c;
    struct tokenizer *tokenizer;
    struct model_config config;
    struct network n;
    struct err e = { 0 };

    assert_int_equal(ckpt_open(&c, paths, 2, NULL, &e), STATUS_OK);
    assert_int_equal(load_config(&config, &tokenizer, &o, c, &e), STATUS_OK);
    assert_int_equal(network_init(&n, &config, &e), STATUS_OK);
    assert_int_equal(load_weights(&n, c, &o, &e), STATUS_OK);
    network_params(&n, &v);
    assert_int_equal(t.n, products_only ? 28 : 28 + 10 + 5);
    if (adapter_write(path, &n, t.item, t.n, &e) != STATUS_OK) fail_msg("%s", e.text);
    network_free(&n);
    ckpt_close(c);
    tok_close(tokenizer);
    arena_free(&t.arena);
}

/* ---- models ---------------------------------------------------------------------------------------------------------- */

static sphinx_status open_with(sphinx_model **model, const char *path, const char *const *adapters, int n,
                               sphinx_error *error)
{
    sphinx_model_options o = { .adapters = adapters, .n_adapters = n };

    return sphinx_model_open(model, &path, 1, &o, error);
}

struct said {
    float logits[VOCAB];
    int32_t tokens[GREEDY];
    size_t n_tokens;
    char identity[DIGEST_TEXT_MAX];
};

/* Closes the model. */
static void listen(sphinx_model *model, const char *scratch_file, struct said *said)
{
    struct dump_options o = { .image = picture, .question = question, .out = scratch_file };
    sphinx_ask_options ask = sphinx_ask_options_default();
    struct safetensors_file f;
    sphinx_session *session;
    sphinx_answer *answer;
    sphinx_error error = { 0 };
    struct err e = { 0 };

    sphinx_model_identity(model, said->identity);
    assert_int_equal(sphinx_session_open(&session, model, NULL, &error), SPHINX_OK);
    if (dump_write(session, &o, &e) != STATUS_OK) fail_msg("%s", e.text);
    sphinx_session_close(session);
    assert_int_equal(safetensors_open(&f, scratch_file, &e), STATUS_OK);
    memcpy(said->logits, safetensors_find(&f, "logits")->data, sizeof said->logits);
    safetensors_close(&f);
    ask.temperature = 0;
    ask.max_tokens = GREEDY;
    assert_int_equal(sphinx_session_open(&session, model, NULL, &error), SPHINX_OK);
    assert_int_equal(sphinx_session_image_file(session, picture, &error), SPHINX_OK);
    if (sphinx_ask(session, question, &ask, &answer, &error) != SPHINX_OK) fail_msg("%s", error.text);
    said->n_tokens = answer->n_tokens;
    memcpy(said->tokens, answer->tokens, answer->n_tokens * sizeof *said->tokens);
    sphinx_answer_free(answer);
    sphinx_session_close(session);
    sphinx_model_close(model);
}

static void hear(const char *path, const char *const *adapters, int n, struct scratch *s, struct said *said)
{
    sphinx_error error = { 0 };
    sphinx_model *model;

    if (open_with(&model, path, adapters, n, &error) != SPHINX_OK) fail_msg("%s", error.text);
    listen(model, scratch_path(s, "dump"), said);
}

static double apart(const struct said *a, const struct said *b)
{
    double difference = 0, size = 0;

    for (int i = 0; i < VOCAB; i++) {
        double d = (double)a->logits[i] - (double)b->logits[i];

        difference += d * d;
        size += (double)b->logits[i] * (double)b->logits[i];
    }
    return sqrt(difference / size);
}

static enum status convert(const char *from, const char *const *adapters, int n, const char *out,
                           enum model_format format, struct policy *policy, struct convert_result *r,
                           struct err *e)
{
    struct load_options in = {
        .paths = &from, .n_paths = 1, .adapters = adapters, .n_adapters = n, .ranks = 1
    };
    struct convert_options o = { .out = out, .format = format, .shards = 1, .policy = policy, .threads = 2 };

    return convert_model(&in, &o, r, e);
}

/* ---- on a model, scaled ------------------------------------------------------------------------------------------------ */

static void test_on_model(void **state)
{
    const char *paths[] = { TINY "llama_ens", TINY "llama_ens_peft" }, *file, *scaled[3];
    struct said base, upstream, adapted, none, halves, half;
    char with_scale[3][600];
    struct scratch scratch;
    sphinx_error error = { 0 };
    sphinx_model *model;

    (void)state;
    scratch_open(&scratch);
    file = scratch_path(&scratch, "a.safetensors");
    write_adapter(file, false);
    hear(TINY "llama_ens", NULL, 0, &scratch, &base);
    assert_int_equal(sphinx_model_open(&model, paths, 2, NULL, &error), SPHINX_OK);
    listen(model, scratch_path(&scratch, "dump"), &upstream);
    hear(TINY "llama_ens", &file, 1, &scratch, &adapted);
    assert_true(apart(&upstream, &base) > 0.1);
    assert_memory_equal(adapted.logits, upstream.logits, sizeof adapted.logits);
    assert_string_not_equal(adapted.identity, base.identity);
    for (int i = 0; i < 3; i++) {
        snprintf(with_scale[i], sizeof with_scale[i], "%s:%s", file, i == 0 ? "0" : "0.5");
        scaled[i] = with_scale[i];
    }
    hear(TINY "llama_ens", scaled, 1, &scratch, &none);
    assert_memory_equal(none.logits, base.logits, sizeof none.logits);
    hear(TINY "llama_ens", scaled + 1, 1, &scratch, &half);
    assert_true(apart(&half, &base) > 1e-2 && apart(&half, &adapted) > 1e-2);
    assert_string_not_equal(half.identity, adapted.identity);
    hear(TINY "llama_ens", scaled + 1, 2, &scratch, &halves);
    assert_true(apart(&halves, &adapted) < merge_tolerance);
    scratch_close(&scratch);
}

/* Base and difference, shards, types: an adapter is for all that a base becomes. */
static void test_other_forms_of_base(void **state)
{
    static const char *const bases[] = { TINY "llama_ens-2shards", TINY "llama_ens-bf16",
                                         TINY "llama_ens-f16", TINY "llama_ens-safetensors",
                                         TINY "llama_ens5" };
    struct policy q4 = { .type = DTYPE_Q4_0 };
    struct said first, said, plain;
    struct convert_result r;
    struct scratch scratch;
    struct err e = { 0 };
    const char *file, *small;

    (void)state;
    scratch_open(&scratch);
    file = scratch_path(&scratch, "a.safetensors");
    small = scratch_path(&scratch, "q4.gguf");
    write_adapter(file, true);
    hear(TINY "llama_ens", &file, 1, &scratch, &first);
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        hear(bases[i], &file, 1, &scratch, &said);
        if (i < 4 && !(apart(&said, &first) < 0.05)) fail_msg("%s: %g", bases[i], apart(&said, &first));
    }
    assert_int_equal(convert(TINY "llama_ens", NULL, 0, small, MODEL_GGUF, &q4, &r, &e), STATUS_OK);
    assert_true(r.n_of_type[DTYPE_Q4_0] > 0);
    hear(small, &file, 1, &scratch, &said);
    hear(small, NULL, 0, &scratch, &plain);
    assert_true(apart(&said, &first) < 0.5 * apart(&plain, &first));
    scratch_close(&scratch);
}

/* ---- merged ---------------------------------------------------------------------------------------------------------- */

static void check_merge(const char *base, const char *const *adapters, int n, enum model_format format,
                        const char *name, size_t n_adapted)
{
    struct policy keep = { .keep = true };
    struct said at_load, merged;
    struct convert_result r;
    struct scratch scratch;
    struct err e = { 0 };
    const char *out;

    scratch_open(&scratch);
    out = scratch_path(&scratch, name);
    if (convert(base, adapters, n, out, format, &keep, &r, &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_int_equal(r.n_adapted, n_adapted);
    hear(base, adapters, n, &scratch, &at_load);
    hear(out, NULL, 0, &scratch, &merged);
    if (!(apart(&merged, &at_load) <= merge_tolerance)) fail_msg("%s: %g", name, apart(&merged, &at_load));
    assert_int_equal(merged.n_tokens, at_load.n_tokens);
    assert_memory_equal(merged.tokens, at_load.tokens, merged.n_tokens * sizeof *merged.tokens);
    print_message("%s: logits within %.1e of the adapter at load\n", name, apart(&merged, &at_load));
    scratch_close(&scratch);
}

static void test_merge(void **state)
{
    char file[512], base[512], scaled[600];
    const char *names[] = { file, scaled };
    struct policy keep = { .keep = true };
    struct convert_result r;
    struct scratch scratch;
    struct err e = { 0 };

    (void)state;
    scratch_open(&scratch);
    snprintf(file, sizeof file, "%s", scratch_path(&scratch, "a.safetensors"));
    snprintf(scaled, sizeof scaled, "%s:-0.25", file);
    /* A GGUF file is without the tensors that upstream stores in vain, in sizes that are not the tiny ones. */
    snprintf(base, sizeof base, "%s", scratch_path(&scratch, "base.gguf"));
    assert_int_equal(convert(TINY "llama_ens", NULL, 0, base, MODEL_GGUF, &keep, &r, &e), STATUS_OK);
    assert_int_equal(r.n_adapted, 0);
    write_adapter(file, false);
    check_merge(base, names, 1, MODEL_TORCH, "folder", 14 + 10 + 5);
    check_merge(TINY "llama_ens", names, 1, MODEL_GGUF, "model.gguf", 14 + 10 + 5);
    check_merge(base, names, 2, MODEL_SAFETENSORS, "two", 14 + 10 + 5);
    write_adapter(file, true);
    check_merge(base, names, 1, MODEL_TORCH, "folder", 14);
    scratch_close(&scratch);
}

/* llama.cpp's files have no place for biases; products are in the matrices by then. */
static void test_merge_for_llama_cpp(void **state)
{
    struct policy keep = { .keep = true };
    struct convert_result r;
    struct scratch scratch;
    struct err e = { 0 };
    const char *file, *out;

    (void)state;
    scratch_open(&scratch);
    file = scratch_path(&scratch, "a.safetensors");
    out = scratch_path(&scratch, "llm.gguf");
    write_adapter(file, false);
    assert_int_equal(convert(TINY "llama_ens", &file, 1, out, MODEL_GGUF_LLAMA, &keep, &r, &e),
                     STATUS_UNSUPPORTED);
    assert_non_null(strstr(e.text, "biases"));
    write_adapter(file, true);
    assert_int_equal(convert(TINY "llama_ens", &file, 1, out, MODEL_GGUF_LLAMA, &keep, &r, &e), STATUS_OK);
    scratch_close(&scratch);
}

/* ---- refused --------------------------------------------------------------------------------------------------------- */

static void expect_refused(const char *name, const char *says)
{
    sphinx_error error = { 0 };
    sphinx_model *model = NULL;

    assert_int_not_equal(open_with(&model, TINY "llama_ens", &name, 1, &error), SPHINX_OK);
    assert_null(model);
    if (strstr(error.text, says) == NULL) fail_msg("\"%s\" does not say \"%s\"", error.text, says);
}

#define WQ "layers.0.attention.wq."

/* One or two tensors of zeros (or worse), as a file. */
static void expect_tensors_refused(const struct tensor_spec *specs, size_t n, float number, const char *says)
{
    struct safetensors_writer w;
    struct scratch scratch;
    struct err e = { 0 };
    float *numbers = calloc(4096, sizeof *numbers);
    const char *path;

    assert_non_null(numbers);
    numbers[1] = number;
    scratch_open(&scratch);
    path = scratch_path(&scratch, "a.safetensors");
    assert_int_equal(safetensors_writer_open(&w, path, specs, n, NULL, 0, &e), STATUS_OK);
    for (size_t i = 0; i < n; i++) {
        size_t bytes = 0;

        assert_true(shape_bytes(specs[i].dtype, specs[i].dim, specs[i].n_dims, &bytes));
        assert_int_equal(safetensors_writer_put(&w, numbers, bytes, &e), STATUS_OK);
    }
    assert_int_equal(safetensors_writer_commit(&w, &e), STATUS_OK);
    expect_refused(path, says);
    scratch_close(&scratch);
    free(numbers);
}

static void test_tensors_refused(void **state)
{
    struct tensor_spec a = { WQ "lora_a.weight", DTYPE_F32, 2, { 2, 32 } },
                       b = { WQ "lora_b.weight", DTYPE_F32, 2, { 32, 2 } }, pair[2], x;

    (void)state;
    expect_tensors_refused(&a, 1, 0, "without its other half, lora_b.weight");
    expect_tensors_refused(&b, 1, 0, "without its other half, lora_a.weight");
    expect_tensors_refused(NULL, 0, 0, "without a tensor");
    for (int i = 0; i < 6; i++) {
        pair[0] = a;
        pair[1] = b;
        if (i == 0) pair[0].dim[1] = 33;
        if (i == 1) pair[1].dim[0] = 31;
        if (i == 2) pair[1].dim[1] = 3;
        if (i == 3) pair[0].dim[0] = pair[1].dim[1] = 0;
        if (i == 4) pair[0].n_dims = 1;
        if (i == 5) pair[0].n_dims = 0;
        expect_tensors_refused(pair, 2, 0, "to fit this model it would be");
    }
    pair[0] = a;
    pair[1] = b;
    expect_tensors_refused(pair, 2, NAN, "not finite");
    pair[0].dtype = DTYPE_I32;
    expect_tensors_refused(pair, 2, 0, "is i32");
    x = (struct tensor_spec){ "norm.weight", DTYPE_F32, 1, { 31 } };
    expect_tensors_refused(&x, 1, 0, "to fit this model it would be [32]");
    x = (struct tensor_spec){ "layers.0.attention.wk.bias", DTYPE_F32, 1, { 32 } };
    expect_tensors_refused(&x, 1, 0, "belongs to nothing");
    x = (struct tensor_spec){ "layers.2.attention.wq.bias", DTYPE_F32, 1, { 32 } };
    expect_tensors_refused(&x, 1, 0, "belongs to nothing");
    pair[0].dtype = DTYPE_F32;
    pair[0].name = "tok_embeddings.lora_a.weight";
    pair[1].name = "tok_embeddings.lora_b.weight";
    expect_tensors_refused(pair, 2, 0, "belongs to nothing");
}

/* Whatever a file says, it is taken up or refused: its header is changed here and there, more often than the numbers. */
static void test_changed_files(void **state)
{
    enum { FILES = 150, HEADER = 4000 };
    const char *path = TINY "llama_ens", *file, *changed;
    struct load_options o = { .paths = &path, .n_paths = 1 };
    struct checkpoint *c;
    struct tokenizer *tokenizer;
    struct model_config config;
    struct network n;
    struct scratch scratch;
    struct err e = { 0 };
    unsigned char *data;
    size_t size, n_taken = 0;
    uint64_t random = 1;

    (void)state;
    scratch_open(&scratch);
    file = scratch_path(&scratch, "a.safetensors");
    changed = scratch_path(&scratch, "b.safetensors");
    write_adapter(file, false);
    assert_int_equal(file_read(file, 1 << 20, &data, &size, &e), STATUS_OK);
    assert_int_equal(ckpt_open(&c, &path, 1, NULL, &e), STATUS_OK);
    assert_int_equal(load_config(&config, &tokenizer, &o, c, &e), STATUS_OK);
    assert_int_equal(network_init(&n, &config, &e), STATUS_OK);
    assert_int_equal(load_weights(&n, c, &o, &e), STATUS_OK);
    for (uint64_t i = 0; i < FILES; i++) {
        size_t at = mix64(random++) % (i % 3 == 0 ? size : HEADER);
        unsigned char kept = data[at];
        struct adapters *x = NULL;

        data[at] = i % 2 == 0 ? (unsigned char)mix64(random++) : (unsigned char)('0' + mix64(random++) % 10);
        scratch_write(changed, data, size);
        data[at] = kept;
        if (adapters_open(&x, &changed, 1, &e) == STATUS_OK && adapters_place(x, &n, &e) == STATUS_OK)
            n_taken += adapters_apply(x, &n, &e) == STATUS_OK;
        adapters_close(x);
    }
    assert_true(n_taken > 0 && n_taken < FILES);
    free(data);
    network_free(&n);
    ckpt_close(c);
    tok_close(tokenizer);
    scratch_close(&scratch);
}

static void test_files_refused(void **state)
{
    const char *meta[] = { TINY "llama-meta" }, *file;
    sphinx_model_options o = { .llama_type = "llama_ens",
                               .config_path = TINY "llama_ens/config.json",
                               .tokenizer_path = "tests/data/tokenizer.model",
                               .n_adapters = 1 };
    char name[600];
    struct scratch scratch;
    sphinx_error error = { 0 };
    sphinx_model *model;

    (void)state;
    scratch_open(&scratch);
    file = scratch_path(&scratch, "a.safetensors");
    write_adapter(file, true);
    o.adapters = &file;
    assert_int_equal(sphinx_model_open(&model, meta, 1, &o, &error), SPHINX_UNSUPPORTED);
    assert_non_null(strstr(error.text, "another base"));
    assert_int_equal(open_with(&model, TINY "mixtral_sparse_ens", &file, 1, &error), SPHINX_BAD_FORMAT);
    snprintf(name, sizeof name, "%s:nan", file);
    expect_refused(name, "finite");
    snprintf(name, sizeof name, "%s:1e39", file);
    expect_refused(name, "finite");
    snprintf(name, sizeof name, "%s:half", file);
    expect_refused(name, "a.safetensors:half");
    expect_refused("tests/data/tiny/llama_ens/config.json", "config.json");
    expect_refused("", "");
    scratch_close(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_on_model),        cmocka_unit_test(test_other_forms_of_base),
        cmocka_unit_test(test_merge),           cmocka_unit_test(test_merge_for_llama_cpp),
        cmocka_unit_test(test_tensors_refused), cmocka_unit_test(test_files_refused),
        cmocka_unit_test(test_changed_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
