/*
 * bmp.c - Windows and OS/2 bitmaps: 1, 4, 8, 16, 24 and 32 bits, RLE4 and RLE8, bit fields, either row order.
 *
 *   0  "BM"  size[4]  reserved[4]  offset of the pixels[4]
 *   14 header size[4], which tells the kind:
 *      12 (OS/2 1.x)        width[2] height[2] planes[2] bits[2]
 *      40, 52, 56, 64, 108, 124 width[4] height[4] planes[2] bits[2] compression[4] size[4] dpi[8] colors[4]
 *                           a negative height means the top row comes first
 *   masks[3 * 4] after a header of 40 when compression is BITFIELDS, else at its offset 40
 *   palette: blue, green, red and, except in OS/2 1.x, a spare byte
 *   rows, padded to 4 bytes, bottom row first
 */
#include <string.h>

#include "image/decoder.h"

enum compression { COMPRESSION_NONE, COMPRESSION_RLE8, COMPRESSION_RLE4, COMPRESSION_BITFIELDS };

struct bitmap {
    const struct img_source *source;
    int64_t width, height; /* height > 0 */
    bool top_down;
    uint32_t bits, compression;
    uint32_t masks[3];             /* red, green, blue, for 16 and 32 bits */
    unsigned char palette[256][3]; /* RGB; entries that the file leaves out are black */
    const unsigned char *pixels, *end;
};

static enum status bmp_truncated(const struct bitmap *b, const char *what, struct err *e)
{
    return err_set(e, STATUS_BAD_FORMAT, "%s: the BMP is truncated: its %s lies past the end of the file",
                   b->source->name, what);
}

static enum status palette_read(struct bitmap *b, size_t offset, uint32_t colors, size_t entry_size,
                                struct err *e)
{
    const struct img_source *s = b->source;
    size_t n = (size_t)1 << b->bits;

    if (colors != 0 && colors < n) n = colors;
    if (offset > s->size || n > (s->size - offset) / entry_size) return bmp_truncated(b, "palette", e);
    for (size_t i = 0; i < n; i++) {
        const unsigned char *entry = s->data + offset + i * entry_size;

        for (int c = 0; c < 3; c++) b->palette[i][c] = entry[2 - c];
    }
    return STATUS_OK;
}

/* Masks of the plain 16- and 32-bit kinds, or those of the file. Each must be one run of bits. */
static enum status masks_read(struct bitmap *b, struct err *e)
{
    static const uint32_t plain16[3] = { 0x7c00, 0x3e0, 0x1f }, plain32[3] = { 0xff0000, 0xff00, 0xff };
    bool none = true;

    if (b->compression == COMPRESSION_BITFIELDS) {
        if (b->source->size < 54 + 12) return bmp_truncated(b, "list of bit fields", e);
        for (int c = 0; c < 3; c++) {
            uint32_t mask = img_le32(b->source->data + 54 + 4 * c);
            uint32_t low = mask & (~mask + 1), run = low != 0 ? mask / low : 0;

            if ((run & (run + 1)) != 0 || run > 0xffffff) {
                return err_set(e, STATUS_BAD_FORMAT,
                               "%s: the BMP's bit field 0x%08x is not one run of at most 24 bits",
                               b->source->name, (unsigned)mask);
            }
            b->masks[c] = mask;
            none = none && mask == 0;
        }
    }
    if (none) memcpy(b->masks, b->bits == 16 ? plain16 : plain32, sizeof b->masks);
    return STATUS_OK;
}

static enum status kind_check(const struct bitmap *b, struct err *e)
{
    bool known;

    switch (b->compression) {
    case COMPRESSION_NONE:
        known =
            b->bits == 1 || b->bits == 4 || b->bits == 8 || b->bits == 16 || b->bits == 24 || b->bits == 32;
        break;
    case COMPRESSION_RLE8: known = b->bits == 8; break;
    case COMPRESSION_RLE4: known = b->bits == 4; break;
    case COMPRESSION_BITFIELDS: known = b->bits == 16 || b->bits == 32; break;
    default: known = false;
    }
    if (known) return STATUS_OK;
    return err_set(e, STATUS_UNSUPPORTED, "%s: a BMP of %u bits a pixel with compression %u is not read",
                   b->source->name, (unsigned)b->bits, (unsigned)b->compression);
}

static enum status header_read(struct bitmap *b, struct err *e)
{
    const struct img_source *s = b->source;
    const unsigned char *header = s->data + 14;
    size_t header_size, offset;
    uint32_t colors = 0;
    int32_t height;
    enum status st;

    if (s->size < 14 + 12) return bmp_truncated(b, "header", e);
    header_size = img_le32(header);
    if (header_size != 12 && (header_size < 40 || header_size > 124)) {
        return err_set(e, STATUS_UNSUPPORTED, "%s: a BMP header of %zu bytes is not known", s->name,
                       header_size);
    }
    if (s->size - 14 < header_size) return bmp_truncated(b, "header", e);
    if (header_size == 12) {
        b->width = img_le16(header + 4);
        b->height = img_le16(header + 6);
        b->bits = img_le16(header + 10);
    } else {
        b->width = (int32_t)img_le32(header + 4);
        height = (int32_t)img_le32(header + 8);
        b->top_down = height < 0;
        b->height = height < 0 ? -(int64_t)height : height;
        b->bits = img_le16(header + 14);
        b->compression = img_le32(header + 16);
        colors = img_le32(header + 32);
    }
    st = kind_check(b, e);
    if (st == STATUS_OK && b->bits <= 8) {
        st = palette_read(b, 14 + header_size, colors, header_size == 12 ? 3 : 4, e);
    }
    if (st == STATUS_OK && (b->bits == 16 || b->bits == 32)) st = masks_read(b, e);
    if (st != STATUS_OK) return st;
    offset = img_le32(s->data + 10);
    if (offset > s->size) return bmp_truncated(b, "pixel data", e);
    b->pixels = s->data + offset;
    b->end = s->data + s->size;
    return STATUS_OK;
}

/* Row 0 is the first in the file. */
static unsigned char *row_at(const struct bitmap *b, const struct image *im, int64_t row)
{
    size_t y = (size_t)(b->top_down ? row : b->height - 1 - row);

    return im->rgb + y * (size_t)im->width * 3;
}

/* A field of n bits becomes 8: v * 255 / (2^n - 1), truncated, as Pillow does. */
static unsigned char field_scale(uint32_t pixel, uint32_t mask)
{
    uint32_t low = mask & (~mask + 1);

    if (mask == 0) return 0;
    return (unsigned char)((uint64_t)((pixel & mask) / low) * 255 / (mask / low));
}

static void row_unpack(const struct bitmap *b, unsigned char *rgb, const unsigned char *in)
{
    for (size_t x = 0; x < (size_t)b->width; x++, rgb += 3) {
        size_t bit = x * b->bits;
        const unsigned char *at = in + bit / 8;

        if (b->bits <= 8) {
            uint32_t index = (uint32_t)*at >> (8 - b->bits - bit % 8) & ((1u << b->bits) - 1);

            memcpy(rgb, b->palette[index], 3);
        } else if (b->bits == 24) {
            for (int c = 0; c < 3; c++) rgb[c] = at[2 - c];
        } else {
            uint32_t pixel = b->bits == 16 ? img_le16(at) : img_le32(at);

            for (int c = 0; c < 3; c++) rgb[c] = field_scale(pixel, b->masks[c]);
        }
    }
}

static enum status rows_read(const struct bitmap *b, struct image *im, struct err *e)
{
    size_t stride = ((size_t)b->width * b->bits + 31) / 32 * 4;
    size_t row_size = ((size_t)b->width * b->bits + 7) / 8; /* the last row's padding may be missing */
    size_t size = stride * (size_t)(b->height - 1) + row_size;

    if ((size_t)(b->end - b->pixels) < size) return bmp_truncated(b, "pixel data", e);
    for (int64_t row = 0; row < b->height; row++)
        row_unpack(b, row_at(b, im, row), b->pixels + stride * (size_t)row);
    return STATUS_OK;
}

struct run_cursor {
    int64_t x, row;
};

/* Paints n pixels from indices packed in `in`: for RLE8 a byte each, for RLE4 half a byte. With `repeat` the
 * first byte stands for all. What sticks out of the row is dropped. */
static void run_paint(const struct bitmap *b, struct image *im, struct run_cursor *at,
                      const unsigned char *in, unsigned n, bool repeat)
{
    for (unsigned i = 0; i < n && at->x < b->width; i++, at->x++) {
        unsigned byte = repeat ? in[0] : in[b->bits == 4 ? i / 2 : i];
        unsigned index = b->bits == 8 ? byte : i % 2 == 0 ? byte >> 4 : byte & 15;

        memcpy(row_at(b, im, at->row) + 3 * at->x, b->palette[index], 3);
    }
}

/* Codes are pairs: (n, v) n times v; (0, 0) next row; (0, 1) end; (0, 2) dx dy move; (0, n) n pixels follow,
 * padded to an even number of bytes. Pixels that are passed over keep color 0. */
static enum status runs_read(const struct bitmap *b, struct image *im, struct err *e)
{
    struct run_cursor at = { 0 };
    const unsigned char *p = b->pixels;

    for (size_t i = 0; i < (size_t)im->width * (size_t)im->height; i++)
        memcpy(im->rgb + 3 * i, b->palette[0], 3);
    while (at.row < b->height) {
        unsigned n, v;

        if (b->end - p < 2) return bmp_truncated(b, "pixel data", e);
        n = p[0];
        v = p[1];
        p += 2;
        if (n > 0) {
            run_paint(b, im, &at, p - 1, n, true);
        } else if (v == 0) {
            at = (struct run_cursor){ .row = at.row + 1 };
        } else if (v == 1) {
            return STATUS_OK;
        } else if (v == 2) {
            if (b->end - p < 2) return bmp_truncated(b, "pixel data", e);
            at.x += p[0];
            at.row += p[1];
            p += 2;
        } else {
            unsigned size = b->bits == 8 ? v : (v + 1) / 2;

            if (b->end - p < (ptrdiff_t)size) return bmp_truncated(b, "pixel data", e);
            run_paint(b, im, &at, p, v, false);
            p += size;
            if ((size & 1) != 0 && p < b->end) p++;
        }
    }
    return STATUS_OK;
}

enum status img_bmp_decode(struct image *im, const struct img_source *s, struct err *e)
{
    struct bitmap b = { .source = s };
    enum status st;

    st = header_read(&b, e);
    if (st != STATUS_OK) return st;
    st = img_allocate(im, s, b.width, b.height, e);
    if (st != STATUS_OK) return st;
    if (b.compression == COMPRESSION_RLE8 || b.compression == COMPRESSION_RLE4) return runs_read(&b, im, e);
    return rows_read(&b, im, e);
}
