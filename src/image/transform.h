/*
 * transform.h - from a picture to the square, normalised planes that the encoders' views are cut from, and
 * the way back from the model's coordinates to the picture's pixels.
 */
#ifndef SPHINX_IMAGE_TRANSFORM_H
#define SPHINX_IMAGE_TRANSFORM_H

#include <stdint.h>

#include "image/image.h"

enum img_transform {
    IMG_TRANSFORM_PADDED_RESIZE,       /* pad to a square around the picture, then resize: what SPHINX uses */
    IMG_TRANSFORM_RESIZED_CENTER_CROP, /* shorter side to the square's, then cut the middle out */
};

/* Where the square that the model sees lies on the original picture, in the picture's pixels: its corner is
 * at (-offset_x, -offset_y). Padding gives offsets >= 0, cropping offsets <= 0. */
struct img_square {
    int width, height; /* of the picture */
    int side;
    int offset_x, offset_y;
};

struct img_point {
    double x, y;
};

struct img_square img_square_of(enum img_transform transform, int width, int height);

/* Fractions of the square, as the model writes them, to pixels of the picture, and back. Neither clips. */
struct img_point img_square_to_pixels(const struct img_square *s, struct img_point fraction);
struct img_point img_square_from_pixels(const struct img_square *s, struct img_point pixel);
/* The nearest point of the picture, 0..width and 0..height. NaN becomes 0. */
struct img_point img_square_clamp(const struct img_square *s, struct img_point pixel);

/* The transform's 8-bit square, [size, size, 3], byte for byte Pillow's. size is 1..IMG_SIDE_MAX. The caller
 * frees *square. Errors: BAD_ARGUMENT, NO_MEMORY. */
enum status img_transform(struct image *square, const struct image *im, enum img_transform transform,
                          int size, struct err *e);

/* planes [3, height, width] = (v/255 - mean) / std with CLIP's statistics, in float32 as torchvision
 * computes it. */
void img_normalize(float *planes, const struct image *im);

/* Both steps: planes [3, size, size]. *square, if wanted, receives the way back. */
enum status img_prepare(float *planes, struct img_square *square, const struct image *im,
                        enum img_transform transform, int size, struct err *e);

/* A part of a picture, in its pixels. */
struct img_part {
    int x, y, width, height;
};

/* What torchvision's RandomResizedCrop cuts out with scale (0.9, 1) and ratio (3/4, 4/3), upstream's for training: an area and an aspect at
 * random, where these fit, at a random place; else the largest part in the middle whose aspect is allowed. The same for the same draw. */
struct img_part img_part_draw(int width, int height, uint64_t draw);

/* img_prepare with that part, resized to the square. */
enum status img_prepare_random(float *planes, const struct image *im, uint64_t draw, int size, struct err *e);

/* CLIP's pixel statistics, red green blue; DINOv2's stand in views.c, which leads from one to the other. */
extern const float img_clip_mean[3], img_clip_std[3];

#endif
