/*
 * test_safetensors.c - reading, writing, and headers that lie.
 */
#include "store/safetensors.h"

#include <stdio.h>

#include "support/scratch.h"

/* A file of the header text and n bytes of data 0, 1, 2, ... in out; returns its size. */
static size_t file_make(unsigned char *out, const char *header, size_t n)
{
    uint64_t length = strlen(header);

    for (int i = 0; i < 8; i++) out[i] = (unsigned char)(length >> (8 * i));
    memcpy(out + 8, header, length);
    for (size_t i = 0; i < n; i++) out[8 + length + i] = (unsigned char)i;
    return 8 + length + n;
}

static void header_is_read(void **state)
{
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"llma.b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[4,16]},"
                                 "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                                 "\"none\":{\"dtype\":\"I64\",\"shape\":[0,7],\"data_offsets\":[4,4]}}  ";
    unsigned char data[512];
    size_t size = file_make(data, header, 16);
    struct safetensors_file f;
    struct err e = { 0 };

    (void)state;
    if (safetensors_open_memory(&f, data, size, "x.safetensors", &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_int_equal(f.count, 3);
    assert_string_equal(f.tensors[0].name, "a");
    assert_int_equal(f.tensors[0].dtype, DTYPE_F32);
    assert_int_equal(f.tensors[0].n_dims, 0);
    assert_ptr_equal(f.tensors[0].data, data + size - 16);
    assert_string_equal(f.tensors[1].name, "b");
    assert_int_equal(f.tensors[1].dtype, DTYPE_BF16);
    assert_int_equal(f.tensors[1].dim[0], 2);
    assert_int_equal(f.tensors[1].dim[1], 3);
    assert_int_equal(f.tensors[1].stride[0], 3);
    assert_int_equal(f.tensors[1].stride[1], 1);
    assert_ptr_equal(f.tensors[1].data, data + size - 12);
    assert_int_equal(f.tensors[2].dim[1], 7);
    safetensors_close(&f);
}

#define ONE(rest) "{\"x\":{" rest "}}"

static const struct {
    const char *header;
    size_t n; /* bytes of data */
    const char *sentence;
} hostile[] = {
    { "[]", 0, "does not start with a JSON header" },
    { "{", 0, "does not start with a JSON header" },
    { "{]", 0, "its header is not valid JSON" },
    { "{}x", 0, "its header is not valid JSON" },
    { "{\"x\":1,\"x\":1}", 0, "duplicate" },
    { "{}", 1, "holds 1 bytes after its last tensor" },
    { "{\"x\":1}", 0, "tensor x: it has no dtype" },
    { ONE("\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]"), 1,
      "tensor x: dtype F8_E4M3 is not supported" },
    { ONE("\"dtype\":5,\"shape\":[1],\"data_offsets\":[0,4]"), 4, "it has no dtype" },
    { ONE("\"dtype\":\"F32\",\"data_offsets\":[0,4]"), 4, "its shape is not a list" },
    { ONE("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]"), 4, "at most 8 numbers" },
    { ONE("\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]"), 4, "numbers from 0 up" },
    { ONE("\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]"), 4, "numbers from 0 up" },
    { ONE("\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,4]"), 4,
      "too big integer" },
    { ONE("\"dtype\":\"F32\",\"shape\":[1]"), 4, "its data_offsets are not two numbers in order" },
    { ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4]"), 4, "not two numbers in order" },
    { ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]"), 4, "not two numbers in order" },
    { ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]"), 4, "not two numbers in order" },
    { ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"), 3,
      "is truncated: tensor x ends at byte 4 of the data, of which there are 3" },
    { ONE("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]"), 4,
      "shape [2] of f32 does not make the 4 bytes it has" },
    { ONE("\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]"), 4,
      "does not make the 4 bytes" },
    { ONE("\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]"), 0,
      "does not make the 0 bytes" },
    { ONE("\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]"), 2,
      "tensor x: there is a gap before its data" },
    { "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],"
      "\"data_offsets\":[1,3]}}",
      3, "tensor b: its data overlap another tensor's" },
    { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"llma.a\":{\"dtype\":\"U8\",\"shape\":"
      "[1],\"data_offsets\":[1,2]}}",
      2, "tensor a: it is there twice" },
};

static void check_refused(const void *data, size_t size, const char *sentence)
{
    struct safetensors_file f;
    struct err e = { 0 };
    unsigned char *exact = malloc(size > 0 ? size : 1);

    assert_non_null(exact);
    if (size > 0) memcpy(exact, data, size);
    if (safetensors_open_memory(&f, exact, size, "x.safetensors", &e) == STATUS_OK)
        fail_msg("accepted: %s", sentence);
    if (strncmp(e.text, "x.safetensors: ", 15) != 0 || strstr(e.text, sentence) == NULL) {
        fail_msg("expected \"%s\", got \"%s\"", sentence, e.text);
    }
    free(exact);
}

static void hostile_headers_are_refused(void **state)
{
    unsigned char data[1024];

    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        check_refused(data, file_make(data, hostile[i].header, hostile[i].n), hostile[i].sentence);
    }
    check_refused("", 0, "is empty");
    check_refused("abc", 3, "is truncated: 3 bytes");
    check_refused("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "does not start with a JSON header");
    check_refused("\x10\0\0\0\0\0\0\0{}", 10, "is truncated: 10 bytes, its header alone has 16");
    check_refused("version https://git-lfs.github.com/spec/v1\n", 43, "is a git-lfs pointer");
}

static const struct tensor_spec specs[] = {
    { "views", DTYPE_F32, 3, { 2, 1, 2 } },
    { "ids \"quoted\"", DTYPE_I64, 1, { 2 } },
    { "number", DTYPE_F32, 0, { 0 } },
};

static void written_files_read_back(void **state)
{
    static const float views[] = { 1, 2, 3, 4 }, number = 5;
    static const int64_t ids[] = { -1, 7 };
    static const char *const metadata[] = { "format", "pt", "made by", "a test" };
    struct safetensors_writer w;
    struct safetensors_file f;
    struct scratch s;
    struct err e = { 0 };
    const char *path;

    (void)state;
    scratch_open(&s);
    path = scratch_path(&s, "x.safetensors");
    if (safetensors_writer_open(&w, path, specs, 3, metadata, 2, &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_int_equal(safetensors_writer_put(&w, views, 7, &e), STATUS_OK); /* in odd steps */
    assert_int_equal(safetensors_writer_put(&w, (const char *)views + 7, 9, &e), STATUS_OK);
    assert_int_equal(safetensors_writer_put(&w, ids, sizeof ids, &e), STATUS_OK);
    assert_int_equal(safetensors_writer_put(&w, &number, sizeof number, &e), STATUS_OK);
    assert_false(file_exists(path));
    if (safetensors_writer_commit(&w, &e) != STATUS_OK) fail_msg("%s", e.text);

    if (safetensors_open(&f, path, &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_int_equal(f.count, 3);
    assert_string_equal(f.tensors[0].name, "ids \"quoted\"");
    assert_memory_equal(f.tensors[0].data, ids, sizeof ids);
    assert_string_equal(f.tensors[2].name, "views");
    assert_memory_equal(f.tensors[2].data, views, sizeof views);
    assert_int_equal(f.tensors[2].n_dims, 3);
    assert_int_equal((uintptr_t)f.tensors[2].data % 64, 0);
    assert_memory_equal(f.tensors[1].data, &number, sizeof number);
    assert_ptr_equal(safetensors_find(&f, "views"), &f.tensors[2]);
    assert_null(safetensors_find(&f, "view"));
    assert_string_equal(safetensors_metadata(&f, "made by"), "a test");
    assert_null(safetensors_metadata(&f, "made"));
    safetensors_close(&f);
    scratch_close(&s);
}

static void writers_refuse_wrong_sizes(void **state)
{
    static const struct tensor_spec twice[] = { { "a", DTYPE_F32, 1, { 1 } }, { "a", DTYPE_F32, 1, { 1 } } };
    static const struct tensor_spec vast = { "a", DTYPE_F32, 2, { INT64_MAX, INT64_MAX } };
    static const struct tensor_spec quantised = { "a", DTYPE_Q4_0, 2, { 2, 32 } };
    unsigned char zeros[64] = { 0 };
    struct safetensors_writer w;
    struct scratch s;
    struct err e = { 0 };
    const char *path;

    (void)state;
    scratch_open(&s);
    path = scratch_path(&s, "x.safetensors");
    assert_int_equal(safetensors_writer_open(&w, path, specs, 3, NULL, 0, &e), STATUS_OK);
    assert_int_equal(safetensors_writer_put(&w, zeros, 35, &e), STATUS_OK);
    assert_int_equal(safetensors_writer_commit(&w, &e), STATUS_BAD_ARGUMENT);
    assert_non_null(strstr(e.text, "the last 1 bytes of its tensors were not given"));
    assert_false(file_exists(path));
    err_clear(&e);
    assert_int_equal(safetensors_writer_open(&w, path, specs, 3, NULL, 0, &e), STATUS_OK);
    assert_int_equal(safetensors_writer_put(&w, zeros, 37, &e), STATUS_BAD_ARGUMENT);
    safetensors_writer_abort(&w);
    assert_false(file_exists(path));
    assert_int_equal(safetensors_writer_open(&w, path, twice, 2, NULL, 0, &e), STATUS_BAD_ARGUMENT);
    assert_int_equal(safetensors_writer_open(&w, path, &vast, 1, NULL, 0, &e), STATUS_BAD_ARGUMENT);
    err_clear(&e);
    assert_int_equal(safetensors_writer_open(&w, path, &quantised, 1, NULL, 0, &e), STATUS_UNSUPPORTED);
    assert_non_null(strstr(e.text, "safetensors files have no type q4_0"));
    scratch_close(&s);
}

static void index_names_files(void **state)
{
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        { "{\"weight_map\":{\"a\":\"../x.safetensors\"}}", "is not named by a plain file name" },
        { "{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "is not named by a plain file name" },
        { "{\"weight_map\":{\"a\":1}}", "is not named by a plain file name" },
        { "{\"weight_map\":{\"a\":\"\"}}", "is not named by a plain file name" },
        { "{\"weight_map\":[]}", "it has no weight_map" },
        { "{\"weight_map\":{", "not an index of safetensors" },
        { "", "is empty" },
    };
    static const char good[] = "{\"metadata\":{},\"weight_map\":{\"llma.a\":\"1.safetensors\",\"b\":\"2."
                               "safetensors\",\"c\":\"1.safetensors\"}}";
    struct safetensors_index x;
    struct scratch s;
    struct err e = { 0 };
    const char *path;

    (void)state;
    scratch_open(&s);
    path = scratch_path(&s, "model.safetensors.index.json");
    scratch_write(path, good, sizeof good - 1);
    if (safetensors_index_open(&x, path, &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_int_equal(x.n_files, 2);
    assert_int_equal(x.n_names, 3);
    assert_string_equal(x.names[0], "a");
    assert_string_equal(x.files[x.file_of[1]], "2.safetensors");
    assert_string_equal(x.files[x.file_of[2]], "1.safetensors");
    safetensors_index_close(&x);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_clear(&e);
        scratch_write(path, cases[i].text, strlen(cases[i].text));
        if (safetensors_index_open(&x, path, &e) == STATUS_OK) fail_msg("accepted: %s", cases[i].text);
        if (strstr(e.text, cases[i].sentence) == NULL)
            fail_msg("expected \"%s\", got \"%s\"", cases[i].sentence, e.text);
    }
    scratch_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_is_read),          cmocka_unit_test(hostile_headers_are_refused),
        cmocka_unit_test(written_files_read_back), cmocka_unit_test(writers_refuse_wrong_sizes),
        cmocka_unit_test(index_names_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
