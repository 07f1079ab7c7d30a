/* MME and POPE: the reference's cases, cases by hand, and MME's files. */
#include "metric_cases.h"

#include "core/file.h"
#include "support/scratch.h"

static void cases_mme(void **state)
{
    (void)state;
    check_cases("mme", "mme", 200);
}

static void cases_pope(void **state)
{
    (void)state;
    check_cases("pope", "pope", 200);
}

static void by_hand(void **state)
{
    const char *no[3] = { "No" };

    (void)state;
    assert_true(judge_text("mme", no, " No.").score == 1.0);
    assert_true(judge_text("mme", no, "not sure").score == 1.0);
    assert_true(judge_text("mme", no, "perhaps").malformed);
    assert_true(judge_text("pope", no, "perhaps").malformed && judge_text("pope", no, "perhaps").score == 0);
    assert_string_equal(judge_text("pope", no, "It is not.").taken, "no");
}

enum { PAIRS = 7 };

/* Two questions an image; the references as answers give everything there is. */
static void everything_right(void **state)
{
    static const char *const category[] = { "existence",
                                            "count",
                                            "position",
                                            "color",
                                            "posters",
                                            "celebrity",
                                            "scene",
                                            "landmark",
                                            "artwork",
                                            "OCR",
                                            "commonsense_reasoning",
                                            "numerical_calculation",
                                            "text_translation",
                                            "code_reasoning" };
    static const char *group[PAIRS] = { "0", "1", "2", "3", "4", "5", "6" }, *yes[] = { "Yes" };
    struct record record[14 * PAIRS * 2] = { 0 };
    struct answered answered[14 * PAIRS * 2] = { 0 };
    struct benchmark b = { .metric = metric_find("mme") };
    struct arena a = { 0 };
    struct figures f;
    size_t n = 0;

    (void)state;
    for (size_t c = 0; c < 14; c++) {
        for (size_t i = 0; i < PAIRS * 2; i++, n++) {
            record[n] = (struct record){
                .category = category[c], .group = group[i / 2], .answers = yes, .n_answers = 1
            };
            answered[n] = (struct answered){ .record = &record[n], .answer = "yes" };
            assert_int_equal(b.metric->judge(&answered[n].verdict, &b, &record[n], "yes", &a, NULL),
                             STATUS_OK);
        }
    }
    assert_int_equal(b.metric->sum_up(&f, &b, answered, n, &a, NULL), STATUS_OK);
    assert_near(figure_find(&f, "perception")->value, 2000, 1e-9);
    assert_near(figure_find(&f, "cognition")->value, 800, 1e-9);
    answered[0].verdict = (struct verdict){ 0 }; /* an image that was not there */
    assert_int_equal(b.metric->sum_up(&f, &b, answered, n, &a, NULL), STATUS_OK);
    assert_near(figure_find(&f, "acc: existence")->value, 100 - 100.0 / (2 * PAIRS), 1e-9);
    assert_near(figure_find(&f, "acc+: existence")->value, 100 - 100.0 / PAIRS, 1e-9);
    arena_free(&a);
}

static void files_for_mme(void **state)
{
    const char *yes[] = { "Yes" }, *no[] = { "No" };
    struct record r[] = {
        { .id = "10",
          .image = "b.jpg",
          .question = "Is it?",
          .category = "OCR",
          .answers = yes,
          .n_answers = 1 },
        { .id = "9",
          .image = "a.jpg",
          .question = "Is\tit\n?",
          .category = "OCR",
          .answers = no,
          .n_answers = 1 },
        { .id = "0", .image = "c.jpg", .question = "Q", .category = "x/../y", .answers = no, .n_answers = 1 },
    };
    struct answered answered[] = { { .record = &r[0], .answer = "Yes\n" },
                                   { .record = &r[1], .answer = "No### Human" },
                                   { .record = &r[2], .answer = "\xff" } };
    const struct scratch *folder = *state;
    struct err e = { 0 };
    unsigned char *text;
    size_t size;

    assert_int_equal(metric_find("mme")->save(NULL, answered, 3, folder->path, &e), STATUS_OK);
    assert_int_equal(file_read(scratch_path(folder, "OCR.txt"), 1000, &text, &size, &e), STATUS_OK);
    assert_string_equal((char *)text, "a.jpg\tIs it ?\tNo\tNo\nb.jpg\tIs it?\tYes\tYes\n");
    free(text);
    assert_int_equal(file_read(scratch_path(folder, "x_.._y.txt"), 1000, &text, &size, &e), STATUS_OK);
    assert_string_equal((char *)text, "c.jpg\tQ\tNo\t\xef\xbf\xbd\n");
    free(text);
    assert_int_equal(metric_find("mme")->save(NULL, answered, 3, "/nowhere/at/all", &e), STATUS_NOT_FOUND);
}

static int make_folder(void **state)
{
    static struct scratch s;

    scratch_open(&s);
    *state = &s;
    return 0;
}

static int remove_folder(void **state)
{
    scratch_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases_mme),
        cmocka_unit_test(cases_pope),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(everything_right),
        cmocka_unit_test_setup_teardown(files_for_mme, make_folder, remove_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
