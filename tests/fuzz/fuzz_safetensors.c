/*
 * fuzz_safetensors.c - any bytes as a .safetensors file: every refusal gives its reason, and of what is
 * accepted every element can be read.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "store/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct safetensors_file f;
    struct err e = { 0 };

    if (safetensors_open_memory(&f, data, size, "x.safetensors", &e) != STATUS_OK) {
        assert(e.text[0] != '\0');
        return 0;
    }
    for (size_t i = 0; i < f.count; i++) {
        const struct raw_tensor *t = &f.tensors[i];
        size_t bytes;
        bool sane = shape_bytes(t->dtype, t->dim, t->n_dims, &bytes);
        void *copy;

        assert(sane && bytes <= size && t->data != NULL); /* the format has no views, so it cannot grow */
        copy = sane ? malloc(bytes + 1) : NULL;
        if (copy != NULL) raw_tensor_copy(t, t->data, copy);
        free(copy);
    }
    safetensors_close(&f);
    return 0;
}
