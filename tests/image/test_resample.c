/*
 * test_resample.c - resizing against Pillow (every byte) and torch (sampled values).
 */
#include "support/golden.h"

#include <math.h>
#include <stdlib.h>

#include <zlib.h>

#include "image/resample.h"
#include "image/transform.h"
#include "support/pattern.h"

static void check_weights(int from, int to, int i, int low, const int *want, int n)
{
    int *got = malloc((size_t)img_resample_taps(from, to, IMG_FILTER_BICUBIC) * sizeof *got), got_low;

    assert_int_equal(img_resample_weights(got, &got_low, from, to, i, IMG_FILTER_BICUBIC), n);
    assert_int_equal(got_low, low);
    assert_memory_equal(got, want, (size_t)n * sizeof *got);
    free(got);
}

static void test_weights(void **state)
{
    static const int a0[] = { 1246769, 1580903, 1151941, 407797, -50803, -111242, -31061 };
    static const int a1[] = {
        -107367, 19905, 565045, 1221211, 1430665, 962293, 285190, -69391, -94928, -18319
    };
    static const int b0[] = { 4671773, -477469 }, b2[] = { 4055790, 145001, -6487 };
    int middle[32], low, sum = 0, n;

    (void)state;
    check_weights(640, 224, 0, 0, a0, 7);
    check_weights(640, 224, 1, 0, a1, 10);
    check_weights(100, 448, 0, 0, b0, 2);
    check_weights(100, 448, 2, 0, b2, 3);
    n = img_resample_weights(middle, &low, 640, 224, 112, IMG_FILTER_BICUBIC);
    assert_int_equal(n, 11);
    assert_int_equal(low, 316);
    for (int j = 0; j < n; j++) sum += middle[j];
    assert_int_equal(sum, 4194303);
}

/* One line of resize_golden.txt: the picture from the formula, resized, must have Pillow's checksum. */
static void check_resize(char *line)
{
    int width, height, to_width, to_height, seed;
    struct image in, out;
    struct err e = { 0 };
    unsigned want, got;
    char kind[16];
    enum status st;

    assert_int_equal(
        sscanf(line, "%15s %d %d %d %d %d %x", kind, &width, &height, &seed, &to_width, &to_height, &want),
        7);
    assert_int_equal(img_init(&in, width, height, &e), STATUS_OK);
    pattern_image(&in, (uint32_t)seed);
    if (strcmp(kind, "plain") == 0)
        st = img_resize(&out, &in, to_width, to_height, &e);
    else if (strcmp(kind, "padded") == 0)
        st = img_transform(&out, &in, IMG_TRANSFORM_PADDED_RESIZE, to_width, &e);
    else
        st = img_transform(&out, &in, IMG_TRANSFORM_RESIZED_CENTER_CROP, to_width, &e);
    if (st != STATUS_OK) fail_msg("%s: %s", line, e.text);
    assert_int_equal(out.width, to_width);
    assert_int_equal(out.height, to_height);
    got = (unsigned)crc32(0, out.rgb, (unsigned)(out.width * out.height * 3));
    if (got != want) fail_msg("%.*s: got %08x", (int)strcspn(line, "\n"), line, got);
    img_free(&in);
    img_free(&out);
}

static void test_resize_pillow(void **state)
{
    (void)state;
    golden_each("tests/data/resize_golden.txt", 200, check_resize);
}

static void test_resize_small(void **state)
{
    static const unsigned char want[4][4][3] = {
        { { 61, 53, 166 }, { 99, 119, 165 }, { 139, 147, 129 }, { 177, 120, 139 } },
        { { 29, 66, 203 }, { 93, 136, 110 }, { 164, 116, 115 }, { 230, 148, 138 } },
        { { 51, 145, 121 }, { 111, 149, 116 }, { 184, 127, 130 }, { 162, 162, 134 } },
        { { 112, 127, 103 }, { 122, 112, 107 }, { 134, 122, 103 }, { 123, 113, 101 } },
    };
    struct image in, out;

    (void)state;
    assert_int_equal(img_init(&in, 9, 6, NULL), STATUS_OK);
    for (int y = 0; y < 6; y++) {
        for (int x = 0; x < 9; x++) {
            unsigned char *rgb = in.rgb + 3 * (9 * y + x);

            rgb[0] = (unsigned char)(29 * x + 7 * y);
            rgb[1] = (unsigned char)(13 * x * x + 31 * y);
            rgb[2] = (unsigned char)(17 * x * y + 200);
        }
    }
    assert_int_equal(img_transform(&out, &in, IMG_TRANSFORM_PADDED_RESIZE, 4, NULL), STATUS_OK);
    assert_memory_equal(out.rgb, want, sizeof want);
    img_free(&in);
    img_free(&out);
}

/* Sides far from square must neither take the padded square's memory nor fail. */
static void test_resize_extreme(void **state)
{
    static const int sizes[][2] = { { 1, 30000 }, { 30000, 1 }, { 65535, 2 }, { 1, 1 } };

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct image in, out;

        assert_int_equal(img_init(&in, sizes[i][0], sizes[i][1], NULL), STATUS_OK);
        pattern_image(&in, 1);
        for (int t = IMG_TRANSFORM_PADDED_RESIZE; t <= IMG_TRANSFORM_RESIZED_CENTER_CROP; t++) {
            assert_int_equal(img_transform(&out, &in, (enum img_transform)t, 224, NULL), STATUS_OK);
            assert_int_equal(out.width, 224);
            assert_int_equal(out.height, 224);
            img_free(&out);
        }
        img_free(&in);
    }
}

/* Values lie in -2..2 and positions agree (see taps4_make), so that only the order of float sums and the
 * rounding of the weights is left. */
static const float BICUBIC_TOLERANCE = 5e-6f;

static void check_bicubic(char *line)
{
    int planes, h, w, oh, ow, used;
    float *in, *out, want;
    double factor;
    uint32_t seed;
    size_t index;

    if (strncmp(line, "bicubic", 7) != 0) return;
    assert_int_equal(
        sscanf(line, "bicubic %d %d %d %d %d %lf %u%n", &planes, &h, &w, &oh, &ow, &factor, &seed, &used), 7);
    in = malloc((size_t)(planes * h * w) * sizeof *in);
    out = malloc((size_t)(planes * oh * ow) * sizeof *out);
    pattern_planes(in, planes, h, w, seed);
    assert_int_equal(img_bicubic(out, oh, ow, in, h, w, (size_t)planes, factor, factor, NULL), STATUS_OK);
    line += used;
    while (sscanf(line, " %zu %f%n", &index, &want, &used) == 2) {
        if (!(fabsf(out[index] - want) <= BICUBIC_TOLERANCE)) {
            fail_msg("bicubic %dx%d to %dx%d: value %zu is %.9g, torch has %.9g", h, w, oh, ow, index,
                     (double)out[index], (double)want);
        }
        line += used;
    }
    free(in);
    free(out);
}

static void test_bicubic_torch(void **state)
{
    (void)state;
    golden_each("tests/data/planes_golden.txt", 31, check_bicubic);
}

static void test_bicubic_exact(void **state)
{
    static const float weights[4] = { -3.0f / 32, 19.0f / 32, 19.0f / 32, -3.0f / 32 };
    float in[12 * 12], out[36], v;

    (void)state;
    pattern_planes(in, 1, 12, 12, 4);
    assert_int_equal(img_bicubic(out, 4, 4, in, 12, 12, 1, 0, 0, NULL), STATUS_OK);
    for (int i = 0; i < 16; i++) assert_true(out[i] == in[(3 * (i / 4) + 1) * 12 + 3 * (i % 4) + 1]);

    assert_int_equal(img_bicubic(out, 1, 6, in, 1, 12, 1, 0, 0, NULL), STATUS_OK);
    v = weights[0] * in[3] + weights[1] * in[4] + weights[2] * in[5] + weights[3] * in[6];
    assert_true(fabsf(out[2] - v) <= 1e-6f);
}

static void test_nearest(void **state)
{
    float in[224], out[256];

    (void)state;
    pattern_planes(in, 1, 1, 224, 9);
    img_nearest(out, 1, 256, in, 1, 224, 1);
    for (int i = 0; i < 256; i++) assert_true(out[i] == in[7 * i / 8]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights),       cmocka_unit_test(test_resize_small),
        cmocka_unit_test(test_resize_pillow), cmocka_unit_test(test_resize_extreme),
        cmocka_unit_test(test_bicubic_torch), cmocka_unit_test(test_bicubic_exact),
        cmocka_unit_test(test_nearest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
