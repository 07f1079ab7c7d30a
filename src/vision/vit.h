/*
 * vit.h - what the three vision transformers have in common (Dosovitskiy et al. 2021): CLIP, DINOv2 and EVA turn a view
 * into a class token and a grid of patch tokens, and let the tokens of one view attend to each other.
 */
#ifndef SPHINX_VISION_VIT_H
#define SPHINX_VISION_VIT_H

#include "tensor/params.h"

/* The views of one or more images, all the same size, as one batch. */
struct views {
    struct tensor *pixels; /* [V, 3*S*S] f32, planar, normalised as the encoder wants it */
    int64_t count, side;   /* V, S */
};

/* views -> [V*(1 + g*g), D]: per view the class token, then the patches row by row.   g = S / patch
 *   weight [D, 3*patch*patch], bias [D] or NULL, class_token D numbers */
struct tensor *vit_tokens(struct ctx *c, const struct views *v, int patch, const struct tensor *weight,
                          const struct tensor *bias, const struct tensor *class_token);

/* Self-attention inside each view.   x [V*n, D]   qkv.weight [3D, D]: q, then k, then v   -> [V*n, D] */
struct tensor *vit_attention(struct ctx *c, struct tensor *x, const struct dense *qkv,
                             const struct dense *out, int heads, int64_t n_views);

/* visits weight [D, 3, patch, patch] of a patch embedding. */
void param_patch_weight(struct param_visitor *v, struct tensor *slot, int64_t width, int64_t patch,
                        const char *name);

#endif
