/* safetensors.c - see safetensors.h. */
#include "store/safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
    LENGTH_BYTES = 8,
    ALIGNMENT = 64,
    INDEX_MAX = 64 << 20,
    INDEX_FILES_MAX = 1000,
};

static const char metadata_key[] = "__metadata__";

static int by_name(const void *a, const void *b)
{
    const struct raw_tensor *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static int by_data(const void *a, const void *b)
{
    const struct raw_tensor *x = a, *y = b;

    if (x->data != y->data) return (uintptr_t)x->data < (uintptr_t)y->data ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static enum status bad_tensor(const struct safetensors_file *f, const char *name, const char *what,
                              struct err *e)
{
    char text[SHAPE_TEXT_MAX];

    return err_set(e, STATUS_BAD_FORMAT, "%s: tensor %s: %s", f->path, bytes_text(text, name, strlen(name)),
                   what);
}

static bool take_count(const json_t *v, int64_t *out)
{
    *out = json_integer_value(v);
    return json_is_integer(v) && *out >= 0;
}

static enum status dtype_take(const struct safetensors_file *f, const char *name, const json_t *v,
                              enum dtype *dtype, struct err *e)
{
    const char *text = json_string_value(v);
    char a[SHAPE_TEXT_MAX], b[SHAPE_TEXT_MAX];

    if (text == NULL) return bad_tensor(f, name, "it has no dtype", e);
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const char *known = dtype_info((enum dtype)i)->name_safetensors;

        if (known == NULL || strcmp(text, known) != 0) continue;
        *dtype = (enum dtype)i;
        return STATUS_OK;
    }
    return err_set(e, STATUS_UNSUPPORTED, "%s: tensor %s: dtype %s is not supported", f->path,
                   bytes_text(a, name, strlen(name)), bytes_text(b, text, strlen(text)));
}

/* One entry of the header. While reading, t->offset holds the tensor's bytes. */
static enum status tensor_take(const struct safetensors_file *f, const char *name, const json_t *v,
                               const unsigned char *base, size_t size, struct raw_tensor *t, struct err *e)
{
    const json_t *shape = json_object_get(v, "shape"), *offsets = json_object_get(v, "data_offsets");
    char shown[SHAPE_TEXT_MAX], text[SHAPE_TEXT_MAX];
    int64_t begin, end, stride = 1;
    enum status st = dtype_take(f, name, json_object_get(v, "dtype"), &t->dtype, e);

    if (st != STATUS_OK) return st;
    if (!json_is_array(shape) || json_array_size(shape) > RAW_DIMS_MAX) {
        return bad_tensor(f, name, "its shape is not a list of at most 8 numbers", e);
    }
    t->n_dims = (int)json_array_size(shape);
    for (int i = 0; i < t->n_dims; i++) {
        if (!take_count(json_array_get(shape, (size_t)i), &t->dim[i])) {
            return bad_tensor(f, name, "its shape is not a list of numbers from 0 up", e);
        }
    }
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 ||
        !take_count(json_array_get(offsets, 0), &begin) || !take_count(json_array_get(offsets, 1), &end) ||
        begin > end) {
        return bad_tensor(f, name, "its data_offsets are not two numbers in order", e);
    }
    if ((uint64_t)end > size) {
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: is truncated: tensor %s ends at byte %lld of the data, of which there are %zu",
                       f->path, bytes_text(text, name, strlen(name)), (long long)end, size);
    }
    if (!shape_bytes(t->dtype, t->dim, t->n_dims, &t->offset) || t->offset != (size_t)(end - begin)) {
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: tensor %s: shape %s of %s does not make the %lld bytes it has", f->path,
                       bytes_text(text, name, strlen(name)), shape_text(shown, t->dim, t->n_dims),
                       dtype_info(t->dtype)->name, (long long)(end - begin));
    }
    for (int i = t->n_dims - 1; i >= 0; i--) {
        t->stride[i] = stride;
        stride *= t->dim[i] > 0 ? t->dim[i] : 1; /* shape_bytes saw that this cannot overflow */
    }
    t->data = base + begin;
    return STATUS_OK;
}

/* The format has no gaps: sorted by place, each tensor begins where the last ended. */
static enum status layout_check(struct safetensors_file *f, const unsigned char *base, size_t size,
                                struct err *e)
{
    const unsigned char *next = base;

    if (f->count > 0) qsort(f->tensors, f->count, sizeof *f->tensors, by_data);
    for (size_t i = 0; i < f->count; i++) {
        struct raw_tensor *t = &f->tensors[i];

        if (t->data != next) {
            return bad_tensor(f, t->name,
                              (const unsigned char *)t->data < next ? "its data overlap another tensor's"
                                                                    : "there is a gap before its data",
                              e);
        }
        next += t->offset;
        t->offset = 0;
    }
    if (next != base + size) {
        return err_set(e, STATUS_BAD_FORMAT, "%s: holds %zu bytes after its last tensor", f->path,
                       (size_t)(base + size - next));
    }
    if (f->count > 0) qsort(f->tensors, f->count, sizeof *f->tensors, by_name);
    for (size_t i = 1; i < f->count; i++) {
        if (strcmp(f->tensors[i - 1].name, f->tensors[i].name) == 0) {
            return bad_tensor(f, f->tensors[i].name, "it is there twice", e);
        }
    }
    return STATUS_OK;
}

/* What the header says about the file as a whole. Values that are not strings break the format's rule and are left out. */
static enum status metadata_take(struct safetensors_file *f, const json_t *metadata, struct err *e)
{
    const char *key;
    json_t *value;

    f->metadata = arena_calloc(&f->arena, 2 * json_object_size(metadata), sizeof *f->metadata);
    if (f->metadata == NULL) return err_no_memory(e, f->path);
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value)
    {
        char *copies[2];

        if (!json_is_string(value)) continue;
        copies[0] = arena_strdup(&f->arena, key);
        copies[1] = arena_strdup(&f->arena, json_string_value(value));
        if (copies[0] == NULL || copies[1] == NULL) return err_no_memory(e, f->path);
        f->metadata[2 * f->n_metadata] = copies[0];
        f->metadata[2 * f->n_metadata++ + 1] = copies[1];
    }
    return STATUS_OK;
}

static enum status header_take(struct safetensors_file *f, json_t *header, const unsigned char *base,
                               size_t size, struct err *e)
{
    const char *key;
    json_t *value;
    enum status st = metadata_take(f, json_object_get(header, metadata_key), e);

    if (st != STATUS_OK) return st;
    f->tensors = arena_calloc(&f->arena, json_object_size(header), sizeof *f->tensors);
    if (f->tensors == NULL) return err_no_memory(e, f->path);
    json_object_foreach(header, key, value)
    {
        struct raw_tensor *t = &f->tensors[f->count];
        char *name;

        if (strcmp(key, metadata_key) == 0) continue;
        st = tensor_take(f, key, value, base, size, t, e);
        if (st != STATUS_OK) return st;
        name = arena_strdup(&f->arena, key);
        if (name == NULL) return err_no_memory(e, f->path);
        t->name = name_without_prefix(name);
        f->count++;
    }
    return layout_check(f, base, size, e);
}

static enum status header_read(struct safetensors_file *f, const unsigned char *data, size_t size,
                               struct err *e)
{
    uint64_t n = 0;
    json_error_t why;
    json_t *header;
    enum status st;

    if (size < LENGTH_BYTES) {
        return err_set(e, STATUS_BAD_FORMAT, "%s: is truncated: %zu bytes, a safetensors file has at least 8",
                       f->path, size);
    }
    for (int i = 0; i < LENGTH_BYTES; i++) n |= (uint64_t)data[i] << (8 * i);
    if (n > SAFETENSORS_HEADER_MAX || n < 2 || (size > LENGTH_BYTES && data[LENGTH_BYTES] != '{')) {
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: not a safetensors file: it does not start with a JSON header", f->path);
    }
    if (n > size - LENGTH_BYTES) {
        return err_set(e, STATUS_BAD_FORMAT, "%s: is truncated: %zu bytes, its header alone has %llu",
                       f->path, size, (unsigned long long)n);
    }
    header = json_loadb((const char *)data + LENGTH_BYTES, n, JSON_REJECT_DUPLICATES, &why);
    if (header == NULL) {
        return err_set(e, STATUS_BAD_FORMAT, "%s: its header is not valid JSON: %.200s at byte %d", f->path,
                       why.text, why.position);
    }
    st = header_take(f, header, data + LENGTH_BYTES + n, size - LENGTH_BYTES - n, e);
    json_decref(header);
    return st;
}

static enum status file_read_memory(struct safetensors_file *f, const void *data, size_t size,
                                    const char *path, struct err *e)
{
    enum status st;

    f->path = arena_strdup(&f->arena, path);
    st = f->path == NULL ? err_no_memory(e, path) : weights_sniff(path, data, size, e);
    if (st == STATUS_OK) st = header_read(f, data, size, e);
    if (st != STATUS_OK) safetensors_close(f);
    return st;
}

enum status safetensors_open_memory(struct safetensors_file *f, const void *data, size_t size,
                                    const char *path, struct err *e)
{
    memset(f, 0, sizeof *f);
    return file_read_memory(f, data, size, path, e);
}

enum status safetensors_open(struct safetensors_file *f, const char *path, struct err *e)
{
    enum status st;

    memset(f, 0, sizeof *f);
    st = file_map_open(&f->map, path, e);
    return st == STATUS_OK ? file_read_memory(f, f->map.data, f->map.size, path, e) : st;
}

void safetensors_close(struct safetensors_file *f)
{
    file_map_close(&f->map);
    arena_free(&f->arena);
    memset(f, 0, sizeof *f);
}

const struct raw_tensor *safetensors_find(const struct safetensors_file *f, const char *name)
{
    struct raw_tensor wanted = { .name = name };

    return f->count > 0 ? bsearch(&wanted, f->tensors, f->count, sizeof wanted, by_name) : NULL;
}

const char *safetensors_metadata(const struct safetensors_file *f, const char *key)
{
    for (size_t i = 0; i < f->n_metadata; i++) {
        if (strcmp(f->metadata[2 * i], key) == 0) return f->metadata[2 * i + 1];
    }
    return NULL;
}

/* ---- the index of a set -------------------------------------------------------------------------------- */

static enum status index_add(struct safetensors_index *x, const char *path, const char *name,
                             const json_t *value, struct err *e)
{
    const char *file = json_string_value(value);
    char text[SHAPE_TEXT_MAX], *copy;
    size_t i = 0;

    if (file == NULL || file[0] == '\0' || file[0] == '.' || strchr(file, '/') != NULL) {
        return err_set(e, STATUS_BAD_FORMAT, "%s: tensor %s: its file is not named by a plain file name",
                       path, bytes_text(text, name, strlen(name)));
    }
    while (i < x->n_files && strcmp(x->files[i], file) != 0) i++;
    if (i == INDEX_FILES_MAX) {
        return err_set(e, STATUS_UNSUPPORTED, "%s: names more than %d files", path, INDEX_FILES_MAX);
    }
    if (i == x->n_files) {
        x->files[x->n_files] = arena_strdup(&x->arena, file);
        if (x->files[x->n_files++] == NULL) return err_no_memory(e, path);
    }
    copy = arena_strdup(&x->arena, name_without_prefix(name));
    if (copy == NULL) return err_no_memory(e, path);
    x->names[x->n_names] = copy;
    x->file_of[x->n_names++] = i;
    return STATUS_OK;
}

enum status safetensors_index_open(struct safetensors_index *x, const char *path, struct err *e)
{
    unsigned char *text = NULL;
    const char *key;
    json_t *root = NULL, *map, *value;
    json_error_t why;
    size_t size, n;
    enum status st;

    memset(x, 0, sizeof *x);
    st = file_read(path, INDEX_MAX, &text, &size, e);
    if (st == STATUS_OK) st = weights_sniff(path, text, size, e);
    if (st != STATUS_OK) goto done;
    root = json_loadb((const char *)text, size, JSON_REJECT_DUPLICATES, &why);
    map = json_object_get(root, "weight_map");
    if (!json_is_object(map)) {
        st = err_set(e, STATUS_BAD_FORMAT, "%s: not an index of safetensors: %.200s", path,
                     root == NULL ? why.text : "it has no weight_map");
        goto done;
    }
    n = json_object_size(map);
    x->files = arena_calloc(&x->arena, n, sizeof *x->files);
    x->names = arena_calloc(&x->arena, n, sizeof *x->names);
    x->file_of = arena_calloc(&x->arena, n, sizeof *x->file_of);
    if (x->files == NULL || x->names == NULL || x->file_of == NULL) st = err_no_memory(e, path);
    json_object_foreach(map, key, value)
    {
        if (st == STATUS_OK) st = index_add(x, path, key, value, e);
    }

done:
    json_decref(root);
    free(text);
    if (st != STATUS_OK) safetensors_index_close(x);
    return st;
}

void safetensors_index_close(struct safetensors_index *x)
{
    arena_free(&x->arena);
    memset(x, 0, sizeof *x);
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static json_t *metadata_make(const char *const *metadata, size_t n)
{
    json_t *object = json_object();

    for (size_t i = 0; i < n && object != NULL; i++) {
        if (json_object_set_new(object, metadata[2 * i], json_string(metadata[2 * i + 1])) != 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

/* Adds a tensor's entry; *offset moves past its data. False: a bad shape or name, or one that is there
 * already. */
static bool entry_add(json_t *header, const struct tensor_spec *t, uint64_t *offset)
{
    json_t *shape = json_array();
    size_t bytes;
    bool ok = shape != NULL && t->n_dims <= RAW_DIMS_MAX &&
              shape_bytes(t->dtype, t->dim, t->n_dims, &bytes) && bytes < INT64_MAX - *offset &&
              t->name[0] != '\0' && strcmp(t->name, metadata_key) != 0 &&
              json_object_get(header, t->name) == NULL;

    for (int i = 0; i < t->n_dims && ok; i++) ok = json_array_append_new(shape, json_integer(t->dim[i])) == 0;
    if (!ok) {
        json_decref(shape);
        return false;
    }
    json_t *entry =
        json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype_info(t->dtype)->name_safetensors, "shape", shape,
                  "data_offsets", (json_int_t)*offset, (json_int_t)(*offset + bytes));
    *offset += bytes;
    return json_object_set_new(header, t->name, entry) == 0;
}

/* The header as text, padded with spaces so that the data begins at a multiple of 64. */
static enum status header_make(const char *path, json_t *header, char **text, size_t *size, struct err *e)
{
    char *compact = json_dumps(header, JSON_COMPACT), *padded;
    size_t n;

    if (compact == NULL) return err_no_memory(e, path);
    n = strlen(compact);
    *size = (LENGTH_BYTES + n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    padded = malloc(*size);
    if (padded != NULL) {
        for (int i = 0; i < LENGTH_BYTES; i++) {
            padded[i] = (char)(unsigned char)((uint64_t)(*size - LENGTH_BYTES) >> (8 * i));
        }
        memcpy(padded + LENGTH_BYTES, compact, n);
        memset(padded + LENGTH_BYTES + n, ' ', *size - LENGTH_BYTES - n);
    }
    free(compact);
    *text = padded;
    return padded != NULL ? STATUS_OK : err_no_memory(e, path);
}

enum status safetensors_writer_open(struct safetensors_writer *w, const char *path,
                                    const struct tensor_spec *tensors, size_t n_tensors,
                                    const char *const *metadata, size_t n_metadata, struct err *e)
{
    json_t *header = json_object();
    char *text = NULL;
    size_t size = 0;
    enum status st = header == NULL ? err_no_memory(e, path) : STATUS_OK;

    memset(w, 0, sizeof *w);
    if (st == STATUS_OK && n_metadata > 0 &&
        json_object_set_new(header, metadata_key, metadata_make(metadata, n_metadata)) != 0) {
        st = err_set(e, STATUS_BAD_ARGUMENT, "%s: the metadata are not UTF-8", path);
    }
    for (size_t i = 0; i < n_tensors && st == STATUS_OK; i++) {
        const struct dtype_info *type = dtype_info(tensors[i].dtype);

        if (type->name_safetensors == NULL) {
            st = err_set(e, STATUS_UNSUPPORTED,
                         "%s: cannot write tensor \"%s\": safetensors files have no type %s", path,
                         tensors[i].name, type->name);
            break;
        }
        if (entry_add(header, &tensors[i], &w->left)) continue;
        st = err_set(e, STATUS_BAD_ARGUMENT,
                     "%s: cannot write tensor \"%s\": its name or shape is bad, or it is the "
                     "second of that name",
                     path, tensors[i].name);
    }
    if (st == STATUS_OK) st = header_make(path, header, &text, &size, e);
    if (st == STATUS_OK) st = file_writer_open(&w->file, path, e);
    if (st == STATUS_OK) st = file_writer_put(&w->file, text, size, e);
    if (st != STATUS_OK) safetensors_writer_abort(w);
    free(text);
    json_decref(header);
    return st;
}

enum status safetensors_writer_put(struct safetensors_writer *w, const void *data, size_t size, struct err *e)
{
    if (size > w->left) {
        return err_set(e, STATUS_BAD_ARGUMENT, "%s: %zu bytes given where its tensors lack %llu",
                       w->file.path, size, (unsigned long long)w->left);
    }
    w->left -= size;
    return file_writer_put(&w->file, data, size, e);
}

enum status safetensors_writer_commit(struct safetensors_writer *w, struct err *e)
{
    enum status st = STATUS_OK;

    if (w->left > 0) {
        st = err_set(e, STATUS_BAD_ARGUMENT, "%s: the last %llu bytes of its tensors were not given",
                     w->file.path, (unsigned long long)w->left);
    }
    if (st == STATUS_OK) st = file_writer_commit(&w->file, e);
    safetensors_writer_abort(w);
    return st;
}

void safetensors_writer_abort(struct safetensors_writer *w)
{
    file_writer_abort(&w->file);
    memset(w, 0, sizeof *w);
}
