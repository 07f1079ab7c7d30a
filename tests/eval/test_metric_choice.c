/* Multiple choice, MMMU and classes: the reference's cases, and by hand. */
#include "metric_cases.h"

#include "core/file.h"
#include "support/scratch.h"

static void cases_choice(void **state)
{
    (void)state;
    check_cases("choice", "choice", 200);
}

static void cases_mmmu(void **state)
{
    (void)state;
    check_cases("mmmu", "mmmu", 200);
}

static void cases_class(void **state)
{
    (void)state;
    check_cases("class", "class", 200);
}

static void by_hand(void **state)
{
    const char *choices[] = { "red", "green", "red" }, *b[] = { "B" }, *green[] = { "Green." };
    struct record r = { .choices = choices, .n_choices = 3, .answers = b, .n_answers = 1 };

    (void)state;
    assert_true(judge_one("choice", NULL, &r, "B. green").score == 1.0);
    assert_true(judge_one("choice", NULL, &r, "green").score == 1.0);
    assert_true(judge_one("choice", NULL, &r, "red").malformed); /* two choices are */
    assert_true(judge_one("choice", NULL, &r, "D").malformed);   /* there is none */
    assert_string_equal(judge_one("choice", NULL, &r, "C").taken, "C");
    r.answers = green;
    assert_true(judge_one("choice", NULL, &r, "(B)").score == 1.0);
}

/* Right in all rotations but one is wrong. */
static void circular(void **state)
{
    const char *choices[] = { "x", "y" }, *a_is_right[] = { "A" };
    struct record r[5];
    struct answered answered[5] = { 0 };
    struct benchmark b = { .metric = metric_find("choice") };
    struct arena a = { 0 };
    struct figures f;

    (void)state;
    for (int i = 0; i < 5; i++) {
        r[i] = (struct record){ .choices = choices,
                                .n_choices = 2,
                                .answers = a_is_right,
                                .n_answers = 1,
                                .group = (const char *[]){ "1", "1", "2", "2", NULL }[i] };
        answered[i] = (struct answered){ .record = &r[i], .verdict.score = i != 3 };
    }
    assert_int_equal(b.metric->sum_up(&f, &b, answered, 5, &a, NULL), STATUS_OK);
    assert_near(figure_find(&f, "accuracy")->value, 200.0 / 3, 1e-9);
    assert_int_equal(figure_find(&f, "accuracy")->n, 3);
    assert_near(figure_find(&f, "single questions")->value, 80, 1e-9);
    arena_free(&a);
}

static void file_for_mmmu(void **state)
{
    struct scratch s;
    struct record r[] = { { .image = "data/validation_Art_1.jpg" }, { .image = "validation_Art_2.png" } };
    struct answered answered[] = { { .record = &r[0], .answer = "B." },
                                   { .record = &r[1], .answer = " 3.5\xff\n" } };
    json_t *got;

    (void)state;
    scratch_open(&s);
    assert_int_equal(metric_find("mmmu")->save(NULL, answered, 2, s.path, NULL), STATUS_OK);
    got = json_load_file(scratch_path(&s, "mmmu.json"), 0, NULL);
    assert_int_equal(json_object_size(got), 2);
    assert_string_equal(text_of(got, "validation_Art_1"), "B");
    assert_string_equal(text_of(got, "validation_Art_2"), "3.5\xef\xbf\xbd");
    json_decref(got);
    scratch_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases_choice), cmocka_unit_test(cases_mmmu), cmocka_unit_test(cases_class),
        cmocka_unit_test(by_hand),      cmocka_unit_test(circular),   cmocka_unit_test(file_for_mmmu),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
