/*
 * png.c - PNG through libpng, read to RGB as Pillow converts it and written from RGB.
 *
 * Reading: palette and grey of any depth to 8 bits, alpha dropped, 16 bits to their high byte, gamma and
 * color profiles ignored. As in jpeg.c, setjmp stands in an inner function and all state in a struct of the
 * outer.
 */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "core/file.h"
#include "image/decoder.h"

struct png_decoder {
    png_structp png;
    png_infop info;
    const struct img_source *source;
    size_t position;
    struct image *im;
    struct err *e;
};

_Noreturn static void on_error(png_structp png, png_const_charp text)
{
    struct png_decoder *d = png_get_error_ptr(png);

    err_set(d->e, STATUS_BAD_FORMAT, "%s: the PNG cannot be decoded: %s", d->source->name, text);
    png_longjmp(png, 1);
}

/* libpng warns of damage in chunks that carry no pixels. */
static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_read(png_structp png, png_bytep out, size_t size)
{
    struct png_decoder *d = png_get_io_ptr(png);

    if (size > d->source->size - d->position) png_error(png, "the file is truncated");
    memcpy(out, d->source->data + d->position, size);
    d->position += size;
}

static void transforms_set(png_structp png)
{
    png_set_strip_16(png);
    png_set_strip_alpha(png);
    png_set_palette_to_rgb(png);
    png_set_expand_gray_1_2_4_to_8(png);
    png_set_gray_to_rgb(png);
}

static enum status decode_guarded(struct png_decoder *d)
{
    png_structp png = d->png;
    enum status st;
    size_t stride;
    int passes;

    if (setjmp(png_jmpbuf(png)) != 0) return STATUS_BAD_FORMAT;
    png_set_read_fn(png, d, on_read);
    png_set_user_limits(png, PNG_UINT_31_MAX,
                        PNG_UINT_31_MAX); /* img_allocate judges, with a better message */
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL,
                                -1); /* text, profiles: not even inflated */
    png_read_info(png, d->info);
    st = img_allocate(d->im, d->source, png_get_image_width(png, d->info), png_get_image_height(png, d->info),
                      d->e);
    if (st != STATUS_OK) return st;

    transforms_set(png);
    passes = png_set_interlace_handling(png);
    png_read_update_info(png, d->info);
    stride = (size_t)d->im->width * 3;
    if (png_get_rowbytes(png, d->info) != stride) png_error(png, "its rows are not RGB after conversion");
    for (int pass = 0; pass < passes; pass++) {
        for (int y = 0; y < d->im->height; y++) png_read_row(png, d->im->rgb + stride * (size_t)y, NULL);
    }
    png_read_end(png, NULL);
    return STATUS_OK;
}

enum status img_png_decode(struct image *im, const struct img_source *s, struct err *e)
{
    struct png_decoder d = { .source = s, .im = im, .e = e };
    enum status st;

    d.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &d, on_error, on_warning);
    if (d.png != NULL) d.info = png_create_info_struct(d.png);
    st = d.info != NULL ? decode_guarded(&d) : err_no_memory(e, "decoding a PNG");
    png_destroy_read_struct(&d.png, &d.info, NULL);
    return st;
}

static enum status encode(const struct image *im, png_uint_32 flags, unsigned char **data, size_t *size,
                          struct err *e)
{
    png_image header = { .version = PNG_IMAGE_VERSION,
                         .width = (png_uint_32)im->width,
                         .height = (png_uint_32)im->height,
                         .format = PNG_FORMAT_RGB,
                         .flags = flags };
    png_alloc_size_t n = PNG_IMAGE_PNG_SIZE_MAX(header);
    unsigned char *buffer = malloc(n), *shrunk;

    *data = NULL;
    *size = 0;
    if (buffer == NULL) return err_no_memory(e, "encoding a PNG");
    if (png_image_write_to_memory(&header, buffer, &n, 0, im->rgb, 0, NULL) == 0) {
        free(buffer);
        return err_set(e, STATUS_NO_MEMORY, "the PNG cannot be encoded: %s", header.message);
    }
    shrunk = realloc(buffer, n);
    *data = shrunk != NULL ? shrunk : buffer;
    *size = n;
    return STATUS_OK;
}

enum status img_png_encode(const struct image *im, unsigned char **data, size_t *size, struct err *e)
{
    return encode(im, 0, data, size, e);
}

enum status img_png_encode_fast(const struct image *im, unsigned char **data, size_t *size, struct err *e)
{
    return encode(im, PNG_IMAGE_FLAG_FAST, data, size, e);
}

enum status img_png_write(const struct image *im, const char *path, struct err *e)
{
    struct file_writer w = { 0 };
    unsigned char *data;
    size_t size;
    enum status st;

    st = img_png_encode(im, &data, &size, e);
    if (st != STATUS_OK) return st;
    st = file_writer_open(&w, path, e);
    if (st == STATUS_OK) st = file_writer_put(&w, data, size, e);
    if (st == STATUS_OK) st = file_writer_commit(&w, e);
    file_writer_abort(&w);
    free(data);
    return st;
}
