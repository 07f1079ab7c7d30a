/*
 * convnext.h - ConvNeXt's trunk (Liu et al. 2022), OpenCLIP's XXL at released size. Spec 04 section 3.
 */
#ifndef SPHINX_VISION_CONVNEXT_H
#define SPHINX_VISION_CONVNEXT_H

#include "vision/vit.h"

enum { CONVNEXT_STAGES = 4 };

struct convnext_config {
    int image_size; /* side of its views: 256 or 512 at released sizes, a multiple of 32 */
    int depths[CONVNEXT_STAGES], dims[CONVNEXT_STAGES];
};

struct convnext_block {
    struct tensor conv_weight, conv_bias, gamma;
    struct norm norm;
    struct dense fc1, fc2;
};

struct convnext_stage {
    struct norm downsample_norm; /* not in stage 0 */
    struct dense downsample;     /* weight [C, C_before, 2, 2]; not in stage 0 */
    struct convnext_block *blocks;
};

struct convnext {
    struct convnext_config config;
    struct dense stem;
    struct norm stem_norm, head_norm;
    struct convnext_stage stages[CONVNEXT_STAGES];
};

enum status convnext_init(struct convnext *m, const struct convnext_config *config, struct arena *a,
                          struct err *e);
void convnext_params(struct convnext *m, struct param_visitor *v);

/* views normalised for CLIP -> [V*h*h, dims[3]], h = side / 32 */
struct tensor *convnext_encode(struct ctx *c, const struct convnext *m, const struct views *views);

#endif
