/* cache_file.c - see cache_file.h. */
#include "model/cache_file.h"

#include "core/digest.h"

#include <assert.h>
#include <stdlib.h>

static const char format_key[] = "format", digest_key[] = "sha256";

static void digest_part(struct digest_maker *m, const char *name, enum dtype dtype, const int64_t *dim,
                        int n_dims, const void *data)
{
    size_t bytes = 0;

    digest_text(m, name);
    digest_text(m, dtype_info(dtype)->name);
    digest_number(m, n_dims);
    for (int i = 0; i < n_dims; i++) digest_number(m, dim[i]);
    shape_bytes(dtype, dim, n_dims, &bytes);
    digest_add(m, data, bytes);
}

static void digest_pairs(struct digest_maker *m, const char *const *metadata, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(metadata[2 * i], digest_key) == 0) continue;
        digest_text(m, metadata[2 * i]);
        digest_text(m, metadata[2 * i + 1]);
    }
}

enum status cache_file_write(const char *path, const char *format, const struct cache_part *parts,
                             size_t n_parts, const char *const *metadata, size_t n_metadata, struct err *e)
{
    const char **pairs = calloc(2 * (n_metadata + 2), sizeof *pairs);
    struct tensor_spec *specs = calloc(n_parts + 1, sizeof *specs);
    struct safetensors_writer w = { 0 };
    struct digest_maker m;
    struct digest d;
    char hex[DIGEST_TEXT_MAX];
    enum status st = STATUS_OK;

    if (pairs == NULL || specs == NULL) {
        st = err_no_memory(e, path);
    } else {
        pairs[0] = format_key;
        pairs[1] = format;
        for (size_t i = 0; i < 2 * n_metadata; i++) pairs[2 + i] = metadata[i];
        digest_begin(&m);
        digest_pairs(&m, pairs, n_metadata + 1);
        for (size_t i = 0; i < n_parts; i++) {
            const struct tensor_spec *s = &parts[i].spec;

            assert(i == 0 || strcmp(parts[i - 1].spec.name, s->name) < 0); /* the reader's order */
            digest_part(&m, s->name, s->dtype, s->dim, s->n_dims, parts[i].data);
            specs[i] = *s;
        }
        digest_end(&m, &d);
        pairs[2 * n_metadata + 2] = digest_key;
        pairs[2 * n_metadata + 3] = digest_hex(&d, hex);
        st = safetensors_writer_open(&w, path, specs, n_parts, pairs, n_metadata + 2, e);
    }
    for (size_t i = 0; i < n_parts && st == STATUS_OK; i++) {
        size_t bytes = 0;

        shape_bytes(specs[i].dtype, specs[i].dim, specs[i].n_dims, &bytes);
        st = safetensors_writer_put(&w, parts[i].data, bytes, e);
    }
    if (st == STATUS_OK) st = safetensors_writer_commit(&w, e);
    safetensors_writer_abort(&w);
    free(pairs);
    free(specs);
    return st;
}

/* "sphinx prompt cache 1" and "sphinx prompt cache 2" are the same thing in two versions. */
static bool same_but_version(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);

    while (n > 0 && a[n - 1] >= '0' && a[n - 1] <= '9') n--;
    while (m > 0 && b[m - 1] >= '0' && b[m - 1] <= '9') m--;
    return n == m && memcmp(a, b, n) == 0;
}

static enum status check(const struct safetensors_file *f, const char *format, struct err *e)
{
    const char *found = safetensors_metadata(f, format_key), *sum = safetensors_metadata(f, digest_key);
    struct digest_maker m;
    struct digest d;
    char hex[DIGEST_TEXT_MAX], text[SHAPE_TEXT_MAX];

    if (found == NULL || !same_but_version(found, format))
        return err_set(e, STATUS_BAD_FORMAT, "%s: is a safetensors file, but no \"%s\"", f->path, format);
    if (strcmp(found, format) != 0) {
        return err_set(e, STATUS_UNSUPPORTED, "%s: is a \"%s\", this program reads \"%s\"", f->path,
                       bytes_text(text, found, strlen(found)), format);
    }
    digest_begin(&m);
    digest_pairs(&m, f->metadata, f->n_metadata);
    for (size_t i = 0; i < f->count; i++) {
        const struct raw_tensor *t = &f->tensors[i];

        digest_part(&m, t->name, t->dtype, t->dim, t->n_dims, t->data);
    }
    digest_end(&m, &d);
    if (sum == NULL || strcmp(sum, digest_hex(&d, hex)) != 0)
        return err_set(e, STATUS_BAD_FORMAT, "%s: is damaged: its checksum does not fit its content",
                       f->path);
    return STATUS_OK;
}

enum status cache_file_open(struct safetensors_file *f, const char *path, const char *format, struct err *e)
{
    enum status st = safetensors_open(f, path, e);

    if (st == STATUS_OK) st = check(f, format, e);
    if (st != STATUS_OK) safetensors_close(f);
    return st;
}

enum status cache_file_open_memory(struct safetensors_file *f, const void *data, size_t size,
                                   const char *path, const char *format, struct err *e)
{
    enum status st = safetensors_open_memory(f, data, size, path, e);

    if (st == STATUS_OK) st = check(f, format, e);
    if (st != STATUS_OK) safetensors_close(f);
    return st;
}

enum status cache_file_part(const struct safetensors_file *f, const struct tensor_spec *wanted,
                            const void **data, struct err *e)
{
    const struct raw_tensor *t = safetensors_find(f, wanted->name);
    char want[SHAPE_TEXT_MAX], found[SHAPE_TEXT_MAX];
    bool same = t != NULL && t->dtype == wanted->dtype && t->n_dims == wanted->n_dims;

    for (int i = 0; i < wanted->n_dims && same; i++) same = t->dim[i] == wanted->dim[i];
    if (same) {
        *data = t->data;
        return STATUS_OK;
    }
    shape_text(want, wanted->dim, wanted->n_dims);
    if (t == NULL) return err_set(e, STATUS_BAD_FORMAT, "%s: has no %s %s", f->path, wanted->name, want);
    return err_set(e, STATUS_BAD_FORMAT, "%s: %s: wanted %s of %s, found %s of %s", f->path, wanted->name,
                   want, dtype_info(wanted->dtype)->name, shape_text(found, t->dim, t->n_dims),
                   dtype_info(t->dtype)->name);
}
