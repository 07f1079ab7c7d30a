/*
 * test_torch_file.c - what torch saved reads back as the numbers it holds, and each hostile file gets its
 * sentence.
 */
#include "store/torch_file.h"

#include <stdio.h>

#include "store/zip_build.h"

/* ---- files by torch: tools/reference/store.py ---------------------------------------------------------- */

/* The element at the indices, as float32. */
static float element(const struct raw_tensor *t, const void *data, const int64_t *index)
{
    int64_t at = 0;
    float value;

    for (int i = 0; i < t->n_dims; i++) at += index[i] * t->stride[i];
    dtype_info(t->dtype)->to_f32(&value, (const char *)data + dtype_bytes(t->dtype, (size_t)at), 1);
    return value;
}

struct wanted {
    const char *name;
    enum dtype dtype;
    int n_dims;
    int64_t dim[3], step[3]; /* the value at index i is first + sum of i * step / 2 */
    float first;
};

static const struct wanted wanted[] = {
    { "again", DTYPE_F32, 2, { 4, 6 }, { 6, 1 }, -3 },
    { "base", DTYPE_F32, 2, { 4, 6 }, { 6, 1 }, -3 },
    { "brain", DTYPE_BF16, 1, { 8 }, { 1 }, -3 },
    { "columns", DTYPE_F32, 2, { 4, 2 }, { 6, 1 }, -2 },
    { "cube", DTYPE_F32, 3, { 3, 2, 4 }, { 4, 12, 1 }, -3 },
    { "double", DTYPE_F64, 1, { 4 }, { 1 }, -3 },
    { "empty", DTYPE_F32, 2, { 0, 3 }, { 0, 0 }, 0 },
    { "every_other", DTYPE_F32, 2, { 2, 3 }, { 12, 2 }, -3 },
    { "expanded", DTYPE_F32, 2, { 4, 3 }, { 0, 1 }, -3 },
    { "half", DTYPE_F16, 2, { 2, 4 }, { 4, 1 }, -3 },
    { "integers", DTYPE_I64, 1, { 5 }, { 1 }, 0 },
    { "parameter", DTYPE_F32, 2, { 2, 3 }, { 3, 1 }, -3 },
    { "scalar", DTYPE_F16, 0, { 0 }, { 0 }, 1.5f },
    { "transposed", DTYPE_F32, 2, { 6, 4 }, { 1, 6 }, -3 },
};

enum { N_WANTED = sizeof wanted / sizeof *wanted };

static void check_tensor(const char *path, const struct raw_tensor *t, const struct wanted *w)
{
    const void *data;
    struct err e = { 0 };
    int64_t n = 1;

    assert_string_equal(t->name, w->name);
    assert_int_equal(t->dtype, w->dtype);
    assert_int_equal(t->n_dims, w->n_dims);
    for (int i = 0; i < w->n_dims; i++) {
        assert_int_equal(t->dim[i], w->dim[i]);
        n *= w->dim[i];
    }
    if (raw_tensor_data(t, &data, &e) != STATUS_OK) fail_msg("%s", e.text);
    char *copy = malloc(dtype_bytes(t->dtype, (size_t)n) + 1);
    assert_non_null(copy);
    raw_tensor_copy(t, data, copy);
    for (int64_t k = 0; k < n; k++) {
        int64_t index[3] = { 0 }, rest = k;
        float expected = w->first, copied;

        for (int i = w->n_dims - 1; i >= 0; i--) {
            index[i] = rest % w->dim[i];
            rest /= w->dim[i];
            expected += 0.5f * (float)(index[i] * w->step[i]);
        }
        if (w->dtype == DTYPE_I64) {
            int64_t value;

            memcpy(&value, copy + (size_t)k * sizeof value, sizeof value);
            assert_int_equal(value, k);
            continue;
        }
        dtype_info(t->dtype)->to_f32(&copied, copy + dtype_bytes(t->dtype, (size_t)k), 1);
        if (!(copied == expected) || !(element(t, data, index) == expected)) {
            fail_msg("%s: %s[%lld] is %g, expected %g", path, w->name, (long long)k, (double)copied,
                     (double)expected);
        }
    }
    free(copy);
}

static void files_by_torch_read_back(void **state)
{
    static const char *const names[] = { "p2", "p3", "p4", "p5", "deflated", "zip64", "renamed" };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct torch_file f;
        struct err e = { 0 };
        char path[64];

        snprintf(path, sizeof path, "tests/data/store/%s.pth", names[i]);
        if (torch_file_open(&f, path, &e) != STATUS_OK) fail_msg("%s", e.text);
        assert_int_equal(f.count, N_WANTED);
        for (size_t k = 0; k < f.count; k++) check_tensor(path, &f.tensors[k], &wanted[k]);
        for (size_t k = 0; k < f.zip.count; k++) {
            if (zip_member_check(&f.zip, &f.zip.members[k], &e) != STATUS_OK) fail_msg("%s", e.text);
        }
        torch_file_close(&f);
    }
}

/* Views of one storage share its bytes, which lie in the mapping. */
static void stored_data_stay_in_place(void **state)
{
    struct torch_file f;
    struct err e = { 0 };
    const void *data[N_WANTED];
    const char *begin, *end;

    (void)state;
    assert_int_equal(torch_file_open(&f, "tests/data/store/p2.pth", &e), STATUS_OK);
    begin = (const char *)f.map.data;
    end = begin + f.map.size;
    for (size_t i = 0; i < f.count; i++) {
        assert_int_equal(raw_tensor_data(&f.tensors[i], &data[i], &e), STATUS_OK);
        assert_true((const char *)data[i] >= begin && (const char *)data[i] < end);
    }
    assert_ptr_equal(data[0], data[1]);                       /* again, base */
    assert_ptr_equal(data[3], (const char *)data[1] + 2 * 4); /* columns from offset 2 */
    assert_ptr_equal(data[13], data[1]);                      /* transposed */
    torch_file_close(&f);
}

static void views_are_rows_or_not(void **state)
{
    static const struct {
        const char *name;
        bool rows;
        int64_t stride;
    } cases[] = { { "base", true, 6 },   { "columns", true, 6 },      { "transposed", false, 0 },
                  { "cube", false, 0 },  { "every_other", false, 0 }, { "expanded", false, 0 },
                  { "scalar", true, 1 }, { "brain", true, 8 },        { "parameter", true, 3 } };
    struct torch_file f;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(torch_file_open(&f, "tests/data/store/p4.pth", &e), STATUS_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t k = 0; k < f.count; k++) {
            int64_t stride;

            if (strcmp(f.tensors[k].name, cases[i].name) != 0) continue;
            assert_int_equal(raw_tensor_rows(&f.tensors[k], &stride), cases[i].rows);
            if (cases[i].rows) assert_int_equal(stride, cases[i].stride);
        }
    }
    torch_file_close(&f);
}

/* ---- hostile pickles ----------------------------------------------------------------------------------- */

#define PROTO2     "\x80\x02"
#define STRING1(s) "X\1\0\0\0" s
#define STORAGE_ID "X\7\0\0\0storage"
#define FLOATS     "ctorch\nFloatStorage\n"
#define CPU        "X\3\0\0\0cpu"
#define STORAGE    "(" STORAGE_ID FLOATS STRING1("0") CPU "K\6tQ"
#define REBUILD    "ctorch._utils\n_rebuild_tensor_v2\n"
#define HOOKS                                                                                                \
    "\x89"                                                                                                   \
    "ccollections\nOrderedDict\n)R"
#define TENSOR(rest) REBUILD "(" STORAGE rest HOOKS "tR"
#define MODEL(value) PROTO2 "}X\5\0\0\0model}" STRING1("x") value "ss."
#define LONG(bytes)  "\x8a\x08" bytes

#define CASE(bytes, sentence)                                                                                \
    {                                                                                                        \
        bytes, sizeof(bytes) - 1, sentence                                                                   \
    }

struct hostile {
    const char *pickle;
    size_t size;
    const char *sentence;
};

static const struct hostile hostile_pickles[] = {
    /* code */
    CASE(PROTO2 "cos\nsystem\n(X\4\0\0\0exittR.", "refused to run pickled code: os.system at offset 2"),
    CASE(MODEL("cposix\nsystem\n(X\4\0\0\0exittR"), "refused to run pickled code: posix.system"),
    CASE(MODEL("c__builtin__\neval\n(" STRING1("1") "tR"), "refused to run pickled code: __builtin__.eval"),
    CASE(MODEL("cbuiltins\nexec\n(" STRING1("1") "tR"), "refused to run pickled code: builtins.exec"),
    CASE(MODEL("csubprocess\nPopen\n(" STRING1("1") "tR"), "refused to run pickled code: subprocess.Popen"),
    CASE(MODEL("cnumpy.core.multiarray\n_reconstruct\n"),
         "refused to run pickled code: numpy.core.multiarray._reconstruct"),
    CASE(MODEL("ctorch\nload\n"), "refused to run pickled code: torch.load"),
    CASE(MODEL("ctorch\nFloatStorage.__init__\n"),
         "refused to run pickled code: torch.FloatStorage.__init__"),
    CASE(MODEL("c\x1b[2J\nx\n"), "refused to run pickled code: ?[2J.x"),
    CASE("\x80\x04\x8c\x02os\x8c\x06system\x93" STRING1("1") "\x85R.",
         "refused to run pickled code: os.system at offset 14"),
    CASE(PROTO2 "K\1K\2\x93.", "the name of a global is not a string"),
    CASE(PROTO2 "ios\nsystem\n.", "refused pickle opcode 0x69 at offset 2"), /* INST */
    CASE(PROTO2 "(cos\nsystem\no.", "refused to run pickled code"),
    CASE(PROTO2 "(K\1o.", "refused pickle opcode 0x6f"),                /* OBJ */
    CASE(PROTO2 FLOATS ")\x81.", "refused pickle opcode 0x81"),         /* NEWOBJ */
    CASE(PROTO2 "\x82\x01.", "refused pickle opcode 0x82 at offset 2"), /* EXT1 */
    CASE(PROTO2 "I1\n.", "refused pickle opcode 0x49"),                 /* INT as text */
    CASE(PROTO2 "P0\n.", "refused pickle opcode 0x50"),                 /* PERSID as text */
    CASE(PROTO2 "\x97.", "refused pickle opcode 0x97"),                 /* NEXT_BUFFER */
    CASE(PROTO2 "K\1)R.", "a call of what is no function"),
    CASE(PROTO2 REBUILD "K\1R.", "a call of what is no function"),
    CASE(PROTO2 "ccollections\nOrderedDict\n]\x85R.", "an OrderedDict made from arguments"),
    CASE(PROTO2 REBUILD ")R}b.", "a state for what is no dictionary"),
    /* broken */
    CASE("\x80\x01}.", "a protocol other than 2 to 5"),
    CASE("}.", "not a pickle of protocol 2 or later"),
    CASE(PROTO2 "}", "it ends without STOP"),
    CASE(PROTO2 "}}.", "it ends with other than one value"),
    CASE(PROTO2 ".", "it ends with other than one value"),
    CASE(PROTO2 "(.", "it ends with other than one value"),
    CASE(PROTO2 "s.", "the stack is empty"),
    CASE(PROTO2 "(K\1K\1s.", "an item for what is no list or dictionary"),
    CASE(PROTO2 "}(K\1u.", "a key without a value"),
    CASE(PROTO2 "u.", "no mark on the stack"),
    CASE(PROTO2 "K\1(\x85.", "the stack is empty"),
    CASE(PROTO2 "Q.", "the stack is empty"),
    CASE(PROTO2 "h\5.", "a memo entry that was never set"),
    CASE(PROTO2 "}r\xff\xff\xff\x7f.", "a memo index larger than the pickle"),
    CASE(PROTO2 "X\xff\xff\xff\xffx", "more bytes wanted"),
    CASE(PROTO2 "\x8d\xff\xff\xff\xff\xff\xff\xff\xffx", "more bytes wanted"),
    CASE(PROTO2 "\x95\xff\xff\xff\xff\xff\xff\xff\xff}.", "a frame longer than the pickle"),
    CASE(PROTO2 "\x8a\x09\1\1\1\1\1\1\1\1\1.", "an integer of more than 64 bits"),
    CASE(PROTO2 "ctorch\nFloat", "the name of a global does not end"),
    CASE(PROTO2 "J\1", "more bytes wanted"),
    /* well-formed, but no checkpoint */
    CASE(PROTO2 "]K\1a.", "holds a list; wanted"),
    CASE(PROTO2 "K\1.", "holds an int; wanted"),
    CASE(PROTO2 "}.", "holds no tensors"),
    CASE(MODEL("K\1"), "holds no tensors"),
    CASE(PROTO2 "}K\5" TENSOR("K\0))") "s.", "a tensor's name is an int"),
    CASE(PROTO2 "}X\0\0\0\0" TENSOR("K\0))") "s.", "not a proper string"),
    CASE(PROTO2 "}X\2\0\0\0a\0" TENSOR("K\0))") "s.", "not a proper string"),
    CASE(PROTO2 "}(" STRING1("x") TENSOR("K\0))") STRING1("x") TENSOR("K\0))") "u.",
         "tensor x: it is there twice"),
    CASE(PROTO2 "}(" STRING1("x") TENSOR("K\0))") "X\6\0\0\0llma.x" TENSOR("K\0)))") "u.", "tensor x: it is"),
    /* tensors that lie */
    CASE(MODEL(REBUILD ")R"), "it is not made from 6 or 7 arguments"),
    CASE(MODEL(REBUILD "(K\1K\0))" HOOKS "tR"), "its storage is not described as torch does"),
    CASE(MODEL(REBUILD "((" STORAGE_ID REBUILD STRING1("0") CPU "K\6tQK\0))" HOOKS "tR"),
         "its storage is not described as torch does"),
    CASE(MODEL(REBUILD "((" STORAGE_ID FLOATS STRING1("9") CPU "K\6tQK\0))" HOOKS "tR"),
         "the archive has no member top/data/9"),
    CASE(MODEL(REBUILD "((" STORAGE_ID FLOATS "X\7\0\0\0../../0" CPU "K\6tQK\0))" HOOKS "tR"),
         "has no member top/data/"),
    CASE(MODEL(REBUILD "((" STORAGE_ID FLOATS STRING1("0") CPU "K\7tQK\0))" HOOKS "tR"),
         "its storage of 7 f32 elements does not fit member top/data/0 of 24 bytes"),
    CASE(MODEL(REBUILD "((" STORAGE_ID "ctorch\nDoubleStorage\n" STRING1("0") CPU "K\6tQK\0))" HOOKS "tR"),
         "its storage of 6 f64 elements does not fit member top/data/0 of 24 bytes"),
    CASE(MODEL(REBUILD "((" STORAGE_ID FLOATS STRING1("0") CPU LONG("\6\0\0\0\0\0\0\x40") "tQK\0))" HOOKS
                                                                                          "tR"),
         "does not fit member"),
    CASE(MODEL(TENSOR("J\xff\xff\xff\xff"
                      "))")),
         "its offset in the storage is not a number from 0 up"),
    CASE(MODEL(TENSOR("K\0K\6]")), "its shape is not a tuple of numbers from 0 up"),
    CASE(MODEL(TENSOR("K\0J\xff\xff\xff\xff\x85K\1\x85")), "its shape is not a tuple of numbers from 0 up"),
    CASE(MODEL(TENSOR("K\0K\6\x85J\xff\xff\xff\xff\x85")),
         "its strides are not a tuple of numbers from 0 up"),
    CASE(MODEL(TENSOR("K\0K\6\x85K\1K\1\x86")), "it has not as many strides as dimensions"),
    CASE(MODEL(TENSOR("K\0(K\1K\1K\1K\1K\1K\1K\1K\1K\1tK\1\x85")), "it has more than 8 dimensions"),
    CASE(MODEL(TENSOR("K\0K\7\x85K\1\x85")),
         "shape [7] with strides [1] from 0 on reaches beyond its storage of 6 elements"),
    CASE(MODEL(TENSOR("K\1K\6\x85K\1\x85")),
         "shape [6] with strides [1] from 1 on reaches beyond its storage"),
    CASE(MODEL(TENSOR("K\0K\2K\2\x86K\5K\1\x86")),
         "shape [2, 2] with strides [5, 1] from 0 on reaches beyond"),
    CASE(MODEL(TENSOR("K\0K\2\x85" LONG("\xff\xff\xff\xff\xff\xff\xff\x7f") "\x85")),
         "reaches beyond its storage"),
    CASE(MODEL(TENSOR("K\0" LONG("\0\0\0\0\0\0\0\x40") LONG("\0\0\0\0\0\0\0\x40") "\x86K\0K\0\x86")),
         "its shape is too large for any memory"),
    CASE(MODEL(TENSOR("K\0" LONG("\0\0\0\0\0\0\0\x40") "\x85K\0\x85")),
         "its shape is too large for any memory"),
};

/* Expects the bytes to be refused with a sentence that begins with the file's name and holds `sentence`. */
static void check_refused(const void *data, size_t size, const char *sentence)
{
    struct torch_file f;
    struct err e = { 0 };
    unsigned char *exact = malloc(size > 0 ? size : 1); /* so that reading past the end is seen */

    assert_non_null(exact);
    if (size > 0) memcpy(exact, data, size);
    if (torch_file_open_memory(&f, exact, size, "x.pth", &e) == STATUS_OK) fail_msg("accepted: %s", sentence);
    if (strncmp(e.text, "x.pth", 5) != 0 || strstr(e.text, sentence) == NULL) {
        fail_msg("expected \"%s\", got \"%s\"", sentence, e.text);
    }
    free(exact);
}

static void hostile_pickles_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hostile_pickles / sizeof *hostile_pickles; i++) {
        struct zip_build z;

        zip_build_torch(&z, hostile_pickles[i].pickle, hostile_pickles[i].size);
        check_refused(z.data, z.size, hostile_pickles[i].sentence);
        free(z.data);
    }
}

/* The same macros make a sound pickle: so a case above fails for its own reason. */
static void sound_pickle_is_read(void **state)
{
    static const char pickle[] = MODEL(TENSOR("K\1K\2K\2\x86K\3K\1\x86"));
    struct zip_build z;
    struct torch_file f;
    struct err e = { 0 };
    const void *data;
    float copy[4];

    (void)state;
    zip_build_torch(&z, pickle, sizeof pickle - 1);
    if (torch_file_open_memory(&f, z.data, z.size, "x.pth", &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_int_equal(f.count, 1);
    assert_int_equal(raw_tensor_data(&f.tensors[0], &data, &e), STATUS_OK);
    raw_tensor_copy(&f.tensors[0], data, copy);
    assert_true(copy[0] == 1 && copy[1] == 2 && copy[2] == 4 && copy[3] == 5);
    torch_file_close(&f);
    free(z.data);
}

/* A million tuples inside each other, and thirty lists that each hold the one before twice (2^30 if
 * written out). */
static void deep_and_wide_values_are_skipped(void **state)
{
    enum { DEPTH = 1000000, LISTS = 30 };
    static const char head[] = PROTO2 "}(" STRING1("x") TENSOR("K\0))") STRING1("y") "]",
                      wide[] = STRING1("z") "(";
    struct zip_build pickle = { 0 }, z;
    struct torch_file f;
    struct err e = { 0 };

    (void)state;
    zip_build_put(&pickle, head, sizeof head - 1);
    for (int i = 0; i < DEPTH; i++) zip_build_put(&pickle, "\x85", 1);
    zip_build_put(&pickle, wide, sizeof wide - 1);
    for (int i = 0; i < LISTS; i++) {
        const char list[] = { ']', 'q', (char)i, '(', 'h', (char)(i - 1), 'h', (char)(i - 1), 'e' };

        zip_build_put(&pickle, list, i == 0 ? 3 : sizeof list);
    }
    zip_build_put(&pickle, "tu.", 3);
    zip_build_torch(&z, pickle.data, pickle.size);
    if (torch_file_open_memory(&f, z.data, z.size, "x.pth", &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_int_equal(f.count, 1);
    torch_file_close(&f);
    free(z.data);
    free(pickle.data);
}

/* ---- what is no torch file at all ---------------------------------------------------------------------- */

static void other_files_are_named(void **state)
{
    static const char pointer[] =
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 33000000000\n";
    static const char page[] = "\n <!DOCTYPE html><html><body>404</body></html>";
    static const char bare[] = PROTO2 "}.";
    char tar[1024] = "sys_info";

    (void)state;
    memcpy(tar + 257, "ustar", 5);
    check_refused("", 0, "is empty");
    check_refused(pointer, sizeof pointer - 1,
                  "is a git-lfs pointer of 73 bytes, not the weights: run `git lfs pull`");
    check_refused(page, sizeof page - 1, "is a web page, not the weights");
    check_refused(bare, sizeof bare - 1, "is a bare pickle");
    check_refused(tar, sizeof tar,
                  "torch.save(torch.load(\"x.pth\", map_location=\"cpu\", weights_only=False), \"new.pth\")");
    check_refused("GGUF\3\0\0\0", 8, "not a ZIP archive: it does not start with PK");
    check_refused("PK", 2, "is truncated: the 2 bytes that are there");
}

static void check_file_refused(const char *path, const char *sentence)
{
    struct torch_file f;
    struct err e = { 0 };

    if (torch_file_open(&f, path, &e) == STATUS_OK) fail_msg("%s was accepted", path);
    if (strstr(e.text, sentence) == NULL) fail_msg("expected \"%s\", got \"%s\"", sentence, e.text);
}

static void files_by_torch_are_refused(void **state)
{
    (void)state;
    check_file_refused(
        "tests/data/store/old.pth",
        "is in torch's format before 1.6; save it anew with this line of Python, if you trust the file: "
        "import torch; torch.save(torch.load(\"tests/data/store/old.pth\", map_location=\"cpu\"), "
        "\"new.pth\")");
    check_file_refused("tests/data/store/code.pth",
                       "refused to run pickled code: posix.system at offset 184");
    check_file_refused("tests/data/store/numpy.pth", "refused to run pickled code: numpy.");
    check_file_refused("tests/data/store/none.pth", "cannot open");
    check_file_refused("tests/data/store", "not a regular file");
}

/* Every length of a sound file but its own is refused: nothing is read past the end. */
static void truncated_files_are_refused(void **state)
{
    struct file_map map;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(file_map_open(&map, "tests/data/store/p5.pth", &e), STATUS_OK);
    for (size_t n = 1; n < map.size; n += 1 + n / 64) check_refused(map.data, n, "truncated");
    file_map_close(&map);
}

/* ---- archives that are no checkpoint ------------------------------------------------------------------- */

static void odd_archives_are_refused(void **state)
{
    static const char pickle[] = MODEL(TENSOR("K\0))"));
    struct zip_build z = { 0 };

    (void)state;
    zip_build_add(&z, "top/other", "x", 1, false);
    zip_build_end(&z, false);
    check_refused(z.data, z.size, "a ZIP archive of 1 members, none of them data.pkl");
    free(z.data);

    memset(&z, 0, sizeof z);
    zip_build_add(&z, "a/data.pkl", pickle, sizeof pickle - 1, false);
    zip_build_add(&z, "b/data.pkl", pickle, sizeof pickle - 1, false);
    zip_build_end(&z, false);
    check_refused(z.data, z.size, "holds two checkpoints, a/data.pkl and b/data.pkl");
    free(z.data);

    memset(&z, 0, sizeof z);
    zip_build_add(&z, "a/data.pkl", pickle, sizeof pickle - 1, true);
    zip_build_add(&z, "a/byteorder", "big", 3, true);
    zip_build_end(&z, true);
    check_refused(z.data, z.size, "its numbers are in big-endian byte order, only little can be read");
    free(z.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_by_torch_read_back),    cmocka_unit_test(stored_data_stay_in_place),
        cmocka_unit_test(views_are_rows_or_not),       cmocka_unit_test(sound_pickle_is_read),
        cmocka_unit_test(hostile_pickles_are_refused), cmocka_unit_test(deep_and_wide_values_are_skipped),
        cmocka_unit_test(other_files_are_named),       cmocka_unit_test(files_by_torch_are_refused),
        cmocka_unit_test(truncated_files_are_refused), cmocka_unit_test(odd_archives_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
