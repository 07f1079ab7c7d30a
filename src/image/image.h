/*
 * image.h - pictures as the program holds them, and how they come out of files.
 *
 *   file, "-" or bytes -> img_read / img_decode -> struct image, 8-bit RGB
 *
 * The pixels equal Pillow's Image.open(file).convert("RGB"): grey is replicated, palettes are looked up,
 * alpha is dropped without compositing, CMYK is taken as Adobe writes it. Two deliberate differences: 16-bit
 * grey keeps its high byte (PNG) or is scaled (PGM), where Pillow clips to white; and BMP bit fields may lie
 * anywhere.
 */
#ifndef SPHINX_IMAGE_IMAGE_H
#define SPHINX_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"

/* width and height are 1..IMG_SIDE_MAX unless rgb is NULL (an empty, zeroed image). */
struct image {
    int width, height;
    unsigned char *rgb; /* [height, width, 3], malloc'ed */
};

/* The longest side of any image: what JPEG and GIF can express. It bounds the resampling tables too. */
#define IMG_SIDE_MAX 65535
/* The default limit on width * height, 64 Mi: a 64-megapixel photo passes (192 MiB of RGB), a bomb not. */
#define IMG_PIXELS_MAX ((size_t)64 << 20)
/* The largest file that is read. */
#define IMG_FILE_SIZE_MAX ((size_t)512 << 20)

struct img_options {
    size_t pixels_max; /* 0: IMG_PIXELS_MAX. Compared with the header's size before any pixel is allocated. */
    bool apply_exif;   /* turn the image as its EXIF orientation asks (JPEG, PNG, WebP); upstream does not */
    bool permit_damage; /* JPEG only: keep what a truncated or corrupt file yields, the rest grey */
};

/* Decodes a file held in memory: JPEG, PNG, BMP, PBM/PGM/PPM, WebP and GIF (their first frame), told apart
 * by their first bytes. `name` stands for the file in messages; options may be NULL. On success the caller
 * releases *im with img_free; on failure *im is empty. Errors: BAD_FORMAT (unknown, corrupt, truncated, too
 * large), UNSUPPORTED (a kind of a known format that is not read), NO_MEMORY. */
enum status img_decode(struct image *im, const unsigned char *data, size_t size, const char *name,
                       const struct img_options *options, struct err *e);

/* The same for a file; "-" is standard input. Errors also as file_read. */
enum status img_read(struct image *im, const char *path, const struct img_options *options, struct err *e);

/* An image of the given size, all zero (black). The sides must be 1..IMG_SIDE_MAX. */
enum status img_init(struct image *im, int width, int height, struct err *e);
/* copy is empty. */
enum status img_copy(struct image *copy, const struct image *im, struct err *e);
void img_free(struct image *im); /* accepts an empty image; leaves it empty */

/* An image file in PNG: to memory that the caller frees, or to a file that is replaced atomically. */
enum status img_png_encode(const struct image *im, unsigned char **data, size_t *size, struct err *e);
/* In a third of the time and a little larger: for thousands of drawings. */
enum status img_png_encode_fast(const struct image *im, unsigned char **data, size_t *size, struct err *e);
enum status img_png_write(const struct image *im, const char *path, struct err *e);

/* The same in JPEG, of quality 1..100 as libjpeg counts, colors at half the resolution. Errors: UNSUPPORTED (a side over 65500),
 * NO_MEMORY. */
enum status img_jpeg_encode(const struct image *im, int quality, unsigned char **data, size_t *size,
                            struct err *e);

#endif
