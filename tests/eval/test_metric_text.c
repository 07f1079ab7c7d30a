/* Metrics of texts against the reference's cases, against cases by hand (spec 11 section 7), and with bytes that are no text. */
#include "metric_cases.h"

#include "eval/answer_text.h"
#include "eval/vqa_normal.h"

static void cases_vqa(void **state)
{
    (void)state;
    check_cases("vqa", "vqa", 400);
}

static void cases_exact(void **state)
{
    (void)state;
    check_cases("exact", "exact", 200);
}

static void cases_relaxed(void **state)
{
    (void)state;
    check_cases("relaxed", "relaxed", 200);
    check_cases("relaxed_quirks", "relaxed", 200);
}

static void cases_anls(void **state)
{
    (void)state;
    check_cases("anls", "anls", 200);
}

static void cases_math(void **state)
{
    (void)state;
    check_cases("math", "math", 200);
}

static void punctuation_by_hand(void **state)
{
    static const char *const pairs[][2] = {
        { "1,000 km/h", "1000 kmh" },
        { "wi-fi", "wi fi" },
        { "u.s.a.", "usa" },
        { "3.5", "3.5" },
        { "3.", "3" },
        { "yes, it is", "yes it is" },
        { "and/or", "and or" },
        { ".5", ".5" },
        { "10:30", "10:30" },
        { "", "" },
        { "it's $5 & 50% *", "it's $5 & 50% *" },
    };
    struct arena a = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        assert_string_equal(vqa_punctuation(pairs[i][0], &a), pairs[i][1]);
    assert_string_equal(vqa_prediction("The TWO dogs\tcant. ", &a), "2 dogs can't");
    for (size_t i = 1; i < n_vqa_contractions; i++)
        assert_true(strcmp(vqa_contractions[i - 1][0], vqa_contractions[i][0]) < 0);
    arena_free(&a);
}

static void vqa_by_hand(void **state)
{
    const char *ten[] = { "red", "red", "red", "blue", "blue", "green", "green", "a", "b", "c" };
    const char *one[] = { "legal" };
    struct record r = { .answers = ten, .n_answers = 10 };
    struct record single = { .answers = one, .n_answers = 1 };
    uint8_t same[10] = { 0, 0, 0, 3, 3, 5, 5, 7, 8, 9 };

    (void)state;
    /* Three gave "red": each of them sees two others, the other seven see three. */
    assert_near(judge_one("vqa", NULL, &r, "Red.").score, (3 * 2.0 / 3 + 7) / 10, 1e-12);
    assert_near(judge_one("vqa", NULL, &r, "green").score, (2 / 3.0 + 8 * 2.0 / 3) / 10, 1e-12);
    r.answer_same = same; /* each of the three sees none */
    assert_near(judge_one("vqa", NULL, &r, "red").score, 0.7, 1e-12);
    assert_true(judge_one("vqa", NULL, &single, "Legal\n").score == 1.0);
    assert_true(judge_one("vqa", NULL, &single, "The").malformed);
    one[0] = "A Two-Door";
    assert_true(judge_one("vqa", NULL, &single, "2 door").score == 1.0);
    one[0] = "The";
    assert_true(judge_one("vqa", NULL, &single, "The").score == 1.0 &&
                judge_one("vqa", NULL, &single, "a").score == 0.0);
}

static void letters_by_hand(void **state)
{
    const char *b[3] = { "B" }, *dog[3] = { "a dog." };
    static const char *const right[] = { "B", "B.", "(B)", "B) text", "B. text", " B\n", "B###", "(B) x" };
    static const char *const unread[] = { "b", "", "The answer is B", "Both", "B: text", "F", "(B", "[B]" };

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        assert_true(judge_text("exact", b, right[i]).score == 1.0);
        assert_true(judge_text("exact", b, unread[i]).score == 0.0);
        assert_true(judge_text("exact", b, unread[i]).malformed);
    }
    assert_true(judge_text("exact", b, "A").score == 0.0 && !judge_text("exact", b, "A").malformed);
    assert_string_equal(judge_text("exact", b, "C. the third").taken, "C");
    assert_true(judge_text("exact", dog, "A Dog\n").score == 1.0);
}

static void numbers_by_hand(void **state)
{
    const char *half[3] = { "0.5" }, *zero[3] = { "0" }, *anls[3] = { "abd" }, *third[3] = { "1/3", "0.333" };
    double x;

    (void)state;
    assert_true(judge_text("relaxed", half, "50%").score == 1.0);
    assert_true(judge_text("relaxed", half, "0.526").score ==
                0.0); /* 5 % of the answer, 5.2 % of the reference */
    assert_true(judge_text("relaxed", zero, "0").score == 1.0);
    assert_true(judge_text("relaxed", zero, "0.0").score == 0.0);
    assert_near(judge_text("anls", anls, "abc").score, 2.0 / 3, 1e-12);
    assert_true(judge_text("anls", anls, "xyz").score == 0.0);
    assert_true(judge_text("math", third, "0.34").score == 1.0);
    assert_false(ans_number("1_000", 5, &x) || ans_number("0x1", 3, &x) || ans_number("", 0, &x) ||
                 ans_number(".", 1, &x) || ans_number("inf", 3, &x) || ans_number("- 1", 3, &x));
    assert_true(ans_number(" -1.5e1 ", 8, &x) && x == -15);
}

/* What no file of answers could hold: the length of a long text, bytes that are not UTF-8. */
static void any_bytes(void **state)
{
    const char *reference[3] = { "abc", "B", "1" };
    char *text = malloc(3000001);

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < 3000000; i++) text[i] = (char)(1 + i * 7919 % 255);
    text[3000000] = '\0';
    for (size_t i = 0; metric_at(i) != NULL; i++) {
        judge_text(metric_at(i)->name, reference, text);
        judge_text(metric_at(i)->name, reference, "\xff\xe3\x80");
        judge_text(metric_at(i)->name, (const char *[3]){ NULL }, "");
    }
    free(text);
}

static void small_letters(void **state)
{
    struct arena a = { 0 };

    (void)state;
    assert_string_equal(ans_lower("ÀÉŸ ЖЁ ΔΩ Ⱥ ǅ \xf0\x90\x90\x80 İ", &a),
                        "àéÿ жё δω ⱥ ǆ \xf0\x90\x90\xa8 İ");
    assert_string_equal(ans_clean("\xc2\xa0 a\xff ### b", &a), "a\xef\xbf\xbd");
    assert_string_equal(ans_collapse(" a \xe3\x80\x80 b\n", &a), "a b");
    assert_int_equal(ans_length("añ日"), 3);
    for (size_t i = 1; i < n_lower_runs; i++) assert_true(lower_runs[i - 1].last < lower_runs[i].first);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases_vqa),       cmocka_unit_test(cases_exact),
        cmocka_unit_test(cases_relaxed),   cmocka_unit_test(cases_anls),
        cmocka_unit_test(cases_math),      cmocka_unit_test(punctuation_by_hand),
        cmocka_unit_test(vqa_by_hand),     cmocka_unit_test(letters_by_hand),
        cmocka_unit_test(numbers_by_hand), cmocka_unit_test(any_bytes),
        cmocka_unit_test(small_letters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
