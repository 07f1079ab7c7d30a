/* Metrics that wait for an outside judge: the reference's cases, what is written for it, and broken files of judgements. */
#include "metric_cases.h"

#include "core/file.h"
#include "eval/judgements.h"
#include "support/scratch.h"

static struct scratch folder;

static int make_folder(void **state)
{
    (void)state;
    scratch_open(&folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    scratch_close(&folder);
    return 0;
}

static void cases_mmvet(void **state)
{
    (void)state;
    check_cases("mmvet", "mmvet", 200);
}

static void cases_llava(void **state)
{
    (void)state;
    check_cases("llava_bench", "llava_bench", 200);
}

static const char *const reference[] = { "x = 1<AND>x = 2", "the second" };

static struct record question(const char *id)
{
    return (struct record){ .id = id,
                            .image = "v1.png",
                            .question = "What is {x}?",
                            .answers = reference,
                            .n_answers = 1,
                            .category = "llava_bench_conv",
                            .context = "A caption." };
}

/* Without judgements everything waits, and figures have no value. */
static void pending(void **state)
{
    struct record r = question("1");
    struct benchmark b = { .metric = metric_find("llava_bench") };
    struct answered answered = { .record = &r, .answer = "1" };
    struct arena a = { 0 };
    struct figures f;

    (void)state;
    assert_true(judge_one("mmvet", NULL, &r, "1").pending);
    assert_int_equal(b.metric->judge(&answered.verdict, &b, &r, "1", &a, NULL), STATUS_OK);
    assert_int_equal(b.metric->sum_up(&f, &b, &answered, 1, &a, NULL), STATUS_OK);
    assert_int_equal(f.n_pending, 1);
    assert_true(isnan(f.item[0].value));
    assert_true(judge_one("saved", NULL, &r, "1").pending);
    arena_free(&a);
}

/* The text of the last message of requests.jsonl's first line. */
static void check_request(const char *want)
{
    json_t *line = json_load_file(scratch_path(&folder, "requests.jsonl"), JSON_DISABLE_EOF_CHECK, NULL);
    const json_t *messages = json_object_get(line, "messages");

    assert_non_null(line);
    assert_string_equal(text_of(json_array_get(messages, json_array_size(messages) - 1), "content"), want);
    assert_string_equal(text_of(line, "model"), "some-judge");
    json_decref(line);
}

static void requests(void **state)
{
    json_t *mmvet = json_pack("{s:{s:s, s:s}}", "judge", "model", "some-judge", "instruction", "Grade.\n");
    json_t *llava =
        json_pack("{s:{s:s, s:s, s:s, s:{s:{s:s, s:s}}}}", "judge", "model", "some-judge", "system",
                  "You judge.", "user", "{caption}|{question}|{role} 1: {reference}|{prediction}|{rule}",
                  "rules", "conv", "role", "Helper", "prompt", "Be fair.");
    struct benchmark b = { .name = "x", .metric = metric_find("mmvet"), .options = mmvet };
    struct record r = question("v1_0");
    struct answered answered = { .record = &r, .answer = " x = {y}\xff ### Human" };
    json_t *got;

    (void)state;
    assert_int_equal(b.metric->save(&b, &answered, 1, folder.path, NULL), STATUS_OK);
    check_request("Grade.\nWhat is {x}? | x = 1 <AND> x = 2 | x = {y}\xef\xbf\xbd | ");
    got = json_load_file(scratch_path(&folder, "answers.json"), 0, NULL);
    assert_string_equal(text_of(got, "v1_0"), "x = {y}\xef\xbf\xbd");
    json_decref(got);
    b.metric = metric_find("llava_bench");
    b.options = llava;
    r.id = "17";
    assert_int_equal(b.metric->save(&b, &answered, 1, folder.path, NULL), STATUS_OK);
    check_request("A caption.|What is {x}?|Helper 1: x = 1<AND>x = 2|x = {y}\xef\xbf\xbd|Be fair.");
    got = json_load_file(scratch_path(&folder, "answers.jsonl"), JSON_DISABLE_EOF_CHECK, NULL);
    assert_int_equal(json_integer_value(json_object_get(got, "question_id")), 17);
    assert_string_equal(text_of(got, "answer_id"), "17");
    json_decref(got);
    json_decref(mmvet);
    json_decref(llava);
}

static void saved(void **state)
{
    struct benchmark b = { .name = "DeepForm", .metric = metric_find("saved") };
    struct record r = question("5");
    struct answered answered = { .record = &r, .answer = "an answer\n" };
    json_t *got;

    (void)state;
    r.category = NULL;
    r.n_answers = 2;
    assert_int_equal(b.metric->save(&b, &answered, 1, folder.path, NULL), STATUS_OK);
    got = json_load_file(scratch_path(&folder, "answers.json"), 0, NULL);
    assert_string_equal(text_of(json_array_get(got, 0), "answer"), "an answer");
    assert_string_equal(text_of(json_array_get(got, 0), "name"), "DeepForm");
    assert_int_equal(json_array_size(json_object_get(json_array_get(got, 0), "annotation")), 2);
    json_decref(got);
}

static void broken_files(void **state)
{
    static const char *const text[] = { "[1, 2]", "{\"id\": true}\n", "{\"id\": \"1\"}\n{broken",
                                        "\xff\xfe" };
    static const char twice[] = "{\"id\":\"a\",\"content\":\"1\"}\n\n{\"id\":\"a\",\"content\":\"0\"}";
    const char *path = scratch_path(&folder, "judgements");
    json_t *by_id;

    (void)state;
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        struct err e = { 0 };

        scratch_write(path, text[i], strlen(text[i]));
        if (i == 1) { /* an object is one of ids, whatever they say */
            assert_int_equal(judgements_read(&by_id, path, &e), STATUS_OK);
            json_decref(by_id);
            continue;
        }
        assert_int_equal(judgements_read(&by_id, path, &e), STATUS_BAD_FORMAT);
        assert_non_null(strstr(e.text, "line"));
        assert_null(by_id);
    }
    assert_int_equal(judgements_read(&by_id, "/nowhere/at/all", NULL), STATUS_NOT_FOUND);
    scratch_write(path, twice, strlen(twice));
    assert_int_equal(judgements_read(&by_id, path, NULL), STATUS_OK);
    assert_string_equal(text_of(json_object_get(by_id, "a"), "content"), "0");
    json_decref(by_id);
}

static void options(void **state)
{
    static const char *const bad[][2] = { { "mmvet", "{\"judgements\": 3}" },
                                          { "llava_bench", "{\"judge\": []}" },
                                          { "relaxed", "{\"upstream_quirks\": 1}" },
                                          { "choice", "{\"mean_of_categories\": \"yes\"}" } };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *o = json_loads(bad[i][1], 0, NULL);
        struct err e = { 0 };

        assert_int_equal(metric_find(bad[i][0])->check(o, &e), STATUS_BAD_FORMAT);
        assert_non_null(strstr(e.text, "option \""));
        json_decref(o);
        assert_int_equal(metric_find(bad[i][0])->check(NULL, &e), STATUS_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases_mmvet), cmocka_unit_test(cases_llava),  cmocka_unit_test(pending),
        cmocka_unit_test(requests),    cmocka_unit_test(broken_files), cmocka_unit_test(saved),
        cmocka_unit_test(options),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
