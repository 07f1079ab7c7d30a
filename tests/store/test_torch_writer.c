/*
 * test_torch_writer.c - what is written reads back, lies where torch would put it, and appears only when
 * complete.
 */
#include "store/torch_writer.h"

#include <stdio.h>

#include "store/torch_file.h"
#include "support/scratch.h"

static const struct tensor_spec specs[] = {
    { "llma.norm.weight", DTYPE_BF16, 1, { 3 } }, { "llma.empty", DTYPE_F32, 2, { 0, 4 } },
    { "llma.wq.weight", DTYPE_F32, 2, { 2, 3 } }, { "llma.clip.logit_scale", DTYPE_F16, 0, { 0 } },
    { "llma.ids", DTYPE_I64, 1, { 2 } },          { "llma.none", DTYPE_F32, 1, { 0 } },
};

enum { N_SPECS = sizeof specs / sizeof *specs, DATA_SIZE = 6 + 24 + 2 + 16 };

static void written_files_read_back(void **state)
{
    unsigned char data[DATA_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i * 37 + 1);
    for (size_t step = 1; step <= DATA_SIZE; step = step * 3 + 1) {
        static const size_t start[N_SPECS] = { 0, 6, 6, 30, 32, 48 };
        struct torch_writer w;
        struct torch_file f;
        struct scratch s;
        struct err e = { 0 };
        const char *path;

        scratch_open(&s);
        path = scratch_path(&s, "consolidated.00-of-02.model.pth");
        if (torch_writer_open(&w, path, specs, N_SPECS, &e) != STATUS_OK) fail_msg("%s", e.text);
        for (size_t at = 0; at < sizeof data; at += step) {
            size_t n = sizeof data - at < step ? sizeof data - at : step;

            if (torch_writer_put(&w, data + at, n, &e) != STATUS_OK) fail_msg("%s", e.text);
        }
        assert_false(file_exists(path));
        if (torch_writer_commit(&w, &e) != STATUS_OK) fail_msg("%s", e.text);

        if (torch_file_open(&f, path, &e) != STATUS_OK) fail_msg("%s", e.text);
        assert_int_equal(f.count, N_SPECS);
        assert_non_null(zip_find(&f.zip, "consolidated.00-of-02.model/version"));
        for (size_t i = 0; i < f.count; i++) {
            size_t k = 0, bytes;
            const void *found;

            while (strcmp(specs[k].name + 5, f.tensors[i].name) != 0) assert_true(++k < N_SPECS);
            assert_int_equal(f.tensors[i].dtype, specs[k].dtype);
            assert_int_equal(f.tensors[i].n_dims, specs[k].n_dims);
            for (int d = 0; d < specs[k].n_dims; d++) assert_int_equal(f.tensors[i].dim[d], specs[k].dim[d]);
            assert_true(shape_bytes(specs[k].dtype, specs[k].dim, specs[k].n_dims, &bytes));
            assert_int_equal(raw_tensor_data(&f.tensors[i], &found, &e), STATUS_OK);
            assert_memory_equal(found, data + start[k], bytes);
            assert_int_equal((uintptr_t)found % 64, 0);
        }
        for (size_t i = 0; i < f.zip.count; i++) {
            if (zip_member_check(&f.zip, &f.zip.members[i], &e) != STATUS_OK) fail_msg("%s", e.text);
        }
        torch_file_close(&f);
        scratch_close(&s);
    }
}

/* The same tensors give the same bytes, so a checkpoint can be compared by its checksum. */
static void writing_is_reproducible(void **state)
{
    unsigned char data[DATA_SIZE] = { 1, 2, 3 };
    unsigned char *files[2];
    size_t sizes[2];
    struct scratch s;
    struct err e = { 0 };

    (void)state;
    scratch_open(&s);
    for (int i = 0; i < 2; i++) {
        struct torch_writer w;

        assert_int_equal(torch_writer_open(&w, scratch_path(&s, "x.pth"), specs, N_SPECS, &e), STATUS_OK);
        assert_int_equal(torch_writer_put(&w, data, sizeof data, &e), STATUS_OK);
        assert_int_equal(torch_writer_commit(&w, &e), STATUS_OK);
        assert_int_equal(file_read(scratch_path(&s, "x.pth"), 1 << 20, &files[i], &sizes[i], &e), STATUS_OK);
    }
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(files[0], files[1], sizes[0]);
    free(files[0]);
    free(files[1]);
    scratch_close(&s);
}

static void wrong_use_leaves_no_file(void **state)
{
    static const struct tensor_spec twice[] = { { "a", DTYPE_F32, 1, { 1 } }, { "a", DTYPE_F32, 1, { 1 } } };
    static const struct tensor_spec nameless = { "", DTYPE_F32, 1, { 1 } };
    static const struct tensor_spec vast = { "a", DTYPE_F32, 2, { INT64_MAX, INT64_MAX } };
    static const struct tensor_spec quantised = { "a", DTYPE_Q4_0, 2, { 2, 32 } };
    unsigned char data[DATA_SIZE + 1] = { 0 };
    struct torch_writer w;
    struct scratch s;
    struct err e = { 0 };
    const char *path;

    (void)state;
    scratch_open(&s);
    path = scratch_path(&s, "x.pth");
    assert_int_equal(torch_writer_open(&w, path, specs, N_SPECS, &e), STATUS_OK);
    assert_int_equal(torch_writer_put(&w, data, 20, &e), STATUS_OK);
    assert_int_equal(torch_writer_commit(&w, &e), STATUS_BAD_ARGUMENT);
    assert_non_null(strstr(e.text, "10 bytes of tensor 3 of 6 were not given"));
    assert_false(file_exists(path));
    err_clear(&e);
    assert_int_equal(torch_writer_open(&w, path, specs, N_SPECS, &e), STATUS_OK);
    assert_int_equal(torch_writer_put(&w, data, sizeof data, &e), STATUS_BAD_ARGUMENT);
    torch_writer_abort(&w);
    assert_false(file_exists(path));
    assert_int_equal(torch_writer_open(&w, path, twice, 2, &e), STATUS_BAD_ARGUMENT);
    assert_int_equal(torch_writer_open(&w, path, &nameless, 1, &e), STATUS_BAD_ARGUMENT);
    assert_int_equal(torch_writer_open(&w, path, &vast, 1, &e), STATUS_BAD_ARGUMENT);
    err_clear(&e);
    assert_int_equal(torch_writer_open(&w, path, &quantised, 1, &e), STATUS_UNSUPPORTED);
    assert_non_null(strstr(e.text, "PyTorch's files have no type q4_0"));
    err_clear(&e);
    assert_int_equal(torch_writer_open(&w, scratch_path(&s, "no/folder/x.pth"), specs, N_SPECS, &e),
                     STATUS_NOT_FOUND);
    assert_int_equal(access(s.path, F_OK), 0);
    scratch_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_files_read_back),
        cmocka_unit_test(writing_is_reproducible),
        cmocka_unit_test(wrong_use_leaves_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
