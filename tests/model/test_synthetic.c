/*
 * test_synthetic.c - checkpoints of random weights: one model, however it is written; and complete in the eyes of the loader.
 */
#include "support/scratch.h"

#include "core/file.h"
#include "model/dump.h"
#include "model/synthetic.h"
#include "sphinx.h"

#define TINY "tests/data/tiny/"

static void dump_to(const char *folder, const char *out)
{
    struct dump_options dump = { "tests/data/images/scene.png", "What is in the image?", out, true };
    sphinx_error error = { 0 };
    sphinx_session *session;
    sphinx_model *model;
    struct err e = { 0 };

    if (sphinx_model_open(&model, &folder, 1, NULL, &error) != SPHINX_OK) fail_msg("%s", error.text);
    assert_int_equal(sphinx_session_open(&session, model, NULL, &error), SPHINX_OK);
    if (dump_write(session, &dump, &e) != STATUS_OK) fail_msg("%s", e.text);
    sphinx_session_close(session);
    sphinx_model_close(model);
}

static void write_and_dump(const struct synthetic_options *o, const char *folder, const char *out)
{
    struct err e = { 0 };

    if (synthetic_write(folder, o, &e) != STATUS_OK) fail_msg("%s", e.text);
    dump_to(folder, out);
}

static void assert_files(const char *a, const char *b, bool same)
{
    struct file_map x, y;
    struct err e = { 0 };

    assert_int_equal(file_map_open(&x, a, &e), STATUS_OK);
    assert_int_equal(file_map_open(&y, b, &e), STATUS_OK);
    assert_int_equal(x.size, y.size);
    assert_true((memcmp(x.data, y.data, x.size) == 0) == same);
    file_map_close(&x);
    file_map_close(&y);
}

/* One shard, two shards, safetensors: the same numbers through the whole model; another seed: others. */
static void check(const char *llama_type, const char *config, enum dtype dtype)
{
    struct synthetic_options o = { .llama_type = llama_type,
                                   .config_path = config,
                                   .shards = 1,
                                   .dtype = dtype,
                                   .seed = 11,
                                   .tokenizer_path = "tests/data/tokenizer.model" };
    struct scratch scratch;
    const char *one;

    scratch_open(&scratch);
    one = scratch_path(&scratch, "one.safetensors");
    write_and_dump(&o, scratch_path(&scratch, "one"), one);
    o.shards = 2;
    write_and_dump(&o, scratch_path(&scratch, "two"), scratch_path(&scratch, "two.safetensors"));
    assert_files(one, scratch_path(&scratch, "two.safetensors"), true);
    one = scratch_path(&scratch, "one.safetensors");
    o.shards = 1;
    o.safetensors = true;
    write_and_dump(&o, scratch_path(&scratch, "st"), scratch_path(&scratch, "st.safetensors"));
    assert_files(one, scratch_path(&scratch, "st.safetensors"), true);
    o.seed = 12;
    write_and_dump(&o, scratch_path(&scratch, "other"), scratch_path(&scratch, "other.safetensors"));
    assert_files(scratch_path(&scratch, "one.safetensors"), scratch_path(&scratch, "other.safetensors"),
                 false);
    scratch_close(&scratch);
}

static void test_layouts(void **state)
{
    (void)state;
    check("llama_ens", TINY "llama_ens/config.json", DTYPE_F32);
    check("llama_ens5_light", TINY "llama_ens5_light/config.json", DTYPE_BF16);
    check("mixtral_sparse_ens", TINY "mixtral_sparse_ens/config.json", DTYPE_F16);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_layouts) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
