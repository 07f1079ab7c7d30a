/*
 * test_gguf.c - GGUF files: read as the public package writes them, and refused, field by field, where they lie.
 */
#include "store/gguf.h"

#include <math.h>

#include "support/scratch.h"

/* ---- files from text ------------------------------------------------------------------------------------------ */

struct bytes {
    unsigned char data[2048];
    size_t size;
};

static void put_number(struct bytes *b, unsigned n, uint64_t value)
{
    assert_true(b->size + n <= sizeof b->data);
    for (unsigned i = 0; i < n; i++) b->data[b->size++] = (unsigned char)(value >> (8 * i));
}

/* Words: "4=7" is the number 7 in 4 bytes, "s=abc" a string with its length, "t=abc" the bare bytes, "pad=32" zeros up to a multiple
 * of 32. */
static struct bytes build(const char *text)
{
    struct bytes b = { .size = 0 };

    while (*text != '\0') {
        size_t n = strcspn(text, " ");
        const char *value = memchr(text, '=', n);
        size_t n_value;

        assert_non_null(value);
        n_value = n - (size_t)(++value - text);
        if (text[0] == 's' || text[0] == 't') {
            if (text[0] == 's') put_number(&b, 8, n_value);
            for (size_t i = 0; i < n_value; i++) put_number(&b, 1, (unsigned char)value[i]);
        } else if (text[0] == 'p') {
            while (b.size % strtoull(value, NULL, 0) != 0) put_number(&b, 1, 0);
        } else {
            put_number(&b, (unsigned)(text[0] - '0'), strtoull(value, NULL, 0));
        }
        text += n;
        text += strspn(text, " ");
    }
    return b;
}

#define HEAD(version, tensors, keys) "t=GGUF 4=" version " 8=" tensors " 8=" keys " "
/* One tensor of two dims without data. */
#define TENSOR(name, columns, rows, type, offset)                                                            \
    "s=" name " 4=2 8=" columns " 8=" rows " 4=" type " 8=" offset " "

static const char sound[] =
    HEAD("3", "2", "4") "s=general.alignment 4=4 4=16 "
                        "s=a.list 4=9 4=8 8=3 s=x s= s=long "
                        "s=a.number 4=5 4=0xfffffffe "
                        "s=a.flag 4=7 1=1 " TENSOR("w", "3", "2", "0", "16")
                            TENSOR("v", "2", "1", "1", "0") "pad=16 4=0x40003c00 pad=16 "
                                                            "4=0x3f800000 4=0 4=0 4=0 4=0 4=0x40400000";

static void file_is_read(void **state)
{
    struct bytes b = build(sound);
    const struct gguf_value *v;
    struct gguf_string s;
    struct gguf_file f;
    struct err e = { 0 };
    size_t at = 0;
    bool flag = false;

    (void)state;
    for (unsigned version = 2; version <= 3; version++) {
        b.data[4] = (unsigned char)version;
        if (gguf_open_memory(&f, b.data, b.size, "x.gguf", &e) != STATUS_OK) fail_msg("%s", e.text);
        assert_int_equal(f.version, version);
        assert_int_equal(f.count, 2);
        assert_string_equal(f.tensors[0].name, "v");
        assert_int_equal(f.tensors[0].dtype, DTYPE_F16);
        assert_ptr_equal(f.tensors[0].data, b.data + b.size - 40);
        assert_string_equal(f.tensors[1].name, "w");
        assert_int_equal(f.tensors[1].n_dims, 2);
        assert_int_equal(f.tensors[1].dim[0], 2);
        assert_int_equal(f.tensors[1].dim[1], 3);
        assert_int_equal(f.tensors[1].stride[0], 3);
        assert_int_equal(f.tensors[1].stride[1], 1);
        assert_ptr_equal(f.tensors[1].data, b.data + b.size - 24);
        assert_int_equal(f.n_values, 4);
        assert_int_equal(f.alignment, 16);
        if (version == 2) gguf_close(&f);
    }
    assert_int_equal(gguf_get_bool(&f, "a.flag", &flag, &e), STATUS_OK);
    assert_true(flag);
    assert_int_equal(gguf_get_array(&f, "a.list", GGUF_STRING, &v, &e), STATUS_OK);
    assert_int_equal(v->count, 3);
    assert_true(gguf_string_next(v, &at, &s) && s.size == 1 && s.bytes[0] == 'x');
    assert_true(gguf_string_next(v, &at, &s) && s.size == 0);
    assert_true(gguf_string_next(v, &at, &s) && s.size == 4 && memcmp(s.bytes, "long", 4) == 0);
    assert_false(gguf_string_next(v, &at, &s));
    gguf_close(&f);
}

/* ---- refusals ------------------------------------------------------------------------------------------------- */

static const struct {
    const char *file, *sentence;
} hostile[] = {
    { "t=GGUG 4=3 8=0 8=0", "not a GGUF file" },
    { "t=GG", "not a GGUF file" },
    { HEAD("1", "0", "0"), "is GGUF version 1, supported are 2 and 3" },
    { HEAD("4", "0", "0"), "is GGUF version 4" },
    { HEAD("0", "0", "0"), "is GGUF version 0" },
    { HEAD("0x03000000", "0", "0"), "big-endian" },
    { HEAD("3", "1000", "0"), "0 keys and 1000 tensors do not fit into its 24 bytes" },
    { HEAD("3", "0", "0xffffffffffffffff"), "do not fit" },
    { HEAD("3", "0", "1") "s= 4=0 1=1", "a key at byte 24 is empty" },
    { HEAD("3", "0", "1") "8=2 1=97 1=0 4=0 1=1", "no text: \"a?\"" },
    { HEAD("3", "0", "1") "8=0xffffffffffffffff 4=0 1=1", "a key at byte 32 runs past its end" },
    { HEAD("3", "0", "1") "s=k 4=13 1=1", "key k: its kind is not one that GGUF knows" },
    { HEAD("3", "0", "1") "s=k 4=9 4=13 8=1 1=1", "key k: its kind is not one that GGUF knows" },
    { HEAD("3", "0", "1") "s=k 4=9 4=9 8=1 4=0 8=1 1=1", "key k: it is an array of arrays" },
    { HEAD("3", "0", "1") "s=k 4=9 4=10 8=0x2000000000000001 8=1", "an array at byte 49 runs past its end" },
    { HEAD("3", "0", "1") "s=k 4=9 4=0 8=2 1=1", "an array at byte 49 runs past" },
    { HEAD("3", "0", "1") "s=k 4=9 4=8 8=1 8=9 4=0", "a string at byte 57 runs past" },
    { HEAD("3", "0", "1") "s=k 4=10 4=1", "a value at byte 37 runs past" },
    { HEAD("3", "0", "1") "s=k 4=7 1=2", "key k: it is neither true nor false" },
    { HEAD("3", "0", "2") "s=k 4=0 1=2 s=k 4=0 1=2", "key k: it is there twice" },
    { HEAD("3", "0", "1") "s=general.alignment 4=4 4=48", "general.alignment: it is no power of two" },
    { HEAD("3", "0", "1") "s=general.alignment 4=4 4=0", "general.alignment: it is no power of two" },
    { HEAD("3", "0", "1") "s=general.alignment 4=8 s=32",
      "the key general.alignment should be a whole number from 0 to 4294967295, but is of kind string: "
      "\"32\"" },
    { HEAD("3", "1", "0") "s=x 4=5 8=1 8=1 8=1 8=1 8=1 4=0 8=0 pad=32 4=0",
      "tensor x: it has more than 4 dim" },
    { HEAD("3", "1", "0") TENSOR("x", "0x8000000000000000", "1", "0", "0") "pad=32",
      "x: its shape is too large" },
    { HEAD("3", "1", "0") TENSOR("x", "0x100000000", "0x100000000", "0", "0") "pad=32",
      "tensor x: shape [4294967296, 4294967296] of f32 is too large" },
    { HEAD("3", "1", "0") TENSOR("x", "0x4000000000000000", "1", "28", "0") "pad=32", "of f64 is too large" },
    { HEAD("3", "1", "0") TENSOR("x", "16", "2", "2", "0") "pad=32 8=0 8=0 2=0",
      "tensor x: shape [2, 16] of q4_0 is too large or its rows are not whole blocks" },
    { HEAD("3", "1", "0") "s=x 4=0 4=8 8=0 pad=32", "shape [] of q8_0" },
    { HEAD("3", "1", "0") TENSOR("x", "32", "1", "7", "0") "pad=32",
      "type q5_1 of tensor x is not supported" },
    { HEAD("3", "1", "0") TENSOR("x", "32", "1", "4", "0") "pad=32",
      "type number 4 of tensor x is not known" },
    { HEAD("3", "1", "0") TENSOR("x", "1", "1", "0", "4") "pad=32 8=0",
      "do not begin at a multiple of the align" },
    { HEAD("3", "1", "0") TENSOR("x", "2", "1", "0", "0") "pad=32 4=0",
      "is truncated: tensor x has 8 bytes from byte 0 of the data on, of which there are 4" },
    { HEAD("3", "1", "0") TENSOR("x", "2", "1", "0", "0xffffffffffffffe0") "pad=32 8=0",
      "is truncated: tensor x" },
    { HEAD("3", "1", "0") TENSOR("x", "2", "1", "0", "0"), "is truncated: tensor x" },
    { HEAD("3", "2", "0") TENSOR("x", "9", "1", "0", "0")
          TENSOR("y", "1", "1", "0", "32") "pad=32 4=0 pad=128",
      "tensor y: its data overlap another tensor's" },
    { HEAD("3", "2", "0") TENSOR("x", "1", "1", "0", "0")
          TENSOR("x", "1", "1", "0", "32") "pad=32 4=0 pad=32 4=0 pad=32",
      "tensor x: it is there twice" },
    { HEAD("3", "1", "0") "8=0 4=0 4=0 8=0 pad=32 4=0", "a tensor's name at byte 24 is empty" },
};

static void check_refused(const void *data, size_t size, const char *sentence)
{
    unsigned char *exact = malloc(size > 0 ? size : 1); /* so that a sanitizer sees a byte too many */
    struct gguf_file f;
    struct err e = { 0 };

    assert_non_null(exact);
    if (size > 0) memcpy(exact, data, size);
    if (gguf_open_memory(&f, exact, size, "x.gguf", &e) == STATUS_OK) fail_msg("accepted: %s", sentence);
    if (strncmp(e.text, "x.gguf: ", 8) != 0 || strstr(e.text, sentence) == NULL)
        fail_msg("expected \"%s\", got \"%s\"", sentence, e.text);
    free(exact);
}

static void lies_are_refused(void **state)
{
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\n";
    struct bytes b;

    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        b = build(hostile[i].file);
        check_refused(b.data, b.size, hostile[i].sentence);
    }
    check_refused("", 0, "is empty");
    check_refused(pointer, sizeof pointer - 1, "git-lfs");
}

static void every_cut_is_refused(void **state)
{
    struct bytes b = build(sound);

    (void)state;
    for (size_t n = 0; n < b.size; n++) check_refused(b.data, n, "");
}

/* ---- values --------------------------------------------------------------------------------------------------- */

static void check_sentence(enum status want, enum status got, struct err *e, const char *sentence)
{
    assert_int_equal(got, want);
    if (strcmp(e->text, sentence) != 0) fail_msg("expected \"%s\", got \"%s\"", sentence, e->text);
    err_clear(e);
}

static void wrong_keys_are_named(void **state)
{
    struct bytes b = build(HEAD("3", "0", "4") "s=n 4=5 4=0xffffffff s=s 4=8 s=text s=a 4=9 4=5 8=2 4=1 4=2 "
                                               "s=q 4=10 8=0x100000000");
    const struct gguf_value *v;
    struct gguf_string s;
    struct gguf_file f;
    struct err e = { 0 };
    uint32_t n;
    float x;
    bool flag;

    (void)state;
    assert_int_equal(gguf_open_memory(&f, b.data, b.size, "x.gguf", &e), STATUS_OK);
    check_sentence(STATUS_NOT_FOUND, gguf_get_u32(&f, "none", &n, &e), &e, "x.gguf: the key none is missing");
    check_sentence(STATUS_BAD_FORMAT, gguf_get_u32(&f, "n", &n, &e), &e,
                   "x.gguf: the key n should be a whole number from 0 to 4294967295, but is of kind i32: -1");
    check_sentence(
        STATUS_BAD_FORMAT, gguf_get_u32(&f, "q", &n, &e), &e,
        "x.gguf: the key q should be a whole number from 0 to 4294967295, but is of kind u64: 4294967296");
    check_sentence(STATUS_BAD_FORMAT, gguf_get_f32(&f, "n", &x, &e), &e,
                   "x.gguf: the key n should be a single f32, but is of kind i32: -1");
    check_sentence(STATUS_BAD_FORMAT, gguf_get_bool(&f, "s", &flag, &e), &e,
                   "x.gguf: the key s should be true or false, but is of kind string: \"text\"");
    check_sentence(STATUS_BAD_FORMAT, gguf_get_string(&f, "a", &s, &e), &e,
                   "x.gguf: the key a should be a single string, but is an array of i32: [2 i32]");
    check_sentence(STATUS_BAD_FORMAT, gguf_get_array(&f, "a", GGUF_F32, &v, &e), &e,
                   "x.gguf: the key a should be an array of f32, but is an array of i32: [2 i32]");
    check_sentence(STATUS_NOT_FOUND, gguf_get_array(&f, "b", GGUF_F32, &v, &e), &e,
                   "x.gguf: the key b is missing");
    assert_int_equal(gguf_get_array(&f, "a", GGUF_I32, &v, &e), STATUS_OK);
    assert_int_equal(gguf_i32_at(v, 1), 2);
    gguf_close(&f);
}

/* ---- what the gguf package writes (tools/reference/gguf_files.py) ----------------------------------------------- */

static void check_value(const struct gguf_file *f, const char *key, const char *want)
{
    const struct gguf_value *v = gguf_find(f, key);
    char text[128];

    if (v == NULL) fail_msg("%s: missing", key);
    if (strcmp(gguf_value_text(v, text, sizeof text), want) != 0)
        fail_msg("%s: %s, expected %s", key, text, want);
}

static const struct raw_tensor *tensor_find(const struct gguf_file *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++) {
        if (strcmp(f->tensors[i].name, name) == 0) return &f->tensors[i];
    }
    fail_msg("%s: missing", name);
    return NULL;
}

static int64_t integer_at(const struct raw_tensor *t, size_t i)
{
    size_t size = dtype_info(t->dtype)->block_bytes;
    const unsigned char *p = (const unsigned char *)t->data + i * size;
    uint64_t n = 0;

    for (size_t k = 0; k < size; k++) n |= (uint64_t)p[k] << (8 * k);
    return (int64_t)(n << (64 - 8 * size)) >> (64 - 8 * size);
}

/* -6, -5, ..., 5 as [2, 3, 2] */
static void check_plain(const struct gguf_file *f, const char *name, enum dtype dtype)
{
    const struct raw_tensor *t = tensor_find(f, name);
    float x[12];

    assert_int_equal(t->dtype, dtype);
    assert_int_equal(t->n_dims, 3);
    assert_true(t->dim[0] == 2 && t->dim[1] == 3 && t->dim[2] == 2 && t->stride[0] == 6);
    if (dtype_is_weight(dtype)) dtype_info(dtype)->to_f32(x, t->data, 12);
    for (int i = 0; i < 12; i++) {
        if (dtype_is_weight(dtype)) x[i] = x[i] - (float)(i - 6);
        if (dtype_is_weight(dtype) ? x[i] != 0 : integer_at(t, (size_t)i) != i - 6)
            fail_msg("%s: element %d", name, i);
    }
}

/* (i - 200) / 64 as [2, 256], as near as the type's steps allow. */
static void check_blocks(const struct gguf_file *f, const char *name, enum dtype dtype, float step)
{
    const struct raw_tensor *t = tensor_find(f, name);
    float x[512];

    assert_int_equal(t->dtype, dtype);
    assert_true(t->n_dims == 2 && t->dim[0] == 2 && t->dim[1] == 256);
    dtype_info(dtype)->to_f32(x, t->data, 512);
    for (int i = 0; i < 512; i++) {
        float want = (float)(i - 200) / 64;

        if (!(fabsf(x[i] - want) <= step))
            fail_msg("%s: element %d is %g, expected %g", name, i, (double)x[i], (double)want);
    }
}

static void package_file_is_read(void **state)
{
    struct gguf_file f;
    struct err e = { 0 };

    (void)state;
    if (gguf_open(&f, "tests/data/gguf/kinds.gguf", &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_int_equal(f.alignment, 64);
    assert_int_equal(f.n_values, 18);
    check_value(&f, "general.architecture", "\"kinds\"");
    check_value(&f, "t.u8", "200");
    check_value(&f, "t.i8", "-100");
    check_value(&f, "t.u16", "60000");
    check_value(&f, "t.i16", "-30000");
    check_value(&f, "t.u32", "4000000000");
    check_value(&f, "t.i32", "-2000000000");
    check_value(&f, "t.f32", "0.15625");
    check_value(&f, "t.bool", "true");
    check_value(&f, "t.string", "\"caf??\"");
    check_value(&f, "t.u64", "9223372036854775808");
    check_value(&f, "t.i64", "-4611686018427387904");
    check_value(&f, "t.f64", "1e+300");
    check_value(&f, "t.strings", "[3 string]");
    check_value(&f, "t.bytes", "[3 u8]");
    assert_memory_equal(gguf_find(&f, "t.bytes")->data, "\0\1\377", 3);
    assert_true(gguf_f32_at(gguf_find(&f, "t.floats"), 1) == -2.0f);
    assert_int_equal(gguf_i32_at(gguf_find(&f, "t.ints"), 1), -8);
    check_plain(&f, "p.f32", DTYPE_F32);
    check_plain(&f, "p.f16", DTYPE_F16);
    check_plain(&f, "p.f64", DTYPE_F64);
    check_plain(&f, "p.i8", DTYPE_I8);
    check_plain(&f, "p.i16", DTYPE_I16);
    check_plain(&f, "p.i32", DTYPE_I32);
    check_plain(&f, "p.i64", DTYPE_I64);
    check_blocks(&f, "q.bf16", DTYPE_BF16, 5.0f / 256);
    check_blocks(&f, "q.q8_0", DTYPE_Q8_0, 5.0f / 254);
    check_blocks(&f, "q.q4_0", DTYPE_Q4_0, 5.0f / 8);
    assert_int_equal(tensor_find(&f, "q.q4_k")->dtype, DTYPE_Q4_K);
    assert_int_equal(((const unsigned char *)tensor_find(&f, "q.q4_k")->data)[287], 287 % 120);
    assert_int_equal(tensor_find(&f, "q.q6_k")->dtype, DTYPE_Q6_K);
    assert_int_equal(((const unsigned char *)tensor_find(&f, "q.q6_k")->data)[419], 419 % 120);
    gguf_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_is_read),         cmocka_unit_test(lies_are_refused),
        cmocka_unit_test(every_cut_is_refused), cmocka_unit_test(wrong_keys_are_named),
        cmocka_unit_test(package_file_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
