/*
 * dinov2.h - DINOv2's vision transformer without registers (Oquab et al. 2023), ViT-g/14 at released size. Spec 04 section 4.
 */
#ifndef SPHINX_VISION_DINOV2_H
#define SPHINX_VISION_DINOV2_H

#include "vision/vit.h"

struct dinov2_config {
    int view_size, patch_size, pretrain_size, width, layers, heads, ffn_width;
};

struct dinov2_block {
    struct norm norm1, norm2;
    struct dense qkv, proj, w12, w3;
    struct tensor ls1, ls2;
};

struct dinov2 {
    struct dinov2_config config;
    struct tensor patch_weight, patch_bias, cls_token, pos_embed;
    struct norm norm;
    struct dinov2_block *blocks; /* [layers] */
};

enum status dinov2_init(struct dinov2 *m, const struct dinov2_config *config, struct arena *a, struct err *e);
void dinov2_params(struct dinov2 *m, struct param_visitor *v);

/* views normalised with ImageNet's statistics (not CLIP's: see img_renormalise) -> [V*(1 + g*g), width] */
struct tensor *dinov2_encode(struct ctx *c, const struct dinov2 *m, const struct views *views);

#endif
