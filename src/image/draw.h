/*
 * draw.h - boxes, points and skeletons drawn on a picture, as upstream's demo draws them.
 *
 * With the default style the outlines and discs cover exactly the pixels that Pillow's ImageDraw covers
 * (rectangle of width 2, ellipse of radius 5); skeleton lines are antialiased and labels are ours.
 */
#ifndef SPHINX_IMAGE_DRAW_H
#define SPHINX_IMAGE_DRAW_H

#include <stdbool.h>
#include <stddef.h>

#include "image/image.h"
#include "image/transform.h"

struct img_color {
    unsigned char r, g, b;
};

/* The demo's colors, in the order in which it hands them out: red, blue, green, purple, orange. */
enum { IMG_COLORS = 5 };
extern const struct img_color img_colors[IMG_COLORS];
extern const char *const img_color_names[IMG_COLORS];

struct img_box {
    double x1, y1, x2, y2; /* two opposite corners, in pixels of the picture */
};

/* What one phrase of an answer points at. Everything is borrowed. */
struct img_region {
    const char *label; /* UTF-8; NULL or empty for none */
    struct img_color color;
    const struct img_box *boxes;
    size_t n_boxes;
    const struct img_point *points;
    size_t n_points;
};

/* COCO's key points. img_joint_names are spelled with underscores ("left_eye"). */
enum { IMG_JOINTS = 17 };
extern const char *const img_joint_names[IMG_JOINTS];
/* Which of them lines join, counted from 1 as COCO does. */
enum { IMG_EDGES = 19 };
extern const unsigned char img_skeleton[IMG_EDGES][2];

struct img_person {
    bool present[IMG_JOINTS];
    struct img_point joints[IMG_JOINTS];
};

struct img_style {
    bool labels;  /* write the regions' labels beside them */
    double scale; /* of line widths, discs and letters; 0 means 1, which is upstream's look */
};

/* A scale at which lines and labels stay readable when the picture is fitted to a screen: 1 up to 1200
 * pixels. */
double img_style_scale(int width, int height);

/* Draws on *im: the regions in their order, then the skeletons, then all labels so that nothing covers them.
 * What lies outside the picture is cut off; coordinates that are not numbers are left out. style may be NULL.
 * Errors: UNSUPPORTED (a side over cairo's 32767 pixels), NO_MEMORY; *im is then unchanged. */
enum status img_draw(struct image *im, const struct img_region *regions, size_t n_regions,
                     const struct img_person *people, size_t n_people, const struct img_style *style,
                     struct err *e);

/* Lays a color over the pixels of *im whose mask [height, width] is not 0, half transparent as upstream does it:
 * (127 color + 128 pixel) / 255. */
void img_blend_mask(struct image *im, const unsigned char *mask, struct img_color color);

#endif
