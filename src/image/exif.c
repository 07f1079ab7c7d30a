/*
 * exif.c - finds the EXIF orientation inside image files, and turns images by it.
 *
 *   JPEG  segments ff xx length[2] ...; EXIF in e1, after "Exif\0\0"
 *   PNG   chunks length[4] type[4] data crc[4]; EXIF in "eXIf"
 *   WebP  chunks type[4] length[4] data pad; EXIF in "EXIF", some writers keep the "Exif\0\0" there
 *   EXIF  "II*\0" or "MM\0*", offset[4] of a table: count[2], entries of 12: tag[2] type[2] count[4] value[4]
 *
 * All lengths come from the file: whatever does not fit means upright.
 */
#include <stdlib.h>
#include <string.h>

#include "image/decoder.h"

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY_SIZE = 12 };

struct bytes {
    const unsigned char *data;
    size_t size;
};

static uint32_t tiff16(bool big, const unsigned char *p)
{
    return big ? img_be16(p) : img_le16(p);
}
static uint32_t tiff32(bool big, const unsigned char *p)
{
    return big ? img_be32(p) : img_le32(p);
}

static int orientation_read(struct bytes b)
{
    size_t at, count;
    bool big;

    if (b.size >= 6 && memcmp(b.data, "Exif\0\0", 6) == 0) b = (struct bytes){ b.data + 6, b.size - 6 };
    if (b.size < 10) return 1;
    big = memcmp(b.data, "MM\0*", 4) == 0;
    if (!big && memcmp(b.data, "II*\0", 4) != 0) return 1;
    at = tiff32(big, b.data + 4);
    if (at > b.size - 2) return 1;
    count = tiff16(big, b.data + at);
    at += 2;
    if (count > (b.size - at) / ENTRY_SIZE) count = (b.size - at) / ENTRY_SIZE;
    for (size_t i = 0; i < count; i++) {
        const unsigned char *entry = b.data + at + i * ENTRY_SIZE;

        if (tiff16(big, entry) == TAG_ORIENTATION && tiff16(big, entry + 2) == TYPE_SHORT) {
            uint32_t value = tiff16(big, entry + 8);

            return value >= 1 && value <= 8 ? (int)value : 1;
        }
    }
    return 1;
}

static struct bytes jpeg_exif_find(struct bytes file)
{
    size_t at = 2;

    while (file.size - at >= 4 && file.data[at] == 0xff) {
        unsigned marker = file.data[at + 1];
        size_t length;

        if (marker == 0xff) { /* fill byte */
            at++;
            continue;
        }
        if (marker == 0xda || marker == 0xd9) break; /* pixels, end */
        length = img_be16(file.data + at + 2);
        if (length < 2 || length > file.size - at - 2) break;
        if (marker == 0xe1 && length >= 8 && memcmp(file.data + at + 4, "Exif\0\0", 6) == 0) {
            return (struct bytes){ file.data + at + 4, length - 2 };
        }
        at += 2 + length;
    }
    return (struct bytes){ 0 };
}

static struct bytes png_exif_find(struct bytes file)
{
    size_t at = 8;

    while (file.size - at >= 12) {
        size_t length = img_be32(file.data + at);

        if (length > file.size - at - 12) break;
        if (memcmp(file.data + at + 4, "eXIf", 4) == 0) return (struct bytes){ file.data + at + 8, length };
        at += 12 + length;
    }
    return (struct bytes){ 0 };
}

static struct bytes webp_exif_find(struct bytes file)
{
    size_t at = 12;

    while (file.size - at >= 8) {
        size_t length = img_le32(file.data + at + 4), left = file.size - at - 8;

        if (length > left) break;
        if (memcmp(file.data + at, "EXIF", 4) == 0) return (struct bytes){ file.data + at + 8, length };
        length += length & 1;
        if (length > left) break;
        at += 8 + length;
    }
    return (struct bytes){ 0 };
}

int img_exif_orientation(const unsigned char *file, size_t size)
{
    struct bytes all = { file, size };

    if (size < 12) return 1;
    if (memcmp(file, "\xff\xd8\xff", 3) == 0) return orientation_read(jpeg_exif_find(all));
    if (memcmp(file, "\x89PNG", 4) == 0) return orientation_read(png_exif_find(all));
    if (memcmp(file, "RIFF", 4) == 0) return orientation_read(webp_exif_find(all));
    return 1;
}

enum status img_orient(struct image *im, int orientation, struct err *e)
{
    /* How an upright pixel (x, y) is found in the stored image: for each orientation, whether x and y change
     * places, and whether the stored column or row then counts from the far side. */
    static const struct {
        bool transpose, flip_x, flip_y;
    } turns[9] = {
        [1] = { false, false, false }, [2] = { false, true, false }, [3] = { false, true, true },
        [4] = { false, false, true },  [5] = { true, false, false }, [6] = { true, false, true },
        [7] = { true, true, true },    [8] = { true, true, false },
    };
    bool transpose = turns[orientation].transpose;
    struct image out;
    enum status st;

    if (orientation == 1) return STATUS_OK;
    st = img_init(&out, transpose ? im->height : im->width, transpose ? im->width : im->height, e);
    if (st != STATUS_OK) return st;
    for (int y = 0; y < out.height; y++) {
        for (int x = 0; x < out.width; x++) {
            int from_x = transpose ? y : x, from_y = transpose ? x : y;

            if (turns[orientation].flip_x) from_x = im->width - 1 - from_x;
            if (turns[orientation].flip_y) from_y = im->height - 1 - from_y;
            memcpy(out.rgb + ((size_t)y * (size_t)out.width + (size_t)x) * 3,
                   im->rgb + ((size_t)from_y * (size_t)im->width + (size_t)from_x) * 3, 3);
        }
    }
    img_free(im);
    *im = out;
    return STATUS_OK;
}
