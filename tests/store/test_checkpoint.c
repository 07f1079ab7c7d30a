/*
 * test_checkpoint.c - shards joined and split over any number of ranks give the full tensor back, differences
 * are added, and every incomplete or contradictory set is named.
 */
#include "store/checkpoint.h"

#include <stdio.h>

#include "core/file.h"
#include "store/gguf_writer.h"
#include "store/torch_writer.h"
#include "support/scratch.h"

/* A model small enough to check every element of: one tensor for each kind of split. */
struct full {
    const char *name;
    struct ckpt_rule rule;
};

static const struct full fulls[] = {
    { "bias", { CKPT_ROWS, 0, 1, { 12 } } },
    { "conv.weight", { CKPT_REPLICATED, 0, 4, { 2, 3, 2, 2 } } },
    { "norm.weight", { CKPT_REPLICATED, 0, 1, { 5 } } },
    { "scale", { CKPT_REPLICATED, 0, 0, { 0 } } },
    { "w1", { CKPT_EXPERT_ROWS, 3, 2, { 36, 4 } } },
    { "wo.weight", { CKPT_COLUMNS, 0, 2, { 4, 12 } } },
    { "wq.weight", { CKPT_ROWS, 0, 2, { 12, 4 } } },
};

enum { N_FULLS = sizeof fulls / sizeof *fulls, UNITS = 12, BYTES_MAX = 36 * 4 * 4 };

/* Small integers: exact in every dtype. */
static float value(size_t k, int64_t row, int64_t column)
{
    return (float)((row * 37 + column * 11 + (int64_t)k * 5) % 97 - 48);
}

/* Where an element of part `part` of `parts` lies in the full matrix. Vectors are one row. */
static void full_position(const struct ckpt_rule *r, int part, int parts, int64_t *row, int64_t *column)
{
    int64_t units = UNITS / parts;

    switch (r->split) {
    case CKPT_REPLICATED: break;
    case CKPT_COLUMNS: *column += part * units; break;
    case CKPT_ROWS:
        if (r->n_dims == 1) *column += part * units;
        if (r->n_dims == 2) *row += part * units;
        break;
    case CKPT_EXPERT_ROWS: *row = *row / units * UNITS + part * units + *row % units; break;
    }
}

static void part_shape(const struct ckpt_rule *r, int parts, int64_t *dim)
{
    memcpy(dim, r->dim, TENSOR_DIMS_MAX * sizeof *dim);
    if (r->split == CKPT_COLUMNS) dim[1] /= parts;
    if (r->split == CKPT_ROWS || r->split == CKPT_EXPERT_ROWS) dim[0] /= parts;
}

/* How a test wants its shards. */
struct plan {
    const char *pattern; /* of the file name, with NN and YY */
    int shards;
    enum dtype dtype;
    float scale, add;         /* elements are value * scale + add */
    float replica_add;        /* added to norm.weight in shards after the first */
    const char *skip, *extra; /* a name left out; one more of shape [1] */
    int skip_from;            /* the first shard that skips */
};

static void shard_write(const char *folder, const struct plan *p, int shard)
{
    struct tensor_spec specs[N_FULLS + 1];
    unsigned char data[(N_FULLS + 1) * BYTES_MAX];
    char names[N_FULLS + 1][64], file[64], path[512];
    size_t n = 0, size = 0;
    struct torch_writer w;
    struct err e = { 0 };

    for (size_t k = 0; k <= N_FULLS; k++) {
        const struct ckpt_rule *r = k < N_FULLS ? &fulls[k].rule : NULL;
        const char *name = k < N_FULLS ? fulls[k].name : p->extra;
        int64_t dim[TENSOR_DIMS_MAX] = { 1 }, rows = 1, columns;

        if (name == NULL || (p->skip != NULL && shard >= p->skip_from && strcmp(p->skip, name) == 0))
            continue;
        snprintf(names[n], sizeof names[n], "llma.%s", name);
        if (r != NULL) part_shape(r, p->shards, dim);
        specs[n] = (struct tensor_spec){
            names[n], p->dtype, r != NULL ? r->n_dims : 1, { dim[0], dim[1], dim[2], dim[3] }
        };
        for (int i = 0; i + 1 < specs[n].n_dims; i++) rows *= dim[i];
        columns = specs[n].n_dims > 0 ? dim[specs[n].n_dims - 1] : 1;
        n++;
        for (int64_t i = 0; i < rows * columns; i++) {
            int64_t row = i / columns, column = i % columns;
            float f;

            if (r != NULL) full_position(r, shard, p->shards, &row, &column);
            f = value(k, row, column) * p->scale + p->add;
            if (shard > 0 && k == 2) f += p->replica_add;
            if (p->dtype == DTYPE_I64) {
                int64_t v = (int64_t)f;

                memcpy(data + size, &v, sizeof v);
            } else {
                dtype_info(p->dtype)->from_f32(data + size, &f, 1);
            }
            size += dtype_info(p->dtype)->block_bytes;
        }
    }
    if (strstr(p->pattern, "-of-") != NULL) {
        const char *tail = strstr(p->pattern, "YY") + 2;

        snprintf(file, sizeof file, "consolidated.%02d-of-%02d%s", shard, p->shards, tail);
    } else {
        snprintf(file, sizeof file, "consolidated.%02d.pth", shard);
    }
    snprintf(path, sizeof path, "%s/%s", folder, file);
    if (torch_writer_open(&w, path, specs, n, &e) != STATUS_OK ||
        torch_writer_put(&w, data, size, &e) != STATUS_OK || torch_writer_commit(&w, &e) != STATUS_OK) {
        fail_msg("%s", e.text);
    }
}

static const char full_pattern[] = "consolidated.NN-of-YY.model.pth";
static const char diff_pattern[] = "consolidated.NN-of-YY.model-diff.pth";
static const char meta_pattern[] = "consolidated.NN.pth";

static const char *folder_write(const struct scratch *s, const char *name, const struct plan *p)
{
    const char *path = scratch_folder(s, name);

    for (int i = 0; i < p->shards; i++) shard_write(path, p, i);
    return path;
}

static struct checkpoint *open_all(const char *a, const char *b, const char *c, const struct report *report)
{
    const char *paths[] = { a, b, c };
    struct checkpoint *ckpt;
    struct err e = { 0 };

    if (ckpt_open(&ckpt, paths, c != NULL ? 3 : b != NULL ? 2 : 1, report, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    return ckpt;
}

static struct tensor get(struct checkpoint *c, const struct full *f, int rank, int ranks)
{
    struct tensor t;
    struct err e = { 0 };

    if (ckpt_tensor(c, f->name, &f->rule, rank, ranks, &t, &e) != STATUS_OK) fail_msg("%s", e.text);
    return t;
}

static void check_part(struct checkpoint *c, size_t k, int rank, int ranks, float scale, float add)
{
    const struct full *f = &fulls[k];
    struct tensor t = get(c, f, rank, ranks);
    int64_t dim[TENSOR_DIMS_MAX];

    part_shape(&f->rule, ranks, dim);
    assert_int_equal(t.n_dims, f->rule.n_dims > 0 ? f->rule.n_dims : 1);
    for (int i = 0; i < f->rule.n_dims; i++) assert_int_equal(t.dim[i], dim[i]);
    for (int64_t row = 0; row < tensor_rows(&t); row++) {
        float got[16];

        tensor_row_f32(&t, row, 0, tensor_columns(&t), got);
        for (int64_t column = 0; column < tensor_columns(&t); column++) {
            int64_t at_row = row, at_column = column;
            float want;

            full_position(&f->rule, rank, ranks, &at_row, &at_column);
            want = value(k, at_row, at_column) * scale + add;
            if (!(got[column] == want)) {
                fail_msg("%s, rank %d of %d, [%lld, %lld]: %g, expected %g", f->name, rank, ranks,
                         (long long)row, (long long)column, (double)got[column], (double)want);
            }
        }
    }
}

/* ---- joining and splitting ----------------------------------------------------------------------------- */

static void any_shards_serve_any_ranks(void **state)
{
    static const int counts[] = { 1, 2, 3, 4, 6, 12 };
    static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_BF16, DTYPE_F16 };
    struct scratch s;

    (void)state;
    scratch_open(&s);
    for (size_t a = 0; a < sizeof counts / sizeof *counts; a++) {
        struct plan p = { .pattern = a == 1 ? meta_pattern : full_pattern,
                          .shards = counts[a],
                          .dtype = dtypes[a % 3],
                          .scale = 1 };
        char name[16];
        struct checkpoint *c;

        snprintf(name, sizeof name, "%d", counts[a]);
        c = open_all(folder_write(&s, name, &p), NULL, NULL, NULL);
        assert_int_equal(ckpt_shards(c, 0), counts[a]);
        assert_int_equal(ckpt_path_format(c, 0), a == 1 ? CKPT_META_ORIGINAL : CKPT_CONSOLIDATED);
        for (size_t b = 0; b < sizeof counts / sizeof *counts; b++) {
            for (int rank = 0; rank < counts[b]; rank++) {
                for (size_t k = 0; k < N_FULLS; k++) check_part(c, k, rank, counts[b], 1, 0);
            }
        }
        ckpt_close(c);
    }
    scratch_close(&s);
}

static void pieces_are_as_few_as_can_be(void **state)
{
    struct plan p = { .pattern = full_pattern, .shards = 4, .dtype = DTYPE_F32, .scale = 1 };
    struct scratch s;
    struct checkpoint *c;
    struct tensor t;

    (void)state;
    scratch_open(&s);
    c = open_all(folder_write(&s, "m", &p), NULL, NULL, NULL);
    t = get(c, &fulls[6], 1, 4); /* rows, as many ranks as shards: in place */
    assert_null(t.pieces);
    t = get(c, &fulls[6], 3, 12); /* a slice of one */
    assert_null(t.pieces);
    t = get(c, &fulls[6], 1, 2);
    assert_int_equal(t.pieces->count, 2);
    assert_int_equal(t.pieces->axis, 0);
    t = get(c, &fulls[5], 0, 1); /* columns */
    assert_int_equal(t.pieces->count, 4);
    assert_int_equal(t.pieces->axis, 1);
    assert_int_equal(t.pieces->stride[0], 3);
    t = get(c, &fulls[4], 0, 4); /* each shard has its part of all experts, one after the other */
    assert_null(t.pieces);
    t = get(c, &fulls[4], 0, 2);
    assert_int_equal(t.pieces->count, 3 * 2);
    t = get(c, &fulls[1], 0, 2);
    assert_null(t.pieces);
    assert_int_equal(t.stride, 2);
    assert_ptr_equal(get(c, &fulls[4], 0, 2).pieces, get(c, &fulls[4], 0, 2).pieces); /* given out again */
    ckpt_close(c);
    scratch_close(&s);
}

static void experts_come_one_by_one(void **state)
{
    const struct full *f = &fulls[4];
    struct scratch s;

    (void)state;
    scratch_open(&s);
    for (int shards = 1; shards <= 4; shards++) {
        struct plan p = { .pattern = full_pattern, .shards = shards, .dtype = DTYPE_BF16, .scale = 1 };
        char name[16];
        struct checkpoint *c;

        snprintf(name, sizeof name, "%d", shards);
        c = open_all(folder_write(&s, name, &p), NULL, NULL, NULL);
        for (int ranks = 1; ranks <= 4; ranks++) {
            for (int i = 0; i < 3 * ranks; i++) {
                int expert = i % 3, rank = i / 3;
                int64_t rows = UNITS / ranks;
                struct tensor t, all = get(c, f, rank, ranks), slice;
                struct tensor_pieces pieces;
                struct err e = { 0 };

                if (ckpt_expert(c, f->name, &f->rule, expert, rank, ranks, &t, &e) != STATUS_OK)
                    fail_msg("%s", e.text);
                assert_int_equal(t.dim[0], rows);
                assert_int_equal(t.dim[1], 4);
                slice = tensor_slice_rows(&all, expert * rows, rows, &pieces);
                for (int64_t row = 0; row < rows; row++) {
                    float got[4], sliced[4];

                    tensor_row_f32(&t, row, 0, 4, got);
                    tensor_row_f32(&slice, row, 0, 4, sliced);
                    for (int64_t k = 0; k < 4; k++) {
                        assert_true(got[k] == value(4, expert * UNITS + rank * rows + row, k));
                        assert_true(got[k] == sliced[k]);
                    }
                }
            }
        }
        ckpt_close(c);
    }
    scratch_close(&s);
}

/* ---- several paths ------------------------------------------------------------------------------------- */

static void differences_are_added_in_order(void **state)
{
    struct plan base = { .pattern = full_pattern, .shards = 2, .dtype = DTYPE_BF16, .scale = 1 };
    struct plan diff = {
        .pattern = diff_pattern, .shards = 1, .dtype = DTYPE_F16, .scale = 2, .add = 1, .extra = "new"
    };
    struct plan later = {
        .pattern = full_pattern, .shards = 3, .dtype = DTYPE_F32, .scale = 0.5f, .skip = "bias"
    };
    static const struct full extra = { "new", { CKPT_REPLICATED, 0, 1, { 1 } } };
    char a[512], b[512], d[512];
    struct scratch s;
    struct checkpoint *c;
    const struct ckpt_entry *entry;
    struct tensor t;

    (void)state;
    scratch_open(&s);
    snprintf(a, sizeof a, "%s", folder_write(&s, "base", &base));
    snprintf(b, sizeof b, "%s", folder_write(&s, "diff", &diff));
    snprintf(d, sizeof d, "%s", folder_write(&s, "later", &later));

    c = open_all(a, b, NULL, NULL);
    assert_int_equal(ckpt_count(c), N_FULLS + 1);
    for (size_t k = 0; k < N_FULLS; k++) {
        for (int rank = 0; rank < 3; rank++) check_part(c, k, rank, 3, 3, 1);
        assert_int_equal(get(c, &fulls[k], 0, 3).dtype, DTYPE_BF16);
        ckpt_forget(c, fulls[k].name);
        check_part(c, k, 1, 2, 3, 1);
    }
    t = get(c, &extra, 0, 1); /* not in the base: the difference itself */
    assert_int_equal(t.dtype, DTYPE_F16);
    assert_true(f16_to_f32(*(const uint16_t *)t.data) == value(N_FULLS, 0, 0) * 2 + 1);
    entry = ckpt_find(c, "wq.weight");
    assert_int_equal(entry->path, 0);
    assert_int_equal(entry->n_diffs, 1);
    assert_int_equal(entry->shards, 2);
    assert_int_equal(ckpt_find(c, "new")->path, 1);
    ckpt_close(c);

    c = open_all(a, b, b, NULL); /* the same difference twice */
    for (size_t k = 0; k < N_FULLS; k++) check_part(c, k, 0, 1, 5, 2);
    ckpt_close(c);

    c = open_all(a, b, d, NULL); /* a later full one replaces, but for what it lacks */
    for (size_t k = 1; k < N_FULLS; k++) check_part(c, k, 2, 4, 0.5f, 0);
    check_part(c, 0, 2, 4, 3, 1);
    ckpt_close(c);
    scratch_close(&s);
}

/* 256 + 0.75 + 0.75 is 258 in bfloat16, whose step there is 2; rounded each time it would stay 256. */
static void sums_are_rounded_once(void **state)
{
    struct plan base = { .pattern = full_pattern, .shards = 1, .dtype = DTYPE_BF16, .scale = 0, .add = 256 };
    struct plan diff = { .pattern = diff_pattern, .shards = 1, .dtype = DTYPE_F16, .scale = 0, .add = 0.75f };
    char a[512], b[512];
    struct scratch s;
    struct checkpoint *c;

    (void)state;
    scratch_open(&s);
    snprintf(a, sizeof a, "%s", folder_write(&s, "base", &base));
    snprintf(b, sizeof b, "%s", folder_write(&s, "diff", &diff));
    c = open_all(a, b, b, NULL);
    for (size_t k = 0; k < N_FULLS; k++) check_part(c, k, 0, 1, 0, 258);
    ckpt_close(c);
    scratch_close(&s);
}

/* ---- layouts that must be copied ----------------------------------------------------------------------- */

static void awkward_layouts_are_copied(void **state)
{
    static const char *const files[] = { "tests/data/store/p2.pth", "tests/data/store/zip64.pth",
                                         "tests/data/store/deflated.pth" };
    static const struct {
        struct full f;
        int64_t step_row, step_column;
        float first;
    } cases[] = {
        { { "base", { CKPT_REPLICATED, 0, 2, { 4, 6 } } }, 6, 1, -3 },
        { { "columns", { CKPT_REPLICATED, 0, 2, { 4, 2 } } }, 6, 1, -2 },
        { { "transposed", { CKPT_ROWS, 0, 2, { 6, 4 } } }, 1, 6, -3 },
        { { "expanded", { CKPT_REPLICATED, 0, 2, { 4, 3 } } }, 0, 1, -3 },
        { { "double", { CKPT_REPLICATED, 0, 1, { 4 } } }, 0, 1, -3 },
        { { "half", { CKPT_COLUMNS, 0, 2, { 2, 4 } } }, 4, 1, -3 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct checkpoint *c = open_all(files[i], NULL, NULL, NULL);

        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
            struct tensor t = get(c, &cases[k].f, 0, 1);

            assert_null(t.pieces);
            assert_int_equal((uintptr_t)t.data % dtype_info(t.dtype)->block_bytes, 0);
            assert_int_not_equal(t.dtype, DTYPE_F64);
            for (int64_t row = 0; row < tensor_rows(&t); row++) {
                float got[8];

                tensor_row_f32(&t, row, 0, tensor_columns(&t), got);
                for (int64_t col = 0; col < tensor_columns(&t); col++) {
                    assert_true(got[col] == cases[k].first + 0.5f * (float)(row * cases[k].step_row +
                                                                            col * cases[k].step_column));
                }
            }
        }
        ckpt_close(c);
    }
}

/* ---- errors -------------------------------------------------------------------------------------------- */

static void check_open_fails(const char *path, const char *sentence)
{
    const char *paths[] = { path };
    struct checkpoint *c;
    struct err e = { 0 };

    if (ckpt_open(&c, paths, 1, NULL, &e) == STATUS_OK) fail_msg("accepted: %s", sentence);
    assert_null(c);
    if (strstr(e.text, sentence) == NULL) fail_msg("expected \"%s\", got \"%s\"", sentence, e.text);
}

static void incomplete_sets_are_named(void **state)
{
    struct plan p = { .pattern = full_pattern, .shards = 4, .dtype = DTYPE_F32, .scale = 1 };
    static const char index[] = "{\"weight_map\":{\"x\":\"c.safetensors\"}}";
    struct scratch s;
    char m[512], file[600];

    (void)state;
    scratch_open(&s);
    check_open_fails(scratch_path(&s, "none"), "no such file or folder");
    check_open_fails(scratch_folder(&s, "bare"), "holds no weights; wanted consolidated.NN-of-MM.model.pth");
    snprintf(m, sizeof m, "%s", folder_write(&s, "m", &p));
    snprintf(file, sizeof file, "%s/consolidated.00-of-04.model.pth", m);
    check_open_fails(file, "is one of several shards; give the folder that holds them all");
    snprintf(file, sizeof file, "%s/consolidated.01-of-04.model.pth", m);
    assert_int_equal(unlink(file), 0);
    snprintf(file, sizeof file, "%s/consolidated.03-of-04.model.pth", m);
    assert_int_equal(unlink(file), 0);
    check_open_fails(
        m, "2 of 4 shards are missing: consolidated.01-of-04.model.pth, consolidated.03-of-04.model.pth");

    p.shards = 2;
    shard_write(m, &p, 0);
    check_open_fails(m, "holds shards of ");
    p.pattern = meta_pattern;
    snprintf(m, sizeof m, "%s", folder_write(&s, "meta", &p));
    snprintf(file, sizeof file, "%s/consolidated.00.pth", m);
    check_open_fails(file, "is one of several shards");
    assert_int_equal(unlink(file), 0);
    check_open_fails(m, "1 of 1 shards are missing: consolidated.00.pth");
    p.pattern = full_pattern;
    shard_write(m, &p, 0);
    check_open_fails(m, "holds two kinds of checkpoint, consolidated and meta_ori");

    p.pattern = diff_pattern;
    check_open_fails(folder_write(&s, "diff", &p),
                     "holds differences to another checkpoint; give that one first");

    p.pattern = full_pattern;
    snprintf(m, sizeof m, "%s", folder_write(&s, "both", &p));
    snprintf(file, sizeof file, "%s/model.safetensors", m);
    scratch_write(file, "", 0);
    check_open_fails(m, "holds two kinds of checkpoint, consolidated and safetensors");

    snprintf(m, sizeof m, "%s", scratch_folder(&s, "st"));
    snprintf(file, sizeof file, "%s/a.safetensors", m);
    scratch_write(file, "", 0);
    check_open_fails(m, "a.safetensors: is empty");
    snprintf(file, sizeof file, "%s/b.safetensors", m);
    scratch_write(file, "", 0);
    check_open_fails(m, "holds 2 safetensors files and 0 indices");
    snprintf(file, sizeof file, "%s/model.safetensors.index.json", m);
    scratch_write(file, index, sizeof index - 1);
    check_open_fails(m, "c.safetensors: cannot open");

    p.skip = "wq.weight";
    p.skip_from = 1;
    check_open_fails(folder_write(&s, "differ", &p), "tensor wq.weight is in shard 0 but not in shard 1");
    scratch_close(&s);
}

static void wrong_tensors_are_named(void **state)
{
    static const struct {
        const char *name;
        struct ckpt_rule rule;
        int ranks;
        enum status status;
        const char *sentence;
    } cases[] = {
        { "wz", { CKPT_ROWS, 0, 2, { 12, 4 } }, 1, STATUS_NOT_FOUND, "/m: tensor wz is missing" },
        { "wq.weight",
          { CKPT_ROWS, 0, 2, { 24, 4 } },
          1,
          STATUS_BAD_FORMAT,
          "/m: tensor wq.weight: shard 0 of 2 holds [6, 4], expected [12, 4] as its part of [24, 4]" },
        { "wo.weight",
          { CKPT_ROWS, 0, 2, { 12, 4 } },
          1,
          STATUS_BAD_FORMAT,
          "shard 0 of 2 holds [4, 6], expected [6, 4]" },
        { "norm.weight",
          { CKPT_REPLICATED, 0, 2, { 5, 1 } },
          1,
          STATUS_BAD_FORMAT,
          "holds [5], expected [5, 1]" },
        { "scale", { CKPT_REPLICATED, 0, 1, { 1 } }, 1, STATUS_BAD_FORMAT, "holds [], expected [1]" },
        { "wq.weight",
          { CKPT_ROWS, 0, 2, { 12, 4 } },
          5,
          STATUS_UNSUPPORTED,
          "dimension 0 of [12, 4] in 1 groups cannot be split evenly over 2 shards and 5 ranks" },
        { "w1",
          { CKPT_EXPERT_ROWS, 5, 2, { 36, 4 } },
          1,
          STATUS_UNSUPPORTED,
          "in 5 groups cannot be split evenly" },
        { "wq.weight", { CKPT_ROWS, 0, 2, { 0, 4 } }, 1, STATUS_UNSUPPORTED, "cannot be split evenly" },
    };
    struct plan p = { .pattern = full_pattern, .shards = 2, .dtype = DTYPE_F32, .scale = 1 };
    struct plan integers = { .pattern = full_pattern, .shards = 1, .dtype = DTYPE_I64, .scale = 1 };
    struct scratch s;
    struct checkpoint *c;
    struct tensor t;
    struct err e = { 0 };

    (void)state;
    scratch_open(&s);
    c = open_all(folder_write(&s, "m", &p), NULL, NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_clear(&e);
        assert_int_equal(ckpt_tensor(c, cases[i].name, &cases[i].rule, 0, cases[i].ranks, &t, &e),
                         cases[i].status);
        if (strstr(e.text, cases[i].sentence) == NULL)
            fail_msg("expected \"%s\", got \"%s\"", cases[i].sentence, e.text);
    }
    ckpt_close(c);

    c = open_all(folder_write(&s, "i", &integers), NULL, NULL, NULL);
    err_clear(&e);
    assert_int_equal(ckpt_tensor(c, "wq.weight", &fulls[6].rule, 0, 1, &t, &e), STATUS_UNSUPPORTED);
    assert_non_null(strstr(e.text, "found dtype i64, expected f32, f16 or bf16"));
    ckpt_close(c);

    p.dtype = DTYPE_F16; /* shard 1 of the first is now of another dtype */
    shard_write(scratch_path(&s, "m"), &p, 1);
    c = open_all(scratch_path(&s, "m"), NULL, NULL, NULL);
    err_clear(&e);
    assert_int_equal(ckpt_tensor(c, "wq.weight", &fulls[6].rule, 0, 1, &t, &e), STATUS_BAD_FORMAT);
    assert_non_null(strstr(e.text, "shard 1 holds f16, shard 0 f32"));
    ckpt_close(c);
    scratch_close(&s);
}

static void note_warning(void *user, const char *warning)
{
    snprintf(user, 256, "%s", warning);
}

static void differing_replicas_are_warned_of(void **state)
{
    struct plan p = {
        .pattern = full_pattern, .shards = 2, .dtype = DTYPE_F32, .scale = 1, .replica_add = 1
    };
    char warning[256] = "";
    struct report report = { .warn = note_warning, .user = warning };
    struct scratch s;
    struct checkpoint *c;

    (void)state;
    scratch_open(&s);
    c = open_all(folder_write(&s, "m", &p), NULL, NULL, &report);
    check_part(c, 1, 0, 1, 1, 0);
    assert_string_equal(warning, "");
    check_part(c, 2, 0, 1, 1, 0); /* the first shard's copy is used */
    assert_non_null(
        strstr(warning, "tensor norm.weight should be the same in all shards, but shard 1 differs"));
    ckpt_close(c);
    scratch_close(&s);
}

static void listing_and_use(void **state)
{
    struct plan p = { .pattern = full_pattern, .shards = 1, .dtype = DTYPE_BF16, .scale = 1 };
    struct scratch s;
    struct checkpoint *c;

    (void)state;
    scratch_open(&s);
    c = open_all(folder_write(&s, "m", &p), NULL, NULL, NULL);
    assert_int_equal(ckpt_paths(c), 1);
    assert_int_equal(ckpt_count(c), N_FULLS);
    for (size_t i = 0; i < N_FULLS; i++) {
        assert_string_equal(ckpt_entry(c, i)->name, fulls[i].name);
        assert_int_equal(ckpt_entry(c, i)->shard[0]->dtype, DTYPE_BF16);
        assert_true(ckpt_has(c, fulls[i].name));
        assert_false(ckpt_used(c, i));
        get(c, &fulls[i], 0, 1);
        assert_true(ckpt_used(c, i));
    }
    assert_false(ckpt_has(c, "llma.bias"));
    ckpt_close(c);
    scratch_close(&s);
}

static void damage_is_found_by_the_check(void **state)
{
    struct plan p = { .pattern = full_pattern, .shards = 1, .dtype = DTYPE_F32, .scale = 1 };
    struct scratch s;
    struct checkpoint *c;
    struct tensor t;
    struct err e = { 0 };
    char file[600];
    FILE *f;
    long at;

    (void)state;
    scratch_open(&s);
    c = open_all(folder_write(&s, "m", &p), NULL, NULL, NULL);
    if (ckpt_check(c, &e) != STATUS_OK) fail_msg("%s", e.text);
    t = get(c, &fulls[6], 0, 1);
    /* Where wq.weight lies: written over in the file, through the same pages. */
    snprintf(file, sizeof file, "%s/consolidated.00-of-01.model.pth", scratch_path(&s, "m"));
    f = fopen(file, "r+b");
    assert_non_null(f);
    for (at = 0;; at++) {
        float found[4];

        assert_int_equal(fseek(f, at, SEEK_SET), 0);
        assert_int_equal(fread(found, 1, sizeof found, f), sizeof found);
        if (memcmp(found, t.data, sizeof found) == 0 && at % 64 == 0) break;
    }
    assert_int_equal(fseek(f, at + 2, SEEK_SET), 0);
    assert_int_equal(fputc(0x55, f), 0x55);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(ckpt_check(c, &e), STATUS_BAD_FORMAT);
    assert_non_null(strstr(e.text, "is damaged: its checksum is"));
    ckpt_close(c);
    scratch_close(&s);
}

/* ---- checkpoints by torch: tools/reference/tiny.py ----------------------------------------------------- */

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);

    return n >= m && strcmp(text + n - m, suffix) == 0;
}

/* The rule of a name, its full shape taken from an unsplit checkpoint. */
static struct ckpt_rule rule_of(const struct checkpoint *whole, const struct ckpt_entry *x)
{
    static const char *const rows[] = { "wq.weight", "wk.weight", "wv.weight", "w1.weight", "w3.weight" };
    static const char *const columns[] = { "tok_embeddings.weight", "wo.weight", "w2.weight" };
    const struct raw_tensor *t = x->shard[0];
    struct ckpt_rule r = { .split = CKPT_REPLICATED, .n_dims = t->n_dims };
    const char *dot = strrchr(x->name, '.');

    memcpy(r.dim, t->dim, sizeof r.dim);
    if (strcmp(x->name, "output.weight") == 0) r.split = CKPT_ROWS;
    for (int i = 0; i < 5; i++) {
        if (strncmp(x->name, "layers.", 7) == 0 && ends_with(x->name, rows[i])) r.split = CKPT_ROWS;
    }
    for (int i = 0; i < 3; i++) {
        if (strncmp(x->name, "layers.", 7) == 0 && ends_with(x->name, columns[i])) r.split = CKPT_COLUMNS;
        if (strcmp(x->name, columns[i]) == 0) r.split = CKPT_COLUMNS;
    }
    if (dot != NULL && dot[1] == 'w' && strlen(dot) == 3) {
        r.split = CKPT_EXPERT_ROWS;
        r.experts = (int)ckpt_find(whole, "layers.0.feed_forward.gate.weight")->shard[0]->dim[0];
    }
    return r;
}

static void check_same(const char *path, const char *other_path)
{
    struct checkpoint *a = open_all(path, NULL, NULL, NULL), *b = open_all(other_path, NULL, NULL, NULL);
    size_t n_split = 0;

    assert_int_equal(ckpt_count(a), ckpt_count(b));
    for (size_t i = 0; i < ckpt_count(a); i++) {
        struct full f = { ckpt_entry(a, i)->name, rule_of(a, ckpt_entry(a, i)) };

        for (int ranks = 1; ranks <= 2; ranks++) {
            struct tensor x = get(a, &f, ranks - 1, ranks), y = get(b, &f, ranks - 1, ranks);
            float left[1024], right[1024];

            assert_int_equal(tensor_rows(&x), tensor_rows(&y));
            assert_in_range(tensor_columns(&x), 1, 1024);
            for (int64_t row = 0; row < tensor_rows(&x); row++) {
                tensor_row_f32(&x, row, 0, tensor_columns(&x), left);
                tensor_row_f32(&y, row, 0, tensor_columns(&x), right);
                if (memcmp(left, right, (size_t)tensor_columns(&x) * sizeof *left) != 0)
                    fail_msg("%s: %s", other_path, f.name);
            }
        }
        n_split += f.rule.split != CKPT_REPLICATED;
    }
    assert_true(n_split > 10);
    ckpt_close(a);
    ckpt_close(b);
}

static void tiny_models_agree_however_stored(void **state)
{
    (void)state;
    check_same("tests/data/tiny/llama_ens", "tests/data/tiny/llama_ens-2shards");
    check_same("tests/data/tiny/llama_ens", "tests/data/tiny/llama_ens-safetensors");
    check_same("tests/data/tiny/llama_ens_light", "tests/data/tiny/llama_ens_light-safetensors");
    check_same("tests/data/tiny/mixtral_sparse_ens", "tests/data/tiny/mixtral_sparse_ens-2shards");
}

/* Ranks share a quantised matrix by columns as far as its blocks reach: 128 columns are four blocks. */
static void blocks_are_not_cut(void **state)
{
    enum { ROWS = 2, COLUMNS = 128, BLOCKS_BYTES = ROWS * COLUMNS / 32 * 18 };
    static const struct tensor_spec spec = { "wo.weight", DTYPE_Q4_0, 2, { ROWS, COLUMNS } };
    const struct full full = { "wo.weight", { CKPT_COLUMNS, 0, 2, { ROWS, COLUMNS } } };
    float x[ROWS * COLUMNS], got[COLUMNS / 2];
    unsigned char data[BLOCKS_BYTES];
    struct gguf_keys keys = { 0 };
    struct gguf_writer w;
    struct checkpoint *c;
    struct tensor t;
    struct scratch s;
    struct err e = { 0 };

    (void)state;
    scratch_open(&s);
    for (int i = 0; i < ROWS * COLUMNS; i++) x[i] = (float)(i % 16 - 8);
    dtype_info(DTYPE_Q4_0)->from_f32(data, x, ROWS * COLUMNS);
    gguf_key_string(&keys, "general.architecture", "llama");
    assert_int_equal(gguf_writer_open(&w, scratch_path(&s, "x.gguf"), &keys, &spec, 1, &e), STATUS_OK);
    assert_int_equal(gguf_writer_put(&w, data, sizeof data, &e), STATUS_OK);
    assert_int_equal(gguf_writer_commit(&w, &e), STATUS_OK);
    gguf_keys_free(&keys);
    c = open_all(scratch_path(&s, "x.gguf"), NULL, NULL, NULL);
    t = get(c, &full, 1, 2);
    for (int r = 0; r < ROWS; r++) {
        tensor_row_f32(&t, r, 0, COLUMNS / 2, got);
        assert_memory_equal(got, x + r * COLUMNS + COLUMNS / 2, sizeof got);
    }
    assert_int_equal(ckpt_tensor(c, full.name, &full.rule, 1, 8, &t, &e), STATUS_UNSUPPORTED);
    assert_non_null(
        strstr(e.text, "pieces of 16 columns for 1 shards and 8 ranks would cut through the blocks of 32"));
    ckpt_close(c);
    scratch_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_shards_serve_any_ranks),
        cmocka_unit_test(pieces_are_as_few_as_can_be),
        cmocka_unit_test(experts_come_one_by_one),
        cmocka_unit_test(differences_are_added_in_order),
        cmocka_unit_test(sums_are_rounded_once),
        cmocka_unit_test(awkward_layouts_are_copied),
        cmocka_unit_test(incomplete_sets_are_named),
        cmocka_unit_test(wrong_tensors_are_named),
        cmocka_unit_test(differing_replicas_are_warned_of),
        cmocka_unit_test(listing_and_use),
        cmocka_unit_test(damage_is_found_by_the_check),
        cmocka_unit_test(tiny_models_agree_however_stored),
        cmocka_unit_test(blocks_are_not_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
