/*
 * gif.c - the first frame of a GIF through giflib, laid on its screen as Pillow lays it: where the frame
 * leaves the screen uncovered there is the transparent color if one is named, else color 0; a frame that
 * overhangs the screen enlarges it.
 *
 * Records are read one by one up to that frame: DGifSlurp would decode every frame of a long animation.
 */
#include <string.h>

#include <gif_lib.h>

#include "image/decoder.h"

struct gif_input {
    const struct img_source *source;
    size_t position;
};

struct palette {
    unsigned char rgb[256][3]; /* indices that the file leaves out are black */
};

static int on_read(GifFileType *gif, GifByteType *out, int size)
{
    struct gif_input *in = gif->UserData;
    size_t n = in->source->size - in->position;

    if (n > (size_t)size) n = (size_t)size;
    memcpy(out, in->source->data + in->position, n);
    in->position += n;
    return (int)n;
}

static enum status gif_failure(const struct img_source *s, int code, struct err *e)
{
    const char *text = GifErrorString(code);

    if (code == D_GIF_ERR_NOT_ENOUGH_MEM) return err_no_memory(e, "decoding a GIF");
    if (code == D_GIF_ERR_READ_FAILED || code == D_GIF_ERR_EOF_TOO_SOON) text = "the file is truncated";
    return err_set(e, STATUS_BAD_FORMAT, "%s: the GIF cannot be decoded: %s", s->name,
                   text != NULL ? text : "the data is corrupt");
}

/* Reads an extension whole. A graphics control block may name the frame's transparent color. */
static bool extension_read(GifFileType *gif, int *transparent)
{
    GifByteType *block;
    GraphicsControlBlock control;
    int code;

    if (DGifGetExtension(gif, &code, &block) == GIF_ERROR) return false;
    if (code == GRAPHICS_EXT_FUNC_CODE && block != NULL &&
        DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK &&
        control.TransparentColor != NO_TRANSPARENT_COLOR) {
        *transparent = control.TransparentColor;
    }
    while (block != NULL) {
        if (DGifGetExtensionNext(gif, &block) == GIF_ERROR) return false;
    }
    return true;
}

/* Moves to the first frame's pixels. False: a giflib error, or 0 in gif->Error when there is no frame. */
static bool first_frame_find(GifFileType *gif, int *transparent)
{
    GifRecordType type;

    for (;;) {
        if (DGifGetRecordType(gif, &type) == GIF_ERROR) return false;
        if (type == IMAGE_DESC_RECORD_TYPE) return DGifGetImageDesc(gif) == GIF_OK;
        if (type == TERMINATE_RECORD_TYPE) return false;
        if (type == EXTENSION_RECORD_TYPE && !extension_read(gif, transparent)) return false;
    }
}

static void palette_load(struct palette *p, const ColorMapObject *map)
{
    memset(p, 0, sizeof *p);
    for (int i = 0; i < 256; i++) {
        unsigned char *rgb = p->rgb[i];

        if (map == NULL) {
            rgb[0] = rgb[1] = rgb[2] = (unsigned char)i; /* no palette at all: indices are grey levels */
        } else if (i < map->ColorCount) {
            rgb[0] = map->Colors[i].Red;
            rgb[1] = map->Colors[i].Green;
            rgb[2] = map->Colors[i].Blue;
        }
    }
}

/* One row of indices becomes colors in place: the pixel row holds them in its first third until then. */
static bool row_read(GifFileType *gif, unsigned char *row, int width, const struct palette *p)
{
    if (DGifGetLine(gif, row, width) == GIF_ERROR) return false;
    for (int x = width - 1; x >= 0; x--) memcpy(row + 3 * (size_t)x, p->rgb[row[x]], 3);
    return true;
}

static bool frame_read(GifFileType *gif, struct image *im, const struct palette *p)
{
    static const int first[] = { 0, 4, 2, 1 }, step[] = { 8, 8, 4, 2 };
    const GifImageDesc *frame = &gif->Image;
    int passes = frame->Interlace ? 4 : 1;

    for (int pass = 0; pass < passes; pass++) {
        for (int y = first[pass]; y < frame->Height; y += frame->Interlace ? step[pass] : 1) {
            size_t at = (size_t)(frame->Top + y) * (size_t)im->width + (size_t)frame->Left;

            if (!row_read(gif, im->rgb + at * 3, frame->Width, p)) return false;
        }
    }
    return true;
}

static enum status decode_opened(GifFileType *gif, struct image *im, const struct img_source *s,
                                 struct err *e)
{
    int transparent = NO_TRANSPARENT_COLOR;
    int64_t right, bottom;
    struct palette p;
    enum status st;

    if (!first_frame_find(gif, &transparent)) {
        if (gif->Error != 0) return gif_failure(s, gif->Error, e);
        return err_set(e, STATUS_BAD_FORMAT, "%s: the GIF holds no image", s->name);
    }
    right = (int64_t)gif->Image.Left + gif->Image.Width;
    bottom = (int64_t)gif->Image.Top + gif->Image.Height;
    if (gif->Image.Width < 1 || gif->Image.Height < 1) {
        return err_set(e, STATUS_BAD_FORMAT, "%s: the first frame of the GIF is empty", s->name);
    }
    st = img_allocate(im, s, gif->SWidth > right ? gif->SWidth : right,
                      gif->SHeight > bottom ? gif->SHeight : bottom, e);
    if (st != STATUS_OK) return st;

    palette_load(&p, gif->Image.ColorMap != NULL ? gif->Image.ColorMap : gif->SColorMap);
    if (im->width != gif->Image.Width || im->height != gif->Image.Height) {
        const unsigned char *fill = p.rgb[transparent == NO_TRANSPARENT_COLOR ? 0 : transparent];

        for (size_t i = 0; i < (size_t)im->width * (size_t)im->height; i++) memcpy(im->rgb + 3 * i, fill, 3);
    }
    return frame_read(gif, im, &p) ? STATUS_OK : gif_failure(s, gif->Error, e);
}

enum status img_gif_decode(struct image *im, const struct img_source *s, struct err *e)
{
    struct gif_input in = { .source = s };
    int code = 0;
    GifFileType *gif = DGifOpen(&in, on_read, &code);
    enum status st;

    if (gif == NULL) return gif_failure(s, code, e);
    st = decode_opened(gif, im, s, e);
    DGifCloseFile(gif, &code); /* its result tells of the file's end, which was not read */
    return st;
}
