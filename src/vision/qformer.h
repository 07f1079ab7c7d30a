/*
 * qformer.h - BLIP-2's EVA vision transformer and Querying Transformer (Li et al. 2023). Spec 04 section 5.
 */
#ifndef SPHINX_VISION_QFORMER_H
#define SPHINX_VISION_QFORMER_H

#include "vision/vit.h"

struct qformer_config {
    int view_size, patch_size, vision_width, vision_layers, vision_heads, vision_mlp_width;
    int queries, width, layers, heads, mlp_width, cross_every;
};

struct eva_block {
    struct norm layer_norm1, layer_norm2;
    struct dense qkv, projection, fc1, fc2;
};

struct qformer_attention {
    struct dense query, key, value, output;
    struct norm norm;
};

struct qformer_layer {
    struct qformer_attention self, cross; /* cross only in every cross_every-th layer, from 0 */
    struct dense intermediate, output;
    struct norm norm;
};

struct qformer {
    struct qformer_config config;
    struct tensor patch_weight, patch_bias, class_embedding, position_embedding;
    struct eva_block *blocks; /* [vision_layers] */
    struct norm post_layernorm;
    struct tensor query_tokens;
    struct norm layernorm;
    struct qformer_layer *layers; /* [layers] */
};

enum status qformer_init(struct qformer *m, const struct qformer_config *config, struct arena *a,
                         struct err *e);
void qformer_params(struct qformer *m, struct param_visitor *v);

/* views normalised for CLIP -> [V*queries, width] */
struct tensor *qformer_encode(struct ctx *c, const struct qformer *m, const struct views *views);

#endif
