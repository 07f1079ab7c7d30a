/*
 * test_jpeg_writer.c - what is written is read again, nearly.
 */
#include "support/golden.h"

#include <stdlib.h>

#include "image/image.h"

static void paint(struct image *im)
{
    for (int y = 0; y < im->height; y++) {
        for (int x = 0; x < im->width; x++) {
            unsigned char *p = im->rgb + ((size_t)y * (size_t)im->width + (size_t)x) * 3;

            p[0] = (unsigned char)(x * 255 / im->width);
            p[1] = (unsigned char)(y * 255 / im->height);
            p[2] = (unsigned char)((x + y) * 255 / (im->width + im->height));
        }
    }
}

static double mean_difference(const struct image *a, const struct image *b)
{
    size_t n = (size_t)a->width * (size_t)a->height * 3;
    double sum = 0;

    for (size_t i = 0; i < n; i++) sum += abs(a->rgb[i] - b->rgb[i]);
    return sum / (double)n;
}

/* Writes and reads; returns the bytes that it took. */
static size_t check_round_trip(int width, int height, int quality, double difference_max)
{
    struct err e = { 0 };
    struct image im, back;
    unsigned char *data;
    size_t size;

    assert_int_equal(img_init(&im, width, height, &e), STATUS_OK);
    paint(&im);
    if (img_jpeg_encode(&im, quality, &data, &size, &e) != STATUS_OK) fail_msg("%s", e.text);
    if (img_decode(&back, data, size, "back", NULL, &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_int_equal(back.width, width);
    assert_int_equal(back.height, height);
    if (!(mean_difference(&im, &back) <= difference_max))
        fail_msg("%d x %d: %g levels", width, height, mean_difference(&im, &back));
    img_free(&back);
    img_free(&im);
    free(data);
    return size;
}

static void test_round_trip(void **state)
{
    size_t good, poor;

    (void)state;
    /* A ramp loses little: at quality 95 the steps of the transform are few levels each. */
    good = check_round_trip(320, 200, 95, 3);
    poor = check_round_trip(320, 200, 30, 12);
    assert_true(poor < good);
    assert_true(good < 320 * 200 * 3 / 4);
    check_round_trip(1, 1, 95, 6);
    /* Three rows from black to white: colors at half the resolution cannot follow. */
    check_round_trip(17, 3, 95, 16);
}

static void test_too_large(void **state)
{
    struct err e = { 0 };
    struct image im;
    unsigned char *data;
    size_t size;

    (void)state;
    assert_int_equal(img_init(&im, IMG_SIDE_MAX, 1, &e), STATUS_OK);
    assert_int_equal(img_jpeg_encode(&im, 80, &data, &size, &e), STATUS_UNSUPPORTED);
    assert_non_null(strstr(e.text, "65535 x 1"));
    assert_null(data);
    img_free(&im);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
