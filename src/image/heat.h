/*
 * heat.h - weights of a grid as a glow over a picture: where something looked.
 */
#ifndef SPHINX_IMAGE_HEAT_H
#define SPHINX_IMAGE_HEAT_H

#include "image/image.h"
#include "image/transform.h"

/* Over *im lies the square that the model saw of it, and over that a grid of side * side weights >= 0, row by row, each at the middle of its cell, and
 * interpolated between. The picture is darkened where the weight is 0 and glows where it is the largest. */
void img_heat(struct image *im, const struct img_square *square, const float *weights, int side);

#endif
