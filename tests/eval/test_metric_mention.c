/* test_metric_mention.c - what captions mention, by hand. */
#include "metric_cases.h"

#include <math.h>

static double score(const char *reference, const char *answer)
{
    const char *answers[1] = { reference };
    struct record r = { .answers = answers, .n_answers = 1 };

    return judge_one("mention", NULL, &r, answer).score;
}

static void by_hand(void **state)
{
    const char *caption = "Two red circles, a person in blue and the word \"cat\".";

    (void)state;
    assert_near(score(caption, caption), 1, 0);
    assert_near(score(caption, "the word \"cat\", two red circles and a person in blue"), 1, 0);
    assert_near(score(caption, "A red circle, a red circle, one person in blue and the word \"cat\"."), 1, 0);
    assert_near(score(caption, "Two red circles."), 2 * 2 / 6.0, 1e-12);
    assert_near(score(caption, "Three red circles."), 2 * 2 / 7.0, 1e-12);
    assert_near(score(caption, "Two blue circles."), 0, 0);
    assert_near(score("Two people in red and three crosses.", "a cross, a person in red"), 2 * 2 / 7.0,
                1e-12);
}

static void malformed(void **state)
{
    static const char *const nothing[] = { "", " ", ",", "and", "a", ".,;", "the." };
    const char *answers[1] = { "a cat" };
    struct record r = { .answers = answers, .n_answers = 1 };

    (void)state;
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        struct verdict v = judge_one("mention", NULL, &r, nothing[i]);

        assert_true(v.malformed);
        assert_near(v.score, 0, 0);
    }
    assert_false(judge_one("mention", NULL, &r, "\xff, s, ss and sses").malformed);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(by_hand), cmocka_unit_test(malformed) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
