/*
 * world_masks.h - which pixels of its picture each shape and person of a scene has, in COCO's form of instances:
 *
 *   painter_owners ── an item's pixels ── run lengths (image/mask_rle.h) ── {"image_id", "category_id", "bbox", "area", "segmentation"}
 */
#ifndef SPHINX_SYNTH_WORLD_MASKS_H
#define SPHINX_SYNTH_WORLD_MASKS_H

#include "synth/world_texts.h"

/* Adds scene `index`, of the image `name`, to texts->masks and masks_image, whose number is n_masks: things of which nothing is seen have
 * none. `plane` is scratch of the picture's pixels. */
enum status scene_masks_write(struct scene_texts *texts, uint64_t index, const struct scene *s,
                              struct painter *p, const struct image *im, const char *name, float *plane,
                              struct err *e);
/* The list of all categories. */
void masks_categories_write(struct prose *out);

#endif
