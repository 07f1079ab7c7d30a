/*
 * test_transform.c - normalisation, and the way between the model's square and the picture's pixels.
 */
#include "support/golden.h"

#include <math.h>
#include <stdlib.h>

#include "core/mix64.h"
#include "image/resample.h"
#include "image/transform.h"

/* The table of the specification, from torchvision in float32. */
static void test_normalize(void **state)
{
    static const unsigned char colors[3][3] = { { 0, 0, 0 }, { 255, 255, 255 }, { 122, 116, 104 } };
    static const float want[3][3] = { { -1.7922626f, -1.7520971f, -1.4802198f },
                                      { 1.9303361f, 2.0748837f, 2.145897f },
                                      { -0.01125452f, -0.011196004f, -0.0013328948f } };
    struct image im;
    float planes[9];

    (void)state;
    assert_int_equal(img_init(&im, 3, 1, NULL), STATUS_OK);
    memcpy(im.rgb, colors, 9);
    img_normalize(planes, &im);
    for (int x = 0; x < 3; x++) {
        for (int c = 0; c < 3; c++) assert_true(planes[3 * c + x] == want[x][c]);
    }
    img_free(&im);
}

static void check_pixels(int width, int height, struct img_point fraction, struct img_point want)
{
    struct img_square s = img_square_of(IMG_TRANSFORM_PADDED_RESIZE, width, height);
    struct img_point got = img_square_to_pixels(&s, fraction), back = img_square_from_pixels(&s, got);

    assert_true(fabs(got.x - want.x) <= 1e-9 && fabs(got.y - want.y) <= 1e-9);
    assert_true(fabs(back.x - fraction.x) <= 1e-12 && fabs(back.y - fraction.y) <= 1e-12);
}

static void test_square_padded(void **state)
{
    (void)state;
    check_pixels(640, 480, (struct img_point){ 0.25, 0.25 }, (struct img_point){ 160, 80 });
    check_pixels(640, 480, (struct img_point){ 0.75, 0.75 }, (struct img_point){ 480, 400 });
    check_pixels(333, 500, (struct img_point){ 0, 0.5 }, (struct img_point){ -83, 250 });
    check_pixels(7, 7, (struct img_point){ 1, 0 }, (struct img_point){ 7, 0 });
}

static void test_square_cropped(void **state)
{
    struct img_square s = img_square_of(IMG_TRANSFORM_RESIZED_CENTER_CROP, 640, 480);
    struct img_point p = img_square_to_pixels(&s, (struct img_point){ 0, 1 });

    (void)state;
    assert_int_equal(s.side, 480);
    assert_true(p.x == 80 && p.y == 480);
}

static void test_square_clamp(void **state)
{
    struct img_square s = img_square_of(IMG_TRANSFORM_PADDED_RESIZE, 333, 500);
    struct img_point p = img_square_clamp(&s, (struct img_point){ -83, 501 });

    (void)state;
    assert_true(p.x == 0 && p.y == 500);
    p = img_square_clamp(&s, (struct img_point){ (double)NAN, 12.5 });
    assert_true(p.x == 0 && p.y == 12.5);
}

/* A picture of the padding's color stays that color everywhere, edges of the padding included. */
static void test_prepare(void **state)
{
    struct img_square s;
    struct image im;
    float *planes = malloc(3 * 50 * 50 * sizeof *planes);

    (void)state;
    assert_int_equal(img_init(&im, 131, 77, NULL), STATUS_OK);
    for (size_t i = 0; i < 131 * 77; i++) memcpy(im.rgb + 3 * i, "\x7a\x74\x68", 3);
    assert_int_equal(img_prepare(planes, &s, &im, IMG_TRANSFORM_PADDED_RESIZE, 50, NULL), STATUS_OK);
    assert_int_equal(s.side, 131);
    assert_int_equal(s.offset_x, 0);
    assert_int_equal(s.offset_y, 27);
    for (int i = 0; i < 2500; i++) {
        assert_true(planes[i] == -0.01125452f && planes[2500 + i] == -0.011196004f &&
                    planes[5000 + i] == -0.0013328948f);
    }
    free(planes);
    img_free(&im);
}

/* Parts lie on the picture, have an area and an aspect that are allowed, and are where chance wills. */
static void test_part_drawn(void **state)
{
    int n_left = 0, n_wide = 0;

    (void)state;
    for (uint64_t draw = 0; draw < 4000; draw++) {
        struct img_part p = img_part_draw(200, 210, mix64(draw));
        double area = (double)p.width * p.height / (200 * 210), aspect = (double)p.width / p.height;

        assert_true(p.x >= 0 && p.y >= 0 && p.x + p.width <= 200 && p.y + p.height <= 210);
        assert_true(area > 0.89 && area <= 1.0 && aspect > 0.74 && aspect < 1.35);
        n_left += p.x < (200 - p.width + 1) / 2;
        n_wide += aspect > 200.0 / 210;
    }
    assert_in_range(n_left, 1000, 3000);
    assert_in_range(n_wide, 1000, 3000);
    for (uint64_t draw = 0; draw < 10; draw++) { /* no such part: the middle */
        struct img_part wide = img_part_draw(1000, 90, draw), high = img_part_draw(1, 65535, draw);

        assert_true(wide.x == 440 && wide.y == 0 && wide.width == 120 && wide.height == 90);
        assert_true(high.x == 0 && high.width == 1 && high.height == 1 && high.y == 32767);
    }
}

static void test_prepare_random(void **state)
{
    float planes[3 * 20 * 20], want[3 * 20 * 20];
    struct img_part p = img_part_draw(50, 40, 7);
    struct image im, part, resized;

    (void)state;
    assert_int_equal(img_init(&im, 50, 40, NULL), STATUS_OK);
    for (int i = 0; i < 50 * 40 * 3; i++) im.rgb[i] = (unsigned char)mix64((uint64_t)i);
    assert_int_equal(img_init(&part, p.width, p.height, NULL), STATUS_OK);
    for (int y = 0; y < p.height; y++)
        for (int i = 0; i < 3 * p.width; i++)
            part.rgb[y * 3 * p.width + i] = im.rgb[(p.y + y) * 150 + 3 * p.x + i];
    assert_int_equal(img_resize(&resized, &part, 20, 20, NULL), STATUS_OK);
    img_normalize(want, &resized);
    assert_int_equal(img_prepare_random(planes, &im, 7, 20, NULL), STATUS_OK);
    assert_memory_equal(planes, want, sizeof want);
    img_free(&im);
    img_free(&part);
    img_free(&resized);
}

static void test_sizes_refused(void **state)
{
    struct image im, out;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(img_init(&im, 0, 5, &e), STATUS_BAD_ARGUMENT);
    assert_int_equal(img_init(&im, 5, IMG_SIDE_MAX + 1, NULL), STATUS_BAD_ARGUMENT);
    assert_int_equal(img_init(&im, 5, 5, NULL), STATUS_OK);
    assert_int_equal(img_transform(&out, &im, IMG_TRANSFORM_PADDED_RESIZE, 0, NULL), STATUS_BAD_ARGUMENT);
    assert_int_equal(img_transform(&out, &im, IMG_TRANSFORM_PADDED_RESIZE, -7, NULL), STATUS_BAD_ARGUMENT);
    assert_null(out.rgb);
    img_free(&im);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalize),      cmocka_unit_test(test_square_padded),
        cmocka_unit_test(test_square_cropped), cmocka_unit_test(test_square_clamp),
        cmocka_unit_test(test_prepare),        cmocka_unit_test(test_sizes_refused),
        cmocka_unit_test(test_part_drawn),     cmocka_unit_test(test_prepare_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
