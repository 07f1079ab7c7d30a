/*
 * test_decode.c - every kind of file against Pillow, and files that lie.
 */
#include "support/golden.h"

#include <stdlib.h>

#include <zlib.h>

#include "core/file.h"
#include "image/image.h"

#define CORPUS "tests/fuzz/corpus/image/"

static unsigned char *corpus_read(const char *name, size_t *size)
{
    char path[256];
    unsigned char *data;
    struct err e = { 0 };

    snprintf(path, sizeof path, CORPUS "%s", name);
    if (file_read(path, 1 << 20, &data, size, &e) != STATUS_OK) fail_msg("%s", e.text);
    return data;
}

static void check_decoded(const char *name, bool apply_exif, int width, int height, unsigned want)
{
    struct img_options options = { .apply_exif = apply_exif };
    struct err e = { 0 };
    struct image im;
    unsigned got;
    size_t size;
    unsigned char *data = corpus_read(name, &size);

    if (img_decode(&im, data, size, name, &options, &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_int_equal(im.width, width);
    assert_int_equal(im.height, height);
    got = (unsigned)crc32(0, im.rgb, (unsigned)(width * height * 3));
    if (got != want)
        fail_msg("%s: %08x, Pillow has %08x%s", name, got, want, apply_exif ? " after turning" : "");
    img_free(&im);
    free(data);
}

static void check_golden(char *line)
{
    int width, height, turned_width, turned_height;
    unsigned want, turned;
    char name[64];

    assert_int_equal(sscanf(line, "%63s %d %d %x %d %d %x", name, &width, &height, &want, &turned_width,
                            &turned_height, &turned),
                     7);
    check_decoded(name, false, width, height, want);
    check_decoded(name, true, turned_width, turned_height, turned);
}

static void test_decode_pillow(void **state)
{
    (void)state;
    golden_each("tests/data/decode_golden.txt", 60, check_golden);
}

/* Decodes bytes that must be refused, with this status and a sentence that names the file and has `says`. */
static void check_refused(const void *data, size_t size, enum status want, const char *says)
{
    struct image im = { .width = 1 };
    struct err e = { 0 };
    enum status st;
    unsigned char *copy = malloc(size + 1); /* exactly sized, so that sanitizers see reads past the end */

    copy = realloc(copy, size > 0 ? size : 1);
    memcpy(copy, data, size);
    st = img_decode(&im, copy, size, "cat.img", NULL, &e);
    if (st != want || strstr(e.text, says) == NULL || strncmp(e.text, "cat.img: ", 9) != 0) {
        fail_msg("wanted status %d and \"%s\", got %d and \"%s\"", (int)want, says, (int)st, e.text);
    }
    assert_int_equal(e.code, st);
    assert_null(im.rgb);
    free(copy);
}

#define REFUSED(literal, status, says) check_refused(literal, sizeof(literal) - 1, status, says)

static void test_unknown(void **state)
{
    (void)state;
    REFUSED("", STATUS_BAD_FORMAT, "empty");
    REFUSED("x", STATUS_BAD_FORMAT, "JPEG, PNG, WebP, GIF, BMP and PBM/PGM/PPM");
    REFUSED("version https://git-lfs.github.com/spec/v1\n", STATUS_BAD_FORMAT, "not an image");
    REFUSED("\0\0\0\x18"
            "ftypheic\0\0\0\0",
            STATUS_UNSUPPORTED, "HEIC");
    REFUSED("II*\0\x08\0\0\0", STATUS_UNSUPPORTED, "TIFF");
    REFUSED("%PDF-1.7\n", STATUS_UNSUPPORTED, "PDF");
}

static void test_lying_pnm(void **state)
{
    (void)state;
    REFUSED("P6", STATUS_BAD_FORMAT, "truncated");
    REFUSED("P6 0 5 255\n", STATUS_BAD_FORMAT, "empty image of 0 x 5");
    REFUSED("P6 100000 1 255\n", STATUS_BAD_FORMAT, "at most 65535");
    REFUSED("P6 65535 65535 255\n", STATUS_BAD_FORMAT, "over the limit");
    REFUSED("P6 99999999999999999999 1 255\n", STATUS_BAD_FORMAT, "1 to 9 digits");
    REFUSED("P6 -3 5 255\n", STATUS_BAD_FORMAT, "digits");
    REFUSED("P6 2 2 0\n", STATUS_BAD_FORMAT, "maximum value of 0");
    REFUSED("P5 2 2 70000\n1234", STATUS_BAD_FORMAT, "70000");
    REFUSED("P6 2 2 255\nabc", STATUS_BAD_FORMAT, "truncated");
    REFUSED("P6 2 2 255", STATUS_BAD_FORMAT, "truncated");
    REFUSED("P5 3 1 300\n\0\1\0\2\0", STATUS_BAD_FORMAT, "truncated");
    REFUSED("P4 9 2\nabc", STATUS_BAD_FORMAT, "truncated");
    REFUSED("P1 2 2 1 0 1", STATUS_BAD_FORMAT, "truncated");
    REFUSED("P1 2 2 1 0 1 2", STATUS_BAD_FORMAT, "other than 0 and 1");
    REFUSED("P2 2 1 9 3 10", STATUS_BAD_FORMAT, "over its maximum of 9");
    REFUSED("P3 1 1 255 1 2 x", STATUS_BAD_FORMAT, "digits");
    REFUSED("P6 # a comment without end", STATUS_BAD_FORMAT, "truncated");
}

/* A Windows bitmap's header of 40 bytes with one field wrong. Fields by their offset in the file. */
static void check_bmp(size_t offset, uint32_t value, int n_bytes, enum status want, const char *says)
{
    size_t size;
    unsigned char *data = corpus_read("bmp_8.bmp", &size);

    for (int i = 0; i < n_bytes; i++) data[offset + (size_t)i] = (unsigned char)(value >> 8 * i);
    check_refused(data, size, want, says);
    free(data);
}

static void test_lying_bmp(void **state)
{
    (void)state;
    REFUSED("BM", STATUS_BAD_FORMAT, "truncated");
    check_bmp(10, 0xffffffff, 4, STATUS_BAD_FORMAT, "pixel data");
    check_bmp(14, 0xffffffff, 4, STATUS_UNSUPPORTED, "header of 4294967295 bytes");
    check_bmp(14, 16, 4, STATUS_UNSUPPORTED, "header of 16 bytes");
    check_bmp(18, 0, 4, STATUS_BAD_FORMAT, "0 x");
    check_bmp(18, 0x80000000, 4, STATUS_BAD_FORMAT, "-2147483648");
    check_bmp(18, 0x7fffffff, 4, STATUS_BAD_FORMAT, "2147483647");
    check_bmp(22, 0x80000000, 4, STATUS_BAD_FORMAT, "2147483648");
    check_bmp(22, 60000, 4, STATUS_BAD_FORMAT, "truncated");
    check_bmp(28, 7, 2, STATUS_UNSUPPORTED, "7 bits");
    check_bmp(28, 24, 2, STATUS_BAD_FORMAT, "truncated");
    check_bmp(30, 4, 4, STATUS_UNSUPPORTED, "compression 4");
}

static void test_bmp_runs_end_early(void **state)
{
    /* 3 x 2, RLE8, palette of two: one pixel of color 1 at the lower left, a run past the row's end, then
     * the end of the bitmap; the upper row keeps color 0. */
    static const unsigned char data[] =
        "BM\0\0\0\0\0\0\0\0\x3e\0\0\0\x28\0\0\0\3\0\0\0\2\0\0\0\1\0\x08\0\1\0\0\0\0\0\0\0\0\0\0\0"
        "\0\0\0\0\2\0\0\0\0\0\0\0\x10\x20\x30\0\x40\x50\x60\0\1\1\xff\0\0\1";
    static const unsigned char want[18] = { 0x30, 0x20, 0x10, 0x30, 0x20, 0x10, 0x30, 0x20, 0x10,
                                            0x60, 0x50, 0x40, 0x30, 0x20, 0x10, 0x30, 0x20, 0x10 };
    struct err e = { 0 };
    struct image im;

    (void)state;
    if (img_decode(&im, data, sizeof data - 1, "x", NULL, &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_memory_equal(im.rgb, want, 18);
    img_free(&im);
}

static void test_bombs(void **state)
{
    /* Headers of 20000 x 20000 pixels, with nothing after them: refused by size, not by what is missing. */
    unsigned char png[] = "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x4e\x20\0\0\x4e\x20\x08\2\0\0\0----"
                          "\0\0\0\0IDAT\x35\xaf\x06\x1e";
    static const unsigned char gif[] = "GIF89a\x20\x4e\x20\x4e\0\0\0,\0\0\0\0\x20\x4e\x20\x4e\0\2\1\0\0;";
    struct img_options small = { .pixels_max = 100 };
    struct err e = { 0 };
    struct image im;
    unsigned char *jpeg;
    size_t size;

    (void)state;
    for (unsigned i = 0, crc = (unsigned)crc32(0, png + 12, 17); i < 4; i++)
        png[29 + i] = (unsigned char)(crc >> (24 - 8 * i));
    check_refused(png, sizeof png - 1, STATUS_BAD_FORMAT, "20000 x 20000 pixels, over the limit");
    check_refused(gif, sizeof gif - 1, STATUS_BAD_FORMAT, "20000 x 20000 pixels, over the limit");
    jpeg = corpus_read("jpeg_444.jpg", &size);
    assert_int_equal(img_decode(&im, jpeg, size, "x", &small, &e), STATUS_BAD_FORMAT);
    assert_non_null(strstr(e.text, "45 x 33 pixels, over the limit of 100"));
    for (size_t i = 0; i + 9 < size; i++) {
        if (jpeg[i] == 0xff && jpeg[i + 1] == 0xc0) memcpy(jpeg + i + 5, "\xff\xdc\xff\xdc", 4);
    }
    check_refused(jpeg, size, STATUS_BAD_FORMAT, "65500 x 65500 pixels, over the limit");
    free(jpeg);
}

/* Every file, cut at every length: refused or, where only trailing bytes went, decoded. */
static void check_cuts(char *line)
{
    char name[64];
    size_t size, step;
    unsigned char *data;

    assert_int_equal(sscanf(line, "%63s", name), 1);
    data = corpus_read(name, &size);
    step = size / 60 + 1;
    for (size_t cut = 0; cut < size; cut += step) {
        struct err e = { 0 };
        struct image im;
        unsigned char *part = malloc(cut + 1);

        part = realloc(part, cut > 0 ? cut : 1);
        memcpy(part, data, cut);
        if (img_decode(&im, part, cut, name, NULL, &e) == STATUS_OK) {
            /* All of its pixels were there: at most an end mark or the later frames are gone. */
            if (size - cut > 64 && strstr(name, "animated") == NULL)
                fail_msg("%s was taken as whole when cut to %zu of %zu bytes", name, cut, size);
            img_free(&im);
        } else if (strncmp(e.text, name, strlen(name)) != 0) {
            fail_msg("the message does not name the file: %s", e.text);
        }
        free(part);
    }
    free(data);
}

static void test_truncated(void **state)
{
    (void)state;
    golden_each("tests/data/decode_golden.txt", 60, check_cuts);
}

static void test_damage_permitted(void **state)
{
    struct img_options options = { .permit_damage = true };
    struct err e = { 0 };
    struct image im;
    size_t size;
    unsigned char *data = corpus_read("jpeg_420.jpg", &size);

    (void)state;
    size -= 120;
    check_refused(data, size, STATUS_BAD_FORMAT, "Premature end");
    assert_int_equal(img_decode(&im, data, size, "x", &options, &e), STATUS_OK);
    assert_int_equal(im.height, 33);
    img_free(&im);
    free(data);
}

static void test_flipped_bytes(void **state)
{
    static const char *const names[] = { "png_rgb.png", "gif_plain.gif", "webp_lossless.webp",
                                         "jpeg_progressive.jpg" };
    size_t size;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        unsigned char *data = corpus_read(names[i], &size);

        for (size_t at = 0; at < size; at++) {
            struct image im;

            data[at] ^= 0x55;
            if (img_decode(&im, data, size, names[i], NULL, NULL) == STATUS_OK) img_free(&im);
            data[at] ^= 0x55;
        }
        free(data);
    }
}

static void test_files(void **state)
{
    struct err e = { 0 };
    struct image im;

    (void)state;
    assert_int_equal(img_read(&im, "tests/data/no such file.jpg", NULL, &e), STATUS_NOT_FOUND);
    assert_non_null(strstr(e.text, "no such file.jpg"));
    err_clear(&e);
    assert_int_not_equal(img_read(&im, "tests", NULL, &e), STATUS_OK);
    err_clear(&e);
    assert_non_null(freopen(CORPUS "pnm_p6.ppm", "rb", stdin));
    assert_int_equal(img_read(&im, "-", NULL, &e), STATUS_OK);
    assert_int_equal(im.width, 3);
    img_free(&im);
    assert_non_null(freopen("tests/data/decode_golden.txt", "rb", stdin));
    assert_int_equal(img_read(&im, "-", NULL, &e), STATUS_BAD_FORMAT);
    assert_non_null(strstr(e.text, "standard input: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_pillow),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_lying_pnm),
        cmocka_unit_test(test_lying_bmp),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_bmp_runs_end_early),
        cmocka_unit_test(test_damage_permitted),
        cmocka_unit_test(test_flipped_bytes),
        cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
