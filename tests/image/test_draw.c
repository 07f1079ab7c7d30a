/*
 * test_draw.c - shapes against Pillow's pixels, skeletons, labels, and the written PNG.
 */
#include "support/fonts.h"
#include "support/golden.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include <zlib.h>

#include "image/draw.h"

static unsigned checksum(const struct image *im)
{
    return (unsigned)crc32(0, im->rgb, (unsigned)(im->width * im->height * 3));
}

static void check_shape(char *line)
{
    struct img_region region = { .color = img_colors[0] };
    struct img_box box;
    struct img_point point;
    struct image im;
    unsigned want;

    assert_int_equal(img_init(&im, 64, 48, NULL), STATUS_OK);
    if (sscanf(line, "box %lf %lf %lf %lf %x", &box.x1, &box.y1, &box.x2, &box.y2, &want) == 5) {
        region.boxes = &box;
        region.n_boxes = 1;
    } else {
        assert_int_equal(sscanf(line, "disc %lf %lf %x", &point.x, &point.y, &want), 3);
        region.points = &point;
        region.n_points = 1;
    }
    assert_int_equal(img_draw(&im, &region, 1, NULL, 0, NULL, NULL), STATUS_OK);
    if (checksum(&im) != want) fail_msg("%.*s: drawn otherwise", (int)strcspn(line, "\n"), line);
    img_free(&im);
}

static void test_shapes_pillow(void **state)
{
    (void)state;
    golden_each("tests/data/draw_golden.txt", 17, check_shape);
}

static bool pixel_is(const struct image *im, int x, int y, struct img_color c)
{
    const unsigned char *rgb = im->rgb + 3 * (y * im->width + x);

    return rgb[0] == c.r && rgb[1] == c.g && rgb[2] == c.b;
}

/* Pillow 13's alpha_composite of (color, 127 where the mask is) over the picture. */
static void test_blend_pillow(void **state)
{
    static const unsigned char before[] = { 0, 0, 0, 255, 255, 255, 10, 100, 200, 7, 8, 9 },
                               mask[] = { 1, 255, 255, 0 },
                               want[] = { 127, 82, 0, 255, 210, 128, 132, 132, 100, 7, 8, 9 };
    struct image im;

    (void)state;
    assert_int_equal(img_init(&im, 2, 2, NULL), STATUS_OK);
    memcpy(im.rgb, before, sizeof before);
    img_blend_mask(&im, mask, img_colors[4]);
    assert_memory_equal(im.rgb, want, sizeof want);
    img_free(&im);
}

static void test_box_corners_swapped(void **state)
{
    struct img_box box = { 5, 6, 40, 30 }, swapped = { 40, 30, 5, 6 };
    struct img_region a = { .color = img_colors[4], .boxes = &box, .n_boxes = 1 }, b = a;
    struct image im, other;

    (void)state;
    b.boxes = &swapped;
    assert_int_equal(img_init(&im, 64, 48, NULL), STATUS_OK);
    assert_int_equal(img_init(&other, 64, 48, NULL), STATUS_OK);
    assert_int_equal(img_draw(&im, &a, 1, NULL, 0, NULL, NULL), STATUS_OK);
    assert_int_equal(img_draw(&other, &b, 1, NULL, 0, NULL, NULL), STATUS_OK);
    assert_memory_equal(im.rgb, other.rgb, 64 * 48 * 3);
    assert_true(pixel_is(&im, 5, 6, img_colors[4]) && pixel_is(&im, 40, 30, img_colors[4]));
    img_free(&im);
    img_free(&other);
}

/* Two people: an upper arm of one, a shoulder line of the other; a joint alone draws nothing. */
static void test_skeletons(void **state)
{
    struct img_person people[2] = { 0 };
    struct image im;

    (void)state;
    people[0].present[5] = people[0].present[7] = true; /* left shoulder, left elbow */
    people[0].joints[5] = (struct img_point){ 10, 5 };
    people[0].joints[7] = (struct img_point){ 10, 40 };
    people[1].present[5] = people[1].present[6] = people[1].present[16] = true; /* shoulders, right ankle */
    people[1].joints[5] = (struct img_point){ 30, 20 };
    people[1].joints[6] = (struct img_point){ 60, 20 };
    people[1].joints[16] = (struct img_point){ 50, 45 };
    assert_int_equal(img_init(&im, 64, 48, NULL), STATUS_OK);
    assert_int_equal(img_draw(&im, NULL, 0, people, 2, NULL, NULL), STATUS_OK);
    for (int x = 9; x <= 11; x++) assert_true(pixel_is(&im, x, 20, (struct img_color){ 0, 128, 0 }));
    assert_true(pixel_is(&im, 8, 20, (struct img_color){ 0, 0, 0 }));
    assert_true(pixel_is(&im, 12, 20, (struct img_color){ 0, 0, 0 }));
    assert_true(pixel_is(&im, 45, 20, (struct img_color){ 0, 128, 0 }));
    assert_true(pixel_is(&im, 50, 45, (struct img_color){ 0, 0, 0 }));
    assert_true(pixel_is(&im, 20, 20, (struct img_color){ 0, 0, 0 }));
    assert_string_equal(img_joint_names[16], "right_ankle");
    img_free(&im);
}

/* Nothing an answer can hold may stop the drawing: odd numbers, broken UTF-8, labels without end. */
static void test_hostile(void **state)
{
    struct img_box boxes[] = { { (double)NAN, 0, 5, 5 },
                               { -1e300, -1e300, 1e300, 1e300 },
                               { (double)INFINITY, 0, 1, 1 } };
    struct img_point points[] = { { 1e18, -1e18 }, { (double)NAN, 3 }, { 3, 4 } };
    char text[2000];
    const char *labels[] = { "\xff\xfe broken \xc3", "\xed\xa0\x80\xf4\x90\x80\x80", "line\nbreak\ttab\x7f",
                             text, "" };
    struct img_style style = { .labels = true, .scale = 1e9 };
    struct image im;

    (void)state;
    memset(text, 'w', sizeof text - 1);
    text[sizeof text - 1] = 0;
    memcpy(text + 198, "\xe2\x82\xac", 3); /* a sign across the place where the label is cut */
    assert_int_equal(img_init(&im, 64, 48, NULL), STATUS_OK);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        struct img_region r = { labels[i], img_colors[i], boxes, 3, points, 3 };

        assert_int_equal(img_draw(&im, &r, 1, NULL, 0, &style, NULL), STATUS_OK);
        style.scale = 0;
    }
    img_free(&im);
}

static void test_labels(void **state)
{
    struct img_box box = { 40, 60, 150, 90 };
    struct img_region r = { .label = "A dog", .color = img_colors[1], .boxes = &box, .n_boxes = 1 };
    struct img_style style = { .labels = true };
    struct image im;

    (void)state;
    assert_int_equal(img_init(&im, 200, 120, NULL), STATUS_OK);
    assert_int_equal(img_draw(&im, &r, 1, NULL, 0, &style, NULL), STATUS_OK);
    assert_true(pixel_is(&im, 41, 58, img_colors[1])); /* its background stands on the box */
    img_free(&im);
    assert_true(img_style_scale(640, 480) == 1);
    assert_true(img_style_scale(100, 4800) == 4);
}

static void test_too_large(void **state)
{
    struct img_region r = { 0 };
    struct err e = { 0 };
    struct image im;

    (void)state;
    assert_int_equal(img_init(&im, 40000, 1, NULL), STATUS_OK);
    assert_int_equal(img_draw(&im, &r, 1, NULL, 0, NULL, &e), STATUS_UNSUPPORTED);
    assert_non_null(strstr(e.text, "40000"));
    img_free(&im);
}

static void test_png(void **state)
{
    char path[] = "test_draw_XXXXXX";
    int fd = mkstemp(path);
    struct err e = { 0 };
    struct image im, back;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(img_init(&im, 33, 7, NULL), STATUS_OK);
    for (int i = 0; i < 33 * 7 * 3; i++) im.rgb[i] = (unsigned char)(i * 37);
    assert_int_equal(img_png_write(&im, path, &e), STATUS_OK);
    assert_int_equal(img_read(&back, path, NULL, &e), STATUS_OK);
    assert_int_equal(back.width, 33);
    assert_int_equal(back.height, 7);
    assert_memory_equal(im.rgb, back.rgb, 33 * 7 * 3);
    assert_int_not_equal(img_png_write(&im, "no/such/folder/x.png", &e), STATUS_OK);
    assert_non_null(strstr(e.text, "no/such/folder"));
    unlink(path);
    img_free(&im);
    img_free(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes_pillow),
        cmocka_unit_test(test_blend_pillow),
        cmocka_unit_test(test_box_corners_swapped),
        cmocka_unit_test(test_skeletons),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_png),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
