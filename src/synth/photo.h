/*
 * photo.h - what makes a photo of a drawing: a camera's view of it, on a ground with texture and clutter, in uneven light, a little out of
 * focus and noisy.
 */
#ifndef SPHINX_SYNTH_PHOTO_H
#define SPHINX_SYNTH_PHOTO_H

#include <cairo.h>

#include "image/image.h"
#include "synth/scene.h"

struct photo_scratch;

struct photo_scratch *photo_scratch_open(int side); /* NULL: no memory */
void photo_scratch_close(struct photo_scratch *b);  /* accepts NULL */

/* Where a point of the scene is in the picture, in units, and how much larger things are there. */
struct photo_point {
    double x, y, scale;
};
struct photo_point photo_project(const struct camera *c, double x, double y);

/* The picture of things (premultiplied, clear where there is nothing). `ground` is a surface of the same size to draw on. */
void photo_take(struct image *im, const struct scene *s, cairo_surface_t *things, cairo_surface_t *ground,
                struct photo_scratch *b);

/* Where things, pixels of what was drawn, are in the picture: to [height, width] from [height, width], 0 where nothing is. */
void photo_find(unsigned char *to, const struct scene *s, const unsigned char *from, int width, int height);

/* The pixels of a surface as they are. */
void photo_copy(struct image *im, cairo_surface_t *surface);

#endif
