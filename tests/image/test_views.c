/*
 * test_views.c - the views of every layout against torch, and DINOv2's statistics.
 */
#include "support/golden.h"

#include <math.h>
#include <stdlib.h>

#include "image/transform.h"
#include "image/views.h"
#include "support/pattern.h"

/* As for bicubic in test_resample.c; copied values are exact. */
static const float TOLERANCE = 5e-6f;

static void check_views(char *line)
{
    struct img_views v;
    size_t index, size;
    float *image, *out, want;
    int grid, used;
    uint32_t seed;
    char kind[16];
    bool is_cnn;

    if (strncmp(line, "bicubic", 7) == 0) return;
    assert_int_equal(sscanf(line, "%15s %d %d %d %d %u%n", kind, &grid, &v.image_size, &v.view_size,
                            &v.cnn_size, &seed, &used),
                     6);
    v.layout = grid == 1 ? IMG_LAYOUT_ONE : grid == 2 ? IMG_LAYOUT_FIVE : IMG_LAYOUT_TEN;
    is_cnn = strcmp(kind, "cnn") == 0;
    size = (size_t)(is_cnn ? v.cnn_size : v.view_size);
    size = size * size * 3 * (size_t)img_views_count(v.layout);
    image = malloc((size_t)v.image_size * (size_t)v.image_size * 3 * sizeof *image);
    out = malloc(size * sizeof *out);
    pattern_planes(image, 3, v.image_size, v.image_size, seed);
    assert_int_equal(img_views_make(&v, image, is_cnn ? NULL : out, is_cnn ? out : NULL, NULL), STATUS_OK);
    line += used;
    while (sscanf(line, " %zu %f%n", &index, &want, &used) == 2) {
        assert_true(index < size);
        if (!(fabsf(out[index] - want) <= TOLERANCE)) {
            fail_msg("%s views of %d parts a side, image %d: value %zu is %.9g, torch has %.9g", kind, grid,
                     v.image_size, index, (double)out[index], (double)want);
        }
        line += used;
    }
    free(image);
    free(out);
}

static void test_views_torch(void **state)
{
    (void)state;
    golden_each("tests/data/planes_golden.txt", 31, check_views);
}

/* Both kinds made at once equal each made alone, and the parts of a TEN layout are the image's own values. */
static void test_views_together(void **state)
{
    enum { S = 12, s = 4, c = 5, V = 10 };
    struct img_views v = { .layout = IMG_LAYOUT_TEN, .image_size = S, .view_size = s, .cnn_size = c };
    float image[3 * S * S], vit[V * 3 * s * s], vit_alone[V * 3 * s * s], cnn[V * 3 * c * c],
        cnn_alone[V * 3 * c * c];

    (void)state;
    assert_int_equal(img_views_count(v.layout), V);
    pattern_planes(image, 3, S, S, 1);
    assert_int_equal(img_views_make(&v, image, vit, cnn, NULL), STATUS_OK);
    assert_int_equal(img_views_make(&v, image, vit_alone, NULL, NULL), STATUS_OK);
    assert_int_equal(img_views_make(&v, image, NULL, cnn_alone, NULL), STATUS_OK);
    assert_memory_equal(vit, vit_alone, sizeof vit);
    assert_memory_equal(cnn, cnn_alone, sizeof cnn);
    for (int part = 0; part < 9; part++) {
        for (int i = 0; i < 3 * s * s; i++) {
            int channel = i / (s * s), y = i / s % s + s * (part / 3), x = i % s + s * (part % 3);

            assert_true(vit[(1 + part) * 3 * s * s + i] == image[(channel * S + y) * S + x]);
        }
    }
}

/* The values a pixel v has under ImageNet's statistics, (v/255 - mean) / std, whatever way leads there. */
static void test_dinov2(void **state)
{
    static const double mean[3] = { 0.485, 0.456, 0.406 }, std[3] = { 0.229, 0.224, 0.225 };
    struct image im;
    float planes[3 * 4];

    (void)state;
    assert_int_equal(img_init(&im, 2, 2, NULL), STATUS_OK);
    for (int i = 0; i < 12; i++) im.rgb[i] = (unsigned char)(23 * i);
    img_normalize(planes, &im);
    img_views_for_dinov2(planes, planes, 1, 2);
    for (int i = 0; i < 12; i++) {
        double want = (im.rgb[3 * (i % 4) + i / 4] / 255.0 - mean[i / 4]) / std[i / 4];

        assert_true(fabs(planes[i] - want) <= 2e-6);
    }
    img_free(&im);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views_torch),
        cmocka_unit_test(test_views_together),
        cmocka_unit_test(test_dinov2),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
