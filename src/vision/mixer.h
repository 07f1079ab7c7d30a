/*
 * mixer.h - joins what the encoders saw into the image words that the language model reads. Spec 04 section 6.
 */
#ifndef SPHINX_VISION_MIXER_H
#define SPHINX_VISION_MIXER_H

#include "tensor/params.h"

struct mixer_config {
    int grid;     /* patch tokens per side: view size / patch size */
    int width;    /* D of the language model */
    int channels; /* sum of the widths of CLIP, ConvNeXt and DINOv2, those the variant has; 0: it has none */
    int queries, query_width; /* 0: the variant has no Q-Former */
    bool pool_parts;          /* ens5p2: part views' patches are averaged 2x2 before the projection */
};

struct mixer {
    struct mixer_config config;
    struct dense visual_proj, qformer_proj;
    struct norm visual_norm, qformer_norm;
    struct tensor start_img, end_img;
};

/* What the encoders gave for V views, of one image or of several, image after image; those that the variant lacks are NULL. */
struct features {
    struct tensor *clip;     /* [V*(1+grid*grid), width] */
    struct tensor *convnext; /* the same, from mixer_spread */
    struct tensor *dinov2;   /* the same */
    struct tensor *qformer;  /* [V*queries, query_width] */
};

void mixer_init(struct mixer *m, const struct mixer_config *config);
void mixer_params(struct mixer *m, struct param_visitor *v);

/* Image words that the V views of one image become. */
int64_t mixer_words(const struct mixer_config *config, int64_t n_views);

/* Which of them is the first patch of view i, whose *side * *side patches stand row by row; -1: the variant has no patches. */
int64_t mixer_view_patches(const struct mixer_config *config, int64_t view, int64_t *side);
/* Which of them patch (row, column) of the whole view is; -1 as above. */
int64_t mixer_patch_word(const struct mixer_config *config, int64_t row, int64_t column);

/* ConvNeXt's map [V*side*side, C] -> [V*(1+grid*grid), C]: each cell repeated to fill the grid, and before them the mean of
 * all cells in the place of a class token. grid is a multiple of side. */
struct tensor *mixer_spread(struct ctx *c, struct tensor *map, int64_t n_views, int64_t side, int64_t grid);

/* n_views of each image -> [n_images * mixer_words, D] */
struct tensor *mixer_mix(struct ctx *c, const struct mixer *m, const struct features *f, int64_t n_images,
                         int64_t n_views);

#endif
