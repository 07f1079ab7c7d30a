/* raw_tensor.c - see raw_tensor.h. */
#include "store/raw_tensor.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "store/zip.h"

enum status raw_tensor_data(const struct raw_tensor *t, const void **data, struct err *e)
{
    const unsigned char *member;
    enum status st;

    *data = t->data;
    if (t->data != NULL) return STATUS_OK;
    st = zip_member_data(t->zip, t->member, &member, e);
    if (st == STATUS_OK) *data = member + t->offset;
    return st;
}

bool shape_elements(const int64_t *dim, int n_dims, size_t *elements)
{
    size_t n = 1;

    /* Also when another dim is 0: the others' product must stay sane for strides. */
    for (int i = 0; i < n_dims; i++) {
        size_t factor = dim[i] > 0 ? (size_t)dim[i] : 1;

        if (dim[i] < 0 || __builtin_mul_overflow(n, factor, &n) || n > INT64_MAX) return false;
    }
    for (int i = 0; i < n_dims; i++) {
        if (dim[i] == 0) n = 0;
    }
    *elements = n;
    return true;
}

bool shape_bytes(enum dtype dtype, const int64_t *dim, int n_dims, size_t *bytes)
{
    const struct dtype_info *info = dtype_info(dtype);
    size_t n;

    size_t columns = n_dims > 0 && dim[n_dims - 1] >= 0 ? (size_t)dim[n_dims - 1] : 1;

    if (!shape_elements(dim, n_dims, &n) || columns % info->block_elements != 0) return false;
    return !__builtin_mul_overflow(n / info->block_elements, info->block_bytes, bytes) && *bytes <= INT64_MAX;
}

bool raw_tensor_rows(const struct raw_tensor *t, int64_t *stride)
{
    int64_t columns = t->n_dims > 0 ? t->dim[t->n_dims - 1] : 1;
    int64_t next = -1; /* the stride that the next dim outwards must have; -1: any */

    *stride = columns;
    if (columns > 1 && t->stride[t->n_dims - 1] != 1) return false;
    for (int i = t->n_dims - 2; i >= 0; i--) {
        if (t->dim[i] == 1) continue;
        if (next < 0) *stride = t->stride[i];
        if (next >= 0 && t->stride[i] != next) return false;
        if (__builtin_mul_overflow(t->stride[i], t->dim[i], &next)) return false;
    }
    return *stride >= columns;
}

void raw_tensor_copy(const struct raw_tensor *t, const void *data, void *dst)
{
    int64_t index[RAW_DIMS_MAX] = { 0 };
    size_t size = dtype_info(t->dtype)->block_bytes, elements;
    int last = t->n_dims - 1;
    size_t columns = last >= 0 ? (size_t)t->dim[last] : 1;
    size_t step = last >= 0 ? (size_t)t->stride[last] : 1;
    bool sane = shape_elements(t->dim, t->n_dims, &elements);
    char *out = dst;

    assert(sane && dtype_info(t->dtype)->block_elements == 1);
    if (!sane || elements == 0) return;
    for (;;) {
        const char *in = data;
        int i;

        for (i = 0; i < last; i++) in += (size_t)index[i] * (size_t)t->stride[i] * size;
        if (step == 1) {
            memcpy(out, in, columns * size);
        } else {
            for (size_t k = 0; k < columns; k++) memcpy(out + k * size, in + k * step * size, size);
        }
        out += columns * size;
        /* The next row, as an odometer. */
        for (i = last - 1; i >= 0 && ++index[i] == t->dim[i]; i--) index[i] = 0;
        if (i < 0) return;
    }
}

const char *shape_text(char *text, const int64_t *dim, int n_dims)
{
    size_t n = 1;

    text[0] = '[';
    for (int i = 0; i < n_dims && n < SHAPE_TEXT_MAX - 24; i++) {
        n += (size_t)snprintf(text + n, SHAPE_TEXT_MAX - n, i > 0 ? ", %lld" : "%lld", (long long)dim[i]);
    }
    text[n] = ']';
    text[n + 1] = '\0';
    return text;
}

const char *bytes_text(char *text, const void *bytes, size_t size)
{
    const unsigned char *b = bytes;
    size_t n = size < BYTES_TEXT_MAX ? size : BYTES_TEXT_MAX;

    for (size_t i = 0; i < n; i++) text[i] = b[i] >= 32 && b[i] < 127 ? (char)b[i] : '?';
    memcpy(text + n, size > n ? "..." : "", size > n ? 4 : 1);
    return text;
}

const char *name_without_prefix(const char *name)
{
    return strncmp(name, "llma.", 5) == 0 ? name + 5 : name;
}

static bool starts_with(const char *data, size_t size, const char *text)
{
    size_t n = strlen(text);

    return size >= n && strncasecmp(data, text, n) == 0;
}

enum status weights_sniff(const char *path, const void *data, size_t size, struct err *e)
{
    const char *text = data;

    if (size == 0) return err_set(e, STATUS_BAD_FORMAT, "%s: is empty, not a file of weights", path);
    if (starts_with(text, size, "version https://git-lfs")) {
        return err_set(
            e, STATUS_BAD_FORMAT,
            "%s: is a git-lfs pointer of %zu bytes, not the weights: run `git lfs pull` in its folder", path,
            size);
    }
    while (size > 0 && (*text == ' ' || *text == '\n' || *text == '\r' || *text == '\t')) text++, size--;
    if (starts_with(text, size, "<!doctype") || starts_with(text, size, "<html") ||
        starts_with(text, size, "<?xml")) {
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: is a web page, not the weights: the download gave a page of text, fetch it again",
                       path);
    }
    return STATUS_OK;
}
