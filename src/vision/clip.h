/*
 * clip.h - CLIP's vision transformer (Radford et al. 2021), OpenAI's ViT-L/14 at released size. Spec 04 section 2.
 */
#ifndef SPHINX_VISION_CLIP_H
#define SPHINX_VISION_CLIP_H

#include "vision/vit.h"

struct clip_config {
    int view_size, patch_size, width, layers, heads, mlp_width;
    enum activation act;
};

struct clip_block {
    struct norm ln_1, ln_2;
    struct dense in_proj, out_proj, c_fc, c_proj;
};

struct clip {
    struct clip_config config;
    struct tensor conv1, class_embedding, positional_embedding;
    struct norm ln_pre, ln_post;
    struct clip_block *blocks; /* [layers], in the arena given to clip_init */
};

enum status clip_init(struct clip *m, const struct clip_config *config, struct arena *a, struct err *e);
void clip_params(struct clip *m, struct param_visitor *v);

/* views normalised for CLIP -> [V*(1 + g*g), width] */
struct tensor *clip_encode(struct ctx *c, const struct clip *m, const struct views *views);

#endif
