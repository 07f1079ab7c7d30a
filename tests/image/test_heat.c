/* test_heat.c - a grid's weights over a picture: dark where nothing is, brightest in the middle of the heaviest cell, nothing else changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "image/heat.h"

static const unsigned char *pixel(const struct image *im, int x, int y)
{
    return im->rgb + ((size_t)y * (size_t)im->width + (size_t)x) * 3;
}

/* A picture of 40 x 20 is padded by 10 above and below: rows 0 and 3 of a grid of 4 x 4 lie half in the padding. */
static void test_places(void **state)
{
    const struct img_square square = img_square_of(IMG_TRANSFORM_PADDED_RESIZE, 40, 20);
    float weights[16] = { 0 };
    struct image im;
    int brightest = 0;

    (void)state;
    weights[1 * 4 + 2] = 0.125f; /* its middle: x 25, y 15 of the square, 5 of the picture */
    assert_int_equal(img_init(&im, 40, 20, NULL), STATUS_OK);
    memset(im.rgb, 100, 40 * 20 * 3);
    img_heat(&im, &square, weights, 4);
    for (int i = 0; i < 40 * 20; i++)
        if (im.rgb[3 * i + 1] > im.rgb[3 * brightest + 1]) brightest = i;
    assert_in_range(brightest % 40, 24, 25);
    assert_in_range(brightest / 40, 4, 5);
    assert_true(pixel(&im, 25, 5)[0] > 200 && pixel(&im, 25, 5)[1] > 150);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pixel(&im, 2, 18)[i], 50); /* half the light */
        assert_int_equal(pixel(&im, 25, 15)[i], 50);
    }
    img_free(&im);
}

/* Without any weight the picture is dark, and with equal ones it glows evenly. */
static void test_even(void **state)
{
    const struct img_square square = img_square_of(IMG_TRANSFORM_PADDED_RESIZE, 3, 5);
    const float none[4] = { 0 }, even[4] = { 2, 2, 2, 2 };
    struct image im;

    (void)state;
    assert_int_equal(img_init(&im, 3, 5, NULL), STATUS_OK);
    memset(im.rgb, 200, 3 * 5 * 3);
    img_heat(&im, &square, none, 2);
    for (int i = 0; i < 3 * 5 * 3; i++) assert_int_equal(im.rgb[i], 100);
    img_heat(&im, &square, even, 2);
    for (int i = 0; i < 3 * 5; i++) assert_memory_equal(im.rgb + 3 * i, im.rgb, 3);
    assert_true(im.rgb[0] > 200);
    img_free(&im);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_places), cmocka_unit_test(test_even) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
