/*
 * test_load_gguf.c - models described by a GGUF file's keys: sizes, vocabulary, options that come before them, and the names of all
 * released tensors.
 */
#include "model/load_gguf.h"

#include <math.h>

#include "model/description.h"
#include "model/load.h"
#include "store/gguf_names.h"
#include "support/scratch.h"

static const char plain[] = "tests/data/gguf/llama.gguf", whole[] = "tests/data/gguf/sphinx.gguf";

/* ---- vocabulary ------------------------------------------------------------------------------------------------- */

static void check_texts(const struct tokenizer *got, const struct tokenizer *want, const char *text,
                        size_t size)
{
    int32_t *a, *b;
    size_t n_a, n_b;
    char *text_a, *text_b;
    struct err e = { 0 };

    assert_int_equal(tok_encode(got, text, size, TOK_BOS | TOK_EOS, &a, &n_a, &e), STATUS_OK);
    assert_int_equal(tok_encode(want, text, size, TOK_BOS | TOK_EOS, &b, &n_b, &e), STATUS_OK);
    if (n_a != n_b || memcmp(a, b, n_a * sizeof *a) != 0) fail_msg("other ids: %.*s", (int)size, text);
    assert_int_equal(tok_decode(got, a, n_a, &text_a, NULL, &e), STATUS_OK);
    assert_int_equal(tok_decode(want, b, n_b, &text_b, NULL, &e), STATUS_OK);
    assert_string_equal(text_a, text_b);
    free(text_a);
    free(text_b);
    free(a);
    free(b);
}

static void vocabulary_makes_the_same_tokenizer(void **state)
{
    static const char *const texts[] = {
        "", " ", "  two  spaces  ", "<s></s><unk><0x0A>", "a\tb\r\n\xc2\xa0", "\xf0\x9f\x98\x80 \xe2\x96\x81"
    };
    struct tokenizer *got, *want;
    unsigned char *golden;
    struct gguf_file f;
    struct err e = { 0 };
    size_t size, n;

    (void)state;
    if (gguf_open(&f, plain, &e) != STATUS_OK || load_gguf_tokenizer(&f, &got, &e) != STATUS_OK ||
        tok_open(&want, "tests/data/tokenizer.model", &e) != STATUS_OK ||
        file_read("tests/data/tokenizer_golden.txt", 1 << 20, &golden, &size, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    assert_int_equal(tok_vocab_size(got), tok_vocab_size(want));
    assert_int_equal(tok_unk(got), tok_unk(want));
    assert_int_equal(tok_bos(got), tok_bos(want));
    assert_int_equal(tok_eos(got), tok_eos(want));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_texts(got, want, texts[i], strlen(texts[i]));
    for (size_t at = 0; at < size; at += n + 1) {
        n = strcspn((const char *)golden + at, "\n");
        check_texts(got, want, (const char *)golden + at, n);
    }
    free(golden);
    gguf_close(&f);
    tok_close(got);
    tok_close(want);
}

/* ---- keys that are written here --------------------------------------------------------------------------------- */

struct keys {
    const char *architecture, *scaling, *vocabulary;
    uint32_t dim, heads, width, experts, rope_width, bos;
    float scale;
    size_t n_scores;
};

static const struct keys good = { .architecture = "llama",
                                  .vocabulary = "llama",
                                  .dim = 96,
                                  .heads = 4,
                                  .width = 256,
                                  .bos = 1,
                                  .n_scores = 4 };

/* Opens a file of keys only. */
static void make(struct gguf_file *f, const struct scratch *s, const struct keys *k)
{
    static const struct gguf_string tokens[] = { { "<unk>", 5 }, { "<s>", 3 }, { "</s>", 4 }, { "a", 1 } };
    static const float scores[] = { 0, 0, 0, -1 };
    static const int32_t kinds[] = { 2, 3, 3, 1 };
    const char *path = scratch_path(s, "x.gguf");
    struct gguf_keys keys = { 0 };
    struct gguf_writer w;
    struct err e = { 0 };

    gguf_key_string(&keys, GGUF_KEY_ARCHITECTURE, k->architecture);
    if (k->dim > 0) gguf_key_u32(&keys, "llama.embedding_length", k->dim);
    gguf_key_u32(&keys, "llama.block_count", 2);
    gguf_key_u32(&keys, "llama.attention.head_count", k->heads);
    gguf_key_u32(&keys, "llama.feed_forward_length", k->width);
    gguf_key_f32(&keys, "llama.attention.layer_norm_rms_epsilon", 1e-6f);
    if (k->rope_width > 0) gguf_key_u32(&keys, "llama.rope.dimension_count", k->rope_width);
    if (k->scaling != NULL) gguf_key_string(&keys, "llama.rope.scaling.type", k->scaling);
    if (k->scale != 0) gguf_key_f32(&keys, "llama.rope.scaling.factor", k->scale);
    if (k->experts > 0) gguf_key_u32(&keys, "llama.expert_count", k->experts);
    if (k->experts > 0) gguf_key_u32(&keys, "llama.expert_used_count", 2);
    gguf_key_string(&keys, "tokenizer.ggml.model", k->vocabulary);
    gguf_key_strings(&keys, "tokenizer.ggml.tokens", tokens, 4);
    gguf_key_f32s(&keys, "tokenizer.ggml.scores", scores, k->n_scores);
    gguf_key_i32s(&keys, "tokenizer.ggml.token_type", kinds, 4);
    gguf_key_u32(&keys, "tokenizer.ggml.bos_token_id", k->bos);
    if (gguf_writer_open(&w, path, &keys, NULL, 0, &e) != STATUS_OK ||
        gguf_writer_commit(&w, &e) != STATUS_OK || gguf_open(f, path, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    gguf_keys_free(&keys);
}

static void sizes_are_read(void **state)
{
    static const uint32_t widths[] = { 1, 48, 255, 256, 257, 300, 512, 10000 }; /* the usual rule gives 256 */
    struct scratch s;

    (void)state;
    scratch_open(&s);
    for (size_t i = 0; i < 2 * sizeof widths / sizeof *widths; i++) {
        struct keys k = good;
        struct model_config config;
        struct gguf_file f;
        struct err e = { 0 };
        const char *type;
        char *json = NULL;
        size_t size = 0;

        k.width = widths[i / 2];
        k.experts = i % 2 * 8;
        k.scaling = i % 2 ? "linear" : NULL;
        k.scale = i % 2 ? 4.0f : 0.0f;
        make(&f, &s, &k);
        if (load_gguf_type(&f, &type, &e) != STATUS_OK ||
            load_gguf_config(&f, &json, &size, &e) != STATUS_OK ||
            config_parse(&config, variant_find(type), json, size, "x", 4, NULL, &e) != STATUS_OK)
            fail_msg("%s", e.text);
        assert_string_equal(type, i % 2 ? "mixtral_sparse_ens" : "llama_ens");
        assert_int_equal(config.llama.dim, 96);
        assert_int_equal(config.llama.n_layers, 2);
        assert_int_equal(config.llama.n_heads, 4);
        assert_int_equal(config.llama.n_kv_heads, 4);
        assert_int_equal(config.llama.ffn_width, k.width);
        assert_int_equal(config.llama.n_experts, k.experts);
        assert_true(config.llama.norm_eps == 1e-6f && config.llama.rope_theta == 1e4f);
        assert_true(config.llama.rope_scale == (i % 2 ? 0.25f : 1.0f));
        free(json);
        gguf_close(&f);
    }
    scratch_close(&s);
}

static void check_refused(const struct keys *k, const char *sentence)
{
    struct tokenizer *t = NULL;
    struct gguf_file f;
    struct scratch s;
    struct err e = { 0 };
    const char *type;
    char *json = NULL;
    size_t size;

    scratch_open(&s);
    make(&f, &s, k);
    if (load_gguf_type(&f, &type, &e) == STATUS_OK && load_gguf_config(&f, &json, &size, &e) == STATUS_OK &&
        load_gguf_tokenizer(&f, &t, &e) == STATUS_OK)
        fail_msg("not refused: %s", sentence);
    if (strstr(e.text, sentence) == NULL) fail_msg("expected \"%s\", got \"%s\"", sentence, e.text);
    free(json);
    gguf_close(&f);
    scratch_close(&s);
}

static void what_is_no_such_model_is_refused(void **state)
{
    struct keys k = good;

    (void)state;
    k.architecture = "bert";
    check_refused(&k, "holds a model of the architecture bert; supported are sphinx and llama");
    k.architecture = "sphinx";
    check_refused(&k, "the key sphinx.llama_type is missing");
    k = good;
    k.dim = 0;
    check_refused(&k, "the key llama.embedding_length is missing");
    k = good;
    k.heads = 0;
    check_refused(&k, "the key llama.attention.head_count is 0; it may be 1 to");
    k = good;
    k.rope_width = 12;
    check_refused(&k, "the key llama.rope.dimension_count is 12, but heads are 24 wide");
    k = good;
    k.scaling = "yarn";
    check_refused(&k, "scaled by the rule \"yarn\"");
    k.scaling = "linear";
    check_refused(&k, "the key llama.rope.scaling.factor is missing");
    k.scale = INFINITY;
    check_refused(&k, "the key llama.rope.scaling.factor");
    k = good;
    k.vocabulary = "gpt2";
    check_refused(&k, "its vocabulary is of the kind \"gpt2\"");
    k = good;
    k.n_scores = 3;
    check_refused(&k, "its vocabulary has 4 tokens, 3 scores and 4 types");
    k = good;
    k.bos = 4;
    check_refused(&k, "the vocabulary has 4 pieces, but its special ones are 0, 4 and 2");
}

/* ---- options ---------------------------------------------------------------------------------------------------- */

static enum status describe(struct model_config *config, const struct load_options *o, struct err *e)
{
    struct checkpoint *c = NULL;
    struct tokenizer *t = NULL;
    enum status st = ckpt_open(&c, o->paths, o->n_paths, NULL, e);

    if (st == STATUS_OK) st = load_config(config, &t, o, c, e);
    tok_close(t);
    ckpt_close(c);
    return st;
}

static void options_come_first(void **state)
{
    const char *paths[] = { whole, plain };
    struct load_options o = { .paths = paths, .n_paths = 1 };
    struct model_config config;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(describe(&config, &o, &e), STATUS_OK);
    assert_string_equal(config.variant->llama_type, "llama_ens");
    assert_int_equal(config.clip.width, 16); /* the vision object came along */
    o.n_paths = 2; /* a file of the ecosystem's keys alone describes nothing if another can */
    assert_int_equal(describe(&config, &o, &e), STATUS_OK);
    assert_int_equal(config.clip.width, 16);
    o.n_paths = 1;
    o.llama_type = "llama_ens5";
    assert_int_equal(describe(&config, &o, &e), STATUS_OK);
    assert_string_equal(config.variant->llama_type, "llama_ens5");
    o.config_path = "tests/data/tiny/mixtral_sparse_ens/config.json";
    o.llama_type = "mixtral_sparse_ens";
    assert_int_equal(describe(&config, &o, &e), STATUS_OK);
    assert_int_equal(config.llama.n_experts, 4);
    o.tokenizer_path = "tests/data/no.model";
    assert_int_equal(describe(&config, &o, &e), STATUS_NOT_FOUND);
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

static void name_visit(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    char there[GGUF_NAME_MAX + 1], back[LOAD_NAME_MAX];

    (void)slot;
    if (!gguf_name_from_upstream(p->name, there, sizeof there)) fail_msg("%s is too long for GGUF", p->name);
    assert_true(gguf_name_to_upstream(there, back, sizeof back));
    assert_string_equal(back, p->name);
    ++*(int *)v->user;
}

static void all_released_names_fit(void **state)
{
    const struct variant *variant;
    int n = 0;

    (void)state;
    for (size_t i = 0; (variant = variant_at(i)) != NULL; i++) {
        struct param_visitor v = { .visit = name_visit, .user = &n };
        struct model_config config;
        struct network network;
        struct err e = { 0 };

        if (config_parse(&config, variant, NULL, 0, "", 32000, NULL, &e) != STATUS_OK ||
            network_init(&network, &config, &e) != STATUS_OK)
            fail_msg("%s", e.text);
        network.sees = true;
        network_params(&network, &v);
        network_free(&network);
    }
    assert_true(n > 8 * 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vocabulary_makes_the_same_tokenizer),
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(what_is_no_such_model_is_refused),
        cmocka_unit_test(options_come_first),
        cmocka_unit_test(all_released_names_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
