/*
 * test_load.c - weights from files to networks: shares of ranks, older names, surplus and partial sets of tensors, upstream's types with
 * adapters.
 */
#include "support/ranks.h"
#include "support/scratch.h"

#include "backend/cpu/cpu.h"
#include "model/convert.h"
#include "model/dump.h"
#include "model/load.h"
#include "sphinx.h"
#include "store/safetensors.h"

#include <math.h>

#define TINY "tests/data/tiny/"

/* ---- ranks --------------------------------------------------------------------------------------------------- */

enum { T = 5, VOCAB = 512 };
static const int32_t ids[T] = { 1, 70, 300, 511, 2 };
static const int32_t positions[T] = { 0, 1, 2, 3, 4 }, zeros[T] = { 0 };

struct rank_model {
    const char *path[2]; /* the second NULL: none */
    float logits[T * VOCAB];
};

/* Every rank opens the checkpoint itself and runs its share of the language model. */
static void run_rank(const struct comm *comm, void *user)
{
    struct rank_model *r = (struct rank_model *)user + comm->rank;
    int n_paths = r->path[1] != NULL ? 2 : 1;
    struct load_options o = { .paths = r->path, .n_paths = n_paths, .rank = comm->rank, .ranks = comm->size };
    struct llama_batch b = { .T = T, .position = positions, .first = zeros };
    struct arena arena = { 0 };
    struct checkpoint *checkpoint = NULL;
    struct model_config config;
    struct tokenizer *t = NULL;
    const struct backend *backend;
    struct network n;
    struct tensor *y;
    struct err e = { 0 };
    struct ctx c;

    if (cpu_backend("auto", &backend, &e) != STATUS_OK ||
        ckpt_open(&checkpoint, r->path, n_paths, NULL, &e) != STATUS_OK ||
        load_config(&config, &t, &o, checkpoint, &e) != STATUS_OK ||
        network_init(&n, &config, &e) != STATUS_OK || load_weights(&n, checkpoint, &o, &e) != STATUS_OK ||
        ctx_init(&c, backend, &arena, 1, &e) != STATUS_OK) {
        fprintf(stderr, "rank %d: %s\n", comm->rank, e.text);
        abort(); /* the other ranks would wait for ever */
    }
    c.comm = comm;
    y = llama_logits(&c, &n.llama, llama_forward(&c, &n.llama, llama_embed(&c, &n.llama, ids, T), &b, NULL));
    if (y != NULL) memcpy(r->logits, y->data, sizeof r->logits);
    ctx_free(&c);
    arena_free(&arena);
    network_free(&n);
    ckpt_close(checkpoint);
    tok_close(t);
}

/* However the files are stored, ranks B: 1 -> 1, 1 -> 2, 2 -> 1, 2 -> 2 all give the same logits. */
static void check_ranks(const char *one_shard, const char *other, const char *one_behind,
                        const char *other_behind)
{
    static struct rank_model want, got[2];

    want.path[0] = one_shard;
    want.path[1] = one_behind;
    ranks_run(1, run_rank, &want);
    for (int files = 1; files <= 2; files++) {
        for (int ranks = 1; ranks <= 2; ranks++) {
            memset(got, 0, sizeof got);
            for (int r = 0; r < ranks; r++) {
                got[r].path[0] = files == 1 ? one_shard : other;
                got[r].path[1] = files == 1 ? one_behind : other_behind;
            }
            ranks_run(ranks, run_rank, got);
            for (int i = 0; i < ranks * T * VOCAB; i++) {
                float x = got[i / (T * VOCAB)].logits[i % (T * VOCAB)], y = want.logits[i % (T * VOCAB)];

                if (!(fabsf(x - y) <= 1e-4f)) fail_msg("%s, %d ranks: logit %d", got[0].path[0], ranks, i);
            }
        }
    }
}

static void test_ranks(void **state)
{
    (void)state;
    check_ranks(TINY "llama_ens", TINY "llama_ens-2shards", NULL, NULL);
    check_ranks(TINY "mixtral_sparse_ens", TINY "mixtral_sparse_ens-2shards", NULL, NULL);
    check_ranks(TINY "llama_ens", "tests/data/gguf/llama.gguf", NULL, NULL);
    check_ranks(TINY "mixtral_sparse_ens", "tests/data/gguf/mixtral.gguf", NULL, NULL);
    check_ranks(TINY "llama_ens", TINY "llama_ens-2shards", TINY "llama_ens_peft",
                TINY "llama_ens_peft-2shards");
}

/* ---- other sets of tensors ------------------------------------------------------------------------------------- */

enum change { SEPARATE_BIASES, SURPLUS, NO_MIXER };

#define FUSED "self_attn.qkv.bias"

struct copied {
    struct tensor_spec spec;
    const void *data;
};

static size_t change_tensor(struct copied *out, const struct raw_tensor *t, enum change change)
{
    static char names[64][160];
    static int turn;
    struct copied copy = { { t->name, t->dtype, t->n_dims, { 0 } }, t->data };
    const char *fused = strstr(t->name, FUSED);
    size_t n = 0;

    memcpy(copy.spec.dim, t->dim, sizeof copy.spec.dim);
    if (change == NO_MIXER && strncmp(t->name, "visual_proj", 11) == 0) return 0;
    if (change == SEPARATE_BIASES &&
        fused != NULL) { /* query and value parts under names of their own, no key part */
        for (int part = 0; part < 3; part += 2) {
            char *name = names[turn++ % 64];

            snprintf(name, sizeof names[0], "%.*sself_attn.%c_bias", (int)(fused - t->name), t->name,
                     part == 0 ? 'q' : 'v');
            out[n] = copy;
            out[n].spec.name = name;
            out[n].spec.dim[0] = t->dim[0] / 3;
            out[n++].data = (const float *)t->data + part * (t->dim[0] / 3);
        }
        return n;
    }
    out[n++] = copy;
    if (change == SURPLUS && strcmp(t->name, "norm.weight") == 0) {
        out[n] = copy;
        out[n++].spec.name = "some.adapter.weight";
    }
    return n;
}

static void write_changed(const char *folder, enum change change)
{
    static const char *const names[] = { "config.json", "meta.json", "tokenizer.model" };
    struct safetensors_writer w = { 0 };
    struct safetensors_file f;
    struct copied *copies;
    struct tensor_spec *specs;
    struct err e = { 0 };
    size_t n = 0;
    char *path;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *from = path_join(TINY "llama_ens-safetensors", names[i]), *to = path_join(folder, names[i]);
        unsigned char *data;
        size_t size;

        assert_int_equal(file_read(from, 1 << 20, &data, &size, &e), STATUS_OK);
        scratch_write(to, data, size);
        free(data);
        free(from);
        free(to);
    }
    assert_int_equal(safetensors_open(&f, TINY "llama_ens-safetensors/model.safetensors", &e), STATUS_OK);
    copies = calloc(2 * f.count, sizeof *copies);
    specs = calloc(2 * f.count, sizeof *specs);
    assert_true(copies != NULL && specs != NULL);
    for (size_t i = 0; i < f.count; i++) n += change_tensor(copies + n, &f.tensors[i], change);
    for (size_t i = 0; i < n; i++) specs[i] = copies[i].spec;
    path = path_join(folder, "model.safetensors");
    assert_int_equal(safetensors_writer_open(&w, path, specs, n, NULL, 0, &e), STATUS_OK);
    for (size_t i = 0; i < n; i++) {
        size_t bytes = 0;

        assert_true(shape_bytes(specs[i].dtype, specs[i].dim, specs[i].n_dims, &bytes));
        assert_int_equal(safetensors_writer_put(&w, copies[i].data, bytes, &e), STATUS_OK);
    }
    assert_int_equal(safetensors_writer_commit(&w, &e), STATUS_OK);
    safetensors_close(&f);
    free(path);
    free(copies);
    free(specs);
}

static char warning[1024];

static void warn(void *user, const char *text)
{
    (void)user;
    snprintf(warning, sizeof warning, "%s", text);
}

/* The greedy answer of the model in a folder about the scene. */
static void answer_of(const char *folder, char *text, size_t size)
{
    sphinx_model_options options = { .report = { .warn = warn } };
    sphinx_ask_options o = sphinx_ask_options_default();
    sphinx_error error = { 0 };
    sphinx_session *session;
    sphinx_answer *answer;
    sphinx_model *model;

    o.temperature = 0;
    o.max_tokens = 24;
    warning[0] = '\0';
    if (sphinx_model_open(&model, &folder, 1, &options, &error) != SPHINX_OK) fail_msg("%s", error.text);
    assert_int_equal(sphinx_session_open(&session, model, NULL, &error), SPHINX_OK);
    assert_int_equal(sphinx_session_image_file(session, "tests/data/images/scene.png", &error), SPHINX_OK);
    if (sphinx_ask(session, "What is in the image?", &o, &answer, &error) != SPHINX_OK)
        fail_msg("%s", error.text);
    snprintf(text, size, "%s", answer->text);
    sphinx_answer_free(answer);
    sphinx_session_close(session);
    sphinx_model_close(model);
}

/* The folder as one file with all types as they are. */
static void convert(const char *folder, const char *out)
{
    struct report report = { .warn = warn };
    struct load_options in = { .paths = &folder, .n_paths = 1, .ranks = 1, .report = &report };
    struct policy keep = { .keep = true };
    struct convert_options o = {
        .out = out, .format = MODEL_GGUF, .shards = 1, .policy = &keep, .threads = 2
    };
    struct convert_result result;
    struct err e = { 0 };

    warning[0] = '\0';
    if (convert_model(&in, &o, &result, &e) != STATUS_OK) fail_msg("%s", e.text);
}

/* A changed copy answers as the original does, also after a conversion, which leaves behind what is of no use, and says so. */
static void check_changed(enum change change, const char *warned)
{
    char want[1024], got[1024];
    struct scratch scratch;
    const char *folder, *file;

    scratch_open(&scratch);
    folder = scratch_folder(&scratch, "model");
    write_changed(folder, change);
    answer_of(TINY "llama_ens", want, sizeof want);
    answer_of(folder, got, sizeof got);
    assert_string_equal(got, want);
    assert_non_null(strstr(warning, warned));
    file = scratch_path(&scratch, "model.gguf");
    convert(folder, file);
    assert_non_null(strstr(warning, warned));
    answer_of(file, got, sizeof got);
    assert_string_equal(got, want);
    assert_string_equal(warning, "");
    scratch_close(&scratch);
}

/* Biases apart: the key part is zero, which the softmax cannot tell from any other. */
static void test_separate_biases(void **state)
{
    (void)state;
    check_changed(SEPARATE_BIASES, "");
}

static void test_surplus(void **state)
{
    (void)state;
    check_changed(SURPLUS, "not used: some.adapter.weight [32] (1 in all)");
}

static void test_partial(void **state)
{
    struct scratch scratch;
    sphinx_error error = { 0 };
    sphinx_model *model;
    const char *folder;

    (void)state;
    scratch_open(&scratch);
    folder = scratch_folder(&scratch, "model");
    write_changed(folder, NO_MIXER);
    assert_int_equal(sphinx_model_open(&model, &folder, 1, NULL, &error), SPHINX_NOT_FOUND);
    assert_non_null(strstr(error.text, "visual_proj.0.weight [32, 60]"));
    scratch_close(&scratch);
}

/* ---- upstream's types with adapters ------------------------------------------------------------------------------ */

static const char *const peft_paths[] = { TINY "llama_ens", TINY "llama_ens_peft" };

/* The configuration of llama_ens_peft, with another word in it. */
static const char *peft_config(const struct scratch *scratch, const char *word, const char *instead)
{
    const char *path = scratch_path(scratch, "config.json");
    unsigned char *data;
    char text[4096];
    struct err e = { 0 };
    size_t size;
    char *at;

    assert_int_equal(file_read(TINY "llama_ens_peft/config.json", 1 << 20, &data, &size, &e), STATUS_OK);
    at = strstr((char *)data, word);
    assert_non_null(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - (char *)data), (char *)data, instead,
             at + strlen(word));
    scratch_write(path, text, strlen(text));
    free(data);
    return path;
}

static sphinx_model *open_peft(const char *llama_type, const char *config)
{
    sphinx_model_options o = { .llama_type = llama_type, .config_path = config, .report = { .warn = warn } };
    sphinx_error error = { 0 };
    sphinx_model *model;

    if (sphinx_model_open(&model, peft_paths, 2, &o, &error) != SPHINX_OK) fail_msg("%s", error.text);
    return model;
}

static void dump_of(sphinx_model *model, const char *image, const char *path, struct safetensors_file *f)
{
    struct dump_options o = { .image = image, .question = "What is in the image?", .out = path };
    sphinx_session *session;
    sphinx_error error = { 0 };
    struct err e = { 0 };

    assert_int_equal(sphinx_session_open(&session, model, NULL, &error), SPHINX_OK);
    if (dump_write(session, &o, &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_int_equal(safetensors_open(f, path, &e), STATUS_OK);
    sphinx_session_close(session);
    sphinx_model_close(model);
}

/* The Q-Former's words are those that the type with all encoders has too, between the same two. Without encoders there is the same text. */
static void test_peft_types(void **state)
{
    enum { QUERIES = 3, WORDS = 22, D = 32 };
    struct safetensors_file all, few;
    const float *a, *b;
    struct scratch scratch;
    const char *config;

    (void)state;
    scratch_open(&scratch);
    config = peft_config(&scratch, "\"bias_tuning\": true", "\"bias_tuning\": false");
    dump_of(open_peft(NULL, config), "tests/data/images/scene.png", scratch_path(&scratch, "all"), &all);
    dump_of(open_peft("llama_qformerv2_peft", config), "tests/data/images/scene.png",
            scratch_path(&scratch, "few"), &few);
    assert_int_equal(safetensors_find(&all, "image_tokens")->dim[0], WORDS);
    assert_int_equal(safetensors_find(&few, "image_tokens")->dim[0], QUERIES + 2);
    a = safetensors_find(&all, "image_tokens")->data;
    b = safetensors_find(&few, "image_tokens")->data;
    assert_memory_equal(a, b, (1 + QUERIES) * D * sizeof *a);
    assert_memory_equal(a + (WORDS - 1) * D, b + (1 + QUERIES) * D, D * sizeof *a);
    safetensors_close(&all);
    safetensors_close(&few);
    dump_of(open_peft(NULL, config), NULL, scratch_path(&scratch, "all"), &all);
    dump_of(open_peft("llama_peft", config), NULL, scratch_path(&scratch, "few"), &few);
    assert_memory_equal(safetensors_find(&all, "logits")->data, safetensors_find(&few, "logits")->data,
                        VOCAB * sizeof *a);
    safetensors_close(&all);
    safetensors_close(&few);
    scratch_close(&scratch);
}

static void expect_peft_refused(const char *llama_type, const char *word, const char *instead,
                                const char *says)
{
    sphinx_model_options o = { .llama_type = llama_type };
    sphinx_error error = { 0 };
    struct scratch scratch;
    sphinx_model *model;

    scratch_open(&scratch);
    o.config_path = peft_config(&scratch, word, instead);
    assert_int_not_equal(sphinx_model_open(&model, peft_paths, 2, &o, &error), SPHINX_OK);
    if (strstr(error.text, says) == NULL) fail_msg("\"%s\" does not say %s", error.text, says);
    scratch_close(&scratch);
}

static void test_peft_refused(void **state)
{
    (void)state;
    expect_peft_refused("llama_peft", "\"bias_tuning\": true", "\"bias_tuning\": null",
                        "layers.0.attention.wk.bias [32]");
    expect_peft_refused(NULL, "\"lora_rank\": 3", "\"lora_rank\": 4", "lora_a.weight");
    expect_peft_refused(NULL, "\"lora_rank\": 3", "\"lora_rank\": 2.5", "\"lora_rank\"");
    expect_peft_refused(NULL, "\"bias_tuning\": true", "\"bias_tuning\": 1", "\"bias_tuning\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks),      cmocka_unit_test(test_separate_biases),
        cmocka_unit_test(test_surplus),    cmocka_unit_test(test_partial),
        cmocka_unit_test(test_peft_types), cmocka_unit_test(test_peft_refused)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
