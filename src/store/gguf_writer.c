/* gguf_writer.c - see gguf_writer.h. */
#include "store/gguf_writer.h"

#include <stdlib.h>

/* ---- keys ---------------------------------------------------------------------------------------------- */

/* Room for `bytes` more; NULL when there is none, or an earlier key failed. */
static unsigned char *grow(struct gguf_keys *k, size_t bytes)
{
    size_t capacity = k->capacity > 0 ? k->capacity : 4096;
    unsigned char *grown;

    if (k->no_memory || k->bad != NULL) return NULL;
    while (capacity - k->size < bytes && capacity <= SIZE_MAX / 2) capacity *= 2;
    if (capacity - k->size < bytes) {
        k->no_memory = true;
        return NULL;
    }
    if (capacity > k->capacity) {
        grown = realloc(k->bytes, capacity);
        if (grown == NULL) {
            k->no_memory = true;
            return NULL;
        }
        k->bytes = grown;
        k->capacity = capacity;
    }
    k->size += bytes;
    return k->bytes + k->size - bytes;
}

static void add(struct gguf_keys *k, unsigned n_bytes, uint64_t value)
{
    unsigned char *at = grow(k, n_bytes);

    for (unsigned i = 0; i < n_bytes && at != NULL; i++) at[i] = (unsigned char)(value >> (8 * i));
}

static void add_bytes(struct gguf_keys *k, const void *bytes, size_t size)
{
    unsigned char *at = size > 0 ? grow(k, size) : NULL;

    if (at != NULL) memcpy(at, bytes, size);
}

static void add_string(struct gguf_keys *k, const char *bytes, size_t size)
{
    add(k, 8, size);
    add_bytes(k, bytes, size);
}

static void add_f32(struct gguf_keys *k, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    add(k, 4, bits);
}

/* Remembers the name, for the check that each is there once. */
static void name_keep(struct gguf_keys *k, const char *key)
{
    size_t n = strlen(key);
    char *copy = arena_strdup(&k->arena, key);

    if (k->count == k->names_capacity) {
        size_t capacity = k->names_capacity > 0 ? 2 * k->names_capacity : 64;
        char **grown = realloc(k->names, capacity * sizeof *grown);

        if (grown != NULL) {
            k->names = grown;
            k->names_capacity = capacity;
        }
    }
    if (copy == NULL || k->count == k->names_capacity) {
        k->no_memory = true;
        return;
    }
    if (n == 0 || n > GGUF_KEY_BYTES_MAX) k->bad = copy;
    k->names[k->count++] = copy;
}

static void add_key(struct gguf_keys *k, const char *key, enum gguf_kind kind)
{
    name_keep(k, key);
    add_string(k, key, strlen(key));
    add(k, 4, kind);
}

static void add_array(struct gguf_keys *k, const char *key, enum gguf_kind kind, size_t n)
{
    add_key(k, key, GGUF_ARRAY);
    add(k, 4, kind);
    add(k, 8, n);
}

void gguf_key_u32(struct gguf_keys *k, const char *key, uint32_t value)
{
    add_key(k, key, GGUF_U32);
    add(k, 4, value);
}

void gguf_key_f32(struct gguf_keys *k, const char *key, float value)
{
    add_key(k, key, GGUF_F32);
    add_f32(k, value);
}

void gguf_key_bool(struct gguf_keys *k, const char *key, bool value)
{
    add_key(k, key, GGUF_BOOL);
    add(k, 1, value);
}

void gguf_key_string(struct gguf_keys *k, const char *key, const char *value)
{
    add_key(k, key, GGUF_STRING);
    add_string(k, value, strlen(value));
}

void gguf_key_bytes(struct gguf_keys *k, const char *key, const void *bytes, size_t size)
{
    add_array(k, key, GGUF_U8, size);
    add_bytes(k, bytes, size);
}

void gguf_key_f32s(struct gguf_keys *k, const char *key, const float *values, size_t n)
{
    add_array(k, key, GGUF_F32, n);
    for (size_t i = 0; i < n; i++) add_f32(k, values[i]);
}

void gguf_key_i32s(struct gguf_keys *k, const char *key, const int32_t *values, size_t n)
{
    add_array(k, key, GGUF_I32, n);
    for (size_t i = 0; i < n; i++) add(k, 4, (uint32_t)values[i]);
}

void gguf_key_strings(struct gguf_keys *k, const char *key, const struct gguf_string *values, size_t n)
{
    add_array(k, key, GGUF_STRING, n);
    for (size_t i = 0; i < n; i++) add_string(k, values[i].bytes, values[i].size);
}

void gguf_keys_free(struct gguf_keys *k)
{
    free(k->bytes);
    free(k->names);
    arena_free(&k->arena);
    memset(k, 0, sizeof *k);
}

/* ---- checking ------------------------------------------------------------------------------------------ */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The first text that is there twice, NULL: none. Sorts. */
static const char *find_twice(const char **texts, size_t n)
{
    if (n > 0) qsort(texts, n, sizeof *texts, by_text);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(texts[i - 1], texts[i]) == 0) return texts[i];
    }
    return NULL;
}

static enum status keys_check(struct gguf_writer *w, const char *path, const struct gguf_keys *k,
                              struct err *e)
{
    const char **names = arena_calloc(&w->arena, k->count + 1, sizeof *names), *bad = k->bad;
    char text[SHAPE_TEXT_MAX];

    if (names == NULL || k->no_memory) return err_no_memory(e, path);
    for (size_t i = 0; i < k->count; i++) names[i] = k->names[i];
    names[k->count] = GGUF_KEY_ALIGNMENT;
    if (bad == NULL) bad = find_twice(names, k->count + 1);
    if (bad == NULL) return STATUS_OK;
    return err_set(e, STATUS_BAD_ARGUMENT,
                   "%s: cannot write key \"%s\": it is empty, too long, there twice or the writer's own",
                   path, bytes_text(text, bad, strlen(bad)));
}

static enum status spec_check(const char *path, const struct tensor_spec *t, uint64_t *bytes, struct err *e)
{
    char name[SHAPE_TEXT_MAX], shape[SHAPE_TEXT_MAX];
    const char *type = dtype_info(t->dtype)->name;
    size_t n = strlen(t->name), size = 0;

    bytes_text(name, t->name, n);
    if (n == 0 || n > GGUF_NAME_MAX) {
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "%s: cannot write tensor \"%s\": its name is %zu bytes long, GGUF takes 1 to %d", path,
                       name, n, GGUF_NAME_MAX);
    }
    if (gguf_type_of(t->dtype) < 0) {
        return err_set(e, STATUS_BAD_ARGUMENT, "%s: cannot write tensor %s: GGUF has no type %s", path, name,
                       type);
    }
    if (t->n_dims > GGUF_DIMS_MAX || !shape_bytes(t->dtype, t->dim, t->n_dims, &size)) {
        return err_set(
            e, STATUS_BAD_ARGUMENT,
            "%s: cannot write tensor %s of %s: shape %s has more than %d dimensions, is too large or "
            "its rows are not whole blocks",
            path, name, type, shape_text(shape, t->dim, t->n_dims), GGUF_DIMS_MAX);
    }
    *bytes = size;
    return STATUS_OK;
}

static enum status specs_check(struct gguf_writer *w, const char *path, const struct tensor_spec *tensors,
                               size_t n, struct err *e)
{
    const char **names = arena_calloc(&w->arena, n, sizeof *names), *twice;
    uint64_t total = 0;

    w->n_tensors = n;
    w->bytes = arena_calloc(&w->arena, n, sizeof *w->bytes);
    if (names == NULL || w->bytes == NULL) return err_no_memory(e, path);
    for (size_t i = 0; i < n; i++) {
        enum status st = spec_check(path, &tensors[i], &w->bytes[i], e);

        if (st != STATUS_OK) return st;
        if (w->bytes[i] + GGUF_ALIGNMENT > INT64_MAX - total)
            return err_set(e, STATUS_BAD_ARGUMENT, "%s: its tensors are too large for one file", path);
        total += w->bytes[i] + GGUF_ALIGNMENT;
        names[i] = tensors[i].name;
    }
    twice = find_twice(names, n);
    if (twice == NULL) return STATUS_OK;
    return err_set(e, STATUS_BAD_ARGUMENT, "%s: tensor %s is given twice", path, twice);
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static uint64_t aligned(uint64_t n)
{
    return (n + GGUF_ALIGNMENT - 1) / GGUF_ALIGNMENT * GGUF_ALIGNMENT;
}

/* All that stands before the data. */
static void header_make(struct gguf_keys *h, const struct gguf_writer *w, const struct gguf_keys *keys,
                        const struct tensor_spec *tensors)
{
    uint64_t offset = 0;

    add_bytes(h, GGUF_MAGIC, GGUF_MAGIC_BYTES);
    add(h, 4, GGUF_VERSION);
    add(h, 8, w->n_tensors);
    add(h, 8, keys->count + 1);
    gguf_key_u32(h, GGUF_KEY_ALIGNMENT, GGUF_ALIGNMENT);
    add_bytes(h, keys->bytes, keys->size);
    for (size_t i = 0; i < w->n_tensors; i++) {
        const struct tensor_spec *t = &tensors[i];

        add_string(h, t->name, strlen(t->name));
        add(h, 4, (uint64_t)t->n_dims);
        for (int d = t->n_dims - 1; d >= 0; d--) add(h, 8, (uint64_t)t->dim[d]);
        add(h, 4, (uint64_t)gguf_type_of(t->dtype));
        add(h, 8, offset);
        offset += aligned(w->bytes[i]);
    }
    while (h->size % GGUF_ALIGNMENT != 0 && !h->no_memory) add(h, 1, 0);
}

enum status gguf_writer_open(struct gguf_writer *w, const char *path, const struct gguf_keys *keys,
                             const struct tensor_spec *tensors, size_t n_tensors, struct err *e)
{
    struct gguf_keys header = { 0 };
    enum status st;

    memset(w, 0, sizeof *w);
    st = keys_check(w, path, keys, e);
    if (st == STATUS_OK) st = specs_check(w, path, tensors, n_tensors, e);
    if (st == STATUS_OK) header_make(&header, w, keys, tensors);
    if (header.no_memory) st = err_no_memory(e, path);
    if (st == STATUS_OK) st = file_writer_open(&w->file, path, e);
    if (st == STATUS_OK) st = file_writer_put(&w->file, header.bytes, header.size, e);
    gguf_keys_free(&header);
    if (st != STATUS_OK) gguf_writer_abort(w);
    return st;
}

/* Fills up to the alignment: every tensor's data, the last one's too, are followed by that. */
static enum status pad(struct gguf_writer *w, struct err *e)
{
    static const unsigned char zeros[GGUF_ALIGNMENT];

    return file_writer_put(&w->file, zeros, (size_t)(aligned(w->file.size) - w->file.size), e);
}

enum status gguf_writer_put(struct gguf_writer *w, const void *data, size_t size, struct err *e)
{
    const char *at = data;

    while (size > 0) {
        enum status st = STATUS_OK;
        size_t n;

        while (w->left == 0 && w->begun < w->n_tensors) w->left = w->bytes[w->begun++];
        if (w->left == 0) {
            return err_set(e, STATUS_BAD_ARGUMENT, "%s: %zu bytes more than its tensors have", w->file.path,
                           size);
        }
        n = size < w->left ? size : (size_t)w->left;
        st = file_writer_put(&w->file, at, n, e);
        at += n;
        size -= n;
        w->left -= n;
        if (st == STATUS_OK && w->left == 0) st = pad(w, e);
        if (st != STATUS_OK) return st;
    }
    return STATUS_OK;
}

enum status gguf_writer_commit(struct gguf_writer *w, struct err *e)
{
    enum status st = STATUS_OK;
    uint64_t lacking = w->left;

    while (w->begun < w->n_tensors) lacking += w->bytes[w->begun++];
    if (lacking > 0) {
        st = err_set(e, STATUS_BAD_ARGUMENT, "%s: the last %llu bytes of its tensors were not given",
                     w->file.path, (unsigned long long)lacking);
    }
    if (st == STATUS_OK) st = file_writer_commit(&w->file, e);
    gguf_writer_abort(w);
    return st;
}

void gguf_writer_abort(struct gguf_writer *w)
{
    file_writer_abort(&w->file);
    arena_free(&w->arena);
    memset(w, 0, sizeof *w);
}
