/* kv_cache.c - memory for keys and values. See llama.h. */
#include "language/llama.h"

#include <stdlib.h>
#include <sys/mman.h>

enum status kv_init(struct kv_cache *kv, const struct llama_config *config, int ranks, int64_t capacity,
                    enum dtype dtype, struct err *e)
{
    int head_dim = config->dim / config->n_heads, block = (int)dtype_info(dtype)->block_elements;
    int64_t width = (int64_t)config->n_kv_heads / ranks * head_dim;
    size_t layer, n = (size_t)config->n_layers;

    memset(kv, 0, sizeof *kv);
    if (head_dim % block != 0) {
        return err_set(e, STATUS_UNSUPPORTED,
                       "keys and values in %s need heads whose width is a multiple of %d; this model's is %d",
                       dtype_info(dtype)->name, block, head_dim);
    }
    layer = dtype_bytes(dtype, (size_t)(capacity * width));
    kv->n_layers = config->n_layers;
    kv->capacity = capacity;
    kv->memory_bytes = 2 * n * layer;
    kv->k = calloc(2 * n, sizeof *kv->k);
    /* Mapped, not malloc'ed: pages that no position reaches are never touched, so a long context costs nothing
     * until it is used. */
    kv->memory = mmap(NULL, kv->memory_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (kv->memory == MAP_FAILED) kv->memory = NULL;
    if (kv->k == NULL || kv->memory == NULL) {
        kv_free(kv);
        return err_no_memory(e, "key/value cache");
    }
    kv->v = kv->k + n;
    for (size_t i = 0; i < 2 * n; i++) {
        kv->k[i] = tensor_matrix(dtype, (char *)kv->memory + i * layer, capacity, width);
    }
    return STATUS_OK;
}

void kv_free(struct kv_cache *kv)
{
    if (kv->memory != NULL) munmap(kv->memory, kv->memory_bytes);
    free(kv->k);
    memset(kv, 0, sizeof *kv);
}
