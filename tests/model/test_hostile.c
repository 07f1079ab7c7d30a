/*
 * test_hostile.c - what goes wrong between a user and an answer: each bad input gets one sentence that names it, and nothing crashes.
 *
 * A case spoils a copy of a good tiny model (or asks something bad of a good one) and states a part of the sentence expected.
 * What hostile archives, pickles and pictures can do in detail is tested beside their readers.
 */
#include "support/scratch.h"

#include "core/file.h"
#include "model/dump.h"
#include "model/synthetic.h"
#include "sphinx.h"

#include <math.h>

#define GOOD    "tests/data/tiny/llama_ens"
#define WEIGHTS "consolidated.00-of-01.model.pth"

static const char image[] = "tests/data/images/scene.png", question[] = "What is in the image?";

/* ---- a model that is spoilt ------------------------------------------------------------------------------------ */

enum spoil {
    REPLACE, /* in `file`, the first `a` by `b` */
    WRITE,   /* `file` holds just `a` */
    REMOVE,
    CUT,    /* `file` is cut to half its size */
    RENAME, /* `file` gets the name `a` */
    COPY,   /* `file` also under the name `a` */
};

struct spoilt {
    const char *file;
    enum spoil how;
    const char *a, *b;
    const char *sentence;
};

static const struct spoilt spoilt_models[] = {
    /* config.json */
    { "config.json", WRITE, "{", NULL, "config.json: not JSON" },
    { "config.json", WRITE, "", NULL, "config.json: not JSON" },
    { "config.json", WRITE, "[1, 2]", NULL, "an object was expected" },
    { "config.json", REPLACE, "\"dim\": 32", "\"dim\": 32, \"dim\": 64", "duplicate" },
    { "config.json", REPLACE, "\"dim\": 32", "\"dim\": \"32\"", "\"dim\" must be a whole number" },
    { "config.json", REPLACE, "\"dim\": 32", "\"dim\": 0", "\"dim\" must be a whole number" },
    { "config.json", REPLACE, "\"dim\": 32", "\"dim\": 4000000000", "\"dim\" must be a whole number" },
    { "config.json", REPLACE, "\"dim\": 32", "\"dim\": 64", "found" },
    { "config.json", REPLACE, "\"dim\": 32", "\"dim\": 33", "dim and n_heads" },
    { "config.json", REPLACE, "\"n_heads\": 4", "\"n_heads\": 32", "head width" },
    { "config.json", REPLACE, "\"n_kv_heads\": null", "\"n_kv_heads\": 3", "n_heads and n_kv_heads" },
    { "config.json", REPLACE, "\"multiple_of\": 16", "\"multiple_of\": -1", "\"multiple_of\"" },
    { "config.json", REPLACE, "\"norm_eps\": 1e-05", "\"norm_eps\": -1.0",
      "\"norm_eps\" must be a number above 0" },
    { "config.json", REPLACE, "\"n_layers\": 2", "\"n_layers\": 3",
      "tensors of a llama_ens are missing: layers.2." },
    { "config.json", REPLACE, "\"vision\": {", "\"vision\": 3, \"x\": {", "\"vision\" must be an object" },
    { "config.json", REPLACE, "\"clip\": {", "\"clip\": [], \"x\": {", "\"clip\" must be an object" },
    { "config.json", REPLACE, "\"quick_gelu\"", "\"tanh\"", "\"act\" must be" },
    { "config.json", REPLACE, "\"swiglu\"", "\"mlp\"", "\"ffn\" must be" },
    { "config.json", REPLACE, "\"depths\": [", "\"depths\": [9, ", "\"depths\" must be a list of four" },
    { "config.json", REPLACE, "\"view_size\": 28", "\"view_size\": 30", "view_size" },
    { "config.json", REPLACE, "\"image_size\": 64", "\"image_size\": 65", "convnext.image_size" },
    { "config.json", REPLACE, "\"image_size\": 64", "\"image_size\": 96", "ConvNeXt's map" },
    { "config.json", REPLACE, "\"queries\": 3", "\"queries\": 5", "query_tokens" },
    { "config.json", REPLACE, "\"pretrain_size\": 49", "\"pretrain_size\": 56", "pos_embed" },
    /* meta.json */
    { "meta.json", REMOVE, NULL, NULL, "no meta.json" },
    { "meta.json", WRITE, "[]", NULL, "an object was expected" },
    { "meta.json", WRITE, "{}", NULL, "\"llama_type\" is missing" },
    { "meta.json", WRITE, "{\"llama_type\": 5}", NULL, "\"llama_type\" is missing or no string" },
    { "meta.json", WRITE, "{\"llama_type\": \"llama_ens7\"}", NULL, "unknown variant \"llama_ens7\"" },
    { "meta.json", WRITE, "{\"llama_type\": \"mixtral_sparse_ens\"}", NULL, "feed_forward.gate.weight" },
    /* tokenizer.model */
    { "tokenizer.model", REMOVE, NULL, NULL, "no tokenizer.model" },
    { "tokenizer.model", WRITE, "", NULL, "tokenizer.model" },
    { "tokenizer.model", WRITE, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 499723\n",
      NULL, "git-lfs" },
    { "tokenizer.model", WRITE, "{\"model\": {}}", NULL, "tokenizer.model" },
    { "tokenizer.model", CUT, NULL, NULL, "tokenizer.model" },
    /* weights */
    { WEIGHTS, REMOVE, NULL, NULL, "no weights" },
    { WEIGHTS, WRITE, "", NULL, "empty" },
    { WEIGHTS, WRITE, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 19910000000\n", NULL,
      "git lfs pull" },
    { WEIGHTS, WRITE, "<!DOCTYPE html><html>Not found</html>", NULL, "web page" },
    { WEIGHTS, WRITE, "\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.\x80\x02M", NULL, "torch.save" },
    { WEIGHTS, WRITE, "PK\x03\x04 not really a ZIP archive at all", NULL, WEIGHTS },
    { WEIGHTS, CUT, NULL, NULL, WEIGHTS },
    { WEIGHTS, RENAME, "consolidated.01-of-02.model.pth", NULL, "consolidated.00-of-02.model.pth" },
    { WEIGHTS, RENAME, "consolidated.00-of-01.model-diff.pth", NULL, "diff" },
    { WEIGHTS, COPY, "consolidated.00.pth", NULL, "two kinds of checkpoint" },
    { WEIGHTS, COPY, "model.safetensors", NULL, "two kinds of checkpoint" },
};

static void write_text(const char *path, const char *text)
{
    scratch_write(path, text, strlen(text));
}

static void copy_file(const char *from, const char *to)
{
    struct err e = { 0 };
    unsigned char *data;
    size_t size;

    if (file_read(from, 16 << 20, &data, &size, &e) != STATUS_OK) fail_msg("%s", e.text);
    scratch_write(to, data, size);
    free(data);
}

static void copy_model(const char *from, const char *folder)
{
    static const char *const names[] = { "config.json", "meta.json", "tokenizer.model", WEIGHTS,
                                         "model.safetensors" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *source = path_join(from, names[i]), *target = path_join(folder, names[i]);

        if (file_exists(source)) copy_file(source, target);
        free(source);
        free(target);
    }
}

static void replace(const char *path, const char *a, const char *b)
{
    struct err e = { 0 };
    unsigned char *data;
    size_t size, before;
    char *at, *out;

    assert_int_equal(file_read(path, 1 << 20, &data, &size, &e), STATUS_OK);
    at = strstr((char *)data, a);
    if (at == NULL) fail_msg("%s holds no %s to be replaced", path, a);
    before = (size_t)(at - (char *)data);
    out = malloc(size + strlen(b) + 1);
    assert_non_null(out);
    snprintf(out, size + strlen(b) + 1, "%.*s%s%s", (int)before, (char *)data, b, at + strlen(a));
    write_text(path, out);
    free(out);
    free(data);
}

static void cut(const char *path)
{
    struct err e = { 0 };
    unsigned char *data;
    size_t size;

    assert_int_equal(file_read(path, 16 << 20, &data, &size, &e), STATUS_OK);
    scratch_write(path, data, size / 2);
    free(data);
}

static void spoil(const char *folder, const struct spoilt *s)
{
    char *path = path_join(folder, s->file), *other = s->a != NULL ? path_join(folder, s->a) : NULL;

    switch (s->how) {
    case REPLACE: replace(path, s->a, s->b); break;
    case WRITE: write_text(path, s->a); break;
    case REMOVE: assert_int_equal(remove(path), 0); break;
    case CUT: cut(path); break;
    case RENAME: assert_int_equal(rename(path, other), 0); break;
    case COPY: copy_file(path, other); break;
    }
    free(path);
    free(other);
}

/* One line, no newline, the expected part in it. */
static void check_sentence(const char *what, const char *text, const char *part)
{
    if (strstr(text, part) == NULL) fail_msg("%s: expected \"%s\" in \"%s\"", what, part, text);
    if (strchr(text, '\n') != NULL || text[0] == '\0') fail_msg("%s: not one sentence: \"%s\"", what, text);
}

static void test_spoilt_models(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof spoilt_models / sizeof *spoilt_models; i++) {
        const struct spoilt *s = &spoilt_models[i];
        struct scratch scratch;
        sphinx_error error = { 0 };
        sphinx_model *model;
        const char *folder;

        scratch_open(&scratch);
        folder = scratch_folder(&scratch, "model");
        copy_model(GOOD, folder);
        spoil(folder, s);
        if (sphinx_model_open(&model, &folder, 1, NULL, &error) == SPHINX_OK)
            fail_msg("case %zu was accepted", i);
        assert_null(model);
        check_sentence(s->file, error.text, s->sentence);
        scratch_close(&scratch);
    }
}

/* ---- weights that are no numbers --------------------------------------------------------------------------------- */

/* Overwrites the first bytes of a tensor's data in a safetensors file, found by the offset in its header. */
static void poison(const char *path, const char *name, float value)
{
    char key[160];
    struct err e = { 0 };
    unsigned char *data, *at;
    unsigned long long header, offset;
    size_t size;

    assert_int_equal(file_read(path, 16 << 20, &data, &size, &e), STATUS_OK);
    memcpy(&header, data, sizeof header);
    snprintf(key, sizeof key, "\"llma.%s\"", name);
    at = (unsigned char *)strstr((char *)data + 8, key);
    assert_non_null(at);
    at = (unsigned char *)strstr((char *)at, "\"data_offsets\":[");
    assert_non_null(at);
    offset = strtoull((char *)at + strlen("\"data_offsets\":["), NULL, 10);
    memcpy(data + 8 + header + offset, &value, sizeof value);
    scratch_write(path, data, size);
    free(data);
}

static void test_not_finite(void **state)
{
    static const char *const names[] = { "dinov2_vitg14.norm.weight", "layers.1.feed_forward.w2.weight",
                                         "norm.weight" };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct scratch scratch;
        sphinx_error error = { 0 };
        sphinx_session *session;
        sphinx_answer *answer = NULL;
        sphinx_model *model;
        const char *folder;
        sphinx_status st;
        char *path;

        scratch_open(&scratch);
        folder = scratch_folder(&scratch, "model");
        copy_model("tests/data/tiny/llama_ens-safetensors", folder);
        path = path_join(folder, "model.safetensors");
        poison(path, names[i], i == 1 ? INFINITY : NAN);
        if (sphinx_model_open(&model, &folder, 1, NULL, &error) != SPHINX_OK) fail_msg("%s", error.text);
        assert_int_equal(sphinx_session_open(&session, model, NULL, &error), SPHINX_OK);
        st = sphinx_session_image_file(session, image, &error);
        if (st == SPHINX_OK) st = sphinx_ask(session, question, NULL, &answer, &error);
        assert_int_equal(st, SPHINX_NUMERIC);
        check_sentence("not finite", error.text, names[i]);
        assert_null(answer);
        sphinx_session_close(session);
        sphinx_model_close(model);
        free(path);
        scratch_close(&scratch);
    }
}

/* ---- bad pictures ---------------------------------------------------------------------------------------------- */

struct picture {
    const char *name;
    const char *bytes;
    size_t size;
    const char *sentence;
};

#define BYTES(s) s, sizeof s - 1

static const struct picture pictures[] = {
    { "empty.png", BYTES(""), "empty" },
    { "text.jpg", BYTES("this is no picture"), "text.jpg" },
    { "lfs.png", BYTES("version https://git-lfs.github.com/spec/v1\n"), "lfs.png" },
    { "cut.jpg", BYTES("\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"), "cut.jpg" },
    { "cut.png", BYTES("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x08"), "cut.png" },
    { "bomb.ppm", BYTES("P6\n10000 10000\n255\n"), "bomb.ppm" },
    { "long.ppm", BYTES("P6\n1 30000\n255\nxyz"), "long.ppm" },
    { "zero.ppm", BYTES("P6\n0 5\n255\n"), "zero.ppm" },
    { "huge.bmp",
      BYTES(
          "BM\x36\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00\xff\xff\xff\x7f\xff\xff\xff\x7f"
          "\x01\x00\x18\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
          "\x00\x00\x00\x00"),
      "huge.bmp" },
    { "none.gif", BYTES("GIF89a\x05\x00\x05\x00\x00\x00\x00;"), "none.gif" },
    { "phone.heic",
      BYTES("\x00\x00\x00\x18"
            "ftypheic\x00\x00\x00\x00mif1heic"),
      "phone.heic" },
    { "cut.webp", BYTES("RIFF\x24\x00\x00\x00WEBPVP8 "), "cut.webp" },
};

static void test_bad_pictures(void **state)
{
    const char *path = GOOD;
    sphinx_error error = { 0 };
    sphinx_session *session;
    sphinx_model *model;
    struct scratch scratch;

    (void)state;
    scratch_open(&scratch);
    assert_int_equal(sphinx_model_open(&model, &path, 1, NULL, &error), SPHINX_OK);
    assert_int_equal(sphinx_session_open(&session, model, NULL, &error), SPHINX_OK);
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++) {
        const char *file = scratch_path(&scratch, pictures[i].name);

        scratch_write(file, pictures[i].bytes, pictures[i].size);
        if (sphinx_session_image_file(session, file, &error) == SPHINX_OK)
            fail_msg("%s was accepted", pictures[i].name);
        check_sentence(pictures[i].name, error.text, pictures[i].sentence);
    }
    assert_int_equal(sphinx_session_image_file(session, scratch.path, &error), SPHINX_IO);
    check_sentence("a folder", error.text, "is a directory");
    assert_int_equal(sphinx_session_image_file(session, scratch_path(&scratch, "none.png"), &error),
                     SPHINX_NOT_FOUND);
    check_sentence("no file", error.text, "none.png");
    sphinx_session_close(session);
    sphinx_model_close(model);
    scratch_close(&scratch);
}

/* ---- output that cannot be written --------------------------------------------------------------------------------- */

static void test_unwritable(void **state)
{
    const char *path = GOOD;
    struct synthetic_options o = { .llama_type = "llama_ens",
                                   .shards = 1,
                                   .dtype = DTYPE_F32,
                                   .config_path = GOOD "/config.json",
                                   .tokenizer_path = GOOD "/tokenizer.model" };
    struct dump_options dump = { image, question, "tests/data/no/such/folder/out", false };
    sphinx_error error = { 0 };
    sphinx_session *session;
    sphinx_answer *answer;
    sphinx_model *model;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(sphinx_model_open(&model, &path, 1, NULL, &error), SPHINX_OK);
    assert_int_equal(sphinx_session_open(&session, model, NULL, &error), SPHINX_OK);
    assert_int_not_equal(dump_write(session, &dump, &e), STATUS_OK);
    check_sentence("dump", e.text, "no/such/folder");
    assert_int_equal(sphinx_ask(session, question, NULL, &answer, &error), SPHINX_OK);
    assert_int_not_equal(sphinx_answer_draw(session, answer, "tests/data/no/such/x.png", true, &error),
                         SPHINX_OK);
    check_sentence("draw", error.text, "no/such");
    sphinx_answer_free(answer);
    sphinx_session_close(session);
    sphinx_model_close(model);

    err_clear(&e);
    assert_int_not_equal(synthetic_write("tests/data/no/such/folder", &o, &e), STATUS_OK);
    check_sentence("init", e.text, "no/such/folder");
    o.shards = 3;
    err_clear(&e);
    assert_int_equal(synthetic_write("tests/data/no", &o, &e), STATUS_BAD_ARGUMENT);
    check_sentence("init", e.text, "3 shards do not divide");
    o.llama_type = "gpt";
    err_clear(&e);
    assert_int_equal(synthetic_write("tests/data/no", &o, &e), STATUS_BAD_ARGUMENT);
    check_sentence("init", e.text, "unknown variant \"gpt\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_spoilt_models),
                                        cmocka_unit_test(test_not_finite),
                                        cmocka_unit_test(test_bad_pictures),
                                        cmocka_unit_test(test_unwritable) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
