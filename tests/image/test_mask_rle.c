/* test_mask_rle.c - masks as COCO's text, against what pycocotools 2.0.11 writes for them. */
#include "image/mask_rle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SIDE_MAX = 300 };

static void check(int height, int width, bool (*set)(int x, int y), size_t area, const char *want)
{
    static float logits[SIDE_MAX * SIDE_MAX];
    static unsigned char again[SIDE_MAX * SIDE_MAX];
    struct err e = { 0 };
    size_t n = 0;
    char *text;

    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) logits[y * width + x] = set(x, y) ? 0.5f : x % 2 ? 0.0f : -3.0f;
    assert_int_equal(mask_rle_text(logits, width, height, &text, &n, &e), STATUS_OK);
    assert_string_equal(text, want);
    assert_int_equal(n, area);
    assert_int_equal(mask_rle_read(again, width, height, text, &e), STATUS_OK);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) assert_int_equal(again[y * width + x], set(x, y));
    free(text);
}

static bool scattered(int x, int y)
{
    return (x * x + y * 3) % 7 < 3;
}

static bool wide(int x, int y)
{
    (void)y;
    return x > 100 && x < 290;
}

static bool steps(int x, int y)
{
    return y >= 10 + 9 * x && y < 35 - 6 * x;
}

static bool none(int x, int y)
{
    return x < 0 && y < 0;
}

static bool all(int x, int y)
{
    return x >= 0 && y >= 0;
}

static void equals_pycocotools(void **state)
{
    (void)state;
    check(7, 5, scattered, 15, "0120O00000100000O10O0010O0001");
    check(200, 300, wide, 37800, "Xgc0XmT1`n1");
    check(40, 3, steps, 35, ":i0h0Ak0");
    check(3, 4, none, 0, "<");
    check(3, 4, all, 12, "0<");
}

/* Of 4 x 3 pixels: other characters, a number without end, too many digits, runs that are too long, too short or less than nothing. */
static void refuses(void **state)
{
    static const char *const texts[] = {
        "", " ", "0<p", "<\n", "P", "PPPPPPPPPPPPPPPPPPPP0", "=", ";", "1111", "0O", "1112000000000A", "m0"
    };
    unsigned char mask[12];

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct err e = { 0 };

        assert_int_equal(mask_rle_read(mask, 3, 4, texts[i], &e), STATUS_BAD_FORMAT);
        assert_true(e.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(equals_pycocotools), cmocka_unit_test(refuses) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
