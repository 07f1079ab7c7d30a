/* test_feature_cache.c - what was added comes back as it was, up to the bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "train/feature_cache.h"

static void test_cache(void **state)
{
    float wide[2][6] = { { 1, 2, 3, 9, 9, 9 }, { 4, 5, 6, 9, 9, 9 } }, narrow[4] = { 7, 8, 9, 10 };
    struct tensor clip = tensor_matrix(DTYPE_F32, wide, 2, 3),
                  queries = tensor_matrix(DTYPE_F32, narrow, 1, 4);
    const struct features f = { .clip = &clip, .qformer = &queries };
    const struct features *found;
    struct feature_cache *c;
    struct err e = { 0 };
    size_t n = 0;

    (void)state;
    clip.stride = 6; /* a part of something wider */
    assert_int_equal(feature_cache_open(&c, 20000, &e), STATUS_OK);
    assert_null(feature_cache_find(c, "a.png"));
    feature_cache_add(c, "a.png", &f);
    wide[1][2] = 60;
    feature_cache_add(c, "a.png", &f); /* is there */
    found = feature_cache_find(c, "a.png");
    assert_non_null(found);
    assert_true(found->convnext == NULL && found->dinov2 == NULL);
    assert_true(tensor_rows(found->clip) == 2 && tensor_columns(found->clip) == 3);
    assert_memory_equal(tensor_f32(found->clip), ((float[]){ 1, 2, 3, 4, 5, 6 }), 6 * sizeof(float));
    assert_memory_equal(tensor_f32(found->qformer), narrow, sizeof narrow);
    assert_null(feature_cache_find(c, "b.png"));
    for (int i = 0; i < 100; i++) {
        char name[32];

        snprintf(name, sizeof name, "%d.png", i);
        feature_cache_add(c, name, &f);
        n += feature_cache_find(c, name) != NULL;
    }
    assert_in_range(n, 5, 60); /* full */
    assert_ptr_equal(feature_cache_find(c, "a.png"), found);
    assert_non_null(feature_cache_find(c, "0.png"));
    assert_null(feature_cache_find(c, "99.png"));
    feature_cache_close(c);
    feature_cache_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_cache) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
