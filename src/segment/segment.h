/*
 * segment.h - masks of what is at given places of a picture: the picture is looked at once, then every prompt is answered.
 *
 *   segment_open ─ segment_picture ─┬─ segment_mask ─ logits of the picture's size
 *                                   └─ segment_mask ...
 *
 *   picture w x h -> longest side S (Pillow's bilinear) -> (v - mean) / std -> zeros at the right and the bottom -> S x S
 *   logits 4g x 4g -> S x S (torch's bilinear) -> without what was padded -> w x h; a mask is where they are > 0
 *
 * The embeddings of the last few pictures are kept, found by their pixels: looking at one of them again costs nothing.
 */
#ifndef SPHINX_SEGMENT_SEGMENT_H
#define SPHINX_SEGMENT_SEGMENT_H

#include "core/digest.h"
#include "image/image.h"
#include "segment/sam_load.h"

/* What is known of a picture. */
struct looked_at {
    struct digest key; /* of its pixels */
    int width, height;
    struct tensor embedding; /* [g*g, D]; data is malloc'ed, NULL: the place is free */
    uint64_t turn;           /* when it was last wanted */
};

struct segmenter {
    struct sam_file file;
    struct ctx c;
    struct arena arena;         /* of one call */
    struct looked_at *pictures; /* [n_pictures] */
    int n_pictures;
    const struct looked_at *picture; /* the one that prompts are about; NULL: none */
    uint64_t turn;
    struct tensor code; /* [g*g, D], the same for every picture; data is malloc'ed, NULL before the first */
};

struct segment_options {
    const char *cpu;             /* instruction level; NULL: the best */
    int threads;                 /* 1 and up */
    int pictures;                /* whose embeddings are kept: 1 and up */
    bool precise;                /* never round activations to 16 or 8 bits */
    const struct report *report; /* may be NULL; borrowed until segment_close. Stage "sam" counts blocks */
};

/* Errors as sam_open and cpu_backend. */
enum status segment_open(struct segmenter *s, const char *path, const struct segment_options *o,
                         struct err *e);
void segment_close(struct segmenter *s); /* accepts a zeroed one */

/* Looks at a picture, whose pixels are not needed any more afterwards. Errors: NO_MEMORY, CANCELLED; there is no picture then. */
enum status segment_picture(struct segmenter *s, const struct image *im, struct err *e);

/* The first mask of a prompt, which is that of sam.h in pixels of the picture: logits [height, width], and in *iou, if wanted, how good it
 * is expected to be. What lies outside of the picture, or is the wrong way round, is taken as it is. BAD_ARGUMENT: neither
 * points nor a box, or a place further away than any picture is large; NUMERIC: what comes out are no numbers; NO_MEMORY, CANCELLED. */
enum status segment_mask(struct segmenter *s, const struct sam_prompt *p, float *logits, float *iou,
                         struct err *e);

/* The picture made ready, as the encoder takes it: pixels [3, side, side]. */
enum status segment_pixels(float *pixels, const struct image *im, int side, struct err *e);
/* How much larger a picture's side of `length` is in that square; `longest` is that of its sides. */
double segment_scale(int length, int longest, int side);
/* A mask of the decoder, `low` [4g, 4g], in pixels of a picture: logits [height, width]. */
enum status segment_enlarge(float *logits, int width, int height, const float *low,
                            const struct sam_config *k, struct err *e);

#endif
