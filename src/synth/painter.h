/*
 * painter.h - a scene's picture, and where in it everything is.
 *
 *   scene ── cairo ── things on nothing ──┬─ vector: on the ground ─────────────────────────────┬─ picture, places
 *                                          └─ photo: through the camera, on a textured ground, ──┘
 *                                             under a light, blurred, with noise (photo.h)
 *
 * A painter holds surfaces and fonts and is used from one thread at a time; it is made once for many scenes.
 */
#ifndef SPHINX_SYNTH_PAINTER_H
#define SPHINX_SYNTH_PAINTER_H

#include "core/status.h"
#include "image/image.h"
#include "synth/scene.h"

/* Where an item is, in pixels of the picture; boxes end where the picture ends. */
struct place {
    double box[4]; /* x1, y1, x2, y2 of what is drawn, its outline included, shadow and blur not */
    struct img_point joint[IMG_JOINTS];
    double letter[SCENE_TEXT_MAX][4]; /* boxes of a text's letters; a space's is all 0 */
};

struct picture {
    struct image im; /* borrowed from the painter, until its next picture */
    struct place place[SCENE_ITEMS_MAX];
};

struct painter;

enum { PAINTER_SIDE_MIN = 56, PAINTER_SIDE_MAX = 4096 };

/* For pictures whose longer side is `side` pixels. NOT_FOUND: the system has no fonts. */
enum status painter_open(struct painter **p, int side, struct err *e);
void painter_close(struct painter *p); /* accepts NULL */

enum status painter_paint(struct painter *p, const struct scene *s, struct picture *picture, struct err *e);

/* Which of the scene's shapes and people each pixel of its picture shows: *owner [height, width], borrowed until the next call, has 1 + the item's
 * index, or 0 for none. An item has the pixels of which it covers half or more, its outline included, shadow and blur not. Texts have none: what is
 * written on a thing is part of it. */
enum status painter_owners(struct painter *p, const struct scene *s, const unsigned char **owner,
                           struct err *e);

#endif
