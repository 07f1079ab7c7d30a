/*
 * transform.c - padded_resize and resized_center_crop of accessory/data/transform.py, as windows on one
 * Pillow resampling: the padded square and the uncropped result are never made.
 *
 *   padded_resize         [H, W] inside [M, M] of the fill color, M = max(W, H)  ->  [S, S]
 *   resized_center_crop   [H, W]  ->  shorter side S, of it the middle [S, S]
 *   random_resized_crop   [H, W]  ->  a part of it  ->  [S, S]
 */
#include "image/transform.h"

#include <math.h>
#include <string.h>

#include "core/mix64.h"
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

/* ---- a part at random ---------------------------------------------------------------------------------- */

#define AREA_MIN   0.9
#define AREA_MAX   1.0
#define ASPECT_MIN (3.0 / 4.0)
#define ASPECT_MAX (4.0 / 3.0)

/* The i-th number of a draw, low <= x < high. */
static double uniform(uint64_t draw, uint64_t i, double low, double high)
{
    return low + (high - low) * ((double)(mix64(draw + i) >> 11) * 0x1p-53);
}

static struct img_part part_middle(int width, int height)
{
    struct img_part p = { .width = width, .height = height };
    double aspect = (double)width / height;

    if (aspect < ASPECT_MIN) p.height = (int)rint(width / ASPECT_MIN);
    if (aspect > ASPECT_MAX) p.width = (int)rint(height * ASPECT_MAX);
    p.x = (width - p.width) / 2;
    p.y = (height - p.height) / 2;
    return p;
}

struct img_part img_part_draw(int width, int height, uint64_t draw)
{
    enum { TRIES = 10, NUMBERS = 4 };

    for (uint64_t i = 0; i < TRIES * NUMBERS; i += NUMBERS) {
        double area = uniform(draw, i, AREA_MIN, AREA_MAX) * width * height;
        double aspect = exp(uniform(draw, i + 1, log(ASPECT_MIN), log(ASPECT_MAX)));
        double w = rint(sqrt(area * aspect)), h = rint(sqrt(area / aspect));

        if (w >= 1 && w <= width && h >= 1 && h <= height)
            return (struct img_part){ (int)uniform(draw, i + 2, 0, width - w + 1),
                                      (int)uniform(draw, i + 3, 0, height - h + 1), (int)w, (int)h };
    }
    return part_middle(width, height);
}

enum status img_prepare_random(float *planes, const struct image *im, uint64_t draw, int size, struct err *e)
{
    struct img_part p = img_part_draw(im->width, im->height, draw);
    struct image part, resized = { 0 };
    enum status st = img_init(&part, p.width, p.height, e);

    if (st != STATUS_OK) return st;
    for (int y = 0; y < p.height; y++)
        memcpy(part.rgb + (size_t)y * (size_t)p.width * 3,
               im->rgb + ((size_t)(p.y + y) * (size_t)im->width + (size_t)p.x) * 3, (size_t)p.width * 3);
    st = img_resize(&resized, &part, size, size, e);
    if (st == STATUS_OK) img_normalize(planes, &resized);
    img_free(&resized);
    img_free(&part);
    return st;
}
