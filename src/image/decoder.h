/*
 * decoder.h - what the decoders of the single formats share. Private to image/.
 *
 * Each img_<format>_decode gets a source whose first bytes are known to be its own and an empty image. It
 * calls img_allocate once it knows the size and before it decodes anything. On failure the image may be left
 * half filled: img_decode releases it.
 */
#ifndef SPHINX_IMAGE_DECODER_H
#define SPHINX_IMAGE_DECODER_H

#include <stdint.h>

#include "image/image.h"

struct img_source {
    const unsigned char *data;
    size_t size;
    const char *name; /* for messages */
    struct img_options options;
};

/* Checks what a header claims against the limits, then allocates black pixels. Every decoder's only way to
 * memory for pixels. */
enum status img_allocate(struct image *im, const struct img_source *s, int64_t width, int64_t height,
                         struct err *e);

enum status img_jpeg_decode(struct image *im, const struct img_source *s, struct err *e);
enum status img_png_decode(struct image *im, const struct img_source *s, struct err *e);
enum status img_webp_decode(struct image *im, const struct img_source *s, struct err *e);
enum status img_bmp_decode(struct image *im, const struct img_source *s, struct err *e);
enum status img_gif_decode(struct image *im, const struct img_source *s, struct err *e);
enum status img_pnm_decode(struct image *im, const struct img_source *s, struct err *e);

/* The EXIF orientation, 1..8, of a JPEG, PNG or WebP file; 1, upright, where none is found. */
int img_exif_orientation(const unsigned char *file, size_t size);
/* Turns and mirrors *im so that an image stored with this orientation stands upright. */
enum status img_orient(struct image *im, int orientation, struct err *e);

/* Little-endian numbers, as BMP, WebP and half of all EXIF data have them. */
static inline uint32_t img_le16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}
static inline uint32_t img_le24(const unsigned char *p)
{
    return img_le16(p) | (uint32_t)p[2] << 16;
}
static inline uint32_t img_le32(const unsigned char *p)
{
    return img_le16(p) | img_le16(p + 2) << 16;
}

/* Big-endian ones, as JPEG, PNG and the other half have them. */
static inline uint32_t img_be16(const unsigned char *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}
static inline uint32_t img_be32(const unsigned char *p)
{
    return img_be16(p) << 16 | img_be16(p + 2);
}

#endif
