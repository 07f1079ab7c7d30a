/* Box accuracy against the reference's cases and by hand. */
#include "metric_cases.h"

static void cases_box(void **state)
{
    (void)state;
    check_cases("box", "box", 300);
}

static struct record square(double x1, double y1, double x2, double y2)
{
    return (struct record){ .has_box = true, .box = { x1, y1, x2, y2 }, .width = 100, .height = 100 };
}

static void by_hand(void **state)
{
    struct record r = square(0, 0, 50, 100), wide = { .has_box = true, .box = { 0, 0, 100, 50 } };

    (void)state;
    assert_true(judge_one("box", NULL, &r, "[0.5,0.5,0.5]").malformed);
    assert_true(judge_one("box", NULL, &r, "[0,0,0.5,1;0,0,1,1]").malformed);
    assert_true(judge_one("box", NULL, &r, "[0,0,1,1]").score == 0.5); /* exactly one half is a hit */
    assert_true(judge_one("box", NULL, &r, "[0.5,1,0,0]").score == 0.0);
    assert_false(judge_one("box", NULL, &r, "[0.5,1,0,0]").malformed);
    wide.width = 100;
    wide.height = 51; /* padded above by 24 */
    assert_near(judge_one("box", NULL, &wide, "[0,0.24,1,0.74]").score, 1, 1e-6);
}

static void half_is_a_hit(void **state)
{
    struct record r = square(0, 0, 50, 100);
    struct benchmark b = { .metric = metric_find("box") };
    struct answered answered[3] = { { .record = &r, .answer = "[0,0,1,1]" },
                                    { .record = &r, .answer = "[0,0,0.98,1.03]" },
                                    { .record = &r, .answer = "no" } };
    struct arena a = { 0 };
    struct figures f;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(b.metric->judge(&answered[i].verdict, &b, &r, answered[i].answer, &a, NULL),
                         STATUS_OK);
    assert_int_equal(b.metric->sum_up(&f, &b, answered, 3, &a, NULL), STATUS_OK);
    assert_near(figure_find(&f, "accuracy")->value, 100.0 / 3, 1e-9);
    assert_int_equal(f.n_malformed, 1);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases_box),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(half_is_a_hit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
