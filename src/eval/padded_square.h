/*
 * padded_square.h - the square in which answers give coordinates: the image in its middle, padded to its longer side.
 *
 *   W 640, H 480:  side 640, dx 0, dy 80        pixel = fraction * side - (dx, dy)
 */
#ifndef SPHINX_EVAL_PADDED_SQUARE_H
#define SPHINX_EVAL_PADDED_SQUARE_H

#include "eval/record.h"

#include <math.h>

struct padded_square {
    double side, dx,
        dy; /* pixels of the original image; the padding is rounded down, as padded_resize rounds it */
};

static inline struct padded_square padded_square_of(const struct record *r)
{
    double side = fmax(r->width, r->height);

    return (struct padded_square){ side, floor((side - r->width) / 2), floor((side - r->height) / 2) };
}

#endif
