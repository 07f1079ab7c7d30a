/* test_benchmark.c - the table of benchmarks: the program's own, users' files, and what is refused. */
#include "support/scratch.h"

#include "eval/benchmark.h"
#include "eval/metric.h"
#include "eval/reader.h"
#include "eval/record.h"

#include <math.h>

/* ---- the program's own ----------------------------------------------------------------------------------------- */

static const char short_answer[] = "{}\nAnswer the question using a single word or phrase.";
static const char region[] =
    "Please provide the bounding box coordinate of the region this sentence describes: {}.";

/* Upstream's task table: prompt, prefix, tokens. */
static const struct {
    const char *name, *prompt, *prefix;
    int max_tokens;
    const char *metric;
} upstream[] = {
    { "mme", short_answer, "", 10, "mme" },
    { "okvqa_val", short_answer, "", 10, "vqa" },
    { "gqa_testdev", short_answer, "", 10, "exact" },
    { "vqav2_val", short_answer, "", 10, "vqa" },
    { "textvqa_val", short_answer, "", 10, "vqa" },
    { "vizwiz_val",
      "{} When the provided information is insufficient, respond with 'Unanswerable'.\nAnswer the question "
      "using a single word or phrase.",
      "", 10, "vqa" },
    { "vsr_val", "{}", "", 10, "exact" },
    { "docvqa_val", short_answer, "", 32, "anls" },
    { "chartqa_test_human", short_answer, "", 10, "relaxed" },
    { "chartqa_test_augmented", short_answer, "", 10, "relaxed" },
    { "ocrvqa_val", short_answer, "", 20, "exact" },
    { "ai2diagram", short_answer, "", 10, "exact" },
    { "Qbench_dev", "{}", "", 10, "exact" },
    { "scienceqa_test", "{}", " The answer is", 10, "exact" },
    { "refcoco_val", region, "", 30, "box" },
    { "refcoco_testA", region, "", 30, "box" },
    { "refcoco_testB", region, "", 30, "box" },
    { "refcoco+_val", region, "", 30, "box" },
    { "refcoco+_testA", region, "", 30, "box" },
    { "refcoco+_testB", region, "", 30, "box" },
    { "refcocog_val", region, "", 30, "box" },
    { "refcocog_test", region, "", 30, "box" },
    { "DeepForm", "{}", "", 20, "saved" },
    { "InfographicsVQA", short_answer, "", 25, "saved" },
    { "KleisterCharity", "{}", "", 25, "saved" },
    { "TabFact", short_answer, "", 10, "saved" },
    { "VisualMRC", "{}", "", 35, "saved" },
    { "WikiTableQuestions", short_answer, "", 20, "saved" },
};

static void test_upstream(void **state)
{
    struct benchmark_table t;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(benchmark_table_builtin(&t, &e), STATUS_OK);
    for (size_t i = 0; i < sizeof upstream / sizeof *upstream; i++) {
        const struct benchmark *b = benchmark_find(&t, upstream[i].name);

        assert_non_null(b);
        assert_string_equal(b->prompt, upstream[i].prompt);
        assert_string_equal(b->answer_prefix, upstream[i].prefix);
        assert_int_equal(b->max_tokens, upstream[i].max_tokens);
        assert_string_equal(b->metric->name, upstream[i].metric);
        assert_string_equal(b->reader->name, "unified");
    }
    assert_null(benchmark_find(&t, "okvqa"));
    benchmark_table_free(&t);
}

static double published(const struct benchmark *b, const char *model, const char *part)
{
    for (size_t i = 0; i < b->n_published; i++)
        if (strcmp(b->published[i].model, model) == 0 && strcmp(b->published[i].part, part) == 0)
            return b->published[i].value;
    return NAN;
}

static void test_published(void **state)
{
    static const struct {
        const char *name, *part;
        double value[3];
    } row[] = {
        { "okvqa_val", "", { 62.08, 62.21, 62.6 } },
        { "refcoco+_testB", "", { 76.85, 80.35, 80.45 } },
        { "mme", "perception", { 1476.1, 1560.2, 1470.6 } },
        { "mme", "cognition", { 322.2, 310.0, 326.8 } },
        { "pope", "", { 80.7, 90.8, 87.2 } },
        { "mmbench_dev_cn", "", { 56.2, 59.5, 57.9 } },
    };
    struct benchmark_table t;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(benchmark_table_builtin(&t, &e), STATUS_OK);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const struct benchmark *b = benchmark_find(&t, row[i].name);

        assert_non_null(b);
        assert_true(published(b, "SPHINX", row[i].part) == row[i].value[0]);
        assert_true(published(b, "SPHINX-1k", row[i].part) == row[i].value[1]);
        assert_true(published(b, "SPHINX-2k", row[i].part) == row[i].value[2]);
    }
    assert_int_equal(benchmark_find(&t, "ai2diagram")->n_published, 0);
    benchmark_table_free(&t);
}

/* ---- users' files ---------------------------------------------------------------------------------------------- */

static enum status read_text(struct benchmark_table *t, const char *text, struct err *e)
{
    struct scratch scratch;
    enum status st;

    scratch_open(&scratch);
    scratch_write(scratch_path(&scratch, "mine.json"), text, strlen(text));
    st = benchmark_table_read(t, scratch_path(&scratch, "mine.json"), e);
    scratch_close(&scratch);
    return st;
}

#define ENTRY(change)                                                                                        \
    "{\"mine\": {\"reader\": \"rows\", \"files\": {\"a\": \"a.jsonl\"}, \"prompt\": \"{}\", "                \
    "\"max_tokens\": 10, "                                                                                   \
    "\"metric\": \"exact\"" change "}}"

static void test_own(void **state)
{
    static const char text[] = ENTRY(", \"title\": \"Mine\", \"options\": {\"question\": \"{q}\"}, "
                                     "\"published\": {\"SPHINX\": 1.5, \"mine\": {\"a\": 2, \"b\": 3}}");
    struct benchmark_table t;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(read_text(&t, text, &e), STATUS_OK);
    assert_int_equal(t.n, 1);
    assert_string_equal(t.rows[0].name, "mine");
    assert_string_equal(t.rows[0].title, "Mine");
    assert_string_equal(t.rows[0].answer_prefix, "");
    assert_string_equal(json_string_value(benchmark_option(&t.rows[0], "question")), "{q}");
    assert_int_equal(t.rows[0].n_published, 3);
    assert_true(published(&t.rows[0], "mine", "b") == 3);
    benchmark_table_free(&t);

    assert_int_equal(read_text(&t, ENTRY(""), &e), STATUS_OK); /* without a title the name stands for it */
    assert_string_equal(t.rows[0].title, "mine");
    assert_null(t.rows[0].options);
    benchmark_table_free(&t);
}

/* A file, and what the sentence about it says. */
static const struct {
    const char *text, *says;
} refused[] = {
    { "", "line" },
    { "[]", "want an object of benchmarks, not a list" },
    { "{\"a\": 1}", "\"a\": want an object, not a number" },
    { "{\"a/b\": {}}", "letters, digits" },
    { "{\"..\": {}}", "letters, digits" },
    { "{\"\": {}}", "letters, digits" },
    { "{\"a\": {}, \"a\": {}}", "duplicate" },
    { "{\"a\": {}}", "\"reader\" is absent" },
    { ENTRY(", \"promt\": \"{}\""), "\"promt\" is unknown" },
    { ENTRY(", \"title\": 3"), "\"title\" must be a text, not a number" },
    { ENTRY(", \"answer_prefix\": null"), "\"answer_prefix\" must be a text, not null" },
    { ENTRY(", \"options\": []"), "\"options\" must be an object, not a list" },
    { ENTRY(", \"options\": {\"questoin\": \"{q}\"}"), "\"questoin\" is unknown" },
    { ENTRY(", \"options\": {\"question\": 3}"), "\"question\" must be a template" },
    { ENTRY(", \"options\": {\"question\": \"{q\"}"), "open brace" },
    { ENTRY(", \"options\": {\"category\": {\"of\": \"{q}\", \"til\": \"x\"}}"), "not \"til\"" },
    { ENTRY(", \"options\": {\"choices\": []}"), "\"choices\" must be a key or a list" },
    { ENTRY(", \"options\": {\"choices\": [\"a\", 3]}"), "but holds a number" },
    { ENTRY(", \"options\": {\"answers_are\": \"numbers\"}"), "\"texts\" or \"indices\"" },
    { ENTRY(", \"options\": {\"only\": {\"split\": 3}}"), "\"only\": \"split\"" },
    { ENTRY(", \"options\": {\"list\": 3}"), "\"list\" must be a text" },
    { ENTRY(", \"options\": {\"unique_ids\": \"yes\"}"), "\"unique_ids\" must be true or false" },
    { ENTRY(", \"options\": {\"join\": {}}"), "\"join\" must be a list" },
    { ENTRY(", \"options\": {\"join\": [{\"file\": \"b\", \"by\": \"{q}\"}]}"),
      "one of the entry's \"files\"" },
    { ENTRY(", \"options\": {\"join\": [{\"file\": \"a\"}]}"), "\"by\", a template, is absent" },
    { ENTRY(", \"options\": {\"join\": [{\"file\": \"a\", \"by\": \"{q}\", \"to\": \"x\"}]}"),
      "\"id\" or \"image\"" },
    { ENTRY(", \"options\": {\"join\": [{\"file\": \"a\", \"by\": \"{q}\", \"x\": \"x\"}]}"),
      "\"x\" is unknown" },
    { ENTRY(", \"published\": 3"), "\"published\" must be an object" },
    { ENTRY(", \"published\": {\"SPHINX\": \"3\"}"), "\"SPHINX\" must be a number" },
    { "{\"a\": {\"reader\": \"r\"}}", "no reader \"r\"" },
    { "{\"a\": {\"reader\": \"rows\", \"metric\": \"m\"}}", "no metric \"m\"" },
    { "{\"a\": {\"reader\": \"rows\", \"metric\": \"exact\", \"prompt\": \"{}{}{}{}\"}}", "4 places" },
    { "{\"a\": {\"reader\": \"rows\", \"metric\": \"exact\", \"prompt\": \"\", \"max_tokens\": 0}}",
      "from 1 to 4096" },
    { "{\"a\": {\"reader\": \"rows\", \"metric\": \"exact\", \"prompt\": \"\", \"max_tokens\": 5, \"files\": "
      "{}}}",
      "\"files\" names none" },
    { "{\"a\": {\"reader\": \"rows\", \"metric\": \"exact\", \"prompt\": \"\", \"max_tokens\": 5, "
      "\"files\": {\"x\": []}}}",
      "a file's name or a list of names" },
    { "{\"a\": {\"reader\": \"mmbench\", \"metric\": \"exact\", \"prompt\": \"\", \"max_tokens\": 5, "
      "\"files\": {\"x\": \"y\"}}}",
      "the reader \"mmbench\" wants annotation" },
    { "{\"a\": {\"reader\": \"folders\", \"metric\": \"exact\", \"prompt\": \"\", \"max_tokens\": 5, "
      "\"files\": {\"names\": \"y\"}}}",
      "\"folder\" is absent" },
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct benchmark_table t;
        struct err e = { 0 };

        assert_int_equal(read_text(&t, refused[i].text, &e), STATUS_BAD_FORMAT);
        if (strstr(e.text, refused[i].says) == NULL || strstr(e.text, "mine.json") == NULL)
            fail_msg("%s\nsays: %s\nwant: %s", refused[i].text, e.text, refused[i].says);
        assert_null(t.json);
    }
}

static void test_no_file(void **state)
{
    struct benchmark_table t;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(benchmark_table_read(&t, "tests/data/eval/none.json", &e), STATUS_NOT_FOUND);
    assert_non_null(strstr(e.text, "none.json"));
    benchmark_table_free(&t);
}

/* ---- prompts --------------------------------------------------------------------------------------------------- */

static void test_prompt(void **state)
{
    static const char *const choices[] = { "red", "blue" };
    static const struct {
        const char *template, *prompt;
    } row[] = {
        { "", "" },
        { "{}", "What {}?" },
        { "Say: {}.", "Say: What {}?." },
        { "{}|{}", "near|What {}?" },
        { "{}|{}|{}", "near|What {}?|A. red\nB. blue" },
        { "{question}|{choices}|{question}", "What {}?|A. red\nB. blue|What {}?" },
        { "{hint}{", "near{" },
        { "{other}|{question", "{other}|{question" },
        { "{}|{hint}", "What {}?|near" },
    };
    struct record r = { .question = "What {}?", .hint = "near", .choices = choices, .n_choices = 2 };
    struct arena a = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct benchmark b = { .prompt = row[i].template };

        assert_string_equal(record_prompt(&b, &r, &a), row[i].prompt);
    }
    r.hint = NULL;
    assert_string_equal(record_prompt(&(struct benchmark){ .prompt = "{}|{}" }, &r, &a), "N/A|What {}?");
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upstream), cmocka_unit_test(test_published), cmocka_unit_test(test_own),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_no_file),   cmocka_unit_test(test_prompt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
