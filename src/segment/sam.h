/*
 * sam.h - Segment Anything (Kirillov et al. 2023), any size. Spec 13.
 *
 *   picture, longest side S, normalised, padded ─ sam_image_encode ── embedding [g*g, D]     once a picture
 *   box, points ─ sam_prompt_tokens ─ [n, D] ─┐
 *   mask of before ─ sam_prompt_dense ────────┼─ sam_decode ── logits of masks [m, 4g*4g], how good they are [m]
 *   embedding ────────────────────────────────┘
 *
 * Maps are rows: cell (y, x) of a g x g map is row y*g + x. All sizes are those of the checkpoint's tensors (sam_load.h).
 */
#ifndef SPHINX_SEGMENT_SAM_H
#define SPHINX_SEGMENT_SAM_H

#include "tensor/params.h"

enum { SAM_POINT_KINDS = 4, SAM_UPSCALE = 4, SAM_MASKS_MAX = 16 };

struct sam_config {
    int patch, grid, window;       /* S = patch * grid; windows of window x window cells */
    int width, layers, heads, ffn; /* of the image encoder */
    int dim;                       /* D: of the embedding, of prompts and of the decoder */
    int mask_hidden[2];            /* channels of the two convolutions that a given mask goes through */
    int decoder_layers, decoder_ffn, cross_width;
    int masks;     /* that the decoder makes: the first, and some among which one chooses */
    int iou_width; /* of the layers that say how good a mask is */
};

struct sam_block {
    bool windowed;
    struct norm norm1, norm2;
    struct dense qkv, proj, lin1, lin2;
    struct tensor rel_pos_h, rel_pos_w; /* [2s-1, d], s the side of what the block attends over */
};

struct sam_image {
    struct tensor pos_embed, patch_weight, patch_bias;
    struct sam_block *blocks; /* [layers] */
    struct tensor neck_point, neck_around;
    struct norm neck_norm[2];
};

struct sam_prompts {
    struct tensor gaussian;               /* [2, D/2]: what positions are encoded with */
    struct tensor point[SAM_POINT_KINDS]; /* [1, D] background, foreground, first corner, second corner */
    struct tensor no_point, no_mask;
    struct dense mask[3];
    struct norm mask_norm[2];
};

struct sam_attention {
    struct dense q, k, v, out;
};

struct sam_decoder_layer {
    struct sam_attention self, to_image, to_tokens;
    struct dense lin1, lin2;
    struct norm norm[4];
};

struct sam_decoder {
    struct tensor iou_token, mask_tokens;
    struct sam_decoder_layer *layers; /* [decoder_layers] */
    struct sam_attention last;
    struct norm last_norm, upscale_norm;
    struct dense upscale[2];              /* weight [inputs, outputs*2*2] */
    struct dense hyper[SAM_MASKS_MAX][3]; /* of each mask */
    struct dense iou[3];
};

struct sam {
    struct sam_config config;
    struct sam_image image;
    struct sam_prompts prompts;
    struct sam_decoder decoder;
};

/* The structs without weights, in arena a. A block is windowed where windowed[block]. */
enum status sam_init(struct sam *m, const struct sam_config *config, const bool *windowed, struct arena *a,
                     struct err *e);
/* Visits every parameter by its published name; each file has those of its network. */
void sam_params(struct sam *m, struct param_visitor *v);
void sam_image_params(struct sam *m, struct param_visitor *v);
void sam_prompts_params(struct sam *m, struct param_visitor *v);
void sam_decoder_params(struct sam *m, struct param_visitor *v);

/* pixels [1, 3*S*S], planar, normalised -> [g*g, D]. Observed: sam.block.N. */
struct tensor *sam_image_encode(struct ctx *c, const struct sam *m, struct tensor *pixels);

/* What a mask is asked for by: points, a box, or both, in pixels of the S x S square. */
struct sam_prompt {
    const struct sam_point {
        float x, y;
        bool foreground;
    } * points;
    size_t n_points;
    bool has_box;
    float x1, y1, x2, y2;
};

/* -> [n, D]: the points in their order, then the box's two corners or, without a box, one token that stands for none. */
struct tensor *sam_prompt_tokens(struct ctx *c, const struct sam *m, const struct sam_prompt *p);
/* What is added to the embedding: [1, D] without a mask; else [g*g, D], of logits [1, 4g*4g] as sam_decode gives them. */
struct tensor *sam_prompt_dense(struct ctx *c, const struct sam *m, struct tensor *mask);
/* Where the cells of the embedding are: [g*g, D], the same for every picture. */
struct tensor *sam_image_code(struct ctx *c, const struct sam *m);

struct sam_masks {
    struct tensor *logits; /* [n, 4g*4g] a mask is where they are > 0; row by row */
    struct tensor *iou;    /* [1, masks] the intersection over union that is expected of each */
};

/* One prompt's masks: `all` of the decoder's, or only the first, which is the one for prompts that mean one thing. */
struct sam_masks sam_decode(struct ctx *c, const struct sam *m, struct tensor *embedding, struct tensor *code,
                            struct tensor *tokens, struct tensor *dense, bool all);

#endif
