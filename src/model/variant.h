/*
 * variant.h - the members of the SPHINX family, as rows of one table (spec 01 section 1). What differs between upstream's sibling
 * files is which encoders look, how many views there are, at which sizes, and whether the language model has experts.
 */
#ifndef SPHINX_MODEL_VARIANT_H
#define SPHINX_MODEL_VARIANT_H

#include "image/views.h"

enum encoder { ENCODER_CLIP, ENCODER_CONVNEXT, ENCODER_DINOV2, ENCODER_QFORMER, ENCODER_COUNT };
enum { ENCODERS_ALL = (1 << ENCODER_COUNT) - 1 };

extern const char *const encoder_names[ENCODER_COUNT];

/* The language model's ModelArgs that a variant leaves open. */
struct llama_sizes {
    int dim, n_layers, n_heads, n_kv_heads,
        ffn_width; /* n_kv_heads 0: n_heads; ffn_width 0: by the rule in config.c */
    float rope_theta;
};

struct variant {
    const char *llama_type; /* upstream's module name, in meta.json */
    const char *name;       /* the released model(s) */
    unsigned encoders;      /* bits 1 << enum encoder */
    enum img_layout layout;
    int image_size, cnn_size; /* released sizes; views are 224 */
    bool pool_parts;
    int n_experts;
    bool
        all_biased; /* bias tuning: of all matrices of a layer, and unless config.json says otherwise; else of all but
                                       wk and wv, if it says so */
    struct llama_sizes released; /* what the released checkpoint has: used when there is no config.json */
    struct llama_sizes defaults; /* upstream's ModelArgs: used for keys that a config.json leaves out */
};

/* NULL when there is no such type. */
const struct variant *variant_find(const char *llama_type);
/* Rows 0, 1, ... ; NULL past the last. */
const struct variant *variant_at(size_t i);
/* All types, comma separated, for messages: written to text [size]. */
const char *variant_list(char *text, size_t size);

#endif
