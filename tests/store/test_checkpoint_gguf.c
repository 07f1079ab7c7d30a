/*
 * test_checkpoint_gguf.c - a GGUF file as a checkpoint: upstream's names, blocks shared out to ranks, experts in either form, other
 * paths on top of it.
 */
#include "store/checkpoint.h"

#include <math.h>

#include "store/gguf_writer.h"
#include "store/torch_writer.h"
#include "support/scratch.h"

enum { E = 2, F = 64, D = 96, ELEMENTS_MAX = E * F * D };

/* Quarters with one large value in every block of 32: exact in q8_0 too, whose step is then 1/4. */
static float value(int64_t i)
{
    return i % 32 == 5 ? 31.75f : (float)((i * 37 + i / 96) % 101 - 50) / 4;
}

static const struct tensor_spec specs[] = {
    { "blk.0.attn_q.weight", DTYPE_Q8_0, 2, { F, D } },
    { "blk.0.ffn_down_exps.weight", DTYPE_F32, 3, { E, D, F } },
    { "blk.0.ffn_gate_exps.weight", DTYPE_Q8_0, 3, { E, F, D } },
    { "blk.0.ffn_norm.weight", DTYPE_F16, 1, { D } },
    { "blk.1.ffn_down_exps.weight", DTYPE_Q8_0, 3, { E, D, F } },
    { "qformer.layer.0.output.dense.bias", DTYPE_F32, 1, { D } },
};

enum { N_SPECS = sizeof specs / sizeof *specs };

/* Element i of the file is value(i). */
static void gguf_write(const char *path, const struct tensor_spec *tensors, size_t n,
                       const struct gguf_keys *keys)
{
    static const struct gguf_keys none;
    float *x = malloc(ELEMENTS_MAX * sizeof *x), *stored = malloc(ELEMENTS_MAX * sizeof *stored);
    struct gguf_writer w;
    struct err e = { 0 };
    enum status st = gguf_writer_open(&w, path, keys != NULL ? keys : &none, tensors, n, &e);

    assert_true(x != NULL && stored != NULL);
    for (int64_t i = 0; i < ELEMENTS_MAX; i++) x[i] = value(i);
    for (size_t i = 0; i < n && st == STATUS_OK; i++) {
        size_t count = 0;

        assert_true(shape_elements(tensors[i].dim, tensors[i].n_dims, &count) && count <= ELEMENTS_MAX);
        dtype_info(tensors[i].dtype)->from_f32(stored, x, count);
        st = gguf_writer_put(&w, stored, dtype_bytes(tensors[i].dtype, count), &e);
    }
    if (st == STATUS_OK) st = gguf_writer_commit(&w, &e);
    if (st != STATUS_OK) fail_msg("%s", e.text);
    free(stored);
    free(x);
}

static struct checkpoint *open_paths(const char *const *paths, int n)
{
    struct checkpoint *c;
    struct err e = { 0 };

    if (ckpt_open(&c, paths, n, NULL, &e) != STATUS_OK) fail_msg("%s", e.text);
    return c;
}

static void check_open_refused(const char *const *paths, int n, const char *sentence)
{
    struct checkpoint *c;
    struct err e = { 0 };

    if (ckpt_open(&c, paths, n, NULL, &e) == STATUS_OK) fail_msg("not refused: %s", sentence);
    if (strstr(e.text, sentence) == NULL) fail_msg("expected \"%s\", got \"%s\"", sentence, e.text);
}

/* rows x columns of t are value(first + row * row_step + column * column_step). */
static void check_values(const struct tensor *t, int64_t first, int64_t row_step, int64_t column_step)
{
    int64_t n = tensor_columns(t);
    float x[D];

    assert_true(n <= D);
    for (int64_t r = 0; r < tensor_rows(t); r++) {
        tensor_row_f32(t, r, 0, n, x);
        for (int64_t i = 0; i < n; i++) {
            float want = value(first + r * row_step + i * column_step);

            if (!(fabsf(x[i] - want) <= 1e-6f)) {
                fail_msg("row %d, column %d is %g, expected %g", (int)r, (int)i, (double)x[i], (double)want);
            }
        }
    }
}

static void names_are_upstreams(void **state)
{
    static const char *const names[] = {
        "layers.0.attention.wq.weight",    "layers.0.feed_forward.w1",
        "layers.0.feed_forward.w2_turned", "layers.0.ffn_norm.weight",
        "layers.1.feed_forward.w2_turned", "qformer.qformer.encoder.layer.0.output.dense.bias"
    };
    struct checkpoint *c;
    struct scratch s;
    const char *from[3];

    (void)state;
    scratch_open(&s);
    from[0] = scratch_path(&s, "x.gguf");
    from[1] = scratch_path(&s, "sha256-0123"); /* told by its first bytes */
    from[2] = s.path;
    for (int i = 0; i < 2; i++) gguf_write(from[i], specs, N_SPECS, NULL);
    for (int i = 0; i < 3; i++) {
        c = open_paths(&from[i], 1);
        assert_int_equal(ckpt_path_format(c, 0), CKPT_GGUF);
        assert_non_null(gguf_find(ckpt_gguf(c, 0), "general.alignment"));
        assert_int_equal(ckpt_count(c), N_SPECS);
        for (size_t k = 0; k < N_SPECS; k++) assert_string_equal(ckpt_entry(c, k)->name, names[k]);
        ckpt_close(c);
    }
    scratch_close(&s);
}

static void blocks_are_shared_out(void **state)
{
    static const struct ckpt_rule rows = { CKPT_ROWS, 0, 2, { F, D } },
                                  columns = { CKPT_COLUMNS, 0, 2, { F, D } };
    static const char name[] = "layers.0.attention.wq.weight";
    struct checkpoint *c;
    struct scratch s;
    struct tensor t;
    struct err e = { 0 };
    const char *path;

    (void)state;
    scratch_open(&s);
    path = scratch_path(&s, "x.gguf");
    gguf_write(path, specs, N_SPECS, NULL);
    c = open_paths(&path, 1);
    for (int rank = 0; rank < 4; rank++) {
        assert_int_equal(ckpt_tensor(c, name, &rows, rank, 4, &t, &e), STATUS_OK);
        assert_int_equal(t.dtype, DTYPE_Q8_0);
        assert_true(t.dim[0] == F / 4 && t.dim[1] == D && t.pieces == NULL);
        check_values(&t, rank * (F / 4) * D, D, 1);
    }
    for (int rank = 0; rank < 3; rank++) {
        assert_int_equal(ckpt_tensor(c, name, &columns, rank, 3, &t, &e), STATUS_OK);
        assert_true(t.dim[0] == F && t.dim[1] == D / 3 && t.pieces == NULL);
        check_values(&t, rank * (D / 3), D, 1);
    }
    assert_int_equal(ckpt_tensor(c, name, &columns, 0, 2, &t, &e), STATUS_UNSUPPORTED);
    assert_non_null(strstr(
        e.text, "pieces of 48 columns for 1 shards and 2 ranks would cut through the blocks of 32 of q8_0"));
    ckpt_close(c);
    scratch_close(&s);
}

static void experts_come_in_either_form(void **state)
{
    static const struct ckpt_rule rule = { CKPT_EXPERT_ROWS, E, 2, { E * F, D } },
                                  turned = { CKPT_COLUMNS, E, 2, { E * D, F } },
                                  other = { CKPT_EXPERT_ROWS, 4, 2, { E * F, D } };
    struct checkpoint *c;
    struct scratch s;
    struct tensor t;
    struct err e = { 0 };
    const char *path;

    (void)state;
    scratch_open(&s);
    path = scratch_path(&s, "x.gguf");
    gguf_write(path, specs, N_SPECS, NULL);
    c = open_paths(&path, 1);
    assert_int_equal(ckpt_tensor(c, "layers.0.feed_forward.w1", &rule, 0, 1, &t, &e), STATUS_OK);
    assert_true(t.n_dims == 2 && t.dim[0] == E * F && t.dim[1] == D);
    check_values(&t, 0, D, 1);
    for (int x = 0; x < E; x++) {
        assert_int_equal(ckpt_expert(c, "layers.0.feed_forward.w1", &rule, x, 1, 2, &t, &e), STATUS_OK);
        assert_int_equal(t.dim[0], F / 2);
        check_values(&t, (x * F + F / 2) * D, D, 1);
        for (int layer = 0; layer < 2; layer++) { /* of float32, and of blocks */
            char name[64];

            snprintf(name, sizeof name, "layers.%d.feed_forward.w2_turned", layer);
            assert_int_equal(ckpt_expert(c, name, &turned, x, 1, 2, &t, &e), STATUS_OK);
            assert_true(t.dim[0] == D && t.dim[1] == F / 2 && t.pieces == NULL);
            check_values(&t, x * D * F + F / 2, F, 1);
        }
    }
    assert_int_equal(ckpt_tensor(c, "layers.1.feed_forward.w2_turned", &turned, 0, 1, &t, &e), STATUS_OK);
    assert_true(t.dim[0] == E * D && t.dim[1] == F);
    check_values(&t, 0, F, 1);
    assert_int_equal(ckpt_tensor(c, "layers.0.feed_forward.w1", &other, 0, 1, &t, &e), STATUS_BAD_FORMAT);
    assert_non_null(strstr(e.text, "found [2, 64, 96], expected [128, 96]"));
    ckpt_close(c);
    scratch_close(&s);
}

/* A folder with one .pth of the given name: ones of f32 for `tensor`. */
static void torch_write(const char *folder, const char *file, const char *tensor, int n_dims, int64_t rows)
{
    struct tensor_spec spec = { tensor, DTYPE_F32, n_dims, { rows, D } };
    float *ones = malloc(F * D * sizeof *ones);
    char path[512];
    struct torch_writer w;
    struct err e = { 0 };
    enum status st;

    assert_non_null(ones);
    if (n_dims == 1) spec.dim[0] = D;
    for (int i = 0; i < F * D; i++) ones[i] = 1;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    st = torch_writer_open(&w, path, &spec, 1, &e);
    if (st == STATUS_OK) st = torch_writer_put(&w, ones, (size_t)(rows * D) * sizeof *ones, &e);
    if (st == STATUS_OK) st = torch_writer_commit(&w, &e);
    if (st != STATUS_OK) fail_msg("%s", e.text);
    free(ones);
}

static void other_paths_come_on_top(void **state)
{
    static const struct ckpt_rule wq = { CKPT_ROWS, 0, 2, { F, D } }, norm = { CKPT_REPLICATED, 0, 1, { D } };
    static const char full[] = "consolidated.00-of-01.model.pth",
                      diff[] = "consolidated.00-of-01.model-diff.pth";
    const char *paths[2];
    struct checkpoint *c;
    struct scratch s;
    struct tensor t;
    struct err e = { 0 };
    float x[D];

    (void)state;
    scratch_open(&s);
    paths[0] = scratch_path(&s, "x.gguf");
    gguf_write(paths[0], specs, N_SPECS, NULL);

    paths[1] = scratch_folder(&s, "full");
    torch_write(paths[1], full, "llma.layers.0.attention.wq.weight", 2, F);
    c = open_paths(paths, 2);
    assert_int_equal(ckpt_tensor(c, "layers.0.attention.wq.weight", &wq, 0, 1, &t, &e), STATUS_OK);
    assert_int_equal(t.dtype, DTYPE_F32);
    assert_true(tensor_f32(&t)[0] == 1);
    ckpt_close(c);

    paths[1] = scratch_folder(&s, "diff");
    torch_write(paths[1], diff, "llma.layers.0.ffn_norm.weight", 1, 1);
    c = open_paths(paths, 2);
    assert_int_equal(ckpt_tensor(c, "layers.0.ffn_norm.weight", &norm, 0, 1, &t, &e), STATUS_OK);
    tensor_row_f32(&t, 0, 0, D, x);
    for (int i = 0; i < D; i++) assert_true(x[i] == value(i) + 1);
    ckpt_close(c);

    paths[1] = scratch_folder(&s, "quantised");
    torch_write(paths[1], diff, "llma.layers.0.attention.wq.weight", 2, F);
    check_open_refused(paths, 2, "tensor layers.0.attention.wq.weight is quantised (q8_0), so what ");
    scratch_close(&s);
}

static void embeddings_are_the_output_where_none_is(void **state)
{
    static const struct tensor_spec both[] = { { "output.weight", DTYPE_F32, 2, { F, D } },
                                               { "blk.0.ffn_norm.weight", DTYPE_F16, 1, { D } },
                                               { "token_embd.weight", DTYPE_Q8_0, 2, { F, D } } };
    static const struct ckpt_rule rule = { CKPT_ROWS, 0, 2, { F, D } };
    struct scratch s;

    (void)state;
    scratch_open(&s);
    for (size_t tied = 0; tied < 2; tied++) {
        const char *path = scratch_path(&s, "x.gguf");
        struct tensor embeddings, output;
        struct checkpoint *c;
        struct err e = { 0 };

        gguf_write(path, both + tied, 3 - tied, NULL);
        c = open_paths(&path, 1);
        assert_int_equal(ckpt_count(c), 3);
        for (size_t i = 0; i + 1 < ckpt_count(c); i++)
            assert_true(strcmp(ckpt_entry(c, i)->name, ckpt_entry(c, i + 1)->name) < 0);
        if (ckpt_tensor(c, "tok_embeddings.weight", &rule, 1, 2, &embeddings, &e) != STATUS_OK ||
            ckpt_tensor(c, "output.weight", &rule, 1, 2, &output, &e) != STATUS_OK)
            fail_msg("%s", e.text);
        assert_int_equal(output.dtype, tied ? DTYPE_Q8_0 : DTYPE_F32);
        assert_true((output.data == embeddings.data) == tied);
        check_values(&output, F / 2 * D, D, 1);
        ckpt_close(c);
    }
    scratch_close(&s);
}

static void sets_that_are_no_model_are_refused(void **state)
{
    static const struct tensor_spec both[] = { { "blk.0.ffn_norm.weight", DTYPE_F32, 1, { 1 } },
                                               { "layers.0.ffn_norm.weight", DTYPE_F32, 1, { 1 } } };
    struct gguf_keys keys = { 0 };
    const char *path, *folder;
    struct scratch s;

    (void)state;
    scratch_open(&s);
    path = scratch_path(&s, "x.gguf");
    gguf_write(path, both, 2, NULL);
    check_open_refused(&path, 1, "tensor layers.0.ffn_norm.weight is there under two names");
    gguf_key_u32(&keys, "split.count", 3);
    gguf_write(path, both, 1, &keys);
    gguf_keys_free(&keys);
    check_open_refused(&path, 1, "is one of 3 parts of a split GGUF file");
    gguf_write(scratch_path(&s, "y.gguf"), both, 1, NULL);
    folder = s.path;
    check_open_refused(&folder, 1, "holds 2 GGUF files; name the one to use");
    scratch_write(scratch_path(&s, "z.safetensors"), "", 0);
    check_open_refused(&folder, 1, "holds two kinds of checkpoint, safetensors and gguf");
    scratch_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_upstreams),
        cmocka_unit_test(blocks_are_shared_out),
        cmocka_unit_test(experts_come_in_either_form),
        cmocka_unit_test(other_paths_come_on_top),
        cmocka_unit_test(embeddings_are_the_output_where_none_is),
        cmocka_unit_test(sets_that_are_no_model_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
