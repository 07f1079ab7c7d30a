/*
 * fuzz_config.c - any bytes as config.json of any variant and as meta.json: every refusal gives its reason, and what is accepted
 * holds what the networks rely on.
 *
 *   first byte: which variant; the rest: the JSON
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "model/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct variant *pick(uint8_t byte)
{
    size_t n = 0;

    while (variant_at(n) != NULL) n++;
    return variant_at(byte % n);
}

static void check_llama(const struct llama_config *l)
{
    assert(l->dim > 0 && l->n_layers > 0 && l->n_heads > 0 && l->n_kv_heads > 0 && l->ffn_width > 0);
    assert(l->dim % l->n_heads == 0 && l->dim / l->n_heads % 2 == 0 && l->n_heads % l->n_kv_heads == 0);
    assert(l->n_experts == 0 || (l->n_experts_per_token > 0 && l->n_experts_per_token <= l->n_experts));
    assert(l->norm_eps > 0 && l->rope_theta > 0 && l->rope_scale > 0);
}

static void check_vision(const struct model_config *k)
{
    int i;

    assert(k->views.image_size > 0 && k->views.view_size > 0 && k->views.cnn_size > 0);
    assert(k->dinov2.width % k->dinov2.heads == 0 && k->dinov2.pretrain_size % k->dinov2.patch_size == 0);
    assert(k->mixer.grid > 0 && k->mixer.grid * k->dinov2.patch_size == k->views.view_size);
    assert(k->mixer.grid % (k->convnext.image_size / 32) == 0);
    /* Only an encoder beside the Q-Former has channels to be joined. */
    assert(k->mixer.channels > 0 || (k->variant->encoders & ~(1u << ENCODER_QFORMER)) == 0);
    assert(k->mixer.width == k->llama.dim);
    for (i = 0; i < CONVNEXT_STAGES; i++) assert(k->convnext.depths[i] > 0 && k->convnext.dims[i] > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *json = (const char *)data + 1;
    struct model_config config;
    struct err e = { 0 };
    char *llama_type = NULL;

    if (size == 0) return 0;
    if (config_parse(&config, pick(data[0]), json, size - 1, "config.json", 300, NULL, &e) == STATUS_OK) {
        check_llama(&config.llama);
        check_vision(&config);
    } else {
        assert(e.text[0] != '\0');
    }
    err_clear(&e);
    if (config_parse_meta(&llama_type, json, size - 1, "meta.json", &e) != STATUS_OK)
        assert(e.text[0] != '\0');
    free(llama_type);
    return 0;
}
