/*
 * views.h - the views of one image: the small squares that the encoders look at.
 *
 * The image I [3, S, S] is seen whole and, in the finer layouts, in the parts of a g x g grid. Two kinds of
 * view are made: for the transformers (CLIP, DINOv2, Q-Former) of side s, and for ConvNeXt of side c.
 *
 *   the whole for side n   I resized to n                           (I itself where S = n)
 *   the parts for side n   the g x g cuts of I resized to n * g     (of I itself where S = n * g)
 *
 *   S <= s * g   I was made for the transformers: they get whole and parts for s; ConvNeXt gets these
 *                enlarged to c by nearest neighbour
 *   S >  s * g   I was made for ConvNeXt: each gets whole and parts for its own side
 *
 * Resizing is img_bicubic, on normalised values. This gives, for the released sizes (s = 224 throughout):
 *
 *   variant                    layout  S     c    transformers                    ConvNeXt
 *   llama_ens                  ONE     224   256  I                               nearest of that
 *   llama_ens5, ens5p2         FIVE    448   256  I->224, quadrants of I          nearest of those
 *   llama_ens10                TEN     672   256  I->224, ninths of I             nearest of those
 *   *_light, sparse_ens        ONE     512   512  I->224                          I
 *   *5_light, sparse_ens5      FIVE    1024  512  I->224, quadrants of I->448     I->512, quadrants of I
 *
 * Order: the whole first, then the parts row by row.
 */
#ifndef SPHINX_IMAGE_VIEWS_H
#define SPHINX_IMAGE_VIEWS_H

#include <stddef.h>

#include "core/status.h"

enum img_layout { IMG_LAYOUT_ONE, IMG_LAYOUT_FIVE, IMG_LAYOUT_TEN };

struct img_views {
    enum img_layout layout;
    int image_size; /* S; all three are 1..IMG_SIDE_MAX / 3 */
    int view_size;  /* s */
    int cnn_size;   /* c */
};

/* V: 1, 5 or 10. */
int img_views_count(enum img_layout layout);

/* vit [V, 3, s, s], cnn [V, 3, c, c]; either may be NULL when it is not wanted. image [3, S, S] overlaps
 * neither. Errors: NO_MEMORY. */
enum status img_views_make(const struct img_views *v, const float *image, float *vit, float *cnn,
                           struct err *e);

/* Transformers' views as DINOv2 wants them: CLIP's statistics undone, ImageNet's applied, in float32 with the
 * exact constants (upstream rounds each step to bfloat16). out may be in; both [n, 3, s, s]. Without this the
 * text stays fluent and wrong. */
void img_views_for_dinov2(float *out, const float *in, size_t n, int view_size);

#endif
