/*
 * resample.h - changing the size of pictures, in the ways upstream does it.
 *
 *   img_resample, img_resize  8-bit pixels, exactly as Pillow's BICUBIC (a = -0.5) or BILINEAR: antialiased, fixed point
 *   img_bicubic               float planes, as torch's bicubic: a = -0.75, not antialiased
 *   img_bilinear              a float plane, as torch's bilinear: not antialiased
 *   img_nearest               float planes, as torch's nearest
 */
#ifndef SPHINX_IMAGE_RESAMPLE_H
#define SPHINX_IMAGE_RESAMPLE_H

#include "image/image.h"

/* One axis of a resampling from `from` to `to` positions. Only results first .. first + count - 1 are wanted,
 * and only input positions offset .. offset + (the image's own size) - 1 hold the image; the rest is the fill
 * color. Padding and cropping cost nothing: the padded square or the uncropped result never exists. */
struct img_axis {
    int from, offset;
    long long to, first;
    int count;
};

enum img_filter { IMG_FILTER_BICUBIC, IMG_FILTER_BILINEAR };

struct img_resampling {
    struct img_axis x, y;
    unsigned char fill[3];
    enum img_filter filter;
};

/* Resamples horizontally, rounds to 8 bits, then vertically. Byte for byte what Pillow gives for the filled
 * from-sized image resized to the `to` sizes and cropped. *out is made: [y.count, x.count, 3]. */
enum status img_resample(struct image *out, const struct image *in, const struct img_resampling *r,
                         struct err *e);

/* Pillow's resize((width, height), BICUBIC). */
enum status img_resize(struct image *out, const struct image *in, int width, int height, struct err *e);

/* The weights of one result on one axis, as 22-bit fixed point: results depend on input positions *low ..
 * *low + n - 1; n is returned. weights has room for img_resample_taps(from, to, filter) numbers. For tests. */
int img_resample_taps(int from, long long to, enum img_filter filter);
int img_resample_weights(int *weights, int *low, int from, long long to, long long i, enum img_filter filter);

/* out[p] = in[p] resized from in_h x in_w to out_h x out_w, for every plane p; values are not clipped and out
 * is not in. A scale factor is torch's scale_factor argument: positions then step by 1/factor, whatever the
 * sizes are; 0 means the step is in/out. Errors: NO_MEMORY. */
enum status img_bicubic(float *out, int out_h, int out_w, const float *in, int in_h, int in_w, size_t planes,
                        double factor_h, double factor_w, struct err *e);

/* One plane of out_h x out_w from in_h x in_w, whose rows are in_stride apart, by torch's bilinear without align_corners: no
 * antialiasing, however much smaller it gets. Positions before the first and behind the last number are clamped. */
void img_bilinear(float *out, int out_h, int out_w, const float *in, int in_h, int in_w, size_t in_stride);

/* out[p][y][x] = in[p][floor(y * in_h / out_h)][floor(x * in_w / out_w)]. */
void img_nearest(float *out, int out_h, int out_w, const float *in, int in_h, int in_w, size_t planes);

#endif
