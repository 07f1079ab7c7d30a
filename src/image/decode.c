/*
 * decode.c - tells image formats apart, guards the limits, and hands over to the format's own decoder.
 *
 *   bytes -> first bytes known? -> decoder: header -> img_allocate (limits) -> pixels -> EXIF turn, if asked
 */
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "image/decoder.h"

/* A file's signature. A '?' in magic matches any byte. */
struct format {
    const char *name;
    const char *magic;
    size_t offset, length;
    enum status (*decode)(struct image *im, const struct img_source *s,
                          struct err *e); /* NULL: only recognised */
};

static const struct format formats[] = {
    { "JPEG", "\xff\xd8\xff", 0, 3, img_jpeg_decode },
    { "PNG", "\x89PNG\r\n\x1a\n", 0, 8, img_png_decode },
    { "WebP", "RIFF????WEBP", 0, 12, img_webp_decode },
    { "GIF", "GIF87a", 0, 6, img_gif_decode },
    { "GIF", "GIF89a", 0, 6, img_gif_decode },
    { "BMP", "BM", 0, 2, img_bmp_decode },
    { "PNM", "P1", 0, 2, img_pnm_decode },
    { "PNM", "P2", 0, 2, img_pnm_decode },
    { "PNM", "P3", 0, 2, img_pnm_decode },
    { "PNM", "P4", 0, 2, img_pnm_decode },
    { "PNM", "P5", 0, 2, img_pnm_decode },
    { "PNM", "P6", 0, 2, img_pnm_decode },
    /* What people are likely to bring, so that the message can name it. */
    { "AVIF", "ftypavif", 4, 8, NULL },
    { "HEIC", "ftyphei", 4, 7, NULL },
    { "HEIC", "ftypmif1", 4, 8, NULL },
    { "TIFF", "II*\0", 0, 4, NULL },
    { "TIFF", "MM\0*", 0, 4, NULL },
    { "JPEG 2000", "\0\0\0\x0cjP  ", 0, 8, NULL },
    { "PDF", "%PDF-", 0, 5, NULL },
    { "SVG", "<svg", 0, 4, NULL },
};

static const char known_formats[] = "JPEG, PNG, WebP, GIF, BMP and PBM/PGM/PPM";

static bool format_matches(const struct format *f, const unsigned char *data, size_t size)
{
    if (size < f->offset + f->length) return false;
    for (size_t i = 0; i < f->length; i++) {
        if (f->magic[i] != '?' && data[f->offset + i] != (unsigned char)f->magic[i]) return false;
    }
    return true;
}

static const struct format *format_find(const unsigned char *data, size_t size)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (format_matches(&formats[i], data, size)) return &formats[i];
    }
    return NULL;
}

enum status img_init(struct image *im, int width, int height, struct err *e)
{
    *im = (struct image){ 0 };
    if (width < 1 || height < 1 || width > IMG_SIDE_MAX || height > IMG_SIDE_MAX) {
        return err_set(e, STATUS_BAD_ARGUMENT, "an image of %d x %d pixels: each side must be 1 to %d", width,
                       height, IMG_SIDE_MAX);
    }
    im->rgb = calloc((size_t)width * (size_t)height, 3);
    if (im->rgb == NULL) return err_no_memory(e, "an image");
    im->width = width;
    im->height = height;
    return STATUS_OK;
}

enum status img_copy(struct image *copy, const struct image *im, struct err *e)
{
    enum status st = img_init(copy, im->width, im->height, e);

    if (st == STATUS_OK) memcpy(copy->rgb, im->rgb, (size_t)im->width * (size_t)im->height * 3);
    return st;
}

void img_free(struct image *im)
{
    free(im->rgb);
    *im = (struct image){ 0 };
}

enum status img_allocate(struct image *im, const struct img_source *s, int64_t width, int64_t height,
                         struct err *e)
{
    size_t pixels_max = s->options.pixels_max != 0 ? s->options.pixels_max : IMG_PIXELS_MAX;

    if (width < 1 || height < 1) {
        return err_set(e, STATUS_BAD_FORMAT, "%s: the header gives an empty image of %lld x %lld pixels",
                       s->name, (long long)width, (long long)height);
    }
    if (width > IMG_SIDE_MAX || height > IMG_SIDE_MAX) {
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: the header gives %lld x %lld pixels, but a side may have at most %d", s->name,
                       (long long)width, (long long)height, IMG_SIDE_MAX);
    }
    if ((size_t)width * (size_t)height > pixels_max) {
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: the header gives %lld x %lld pixels, over the limit of %zu in all", s->name,
                       (long long)width, (long long)height, pixels_max);
    }
    return img_init(im, (int)width, (int)height, e);
}

enum status img_decode(struct image *im, const unsigned char *data, size_t size, const char *name,
                       const struct img_options *options, struct err *e)
{
    struct img_source source = { .data = data, .size = size, .name = name };
    const struct format *f = format_find(data, size);
    enum status st;

    *im = (struct image){ 0 };
    if (options != NULL) source.options = *options;
    if (size == 0) return err_set(e, STATUS_BAD_FORMAT, "%s: the image file is empty", name);
    if (f == NULL) {
        return err_set(e, STATUS_BAD_FORMAT, "%s: not an image that is known here, which are %s", name,
                       known_formats);
    }
    if (f->decode == NULL) {
        return err_set(e, STATUS_UNSUPPORTED, "%s: %s files are not read, only %s", name, f->name,
                       known_formats);
    }
    st = f->decode(im, &source, e);
    if (st == STATUS_OK && source.options.apply_exif)
        st = img_orient(im, img_exif_orientation(data, size), e);
    if (st != STATUS_OK) img_free(im);
    return st;
}

enum status img_read(struct image *im, const char *path, const struct img_options *options, struct err *e)
{
    unsigned char *data = NULL;
    size_t size = 0;
    enum status st;

    *im = (struct image){ 0 };
    st = file_read(path, IMG_FILE_SIZE_MAX, &data, &size, e);
    if (st != STATUS_OK) return st;
    st = img_decode(im, data, size, strcmp(path, "-") == 0 ? "standard input" : path, options, e);
    free(data);
    return st;
}
