/*
 * outline.h - where the parts of a scene's items are, in units of the scene: what the painter draws and what boxes are made from are the
 * same points.
 */
#ifndef SPHINX_SYNTH_OUTLINE_H
#define SPHINX_SYNTH_OUTLINE_H

#include "synth/scene.h"

enum { OUTLINE_MAX = 96 };

#define OUTLINE_STROKE 1.1  /* width of the dark line around things */
#define RING_HOLE      0.52 /* of a ring's radius */

struct disc {
    double x, y, r;
};

/* The polygon of a shape; returns the number of its points, at most OUTLINE_MAX. */
size_t outline_shape(const struct item *t, struct img_point *point);

/* Widths of a person's parts. */
struct body {
    double limb, head, ear, hand, foot, face;
};
struct body outline_body(const struct item *t);
/* The middle of the head. */
struct img_point outline_head(const struct item *t);

/* Discs that together reach exactly as far as the item (not a text) in every direction; at most OUTLINE_MAX. */
size_t outline_discs(const struct item *t, struct disc *disc);

#endif
