/* variant.c - see variant.h. */
#include "model/variant.h"

#include <stdio.h>
#include <string.h>

const char *const encoder_names[ENCODER_COUNT] = { "clip", "convnext", "dinov2", "qformer" };

enum { LIGHT = 1 << ENCODER_CONVNEXT | 1 << ENCODER_DINOV2, QUERIES = 1 << ENCODER_QFORMER, EXPERTS = 8 };

#define LLAMA2_13B                                                                                           \
    {                                                                                                        \
        5120, 40, 40, 0, 0, 1e4f                                                                             \
    }
#define LLAMA2_7B                                                                                            \
    {                                                                                                        \
        4096, 32, 32, 0, 0, 1e4f                                                                             \
    }
#define TINYLLAMA                                                                                            \
    {                                                                                                        \
        2048, 22, 32, 4, 0, 1e4f                                                                             \
    }
#define MIXTRAL                                                                                              \
    {                                                                                                        \
        4096, 32, 32, 8, 14336, 1e6f                                                                         \
    }
#define MIXTRAL_DEFAULTS                                                                                     \
    {                                                                                                        \
        4096, 32, 32, 0, 16384, 1e6f                                                                         \
    }

static const struct variant variants[] = {
    { "llama_ens", "SPHINX", ENCODERS_ALL, IMG_LAYOUT_ONE, 224, 256, false, 0, false, LLAMA2_13B,
      LLAMA2_13B },
    { "llama_ens5", "SPHINX-1k (Long-SPHINX), SPHINX-v2-1k", ENCODERS_ALL, IMG_LAYOUT_FIVE, 448, 256, false,
      0, false, LLAMA2_13B, LLAMA2_13B },
    { "mixtral_sparse_ens", "SPHINX-MoE", ENCODERS_ALL, IMG_LAYOUT_ONE, 512, 512, false, EXPERTS, false,
      MIXTRAL, MIXTRAL_DEFAULTS },
    { "mixtral_sparse_ens5", "SPHINX-MoE-1k", ENCODERS_ALL, IMG_LAYOUT_FIVE, 1024, 512, false, EXPERTS, false,
      MIXTRAL, MIXTRAL_DEFAULTS },
    { "llama_ens_light", "SPHINX-Tiny", LIGHT, IMG_LAYOUT_ONE, 512, 512, false, 0, false, TINYLLAMA,
      LLAMA2_13B },
    { "llama_ens5_light", "SPHINX-Tiny-1k", LIGHT, IMG_LAYOUT_FIVE, 1024, 512, false, 0, false, TINYLLAMA,
      LLAMA2_13B },
    { "llama_ens10", "not released", ENCODERS_ALL, IMG_LAYOUT_TEN, 672, 256, false, 0, false, LLAMA2_13B,
      LLAMA2_13B },
    { "llama_ens5p2", "not released", ENCODERS_ALL, IMG_LAYOUT_FIVE, 448, 256, true, 0, false, LLAMA2_13B,
      LLAMA2_13B },
    { "llama_ens_peft", "SPHINX with adapters", ENCODERS_ALL, IMG_LAYOUT_ONE, 224, 256, false, 0, false,
      LLAMA2_7B, LLAMA2_7B },
    { "llama_qformerv2_peft", "LLaMA with a Q-Former and adapters", QUERIES, IMG_LAYOUT_ONE, 224, 256, false,
      0, true, LLAMA2_7B, LLAMA2_7B },
    { "llama_peft", "LLaMA with adapters, text only", 0, IMG_LAYOUT_ONE, 224, 256, false, 0, true, LLAMA2_7B,
      LLAMA2_7B },
};

enum { VARIANTS = sizeof variants / sizeof *variants };

const struct variant *variant_find(const char *llama_type)
{
    for (size_t i = 0; i < VARIANTS; i++) {
        if (strcmp(variants[i].llama_type, llama_type) == 0) return &variants[i];
    }
    return NULL;
}

const struct variant *variant_at(size_t i)
{
    return i < VARIANTS ? &variants[i] : NULL;
}

const char *variant_list(char *text, size_t size)
{
    size_t n = 0;

    text[0] = '\0';
    for (size_t i = 0; i < VARIANTS && n < size; i++) {
        n += (size_t)snprintf(text + n, size - n, "%s%s", i > 0 ? ", " : "", variants[i].llama_type);
    }
    return text;
}
