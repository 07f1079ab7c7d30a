/*
 * jpeg.c - JPEG through libjpeg-turbo, with the settings Pillow leaves it at: accurate integer IDCT, fancy
 * upsampling, block smoothing. Baseline, progressive and arithmetic; grey, YCbCr, RGB, CMYK and YCCK.
 *
 * libjpeg reports errors by calling back and expects never to be returned to. All state lives in a struct of
 * the outer function while setjmp stands in an inner one, so no local variable is alive across the jump.
 */
#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>

#include "image/decoder.h"

/* A progressive file of a few kilobytes can ask for thousands of passes over a large image. No encoder writes
 * more than about a dozen. */
enum { SCANS_MAX = 200 };

struct jpeg_decoder {
    struct jpeg_decompress_struct cinfo;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    const struct img_source *source;
    struct image *im;
    enum status status;
    struct err *e;
};

_Noreturn static void fail(struct jpeg_decoder *d, enum status st, const char *what)
{
    d->status = err_set(d->e, st, "%s: the JPEG cannot be decoded: %s", d->source->name, what);
    longjmp(d->jump, 1);
}

_Noreturn static void on_error(j_common_ptr cinfo)
{
    struct jpeg_decoder *d = cinfo->client_data;
    char text[JMSG_LENGTH_MAX];

    cinfo->err->format_message(cinfo, text);
    fail(d, cinfo->err->msg_code == JERR_OUT_OF_MEMORY ? STATUS_NO_MEMORY : STATUS_BAD_FORMAT, text);
}

/* Warnings (level < 0) come in two kinds: pixels were lost, or something odd was read over. Stray bytes
 * between segments, which many cameras write, are of the second kind and Pillow accepts them too. */
static void on_message(j_common_ptr cinfo, int level)
{
    struct jpeg_decoder *d = cinfo->client_data;
    char text[JMSG_LENGTH_MAX];

    if (level >= 0 || d->source->options.permit_damage) return;
    switch (cinfo->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC: break;
    default: return;
    }
    cinfo->err->format_message(cinfo, text);
    fail(d, STATUS_BAD_FORMAT, text);
}

static void on_progress(j_common_ptr cinfo)
{
    struct jpeg_decoder *d = cinfo->client_data;

    if (d->cinfo.input_scan_number > SCANS_MAX) fail(d, STATUS_BAD_FORMAT, "it has too many scans");
}

/* a * b / 255, rounded as Pillow rounds it. */
static int multiply_255(int a, int b)
{
    int t = a * b + 128;

    return ((t >> 8) + t) >> 8;
}

/* Adobe stores ink inverted, and Pillow takes every CMYK JPEG to be Adobe's: in[] holds 255 - ink. */
static void row_from_cmyk(unsigned char *rgb, const unsigned char *in, int width)
{
    for (int x = 0; x < width; x++, in += 4, rgb += 3) {
        for (int c = 0; c < 3; c++) rgb[c] = (unsigned char)(in[3] - multiply_255(255 - in[c], in[3]));
    }
}

static void rows_read(struct jpeg_decoder *d)
{
    struct jpeg_decompress_struct *cinfo = &d->cinfo;
    size_t stride = (size_t)d->im->width * 3;
    bool is_cmyk = cinfo->out_color_space == JCS_CMYK;
    JSAMPARRAY ink = NULL;

    if (is_cmyk) {
        ink = cinfo->mem->alloc_sarray((j_common_ptr)cinfo, JPOOL_IMAGE, (JDIMENSION)d->im->width * 4, 1);
    }
    while (cinfo->output_scanline < cinfo->output_height) {
        unsigned char *row = d->im->rgb + stride * cinfo->output_scanline;

        if (is_cmyk) {
            jpeg_read_scanlines(cinfo, ink, 1);
            row_from_cmyk(row, ink[0], d->im->width);
        } else {
            jpeg_read_scanlines(cinfo, &row, 1);
        }
    }
}

static enum status decode_guarded(struct jpeg_decoder *d)
{
    struct jpeg_decompress_struct *cinfo = &d->cinfo;
    enum status st;

    if (setjmp(d->jump) != 0) return d->status;
    jpeg_create_decompress(cinfo);
    d->progress.progress_monitor = on_progress;
    cinfo->progress = &d->progress;
    jpeg_mem_src(cinfo, d->source->data, (unsigned long)d->source->size);
    jpeg_read_header(cinfo, TRUE);

    st = img_allocate(d->im, d->source, cinfo->image_width, cinfo->image_height, d->e);
    if (st != STATUS_OK) return st;
    if (cinfo->num_components != 1 && cinfo->num_components != 3 && cinfo->num_components != 4) {
        return err_set(d->e, STATUS_UNSUPPORTED, "%s: a JPEG of %d components, where 1, 3 and 4 are known",
                       d->source->name, cinfo->num_components);
    }
    cinfo->out_color_space = cinfo->num_components == 4 ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(cinfo);
    rows_read(d);
    return STATUS_OK; /* what follows the last row is nobody's loss, so the file's end is not read */
}

enum status img_jpeg_decode(struct image *im, const struct img_source *s, struct err *e)
{
    struct jpeg_decoder d = { .source = s, .im = im, .e = e };
    enum status st;

    d.cinfo.err = jpeg_std_error(&d.errors);
    d.errors.error_exit = on_error;
    d.errors.emit_message = on_message;
    d.cinfo.client_data = &d;
    st = decode_guarded(&d);
    jpeg_destroy_decompress(&d.cinfo);
    return st;
}
