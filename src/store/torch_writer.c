/*
 * torch_writer.c - see torch_writer.h. What comes out:
 *
 *   <top>/data.pkl, <top>/byteorder, <top>/data/0 ... <top>/data/n-1, <top>/version, the directory
 *
 *   member: [local header][name][padding to 64][data][descriptor: checksum and sizes, known only now]
 */
#include "store/torch_writer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "store/torch_names.h"

enum {
    MEMBERS_BEFORE = 2, /* data.pkl, byteorder */
    ALIGNMENT = 64,
    FLAGS = 1 << 3 | 1 << 11, /* sizes in the descriptor; names in UTF-8 */
    VERSION_PLAIN = 20,
    VERSION_ZIP64 = 45,
    EXTRA_HEADER = 4,
    EXTRA_ZIP64 = 1,
    EXTRA_PADDING = 'F' | 'B' << 8, /* as torch calls it */
};

static const uint32_t narrow_max = 0xffffffff; /* this value itself means: see the ZIP64 field */

struct torch_writer_member {
    char *name;
    uint64_t offset, size;
    uint32_t crc;
};

/* A record of little-endian numbers under construction. */
struct record {
    unsigned char bytes[128];
    size_t size;
};

static void add(struct record *r, unsigned n_bytes, uint64_t value)
{
    assert(r->size + n_bytes <= sizeof r->bytes);
    for (unsigned i = 0; i < n_bytes; i++) r->bytes[r->size++] = (unsigned char)(value >> (8 * i));
}

static uint32_t narrow(uint64_t value)
{
    return value < narrow_max ? (uint32_t)value : narrow_max;
}

/* ---- the pickle ---------------------------------------------------------------------------------------- */

static void pickle_string(FILE *f, const char *text, size_t n)
{
    struct record r = { .size = 0 };

    add(&r, 1, 'X'); /* BINUNICODE */
    add(&r, 4, n);
    fwrite(r.bytes, 1, r.size, f);
    fwrite(text, 1, n, f);
}

static void pickle_int(FILE *f, int64_t value)
{
    struct record r = { .size = 0 };

    if (value <= INT32_MAX) {
        add(&r, 1, 'J'); /* BININT */
        add(&r, 4, (uint64_t)value);
    } else {
        add(&r, 2, 0x8a | 8 << 8); /* LONG1 of 8 bytes */
        add(&r, 8, (uint64_t)value);
    }
    fwrite(r.bytes, 1, r.size, f);
}

static void pickle_global(FILE *f, const char *module, const char *name)
{
    fprintf(f, "c%s\n%s\n", module, name);
}

static const char *storage_class(enum dtype t)
{
    switch (t) {
#define X(dtype, name)                                                                                       \
    case DTYPE_##dtype: return name;
        TORCH_STORAGE_MAP(X)
#undef X
    default: return NULL;
    }
}

/* _rebuild_tensor_v2(("storage", class, key, "cpu", elements) as a persistent id, 0, shape, strides, False,
 * OrderedDict()): opcodes as in pickle.c's listing, without the memo. */
static void pickle_tensor(FILE *f, const struct tensor_spec *t, size_t key)
{
    int64_t strides[RAW_DIMS_MAX], elements = 1;
    char text[32];

    for (int i = t->n_dims - 1; i >= 0; i--) {
        strides[i] = elements;
        elements *= t->dim[i];
    }
    pickle_global(f, TORCH_MODULE_REBUILD, TORCH_REBUILD_TENSOR);
    fputs("((", f);
    pickle_string(f, "storage", 7);
    pickle_global(f, TORCH_MODULE_STORAGE, storage_class(t->dtype));
    pickle_string(f, text, (size_t)snprintf(text, sizeof text, "%zu", key));
    pickle_string(f, "cpu", 3);
    pickle_int(f, elements);
    fputs("tQ", f);
    pickle_int(f, 0);
    fputc('(', f);
    for (int i = 0; i < t->n_dims; i++) pickle_int(f, t->dim[i]);
    fputs("t(", f);
    for (int i = 0; i < t->n_dims; i++) pickle_int(f, strides[i]);
    fputs("t\x89", f);
    pickle_global(f, TORCH_MODULE_DICT, TORCH_DICT);
    fputs(")RtR", f);
}

static enum status pickle_make(const struct tensor_spec *tensors, size_t n, char **data, size_t *size)
{
    FILE *f = open_memstream(data, size);
    bool ok;

    if (f == NULL) return STATUS_NO_MEMORY;
    fputs("\x80\x02}", f);
    pickle_string(f, "model", 5);
    fputs("}(", f);
    for (size_t i = 0; i < n; i++) {
        pickle_string(f, tensors[i].name, strlen(tensors[i].name));
        pickle_tensor(f, &tensors[i], i);
    }
    fputs("us.", f);
    ok = ferror(f) == 0;
    if (fclose(f) != 0 || !ok) {
        free(*data);
        *data = NULL;
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

/* ---- the archive --------------------------------------------------------------------------------------- */

static enum status put_record(struct torch_writer *w, const struct record *r, struct err *e)
{
    return file_writer_put(&w->file, r->bytes, r->size, e);
}

static enum status member_begin(struct torch_writer *w, struct torch_writer_member *m, struct err *e)
{
    static const unsigned char zeros[ALIGNMENT + EXTRA_HEADER];
    struct record r = { .size = 0 };
    bool wide = m->size >= narrow_max;
    size_t n_name = strlen(m->name), extra_wide = wide ? EXTRA_HEADER + 16 : 0;
    uint64_t start = w->file.size + 30 + n_name + extra_wide + EXTRA_HEADER;
    size_t padding = (size_t)(ALIGNMENT - start % ALIGNMENT) % ALIGNMENT;
    enum status st;

    m->offset = w->file.size;
    add(&r, 4, 0x04034b50);
    add(&r, 2, wide ? VERSION_ZIP64 : VERSION_PLAIN);
    add(&r, 2, FLAGS);
    add(&r, 2, 0);                     /* stored */
    add(&r, 4, 0);                     /* no time: the same tensors give the same file */
    add(&r, 4, 0);                     /* the checksum follows in the descriptor */
    add(&r, 4, wide ? narrow_max : 0); /* and so do the sizes */
    add(&r, 4, wide ? narrow_max : 0);
    add(&r, 2, n_name);
    add(&r, 2, extra_wide + EXTRA_HEADER + padding);
    st = put_record(w, &r, e);
    if (st == STATUS_OK) st = file_writer_put(&w->file, m->name, n_name, e);
    r.size = 0;
    if (wide) {
        add(&r, 2, EXTRA_ZIP64);
        add(&r, 2, 16);
        add(&r, 8, m->size);
        add(&r, 8, m->size);
    }
    add(&r, 2, EXTRA_PADDING);
    add(&r, 2, padding);
    if (st == STATUS_OK) st = put_record(w, &r, e);
    if (st == STATUS_OK) st = file_writer_put(&w->file, zeros, padding, e);
    return st;
}

static enum status member_put(struct torch_writer *w, struct torch_writer_member *m, const void *data,
                              size_t size, struct err *e)
{
    m->crc = (uint32_t)crc32_z(m->crc, data, size);
    return file_writer_put(&w->file, data, size, e);
}

static enum status member_end(struct torch_writer *w, const struct torch_writer_member *m, struct err *e)
{
    struct record r = { .size = 0 };
    unsigned width = m->size >= narrow_max ? 8 : 4;

    add(&r, 4, 0x08074b50);
    add(&r, 4, m->crc);
    add(&r, width, m->size);
    add(&r, width, m->size);
    return put_record(w, &r, e);
}

static enum status member_whole(struct torch_writer *w, struct torch_writer_member *m, const void *data,
                                struct err *e)
{
    enum status st = member_begin(w, m, e);

    if (st == STATUS_OK) st = member_put(w, m, data, m->size, e);
    return st == STATUS_OK ? member_end(w, m, e) : st;
}

static enum status directory_entry(struct torch_writer *w, const struct torch_writer_member *m, struct err *e)
{
    struct record r = { .size = 0 }, extra = { .size = 0 };
    enum status st;

    add(&extra, 4, EXTRA_ZIP64);
    if (m->size >= narrow_max) {
        add(&extra, 8, m->size);
        add(&extra, 8, m->size);
    }
    if (m->offset >= narrow_max) add(&extra, 8, m->offset);
    extra.bytes[2] = (unsigned char)(extra.size - EXTRA_HEADER);
    if (extra.size == EXTRA_HEADER) extra.size = 0;

    add(&r, 4, 0x02014b50);
    add(&r, 2, extra.size > 0 ? VERSION_ZIP64 : VERSION_PLAIN); /* made by */
    add(&r, 2, extra.size > 0 ? VERSION_ZIP64 : VERSION_PLAIN); /* needed */
    add(&r, 2, FLAGS);
    add(&r, 2, 0);
    add(&r, 4, 0);
    add(&r, 4, m->crc);
    add(&r, 4, narrow(m->size));
    add(&r, 4, narrow(m->size));
    add(&r, 2, strlen(m->name));
    add(&r, 2, extra.size);
    add(&r, 2, 0); /* comment */
    add(&r, 2, 0); /* disk */
    add(&r, 2, 0); /* attributes */
    add(&r, 4, 0);
    add(&r, 4, narrow(m->offset));
    st = put_record(w, &r, e);
    if (st == STATUS_OK) st = file_writer_put(&w->file, m->name, strlen(m->name), e);
    return st == STATUS_OK ? put_record(w, &extra, e) : st;
}

/* The directory and its three end records; the ZIP64 pair always, as torch does. */
static enum status directory_write(struct torch_writer *w, struct err *e)
{
    struct record r = { .size = 0 };
    uint64_t start = w->file.size, end;
    enum status st = STATUS_OK;

    for (size_t i = 0; i < w->n_members && st == STATUS_OK; i++) st = directory_entry(w, &w->members[i], e);
    if (st != STATUS_OK) return st;
    end = w->file.size;
    add(&r, 4, 0x06064b50);
    add(&r, 8, 44); /* bytes of this record that follow */
    add(&r, 2, VERSION_ZIP64);
    add(&r, 2, VERSION_ZIP64);
    add(&r, 8, 0); /* this disk, the directory's disk */
    add(&r, 8, w->n_members);
    add(&r, 8, w->n_members);
    add(&r, 8, end - start);
    add(&r, 8, start);

    add(&r, 4, 0x07064b50);
    add(&r, 4, 0);
    add(&r, 8, end);
    add(&r, 4, 1); /* disks */

    add(&r, 4, 0x06054b50);
    add(&r, 4, 0);
    add(&r, 2, w->n_members < 0xffff ? w->n_members : 0xffff);
    add(&r, 2, w->n_members < 0xffff ? w->n_members : 0xffff);
    add(&r, 4, narrow(end - start));
    add(&r, 4, narrow(start));
    add(&r, 2, 0);
    return put_record(w, &r, e);
}

/* ---- the writer ---------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum status specs_check(struct torch_writer *w, const char *path, const struct tensor_spec *tensors,
                               size_t n, struct err *e)
{
    const char **names = arena_calloc(&w->arena, n, sizeof *names);
    size_t bytes;

    if (names == NULL) return err_no_memory(e, path);
    for (size_t i = 0; i < n; i++) {
        const struct tensor_spec *t = &tensors[i];

        names[i] = t->name;
        if (storage_class(t->dtype) == NULL) {
            return err_set(e, STATUS_UNSUPPORTED,
                           "%s: cannot write tensor \"%s\": PyTorch's files have no type %s", path, t->name,
                           dtype_info(t->dtype)->name);
        }
        if (t->name[0] == '\0' || !shape_bytes(t->dtype, t->dim, t->n_dims, &bytes)) {
            return err_set(e, STATUS_BAD_ARGUMENT,
                           "%s: cannot write tensor \"%s\" of dtype %s with %d dimensions", path, t->name,
                           dtype_info(t->dtype)->name, t->n_dims);
        }
    }
    if (n > 0) qsort(names, n, sizeof *names, by_text);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(names[i - 1], names[i]) == 0) {
            return err_set(e, STATUS_BAD_ARGUMENT, "%s: cannot write two tensors named %s", path, names[i]);
        }
    }
    return STATUS_OK;
}

/* Names and sizes of all members; the folder inside is called like the file less its extension. */
static enum status members_plan(struct torch_writer *w, const char *path, const struct tensor_spec *tensors,
                                size_t n, size_t pickle_size, struct err *e)
{
    const char *base = path_base(path), *dot = strrchr(base, '.');
    int n_top = dot != NULL && dot != base ? (int)(dot - base) : (int)strlen(base);
    struct torch_writer_member *m;

    w->n_tensors = n;
    w->n_members = MEMBERS_BEFORE + n + 1;
    m = w->members = arena_calloc(&w->arena, w->n_members, sizeof *w->members);
    if (m == NULL) return err_no_memory(e, path);
    m[0].name = arena_printf(&w->arena, "%.*s" TORCH_MEMBER_PICKLE, n_top, base);
    m[0].size = pickle_size;
    m[1].name = arena_printf(&w->arena, "%.*s" TORCH_MEMBER_BYTEORDER, n_top, base);
    m[1].size = strlen("little");
    for (size_t i = 0; i < n; i++) {
        size_t bytes = 0;

        shape_bytes(tensors[i].dtype, tensors[i].dim, tensors[i].n_dims, &bytes);
        m[MEMBERS_BEFORE + i].name =
            arena_printf(&w->arena, "%.*s" TORCH_MEMBER_STORAGE "%zu", n_top, base, i);
        m[MEMBERS_BEFORE + i].size = bytes;
    }
    m[w->n_members - 1].name = arena_printf(&w->arena, "%.*s" TORCH_MEMBER_VERSION, n_top, base);
    m[w->n_members - 1].size = strlen("3\n");
    for (size_t i = 0; i < w->n_members; i++) {
        if (m[i].name == NULL) return err_no_memory(e, path);
    }
    return STATUS_OK;
}

enum status torch_writer_open(struct torch_writer *w, const char *path, const struct tensor_spec *tensors,
                              size_t n_tensors, struct err *e)
{
    char *pickle = NULL;
    size_t size = 0;
    enum status st;

    memset(w, 0, sizeof *w);
    st = specs_check(w, path, tensors, n_tensors, e);
    if (st == STATUS_OK) {
        st = pickle_make(tensors, n_tensors, &pickle, &size);
        if (st != STATUS_OK) err_no_memory(e, path);
    }
    if (st == STATUS_OK) st = members_plan(w, path, tensors, n_tensors, size, e);
    if (st == STATUS_OK) st = file_writer_open(&w->file, path, e);
    if (st == STATUS_OK) st = member_whole(w, &w->members[0], pickle, e);
    if (st == STATUS_OK) st = member_whole(w, &w->members[1], "little", e);
    free(pickle);
    if (st != STATUS_OK) torch_writer_abort(w);
    return st;
}

/* Ends the current tensor's member, which is full, and begins the next ones until one has room. */
static enum status next_tensor(struct torch_writer *w, struct err *e)
{
    struct torch_writer_member *m = w->members + MEMBERS_BEFORE;
    enum status st = STATUS_OK;

    while (st == STATUS_OK && w->left == 0 && w->begun < w->n_tensors) {
        if (w->begun > 0) st = member_end(w, &m[w->begun - 1], e);
        if (st == STATUS_OK) st = member_begin(w, &m[w->begun], e);
        w->left = m[w->begun].size;
        w->begun++;
    }
    return st;
}

enum status torch_writer_put(struct torch_writer *w, const void *data, size_t size, struct err *e)
{
    const unsigned char *p = data;

    while (size > 0) {
        enum status st = next_tensor(w, e);
        size_t n = size < w->left ? size : (size_t)w->left;

        if (st != STATUS_OK) return st;
        if (n == 0) {
            return err_set(e, STATUS_BAD_ARGUMENT, "%s: %zu bytes more than its %zu tensors hold",
                           w->file.path, size, w->n_tensors);
        }
        st = member_put(w, &w->members[MEMBERS_BEFORE + w->begun - 1], p, n, e);
        if (st != STATUS_OK) return st;
        p += n;
        size -= n;
        w->left -= n;
    }
    return STATUS_OK;
}

enum status torch_writer_commit(struct torch_writer *w, struct err *e)
{
    enum status st = next_tensor(w, e);

    if (st == STATUS_OK && w->left > 0) {
        st = err_set(e, STATUS_BAD_ARGUMENT, "%s: %llu bytes of tensor %zu of %zu were not given",
                     w->file.path, (unsigned long long)w->left, w->begun, w->n_tensors);
    }
    if (st == STATUS_OK && w->begun > 0) st = member_end(w, &w->members[MEMBERS_BEFORE + w->begun - 1], e);
    if (st == STATUS_OK) st = member_whole(w, &w->members[w->n_members - 1], "3\n", e);
    if (st == STATUS_OK) st = directory_write(w, e);
    if (st == STATUS_OK) st = file_writer_commit(&w->file, e);
    torch_writer_abort(w);
    return st;
}

void torch_writer_abort(struct torch_writer *w)
{
    file_writer_abort(&w->file);
    arena_free(&w->arena);
    memset(w, 0, sizeof *w);
}
