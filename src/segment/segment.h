/*
 * segment.h - masks of what is at given places of a picture: the picture is looked at once, then every prompt is answered.
 *
 *   segment_open ─ segment_picture ─┬─ segment_mask ─ logits of the picture's size
 *                                   └─ segment_mask ...
 *
 *   picture w x h -> longest side S (Pillow's bilinear) -> (v - mean) / std -> zeros at the right and the bottom -> S x S
 *   logits 4g x 4g -> S x S (torch's bilinear) -> without what was padded -> w x h; a mask is where they are > 0
 */
#ifndef SPHINX_SEGMENT_SEGMENT_H
#define SPHINX_SEGMENT_SEGMENT_H

#include "image/image.h"
#include "segment/sam_load.h"

struct segmenter {
    struct sam_file file;
    struct ctx c;
    struct arena arena;            /* of one call */
    int width, height;             /* of the picture that was looked at; 0: none */
    struct tensor embedding, code; /* [g*g, D]; data is malloc'ed */
};

/* `cpu` names an instruction level (NULL: the best), threads 0 is as many as there are processors. Errors as sam_open and
 * cpu_backend. */
enum status segment_open(struct segmenter *s, const char *path, const char *cpu, int threads,
                         const struct report *report, struct err *e);
void segment_close(struct segmenter *s); /* accepts a zeroed one */

/* Looks at a picture, whose pixels are not needed any more afterwards. Errors: NO_MEMORY, CANCELLED. */
enum status segment_picture(struct segmenter *s, const struct image *im, struct err *e);

/* The first mask of a prompt, which is that of sam.h in pixels of the picture: logits [height, width], and in *iou, if wanted, how good it
 * is expected to be. What lies outside of it, or is the wrong way round, is taken as it is. Without points
 * and box: BAD_ARGUMENT, as is a number that is not finite. */
enum status segment_mask(struct segmenter *s, const struct sam_prompt *p, float *logits, float *iou,
                         struct err *e);

/* The same picture made ready: pixels [3, side, side]. */
enum status segment_pixels(float *pixels, const struct image *im, int side, struct err *e);

#endif
