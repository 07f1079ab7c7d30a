/*
 * gguf.c - see gguf.h: opens a file. One cursor walks over the header once; what it passes over is kept as pointers
 * into the file. Values are read in gguf_value.c.
 */
#include "store/gguf.h"

#include <stdlib.h>

enum {
    STRING_BYTES_MIN = 8,
    KEY_BYTES_MIN = STRING_BYTES_MIN + 4 + 1,
    TENSOR_BYTES_MIN = STRING_BYTES_MIN + 4 + 4 + 8,
};

/* ggml's types. X(number, name, dtype): our dtype, or -1 where the program has none. */
#define GGUF_TYPE_MAP(X)                                                                                     \
    X(0, "f32", DTYPE_F32)                                                                                   \
    X(1, "f16", DTYPE_F16)                                                                                   \
    X(2, "q4_0", DTYPE_Q4_0)                                                                                 \
    X(3, "q4_1", -1)                                                                                         \
    X(6, "q5_0", -1)                                                                                         \
    X(7, "q5_1", -1)                                                                                         \
    X(8, "q8_0", DTYPE_Q8_0)                                                                                 \
    X(9, "q8_1", -1)                                                                                         \
    X(10, "q2_K", -1)                                                                                        \
    X(11, "q3_K", -1)                                                                                        \
    X(12, "q4_K", DTYPE_Q4_K)                                                                                \
    X(13, "q5_K", -1)                                                                                        \
    X(14, "q6_K", DTYPE_Q6_K)                                                                                \
    X(15, "q8_K", -1)                                                                                        \
    X(16, "iq2_xxs", -1)                                                                                     \
    X(17, "iq2_xs", -1)                                                                                      \
    X(18, "iq3_xxs", -1)                                                                                     \
    X(19, "iq1_s", -1)                                                                                       \
    X(20, "iq4_nl", -1)                                                                                      \
    X(21, "iq3_s", -1)                                                                                       \
    X(22, "iq2_s", -1)                                                                                       \
    X(23, "iq4_xs", -1)                                                                                      \
    X(24, "i8", DTYPE_I8)                                                                                    \
    X(25, "i16", DTYPE_I16)                                                                                  \
    X(26, "i32", DTYPE_I32)                                                                                  \
    X(27, "i64", DTYPE_I64)                                                                                  \
    X(28, "f64", DTYPE_F64)                                                                                  \
    X(29, "iq1_m", -1)                                                                                       \
    X(30, "bf16", DTYPE_BF16)                                                                                \
    X(34, "tq1_0", -1)                                                                                       \
    X(35, "tq2_0", -1)                                                                                       \
    X(39, "mxfp4", -1)                                                                                       \
    X(40, "nvfp4", -1)

static const struct {
    uint32_t number;
    const char *name;
    int dtype;
} types[] = {
#define X(number, name, dtype) { number, name, dtype },
    GGUF_TYPE_MAP(X)
#undef X
};

enum { N_TYPES = sizeof types / sizeof *types };

int gguf_type_of(enum dtype dtype)
{
    for (size_t i = 0; i < N_TYPES; i++) {
        if (types[i].dtype == (int)dtype) return (int)types[i].number;
    }
    return -1;
}

/* ---- the cursor ---------------------------------------------------------------------------------------- */

struct cursor {
    struct gguf_file *f;
    const unsigned char *data;
    size_t size, at;
    struct err *e;
};

static enum status truncated(const struct cursor *c, const char *what)
{
    return err_set(c->e, STATUS_BAD_FORMAT,
                   "%s: is truncated or damaged: %s at byte %zu runs past its end, byte %zu", c->f->path,
                   what, c->at, c->size);
}

/* The next `bytes` (1 to 8) as a little-endian number. */
static enum status take(struct cursor *c, unsigned bytes, uint64_t *value, const char *what)
{
    *value = 0;
    if (c->size - c->at < bytes) return truncated(c, what);
    for (unsigned i = 0; i < bytes; i++) *value |= (uint64_t)c->data[c->at++] << (8 * i);
    return STATUS_OK;
}

static enum status take_string(struct cursor *c, struct gguf_string *s, const char *what)
{
    uint64_t n;
    enum status st = take(c, 8, &n, what);

    *s = (struct gguf_string){ "", 0 };
    if (st != STATUS_OK) return st;
    if (n > c->size - c->at) return truncated(c, what);
    *s = (struct gguf_string){ (const char *)c->data + c->at, (size_t)n };
    c->at += (size_t)n;
    return STATUS_OK;
}

/* A key or name: not empty, without NUL, copied. */
static enum status take_name(struct cursor *c, const char **name, const char *what)
{
    char *copy, text[SHAPE_TEXT_MAX];
    struct gguf_string s;
    size_t at = c->at;
    enum status st = take_string(c, &s, what);

    if (st != STATUS_OK) return st;
    if (s.size == 0 || s.size > GGUF_KEY_BYTES_MAX || memchr(s.bytes, '\0', s.size) != NULL) {
        return err_set(c->e, STATUS_BAD_FORMAT, "%s: %s at byte %zu is empty, too long or no text: \"%s\"",
                       c->f->path, what, at, bytes_text(text, s.bytes, s.size));
    }
    copy = arena_alloc(&c->f->arena, s.size + 1);
    if (copy == NULL) return err_no_memory(c->e, c->f->path);
    memcpy(copy, s.bytes, s.size);
    copy[s.size] = '\0';
    *name = copy;
    return STATUS_OK;
}

/* ---- keys ---------------------------------------------------------------------------------------------- */

static enum status bad_key(const struct cursor *c, const char *key, const char *why)
{
    char text[SHAPE_TEXT_MAX];

    return err_set(c->e, STATUS_BAD_FORMAT, "%s: key %s: %s", c->f->path, bytes_text(text, key, strlen(key)),
                   why);
}

static enum status take_kind(struct cursor *c, const char *key, uint64_t *kind)
{
    enum status st = take(c, 4, kind, "the kind of a key's value");

    if (st == STATUS_OK && *kind >= GGUF_KINDS) return bad_key(c, key, "its kind is not one that GGUF knows");
    return st;
}

/* The elements of v, which starts at the cursor. */
static enum status take_elements(struct cursor *c, struct gguf_value *v, uint64_t count)
{
    static const unsigned char sizes[GGUF_KINDS] = {
        [GGUF_U8] = 1,  [GGUF_I8] = 1,  [GGUF_U16] = 2, [GGUF_I16] = 2,
        [GGUF_U32] = 4, [GGUF_I32] = 4, [GGUF_F32] = 4, [GGUF_BOOL] = 1,
        [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8, [GGUF_STRING] = STRING_BYTES_MIN,
    };
    size_t size = sizes[v->kind], begin = c->at;

    if (count > (c->size - begin) / size) return truncated(c, v->is_array ? "an array" : "a value");
    v->count = (size_t)count;
    v->data = c->data + begin;
    if (v->kind == GGUF_STRING) {
        for (size_t i = 0; i < v->count; i++) {
            struct gguf_string s;
            enum status st = take_string(c, &s, "a string");

            if (st != STATUS_OK) return st;
        }
    } else {
        c->at += v->count * size;
    }
    v->size = c->at - begin;
    for (size_t i = 0; v->kind == GGUF_BOOL && i < v->count; i++) {
        if (v->data[i] > 1) return bad_key(c, v->key, "it is neither true nor false");
    }
    return STATUS_OK;
}

static enum status take_value(struct cursor *c, struct gguf_value *v)
{
    uint64_t kind, count = 1;
    enum status st = take_name(c, &v->key, "a key");

    if (st == STATUS_OK) st = take_kind(c, v->key, &kind);
    if (st == STATUS_OK && kind == GGUF_ARRAY) {
        v->is_array = true;
        st = take_kind(c, v->key, &kind);
        if (st == STATUS_OK && kind == GGUF_ARRAY)
            return bad_key(c, v->key, "it is an array of arrays, which is not supported");
        if (st == STATUS_OK) st = take(c, 8, &count, "the length of an array");
    }
    if (st != STATUS_OK) return st;
    v->kind = (enum gguf_kind)kind;
    return take_elements(c, v, count);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct gguf_value *)a)->key, ((const struct gguf_value *)b)->key);
}

static enum status take_values(struct cursor *c)
{
    struct gguf_file *f = c->f;

    for (size_t i = 0; i < f->n_values; i++) {
        enum status st = take_value(c, &f->values[i]);

        if (st != STATUS_OK) return st;
    }
    if (f->n_values > 0) qsort(f->values, f->n_values, sizeof *f->values, by_key);
    for (size_t i = 1; i < f->n_values; i++) {
        if (strcmp(f->values[i - 1].key, f->values[i].key) == 0)
            return bad_key(c, f->values[i].key, "it is there twice");
    }
    return STATUS_OK;
}

static enum status alignment_find(struct cursor *c)
{
    uint32_t alignment = GGUF_ALIGNMENT;
    enum status st = STATUS_OK;

    if (gguf_find(c->f, GGUF_KEY_ALIGNMENT) != NULL)
        st = gguf_get_u32(c->f, GGUF_KEY_ALIGNMENT, &alignment, c->e);
    if (st != STATUS_OK) return st;
    if (alignment == 0 || (alignment & (alignment - 1)) != 0)
        return bad_key(c, GGUF_KEY_ALIGNMENT, "it is no power of two");
    c->f->alignment = alignment;
    return STATUS_OK;
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

static enum status bad_tensor(const struct gguf_file *f, const char *name, const char *why, struct err *e)
{
    char text[SHAPE_TEXT_MAX];

    return err_set(e, STATUS_BAD_FORMAT, "%s: tensor %s: %s", f->path, bytes_text(text, name, strlen(name)),
                   why);
}

static enum status type_take(const struct cursor *c, const char *name, uint64_t number, enum dtype *dtype)
{
    char text[SHAPE_TEXT_MAX];
    size_t i = 0;

    while (i < N_TYPES && types[i].number != number) i++;
    bytes_text(text, name, strlen(name));
    if (i == N_TYPES) {
        return err_set(c->e, STATUS_UNSUPPORTED, "%s: type number %llu of tensor %s is not known", c->f->path,
                       (unsigned long long)number, text);
    }
    if (types[i].dtype < 0) {
        return err_set(c->e, STATUS_UNSUPPORTED, "%s: type %s of tensor %s is not supported", c->f->path,
                       types[i].name, text);
    }
    *dtype = (enum dtype)types[i].dtype;
    return STATUS_OK;
}

/* The file's first dim is the fastest, ours the slowest. */
static enum status take_dims(struct cursor *c, struct raw_tensor *t)
{
    uint64_t n, dim;
    enum status st = take(c, 4, &n, "a tensor's number of dimensions");

    if (st != STATUS_OK) return st;
    if (n > GGUF_DIMS_MAX) return bad_tensor(c->f, t->name, "it has more than 4 dimensions", c->e);
    t->n_dims = (int)n;
    for (int i = t->n_dims - 1; i >= 0; i--) {
        st = take(c, 8, &dim, "a tensor's shape");
        if (st != STATUS_OK) return st;
        if (dim > INT64_MAX) return bad_tensor(c->f, t->name, "its shape is too large", c->e);
        t->dim[i] = (int64_t)dim;
    }
    return STATUS_OK;
}

/* While reading, t->offset counts from the start of the data. */
static enum status take_tensor(struct cursor *c, struct raw_tensor *t)
{
    uint64_t type, offset;
    int64_t stride = 1;
    size_t bytes;
    enum status st = take_name(c, &t->name, "a tensor's name");

    if (st == STATUS_OK) st = take_dims(c, t);
    if (st == STATUS_OK) st = take(c, 4, &type, "a tensor's type");
    if (st == STATUS_OK) st = take(c, 8, &offset, "a tensor's offset");
    if (st == STATUS_OK) st = type_take(c, t->name, type, &t->dtype);
    if (st != STATUS_OK) return st;
    if (!shape_bytes(t->dtype, t->dim, t->n_dims, &bytes)) {
        char name[SHAPE_TEXT_MAX], shape[SHAPE_TEXT_MAX];

        return err_set(c->e, STATUS_BAD_FORMAT,
                       "%s: tensor %s: shape %s of %s is too large or its rows are not whole blocks",
                       c->f->path, bytes_text(name, t->name, strlen(t->name)),
                       shape_text(shape, t->dim, t->n_dims), dtype_info(t->dtype)->name);
    }
    for (int i = t->n_dims - 1; i >= 0; i--) {
        t->stride[i] = stride;
        stride *= t->dim[i] > 0 ? t->dim[i] : 1; /* shape_bytes saw that this cannot overflow */
    }
    t->offset = (size_t)offset;
    return STATUS_OK;
}

static int by_offset(const void *a, const void *b)
{
    const struct raw_tensor *x = a, *y = b;

    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct raw_tensor *)a)->name, ((const struct raw_tensor *)b)->name);
}

/* Turns offsets into pointers: aligned, inside the data, one after the other. */
static enum status place(struct cursor *c, const unsigned char *base, size_t size)
{
    struct gguf_file *f = c->f;
    size_t end = 0;

    if (f->count > 0) qsort(f->tensors, f->count, sizeof *f->tensors, by_offset);
    for (size_t i = 0; i < f->count; i++) {
        struct raw_tensor *t = &f->tensors[i];
        size_t bytes = 0;
        bool sane = shape_bytes(t->dtype, t->dim, t->n_dims, &bytes);

        if (!sane || t->offset % f->alignment != 0)
            return bad_tensor(f, t->name, "its data do not begin at a multiple of the alignment", c->e);
        if (t->offset > size || bytes > size - t->offset) {
            char text[SHAPE_TEXT_MAX];

            return err_set(c->e, STATUS_BAD_FORMAT,
                           "%s: is truncated: tensor %s has %zu bytes from byte %zu of the data on, of which "
                           "there are %zu",
                           f->path, bytes_text(text, t->name, strlen(t->name)), bytes, t->offset, size);
        }
        if (t->offset < end && bytes > 0)
            return bad_tensor(f, t->name, "its data overlap another tensor's", c->e);
        if (bytes > 0) end = t->offset + bytes;
        t->data = base + t->offset;
        t->offset = 0;
    }
    if (f->count > 0) qsort(f->tensors, f->count, sizeof *f->tensors, by_name);
    for (size_t i = 1; i < f->count; i++) {
        if (strcmp(f->tensors[i - 1].name, f->tensors[i].name) == 0)
            return bad_tensor(f, f->tensors[i].name, "it is there twice", c->e);
    }
    return STATUS_OK;
}

static enum status take_tensors(struct cursor *c)
{
    struct gguf_file *f = c->f;
    size_t base;

    for (size_t i = 0; i < f->count; i++) {
        enum status st = take_tensor(c, &f->tensors[i]);

        if (st != STATUS_OK) return st;
    }
    /* A file of keys alone may end before the padding. */
    base = (c->at + (size_t)f->alignment - 1) / (size_t)f->alignment * (size_t)f->alignment;
    if (base > c->size) base = c->size;
    return place(c, c->data + base, c->size - base);
}

/* ---- the file ------------------------------------------------------------------------------------------ */

static enum status take_version(struct cursor *c)
{
    uint64_t version;
    enum status st;

    if (c->size < GGUF_MAGIC_BYTES || memcmp(c->data, GGUF_MAGIC, GGUF_MAGIC_BYTES) != 0)
        return err_set(c->e, STATUS_BAD_FORMAT, "%s: not a GGUF file: it does not begin with \"GGUF\"",
                       c->f->path);
    c->at = GGUF_MAGIC_BYTES;
    st = take(c, 4, &version, "the version");
    if (st != STATUS_OK) return st;
    if (version != 0 && (version & 0xffff) == 0) {
        return err_set(c->e, STATUS_UNSUPPORTED,
                       "%s: is a GGUF file for big-endian machines, which is not supported: convert it with "
                       "gguf_convert_endian of the gguf package",
                       c->f->path);
    }
    if (version != 2 && version != GGUF_VERSION) {
        return err_set(c->e, STATUS_UNSUPPORTED, "%s: is GGUF version %llu, supported are 2 and 3",
                       c->f->path, (unsigned long long)version);
    }
    c->f->version = (uint32_t)version;
    return STATUS_OK;
}

static enum status take_counts(struct cursor *c)
{
    struct gguf_file *f = c->f;
    uint64_t n_tensors, n_values;
    enum status st = take(c, 8, &n_tensors, "the number of tensors");

    if (st == STATUS_OK) st = take(c, 8, &n_values, "the number of keys");
    if (st != STATUS_OK) return st;
    if (n_values > (c->size - c->at) / KEY_BYTES_MIN || n_tensors > (c->size - c->at) / TENSOR_BYTES_MIN) {
        return err_set(
            c->e, STATUS_BAD_FORMAT,
            "%s: is truncated or damaged: %llu keys and %llu tensors do not fit into its %zu bytes", f->path,
            (unsigned long long)n_values, (unsigned long long)n_tensors, c->size);
    }
    f->values = arena_calloc(&f->arena, (size_t)n_values, sizeof *f->values);
    f->tensors = arena_calloc(&f->arena, (size_t)n_tensors, sizeof *f->tensors);
    if (f->values == NULL || f->tensors == NULL) return err_no_memory(c->e, f->path);
    f->n_values = (size_t)n_values;
    f->count = (size_t)n_tensors;
    return STATUS_OK;
}

static enum status read_memory(struct gguf_file *f, const void *data, size_t size, const char *path,
                               struct err *e)
{
    struct cursor c = { f, data, size, 0, e };
    enum status st;

    f->path = arena_strdup(&f->arena, path);
    st = f->path == NULL ? err_no_memory(e, path) : weights_sniff(path, data, size, e);
    if (st == STATUS_OK) st = take_version(&c);
    if (st == STATUS_OK) st = take_counts(&c);
    if (st == STATUS_OK) st = take_values(&c);
    if (st == STATUS_OK) st = alignment_find(&c);
    if (st == STATUS_OK) st = take_tensors(&c);
    if (st != STATUS_OK) gguf_close(f);
    return st;
}

enum status gguf_open_memory(struct gguf_file *f, const void *data, size_t size, const char *path,
                             struct err *e)
{
    memset(f, 0, sizeof *f);
    return read_memory(f, data, size, path, e);
}

enum status gguf_open(struct gguf_file *f, const char *path, struct err *e)
{
    enum status st;

    memset(f, 0, sizeof *f);
    st = file_map_open(&f->map, path, e);
    return st == STATUS_OK ? read_memory(f, f->map.data, f->map.size, path, e) : st;
}

void gguf_close(struct gguf_file *f)
{
    file_map_close(&f->map);
    arena_free(&f->arena);
    memset(f, 0, sizeof *f);
}
