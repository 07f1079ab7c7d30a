/*
 * fuzz_torch.c - any bytes as a .pth file: ZIP directory, unpickler and tensors. Every refusal gives its
 * reason, and of what is accepted every element can be read.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "store/torch_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COPY_MAX = 1 << 20 }; /* expanded views are larger than any file */

static void read_tensor(const struct raw_tensor *t)
{
    struct err e = { 0 };
    const void *data;
    int64_t stride;
    size_t bytes;
    bool sane = shape_bytes(t->dtype, t->dim, t->n_dims, &bytes);
    void *copy;

    assert(sane && t->name != NULL);
    raw_tensor_rows(t, &stride);
    if (raw_tensor_data(t, &data, &e) != STATUS_OK) {
        assert(e.text[0] != '\0');
        return;
    }
    copy = sane && bytes <= COPY_MAX ? malloc(bytes + 1) : NULL;
    if (copy != NULL) raw_tensor_copy(t, data, copy);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct torch_file f;
    struct err e = { 0 };

    if (torch_file_open_memory(&f, data, size, "x.pth", &e) != STATUS_OK) {
        assert(e.text[0] != '\0');
        return 0;
    }
    for (size_t i = 0; i < f.count; i++) read_tensor(&f.tensors[i]);
    for (size_t i = 0; i < f.zip.count; i++) zip_member_check(&f.zip, &f.zip.members[i], &e);
    torch_file_close(&f);
    return 0;
}
