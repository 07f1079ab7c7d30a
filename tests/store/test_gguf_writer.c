/*
 * test_gguf_writer.c - what is written reads back, whatever the steps it came in; what cannot be written is refused and leaves the
 * old file; the names of tensors, both ways.
 */
#include "store/gguf_writer.h"

#include <signal.h>
#include <sys/resource.h>

#include "store/gguf_names.h"
#include "support/scratch.h"

static const struct tensor_spec specs[] = {
    { "blk.0.attn_q.weight", DTYPE_F32, 2, { 3, 5 } },
    { "empty", DTYPE_F16, 2, { 0, 4 } },
    { "q8", DTYPE_Q8_0, 3, { 2, 1, 64 } },
    { "one", DTYPE_F64, 0, { 0 } },
    { "q4", DTYPE_Q4_K, 1, { 256 } },
    { "i", DTYPE_I16, 1, { 7 } },
    { "b", DTYPE_BF16, 4, { 1, 2, 3, 4 } },
};

enum { N_SPECS = sizeof specs / sizeof *specs, DATA_BYTES = 3 * 5 * 4 + 4 * 34 + 8 + 144 + 14 + 48 };

static void add_keys(struct gguf_keys *k)
{
    static const struct gguf_string strings[] = { { "one", 3 }, { "", 0 }, { "\0two", 4 } };
    static const float floats[] = { -1.5f, 1e30f };
    static const int32_t ints[] = { -1, INT32_MAX };

    gguf_key_string(k, "general.architecture", "llama");
    gguf_key_u32(k, "u32", UINT32_MAX);
    gguf_key_f32(k, "f32", -0.5f);
    gguf_key_bool(k, "yes", true);
    gguf_key_bool(k, "no", false);
    gguf_key_bytes(k, "bytes", "\0\1\2", 3);
    gguf_key_bytes(k, "nothing", NULL, 0);
    gguf_key_f32s(k, "floats", floats, 2);
    gguf_key_i32s(k, "ints", ints, 2);
    gguf_key_strings(k, "strings", strings, 3);
}

static void check_keys(const struct gguf_file *f)
{
    const struct gguf_value *v;
    struct gguf_string s;
    struct err e = { 0 };
    uint32_t n = 0;
    float x = 0;
    bool yes = false, no = true;
    size_t at = 0;

    assert_int_equal(f->n_values, 11);
    assert_int_equal(gguf_get_u32(f, "general.alignment", &n, &e), STATUS_OK);
    assert_int_equal(n, 32);
    assert_int_equal(gguf_get_u32(f, "u32", &n, &e), STATUS_OK);
    assert_int_equal(n, UINT32_MAX);
    assert_int_equal(gguf_get_f32(f, "f32", &x, &e), STATUS_OK);
    assert_true(x == -0.5f);
    assert_int_equal(gguf_get_bool(f, "yes", &yes, &e), STATUS_OK);
    assert_int_equal(gguf_get_bool(f, "no", &no, &e), STATUS_OK);
    assert_true(yes && !no);
    assert_int_equal(gguf_get_string(f, "general.architecture", &s, &e), STATUS_OK);
    assert_true(s.size == 5 && memcmp(s.bytes, "llama", 5) == 0);
    assert_int_equal(gguf_get_array(f, "bytes", GGUF_U8, &v, &e), STATUS_OK);
    assert_true(v->count == 3 && memcmp(v->data, "\0\1\2", 3) == 0);
    assert_int_equal(gguf_get_array(f, "nothing", GGUF_U8, &v, &e), STATUS_OK);
    assert_int_equal(v->count, 0);
    assert_int_equal(gguf_get_array(f, "floats", GGUF_F32, &v, &e), STATUS_OK);
    assert_true(v->count == 2 && gguf_f32_at(v, 0) == -1.5f && gguf_f32_at(v, 1) == 1e30f);
    assert_int_equal(gguf_get_array(f, "ints", GGUF_I32, &v, &e), STATUS_OK);
    assert_true(v->count == 2 && gguf_i32_at(v, 0) == -1 && gguf_i32_at(v, 1) == INT32_MAX);
    assert_int_equal(gguf_get_array(f, "strings", GGUF_STRING, &v, &e), STATUS_OK);
    for (int i = 0; i < 3; i++) assert_true(gguf_string_next(v, &at, &s));
    assert_true(s.size == 4 && memcmp(s.bytes, "\0two", 4) == 0);
}

static void check_tensors(const struct gguf_file *f, const unsigned char *data)
{
    assert_int_equal(f->count, N_SPECS);
    for (size_t i = 0; i < N_SPECS; i++) {
        const struct tensor_spec *want = &specs[i];
        const struct raw_tensor *t = NULL;
        size_t bytes = 0;

        for (size_t k = 0; k < f->count && t == NULL; k++) {
            if (strcmp(f->tensors[k].name, want->name) == 0) t = &f->tensors[k];
        }
        assert_non_null(t);
        assert_int_equal(t->dtype, want->dtype);
        assert_int_equal(t->n_dims, want->n_dims);
        assert_memory_equal(t->dim, want->dim, (size_t)want->n_dims * sizeof *want->dim);
        assert_int_equal(((const unsigned char *)t->data - f->map.data) % 32, 0);
        assert_true(shape_bytes(t->dtype, t->dim, t->n_dims, &bytes));
        if (bytes > 0) assert_memory_equal(t->data, data, bytes);
        data += bytes;
    }
}

static void written_is_read(void **state)
{
    static const size_t steps[] = { 1, 7, 33, DATA_BYTES };
    unsigned char data[DATA_BYTES];
    struct gguf_keys keys = { 0 };
    struct scratch s;
    struct err e = { 0 };

    (void)state;
    scratch_open(&s);
    add_keys(&keys);
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i * 7);
    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
        const char *path = scratch_path(&s, "x.gguf");
        struct gguf_writer w;
        struct gguf_file f;
        enum status st = gguf_writer_open(&w, path, &keys, specs, N_SPECS, &e);

        for (size_t at = 0; at < sizeof data && st == STATUS_OK; at += steps[k]) {
            size_t n = sizeof data - at < steps[k] ? sizeof data - at : steps[k];

            st = gguf_writer_put(&w, data + at, n, &e);
        }
        if (st == STATUS_OK) st = gguf_writer_commit(&w, &e);
        if (st == STATUS_OK) st = gguf_open(&f, path, &e);
        if (st != STATUS_OK) fail_msg("%s", e.text);
        assert_int_equal(f.version, 3);
        check_keys(&f);
        check_tensors(&f, data);
        gguf_close(&f);
    }
    gguf_keys_free(&keys);
    scratch_close(&s);
}

/* ---- refusals ------------------------------------------------------------------------------------------------- */

#define NAME_63 "a23456789.b23456789.c23456789.d23456789.e23456789.f23456789.g23"

static void check_refused(struct gguf_keys *keys, const struct tensor_spec *tensors, size_t n,
                          const char *sentence)
{
    struct gguf_writer w;
    struct scratch s;
    struct err e = { 0 };

    scratch_open(&s);
    if (gguf_writer_open(&w, scratch_path(&s, "x.gguf"), keys, tensors, n, &e) != STATUS_BAD_ARGUMENT)
        fail_msg("not refused: %s", sentence);
    if (strstr(e.text, sentence) == NULL) fail_msg("expected \"%s\", got \"%s\"", sentence, e.text);
    assert_int_not_equal(access(scratch_path(&s, "x.gguf"), F_OK), 0);
    gguf_keys_free(keys);
    scratch_close(&s);
}

static void what_gguf_lacks_is_refused(void **state)
{
    static const struct {
        struct tensor_spec spec;
        const char *sentence;
    } bad[] = {
        { { "", DTYPE_F32, 1, { 1 } }, "its name is 0 bytes long, GGUF takes 1 to 63" },
        { { NAME_63 "4", DTYPE_F32, 1, { 1 } }, "its name is 64 bytes long" },
        { { "x", DTYPE_U8, 1, { 1 } }, "cannot write tensor x: GGUF has no type u8" },
        { { "x", DTYPE_BOOL, 1, { 1 } }, "GGUF has no type bool" },
        { { "x", DTYPE_F32, 5, { 1, 1, 1, 1, 1 } }, "shape [1, 1, 1, 1, 1] has more than 4 dimensions" },
        { { "x", DTYPE_F32, 2, { INT64_MAX, 2 } }, "is too large" },
        { { "x", DTYPE_F32, 1, { -1 } }, "is too large" },
        { { "x", DTYPE_Q4_0, 2, { 2, 16 } }, "its rows are not whole blocks" },
    };
    static const struct tensor_spec twice[] = { { "x", DTYPE_F32, 1, { 1 } }, { "x", DTYPE_F32, 1, { 1 } } };
    static const struct tensor_spec huge[] = { { "x", DTYPE_I8, 1, { INT64_MAX - 32 } },
                                               { "y", DTYPE_I8, 1, { INT64_MAX - 32 } } };
    struct gguf_keys keys = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_refused(&keys, &bad[i].spec, 1, bad[i].sentence);
    check_refused(&keys, twice, 2, "tensor x is given twice");
    check_refused(&keys, huge, 2, "its tensors are too large for one file");
    gguf_key_u32(&keys, "k", 1);
    gguf_key_bool(&keys, "k", true);
    check_refused(&keys, NULL, 0, "cannot write key \"k\"");
    gguf_key_u32(&keys, "general.alignment", 64);
    check_refused(&keys, NULL, 0, "cannot write key \"general.alignment\"");
    gguf_key_u32(&keys, "", 64);
    check_refused(&keys, NULL, 0, "cannot write key \"\"");
}

static void check_old(const char *path)
{
    char text[16] = "";
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    assert_int_equal(fread(text, 1, sizeof text, f), 3);
    assert_memory_equal(text, "old", 3);
    fclose(f);
}

static void failed_writing_keeps_the_old_file(void **state)
{
    static const struct tensor_spec spec = { NAME_63, DTYPE_F32, 2, { 1 << 10, 1 << 10 } };
    const struct rlimit small = { 1 << 20, RLIM_INFINITY };
    unsigned char *data = calloc(1, 4 << 20);
    struct gguf_keys keys = { 0 };
    struct gguf_writer w;
    struct scratch s;
    struct rlimit before;
    const char *path;
    struct err e = { 0 };
    enum status st;

    (void)state;
    assert_non_null(data);
    scratch_open(&s);
    path = scratch_path(&s, "x.gguf");
    scratch_write(path, "old", 3);
    assert_int_equal(gguf_writer_open(&w, path, &keys, &spec, 1, &e),
                     STATUS_OK); /* a name of 63 bytes is well */
    assert_int_equal(gguf_writer_put(&w, data, 100, &e), STATUS_OK);
    assert_int_equal(gguf_writer_commit(&w, &e), STATUS_BAD_ARGUMENT);
    assert_non_null(strstr(e.text, "the last 4194204 bytes of its tensors were not given"));
    check_old(path);
    err_clear(&e);
    assert_int_equal(gguf_writer_open(&w, path, &keys, &spec, 1, &e), STATUS_OK);
    assert_int_equal(gguf_writer_put(&w, data, 4 << 20, &e), STATUS_OK);
    assert_int_equal(gguf_writer_put(&w, data, 5, &e), STATUS_BAD_ARGUMENT);
    assert_non_null(strstr(e.text, "5 bytes more than its tensors have"));
    gguf_writer_abort(&w);
    check_old(path);

    /* As on a full disk: writing fails in the middle. */
    err_clear(&e);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    st = gguf_writer_open(&w, path, &keys, &spec, 1, &e);
    if (st == STATUS_OK) st = gguf_writer_put(&w, data, 4 << 20, &e);
    if (st == STATUS_OK)
        st = gguf_writer_commit(&w, &e);
    else
        gguf_writer_abort(&w);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(st, STATUS_IO);
    check_old(path);
    scratch_close(&s);
    free(data);
}

/* ---- names ---------------------------------------------------------------------------------------------------- */

static void names_go_both_ways(void **state)
{
    static const char *const pairs[][2] = {
        { "tok_embeddings.weight", "token_embd.weight" },
        { "norm.weight", "output_norm.weight" },
        { "output.weight", "output.weight" },
        { "layers.0.attention_norm.weight", "blk.0.attn_norm.weight" },
        { "layers.39.attention.wq.weight", "blk.39.attn_q.weight" },
        { "layers.7.attention.wk.weight", "blk.7.attn_k.weight" },
        { "layers.7.attention.wv.weight", "blk.7.attn_v.weight" },
        { "layers.7.attention.wo.weight", "blk.7.attn_output.weight" },
        { "layers.7.ffn_norm.weight", "blk.7.ffn_norm.weight" },
        { "layers.7.feed_forward.w1.weight", "blk.7.ffn_gate.weight" },
        { "layers.7.feed_forward.w2.weight", "blk.7.ffn_down.weight" },
        { "layers.7.feed_forward.w3.weight", "blk.7.ffn_up.weight" },
        { "layers.7.feed_forward.gate.weight", "blk.7.ffn_gate_inp.weight" },
        { "layers.7.feed_forward.w1", "blk.7.ffn_gate_exps.weight" },
        { "layers.7.feed_forward.w2", "layers.7.feed_forward.w2" },
        { "layers.7.feed_forward.w3", "blk.7.ffn_up_exps.weight" },
        { "qformer.qformer.encoder.layer.10.crossattention.attention.query.weight",
          "qformer.layer.10.crossattention.attention.query.weight" },
        { "qformer.vision_model.encoder.layers.38.self_attn.projection.weight",
          "qformer.vision.38.self_attn.projection.weight" },
        { "clip.visual.transformer.resblocks.23.attn.in_proj_weight",
          "clip.visual.transformer.resblocks.23.attn.in_proj_weight" },
        { "layers.x.attention.wq.weight", "layers.x.attention.wq.weight" },
        { "layers.7.other", "layers.7.other" },
        { "start_img", "start_img" },
    };
    char text[128];

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_true(gguf_name_from_upstream(pairs[i][0], text, GGUF_NAME_MAX + 1));
        assert_string_equal(text, pairs[i][1]);
        assert_true(gguf_name_to_upstream(pairs[i][1], text, sizeof text));
        assert_string_equal(text, pairs[i][0]);
    }
    assert_false(gguf_name_from_upstream(NAME_63 "4", text, GGUF_NAME_MAX + 1));
    assert_true(gguf_name_is_experts("blk.3.ffn_down_exps.weight"));
    assert_true(gguf_name_is_experts("blk.3.ffn_up_exps.weight"));
    assert_false(gguf_name_is_experts("blk.3.ffn_up.weight"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_is_read),
        cmocka_unit_test(what_gguf_lacks_is_refused),
        cmocka_unit_test(failed_writing_keeps_the_old_file),
        cmocka_unit_test(names_go_both_ways),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
