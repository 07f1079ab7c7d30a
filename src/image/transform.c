/*
 * transform.c - padded_resize and resized_center_crop of accessory/data/transform.py, as windows on one
 * Pillow resampling: the padded square and the uncropped result are never made.
 *
 *   padded_resize         [H, W] inside [M, M] of the fill color, M = max(W, H)  ->  [S, S]
 *   resized_center_crop   [H, W]  ->  shorter side S, of it the middle [S, S]
 */
#include "image/transform.h"

#include "image/resample.h"

const float img_clip_mean[3] = { 0.48145466f, 0.4578275f, 0.40821073f };
const float img_clip_std[3] = { 0.26862954f, 0.26130258f, 0.27577711f };

/* trunc(255 * img_clip_mean), what upstream pads with. */
static const unsigned char pad_color[3] = { 122, 116, 104 };

struct img_square img_square_of(enum img_transform transform, int width, int height)
{
    struct img_square s = { .width = width, .height = height };

    if (transform == IMG_TRANSFORM_PADDED_RESIZE) {
        s.side = width > height ? width : height;
        s.offset_x = (s.side - width) / 2;
        s.offset_y = (s.side - height) / 2;
    } else {
        s.side = width < height ? width : height;
        s.offset_x = -((width - s.side) / 2);
        s.offset_y = -((height - s.side) / 2);
    }
    return s;
}

struct img_point img_square_to_pixels(const struct img_square *s, struct img_point fraction)
{
    return (struct img_point){ fraction.x * s->side - s->offset_x, fraction.y * s->side - s->offset_y };
}

struct img_point img_square_from_pixels(const struct img_square *s, struct img_point pixel)
{
    return (struct img_point){ (pixel.x + s->offset_x) / s->side, (pixel.y + s->offset_y) / s->side };
}

static double clamp(double v, double high)
{
    return v > 0 ? (v < high ? v : high) : 0;
}

struct img_point img_square_clamp(const struct img_square *s, struct img_point pixel)
{
    return (struct img_point){ clamp(pixel.x, s->width), clamp(pixel.y, s->height) };
}

/* (length - size) / 2 rounded to even, as Python's round does in torchvision's center_crop. */
static long long crop_offset(long long length, int size)
{
    long long twice = length - size, half = twice / 2;

    return twice % 2 != 0 && half % 2 != 0 ? half + 1 : half;
}

static struct img_axis axis_cropped(int length, int shorter, int size)
{
    struct img_axis a = { .from = length, .to = (long long)size * length / shorter, .count = size };

    a.first = crop_offset(a.to, size);
    return a;
}

enum status img_transform(struct image *square, const struct image *im, enum img_transform transform,
                          int size, struct err *e)
{
    struct img_resampling r = { .fill = { pad_color[0], pad_color[1], pad_color[2] } };
    struct img_square s = img_square_of(transform, im->width, im->height);

    *square = (struct image){ 0 };
    if (size < 1 || size > IMG_SIDE_MAX) {
        return err_set(e, STATUS_BAD_ARGUMENT, "an image size of %d, where 1 to %d is possible", size,
                       IMG_SIDE_MAX);
    }
    if (transform == IMG_TRANSFORM_PADDED_RESIZE) {
        r.x = (struct img_axis){ .from = s.side, .offset = s.offset_x, .to = size, .count = size };
        r.y = (struct img_axis){ .from = s.side, .offset = s.offset_y, .to = size, .count = size };
    } else {
        r.x = axis_cropped(im->width, s.side, size);
        r.y = axis_cropped(im->height, s.side, size);
    }
    return img_resample(square, im, &r, e);
}

void img_normalize(float *planes, const struct image *im)
{
    size_t count = (size_t)im->width * (size_t)im->height;
    float table[256];

    for (size_t c = 0; c < 3; c++) {
        for (int v = 0; v < 256; v++) table[v] = ((float)v / 255.0f - img_clip_mean[c]) / img_clip_std[c];
        for (size_t i = 0; i < count; i++) planes[c * count + i] = table[im->rgb[3 * i + c]];
    }
}

enum status img_prepare(float *planes, struct img_square *square, const struct image *im,
                        enum img_transform transform, int size, struct err *e)
{
    struct image resized;
    enum status st;

    st = img_transform(&resized, im, transform, size, e);
    if (st != STATUS_OK) return st;
    img_normalize(planes, &resized);
    img_free(&resized);
    if (square != NULL) *square = img_square_of(transform, im->width, im->height);
    return STATUS_OK;
}
