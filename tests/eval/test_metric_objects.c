/* Average precision of boxes and joints, against pycocotools, and by hand. */
#include "metric_cases.h"

#include "eval/average_precision.h"

static void cases_detection(void **state)
{
    (void)state;
    check_cases("detection", "detection", 200);
}

static void cases_pose(void **state)
{
    (void)state;
    check_cases("pose", "pose", 200);
}

static struct figures sum_of(const char *metric, const struct record *r, const char *const *answer, size_t n,
                             struct arena *a)
{
    struct benchmark b = { .metric = metric_find(metric) };
    struct answered *answered = arena_calloc(a, n, sizeof *answered);
    struct figures f;

    for (size_t i = 0; i < n; i++) {
        answered[i] = (struct answered){ .record = &r[i], .answer = answer[i] };
        assert_int_equal(b.metric->judge(&answered[i].verdict, &b, &r[i], answer[i], a, NULL), STATUS_OK);
    }
    assert_int_equal(b.metric->sum_up(&f, &b, answered, n, a, NULL), STATUS_OK);
    return f;
}

static void boxes_by_hand(void **state)
{
    struct record_object dogs[2] = {
        { .category = "dog", .box = { 0, 0, 50, 100 }, .area = 5000 },
        { .category = "dog", .box = { 60, 0, 100, 40 }, .area = 1600 },
    };
    struct record r = { .objects = dogs, .n_objects = 2, .width = 100, .height = 100 };
    const char *both = "<p>Dog</p>[0,0,0.5,1;0.6,0,1,0.4]", *first = "[0,0,0.5,1]", *nothing = "no dogs";
    struct arena a = { 0 };
    struct figures f = sum_of("detection", &r, &both, 1, &a);

    (void)state;
    assert_near(figure_find(&f, "AP")->value, 100, 1e-9);
    assert_true(isnan(figure_find(&f, "AP small")->value));
    f = sum_of("detection", &r, &first, 1, &a); /* recalls 0 .. 0.5 of 0 .. 1 */
    assert_near(figure_find(&f, "AP")->value, 100 * 51 / 101.0, 1e-9);
    assert_near(judge_one("detection", NULL, &r, first).score, 2 / 3.0, 1e-9);
    assert_near(judge_one("detection", NULL, &r, "<p>cat</p>[0,0,0.5,1]").score, 0, 0);
    f = sum_of("detection", &r, &nothing, 1, &a);
    assert_near(figure_find(&f, "AP")->value, 0, 0);
    assert_int_equal(f.n_malformed, 1);
    f = sum_of("detection", &r, &nothing, 0, &a);
    assert_true(isnan(figure_find(&f, "AP")->value));
    arena_free(&a);
}

static void pose_by_hand(void **state)
{
    struct record_object person = {
        .category = "person", .box = { 0, 0, 100, 50 }, .area = 5000, .posed = true
    };
    struct record r = { .objects = &person, .n_objects = 1, .width = 100, .height = 100 };
    const char *answer = "<p>nose</p>[0.10,0.20]<p>left eye</p>[0.31,0.2]";
    struct arena a = { 0 };
    struct figures f;

    (void)state;
    memcpy(person.joint, (double[3][3]){ { 10, 20, 2 }, { 20, 20, 2 }, { 90, 40, 1 } }, sizeof(double[3][3]));
    f = sum_of("pose", &r, &answer, 1, &a);
    /* The nose is right, an eye is 11 pixels off where 10 are allowed, the other is missing. */
    assert_near(figure_find(&f, "PCK")->value, 100.0 / 3, 1e-9);
    assert_near(figure_find(&f, "joint: nose")->value, 100, 1e-9);
    assert_near(judge_one("pose", NULL, &r, answer).score, 1.0 / 3, 1e-9);
    assert_true(judge_one("pose", NULL, &r, "[0.1,0.2]").malformed);
    arena_free(&a);
}

static void thresholds(void **state)
{
    (void)state;
    for (int i = 0; i < AP_THRESHOLDS; i++) assert_near(ap_threshold(i), 0.5 + 0.05 * i, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases_detection), cmocka_unit_test(cases_pose), cmocka_unit_test(boxes_by_hand),
        cmocka_unit_test(pose_by_hand),    cmocka_unit_test(thresholds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
