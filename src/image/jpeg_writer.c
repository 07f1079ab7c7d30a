/*
 * jpeg_writer.c - see img_jpeg_encode in image.h. As in jpeg.c, all state lives in a struct of the outer function, so that no local
 * variable is alive across libjpeg's jump out of an error.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

#include "image/image.h"

struct jpeg_encoder {
    struct jpeg_compress_struct cinfo;
    struct jpeg_error_mgr errors;
    jmp_buf jump;
    unsigned char *data; /* libjpeg's: malloc'ed */
    unsigned long size;
    struct err *e;
    enum status status;
};

_Noreturn static void on_error(j_common_ptr cinfo)
{
    struct jpeg_encoder *c = cinfo->client_data;
    char text[JMSG_LENGTH_MAX];

    cinfo->err->format_message(cinfo, text);
    c->status = err_set(c->e, STATUS_NO_MEMORY, "the JPEG cannot be encoded: %s", text);
    longjmp(c->jump, 1);
}

static void on_message(j_common_ptr cinfo, int level)
{
    (void)cinfo;
    (void)level;
}

static enum status encode_guarded(struct jpeg_encoder *c, const struct image *im, int quality)
{
    struct jpeg_compress_struct *cinfo = &c->cinfo;

    if (setjmp(c->jump) != 0) return c->status;
    jpeg_create_compress(cinfo);
    jpeg_mem_dest(cinfo, &c->data, &c->size);
    cinfo->image_width = (JDIMENSION)im->width;
    cinfo->image_height = (JDIMENSION)im->height;
    cinfo->input_components = 3;
    cinfo->in_color_space = JCS_RGB;
    jpeg_set_defaults(cinfo);
    jpeg_set_quality(cinfo, quality, TRUE);
    cinfo->optimize_coding = TRUE;
    jpeg_start_compress(cinfo, TRUE);
    while (cinfo->next_scanline < cinfo->image_height) {
        unsigned char *row = im->rgb + (size_t)im->width * 3 * cinfo->next_scanline;

        jpeg_write_scanlines(cinfo, &row, 1);
    }
    jpeg_finish_compress(cinfo);
    return STATUS_OK;
}

enum status img_jpeg_encode(const struct image *im, int quality, unsigned char **data, size_t *size,
                            struct err *e)
{
    struct jpeg_encoder c = { .e = e };
    enum status st;

    *data = NULL;
    *size = 0;
    /* The format's own limit is IMG_SIDE_MAX, libjpeg's a little lower. */
    if (im->width > JPEG_MAX_DIMENSION || im->height > JPEG_MAX_DIMENSION)
        return err_set(e, STATUS_UNSUPPORTED, "a picture of %d x %d pixels, where a JPEG ends at %ld a side",
                       im->width, im->height, JPEG_MAX_DIMENSION);
    c.cinfo.err = jpeg_std_error(&c.errors);
    c.errors.error_exit = on_error;
    c.errors.emit_message = on_message;
    c.cinfo.client_data = &c;
    st = encode_guarded(&c, im, quality);
    jpeg_destroy_compress(&c.cinfo);
    if (st != STATUS_OK) {
        free(c.data);
        return st;
    }
    *data = c.data;
    *size = c.size;
    return STATUS_OK;
}
