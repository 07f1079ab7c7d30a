/*
 * mask_data.h - pictures and the masks of what is in them, which a segmenter learns from: files in COCO's form of instances, such as
 * `sphinx synth --masks` writes.
 *
 *   config.yaml: META ── masks.json: images, annotations ── pictures, each with its masks, in the order of the files
 *
 * Pictures in which nothing has a mask are left out. Masks stay text (image/mask_rle.h) until their turn comes.
 */
#ifndef SPHINX_TRAIN_MASK_DATA_H
#define SPHINX_TRAIN_MASK_DATA_H

#include "core/arena.h"
#include "core/digest.h"
#include "core/status.h"

struct mask {
    double box[4];      /* x1, y1, x2, y2 */
    const char *counts; /* run lengths of the picture's size */
};

struct mask_picture {
    const char *path;
    int width, height;
    const struct mask *masks; /* [n], n >= 1 */
    size_t n;
};

struct mask_data {
    struct mask_picture *pictures; /* [n] */
    size_t n, n_masks;
    struct digest digest; /* of all that is learned from but the pixels */
    struct arena arena;
};

/* Reads the files that the META of the YAML file at `path` names (data_config.h: `path` and `root`). Errors: those of files; BAD_FORMAT names the
 * file, the record and the key; also where there is nothing to learn from. On failure *d is zeroed. */
enum status mask_data_open(struct mask_data *d, const char *path, struct err *e);
void mask_data_close(struct mask_data *d); /* accepts a zeroed one */

#endif
