/*
 * mask_step.h - a picture through a segmenter and back: losses of the masks that prompts make of it, and gradients.
 *
 *   picture ── sam_image_encode ── embedding ─┬─ prompt of mask 1 ── sam_decode ── mask_loss, error of the IoU that is expected ── way back
 *                                             └─ prompt of mask 2 ...
 *
 * A prompt is a box around the mask, moved a little, or a point on it (Kirillov et al. 2023): a box is answered by the first of the decoder's
 * masks, a point, which may mean several things, by the best of the others, and only that learns.
 */
#ifndef SPHINX_TRAIN_MASK_STEP_H
#define SPHINX_TRAIN_MASK_STEP_H

#include "image/image.h"
#include "segment/sam.h"
#include "train/mask_data.h"

struct mask_example {
    const struct mask_picture *picture;
    const struct image *image; /* its pixels */
    size_t prompts;            /* at most so many of its masks, drawn */
    uint64_t key;              /* of what is drawn */
};

/* Sums over prompts. */
struct mask_result {
    double loss, iou; /* iou: between the masks and the true ones */
    size_t n;
};

/* Adds to *r, and `weight` times the gradient of the mean loss over the picture's prompts to those of the weights. IoUs are those of the
 * decoder's map. Failures are in c->err. The arena of c is rewound. */
void mask_learn(struct ctx *c, const struct sam *m, const struct mask_example *x, double weight,
                struct mask_result *r);

/* Every mask of the picture by its true box, and nothing is learned. IoUs are of the picture's pixels. */
void mask_measure(struct ctx *c, const struct sam *m, const struct mask_example *x, struct mask_result *r);

#endif
