/*
 * test_evaluation.c - a log on disk and the annotation that it answers, joined and judged.
 */
#include "support/scratch.h"

#include "eval/evaluation.h"
#include "eval/trial.h"

static const char table_text[] = "{\"vsr\": {\"title\": \"VSR\", \"reader\": \"unified\", \"files\": "
                                 "{\"annotation\": \"vsr.json\"}, \"prompt\": \"{}\","
                                 " \"max_tokens\": 10, \"metric\": \"exact\"}}";

/* The last is the first once more, with another answer. */
static const char annotation[] = "[{\"image_path\": \"a.png\", \"question\": \"Red?\", \"question_id\": 1, "
                                 "\"dataset_name\": \"v\", \"gt_answers\": \"true\"},"
                                 " {\"image_path\": \"b.png\", \"question\": \"Red?\", \"question_id\": 1, "
                                 "\"dataset_name\": \"v\", \"gt_answers\": \"false\"},"
                                 " {\"image_path\": \"c.png\", \"question\": \"Red?\", \"question_id\": 1, "
                                 "\"dataset_name\": \"v\", \"gt_answers\": \"true\"},"
                                 " {\"image_path\": \"d.png\", \"question\": \"Red?\", \"question_id\": 1, "
                                 "\"dataset_name\": \"v\", \"gt_answers\": \"true\"},"
                                 " {\"image_path\": \"a.png\", \"question\": \"Red?\", \"question_id\": 1, "
                                 "\"dataset_name\": \"v\", \"gt_answers\": \"true\"}]";

struct fixture {
    struct scratch scratch;
    struct benchmark_table table;
    const char *out;
};

static void fixture_open(struct fixture *x)
{
    const char *table = NULL;
    struct err e = { 0 };

    scratch_open(&x->scratch);
    table = scratch_path(&x->scratch, "table.json");
    scratch_write(table, table_text, sizeof table_text - 1);
    scratch_write(scratch_path(&x->scratch, "vsr.json"), annotation, sizeof annotation - 1);
    if (benchmark_table_read(&x->table, table, &e) != STATUS_OK) fail_msg("%s", e.text);
    x->out = "out";
}

static void fixture_close(struct fixture *x)
{
    benchmark_table_free(&x->table);
    scratch_close(&x->scratch);
}

/* Writes a log for this dataset; digest NULL: the right one. */
static void write_log(const struct fixture *x, const char *digest, const struct log_entry *entries, size_t n)
{
    struct dataset d = { 0 };
    struct log_file *l = NULL;
    struct err e = { 0 };
    char text[DIGEST_TEXT_MAX];
    json_t *header;

    if (dataset_read(&d, &x->table.rows[0], x->scratch.path, &e) != STATUS_OK) fail_msg("%s", e.text);
    digest_hex(&d.digest, text);
    header = json_pack("{s:i, s:s, s:s}", "eval", 1, "benchmark", "vsr", "dataset",
                       digest != NULL ? digest : text);
    if (log_open(&l, scratch_path(&x->scratch, x->out), 0, header, false, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    for (size_t i = 0; i < n; i++) assert_int_equal(log_append(l, &entries[i], &e), STATUS_OK);
    assert_int_equal(log_close(l, &e), STATUS_OK);
    json_decref(header);
    dataset_free(&d);
}

static struct log_entry entry_of(int64_t index, const char *answer, const char *error)
{
    return (struct log_entry){ .index = index,
                               .id = "1",
                               .image = "a.png",
                               .question = "Red?",
                               .prompt = "Red?",
                               .answer = answer,
                               .error = error,
                               .finish = "stop",
                               .taken = "" };
}

static void write_usual(const struct fixture *x)
{
    const struct log_entry entries[] = { entry_of(2, NULL, TRIAL_ERROR_MISSING "c.png"),
                                         entry_of(0, "True.", NULL), entry_of(4, "false", NULL),
                                         entry_of(1, "true", NULL),
                                         entry_of(3, NULL, "the prompt is too long") };

    write_log(x, NULL, entries, 5);
}

static void test_judged(void **state)
{
    struct fixture x;
    struct evaluation v;
    struct err e = { 0 };

    (void)state;
    fixture_open(&x);
    write_usual(&x);
    if (evaluation_open(&v, &x.table, scratch_path(&x.scratch, x.out), x.scratch.path, false, &e) !=
        STATUS_OK)
        fail_msg("%s", e.text);
    assert_int_equal(v.n, 5);
    assert_int_equal(v.n_missing, 1);
    assert_int_equal(v.n_failed, 1);
    assert_string_equal(v.answered[0].answer, "True.");
    assert_int_equal(v.answered[0].record->index, 0);
    assert_float_equal(v.figures.item[0].value, 20, 1e-9);
    evaluation_close(&v);
    fixture_close(&x);
}

/* As upstream counts: the copy at the end is left out. */
static void test_dedup(void **state)
{
    struct fixture x;
    struct evaluation v;
    struct err e = { 0 };

    (void)state;
    fixture_open(&x);
    write_usual(&x);
    if (evaluation_open(&v, &x.table, scratch_path(&x.scratch, x.out), x.scratch.path, true, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    assert_int_equal(v.n, 4);
    assert_float_equal(v.figures.item[0].value, 25, 1e-9);
    evaluation_close(&v);
    fixture_close(&x);
}

static void check_refused(const struct fixture *x, enum status want, const char *says)
{
    struct evaluation v;
    struct err e = { 0 };
    enum status st =
        evaluation_open(&v, &x->table, scratch_path(&x->scratch, x->out), x->scratch.path, false, &e);

    if (st != want || strstr(e.text, says) == NULL)
        fail_msg("wanted %d and \"%s\", got %d and \"%s\"", (int)want, says, (int)st, e.text);
    evaluation_close(&v);
}

static void test_refused(void **state)
{
    struct fixture x;
    const struct log_entry entry = entry_of(5, "true", NULL);

    (void)state;
    fixture_open(&x);
    check_refused(&x, STATUS_NOT_FOUND, "out");
    write_log(&x, "0123456789abcdef", NULL, 0);
    check_refused(&x, STATUS_BAD_ARGUMENT, "other questions");
    x.out = "out2";
    write_log(&x, NULL, &entry, 1);
    check_refused(&x, STATUS_BAD_FORMAT, "question 5");
    x.table.rows[0].name = "other";
    check_refused(&x, STATUS_BAD_ARGUMENT, "'vsr'");
    fixture_close(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judged),
        cmocka_unit_test(test_dedup),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
