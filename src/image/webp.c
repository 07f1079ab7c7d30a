/*
 * webp.c - WebP through libwebp, to RGB with alpha dropped. Of an animation the first frame, on black, which
 * is what Pillow shows of it.
 *
 *   "RIFF" size "WEBP" { tag[4] size payload pad }     an animation's frames are chunks "ANMF":
 *   x/2[3] y/2[3] width-1[3] height-1[3] duration[3] flags[1], then the chunks of a still image
 */
#include <string.h>

#include <webp/decode.h>

#include "image/decoder.h"

enum { FRAME_HEADER_SIZE = 16 };

static const char *webp_text(VP8StatusCode code)
{
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY: return "out of memory";
    case VP8_STATUS_UNSUPPORTED_FEATURE: return "it uses a feature that libwebp does not read";
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA: return "the file is truncated";
    default: return "the data is corrupt";
    }
}

static enum status webp_failure(const struct img_source *s, VP8StatusCode code, struct err *e)
{
    return err_set(e, code == VP8_STATUS_OUT_OF_MEMORY ? STATUS_NO_MEMORY : STATUS_BAD_FORMAT,
                   "%s: the WebP cannot be decoded: %s", s->name, webp_text(code));
}

/* Decodes one still image of exactly width x height onto im at (x, y), where it must fit. */
static enum status still_decode(struct image *im, int x, int y, const unsigned char *data, size_t size,
                                const struct img_source *s, struct err *e)
{
    WebPDecoderConfig config;
    VP8StatusCode code;
    size_t stride = (size_t)im->width * 3, start = stride * (size_t)y + (size_t)x * 3;

    if (!WebPInitDecoderConfig(&config)) {
        return err_set(e, STATUS_UNSUPPORTED, "%s: libwebp is of another version than its header", s->name);
    }
    code = WebPGetFeatures(data, size, &config.input);
    if (code != VP8_STATUS_OK) return webp_failure(s, code, e);
    if (config.input.width > im->width - x || config.input.height > im->height - y) {
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: a WebP frame of %d x %d at (%d, %d) leaves the canvas of %d x %d", s->name,
                       config.input.width, config.input.height, x, y, im->width, im->height);
    }
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = im->rgb + start;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = stride * (size_t)im->height - start;
    code = WebPDecode(data, size, &config);
    WebPFreeDecBuffer(&config.output);
    return code == VP8_STATUS_OK ? STATUS_OK : webp_failure(s, code, e);
}

static enum status first_frame_decode(struct image *im, const struct img_source *s, struct err *e)
{
    size_t position = 12;

    while (s->size - position >= 8) {
        const unsigned char *chunk = s->data + position;
        size_t size = img_le32(chunk + 4), left = s->size - position - 8;

        if (size > left) break;
        if (memcmp(chunk, "ANMF", 4) == 0 && size >= FRAME_HEADER_SIZE) {
            int x = (int)img_le24(chunk + 8) * 2, y = (int)img_le24(chunk + 11) * 2;

            if (x >= im->width || y >= im->height) {
                return err_set(e, STATUS_BAD_FORMAT,
                               "%s: the first frame starts at (%d, %d), outside its %d x %d canvas", s->name,
                               x, y, im->width, im->height);
            }
            return still_decode(im, x, y, chunk + 8 + FRAME_HEADER_SIZE, size - FRAME_HEADER_SIZE, s, e);
        }
        size += size & 1;
        if (size > left) break;
        position += 8 + size;
    }
    return err_set(e, STATUS_BAD_FORMAT, "%s: the WebP is an animation without a whole frame", s->name);
}

enum status img_webp_decode(struct image *im, const struct img_source *s, struct err *e)
{
    WebPBitstreamFeatures features;
    VP8StatusCode code = WebPGetFeatures(s->data, s->size, &features);
    enum status st;

    if (code != VP8_STATUS_OK) return webp_failure(s, code, e);
    st = img_allocate(im, s, features.width, features.height, e);
    if (st != STATUS_OK) return st;
    if (features.has_animation) return first_frame_decode(im, s, e);
    return still_decode(im, 0, 0, s->data, s->size, s, e);
}
