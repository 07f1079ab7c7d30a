/* test_log.c - answers on disk: written, broken off, divided over ranks, of another run, on a full disk. */
#include "support/scratch.h"

#include "core/file.h"
#include "eval/log.h"
#include "text/journal.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static struct scratch scratch;

static int setup(void **state)
{
    (void)state;
    scratch_open(&scratch);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_close(&scratch);
    return 0;
}

static json_t *header(int seed, const char *model)
{
    return json_pack("{s:i, s:s, s:{s:i, s:f}}", "eval", 1, "model", model, "settings", "seed", seed, "temp",
                     0.1);
}

/* Opens with header(1, "m"), which must do. */
static struct log_file *opened(const char *directory, int rank)
{
    json_t *h = header(1, "m");
    struct log_file *l;
    struct err e = { 0 };

    if (log_open(&l, directory, rank, h, false, &e) != STATUS_OK) fail_msg("%s", e.text);
    json_decref(h);
    return l;
}

static void append(struct log_file *l, int64_t index, const char *answer, const char *error)
{
    static const int32_t tokens[] = { 5, 31999, 0 };
    struct log_entry entry = { .index = index,
                               .id = "q\xff 1",
                               .image = "a \"b\"\n.png",
                               .question = "Wo?",
                               .prompt = "Wo? \xc3\xa4",
                               .answer = answer,
                               .error = error,
                               .tokens = tokens,
                               .n_tokens = answer != NULL ? 3 : 0,
                               .finish = "stop",
                               .score = 0.1,
                               .malformed = true,
                               .taken = "B",
                               .seconds_encode = 1e-9,
                               .seconds_prefill = 0.25,
                               .seconds_decode = 1.0 / 3,
                               .prompt_tokens = 7,
                               .image_tokens = 289,
                               .cached_tokens = 290 };
    struct err e = { 0 };

    if (log_append(l, &entry, &e) != STATUS_OK) fail_msg("%s", e.text);
}

static void closed(struct log_file *l)
{
    struct err e = { 0 };

    if (log_close(l, &e) != STATUS_OK) fail_msg("%s", e.text);
}

static void answers(struct log_answers *a, const char *directory)
{
    struct err e = { 0 };

    if (log_read(a, directory, &e) != STATUS_OK) fail_msg("%s", e.text);
}

static void append_bytes(const char *path, const char *text)
{
    FILE *f = fopen(path, "ab");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_what_is_written_is_read(void **state)
{
    const char *out = scratch_path(&scratch, "deep/er/out");
    struct log_file *l = opened(out, 0);
    struct log_answers a;

    (void)state;
    append(l, 3, "It is a \xe2\x98\x83", NULL);
    append(l, 0, NULL, "image not found: x.png");
    closed(l);
    answers(&a, out);
    assert_int_equal(a.n, 2);
    assert_int_equal(json_integer_value(json_object_get(a.header, "eval")), 1);
    assert_int_equal(a.entry[0].index, 0);
    assert_null(a.entry[0].answer);
    assert_string_equal(a.entry[0].error, "image not found: x.png");
    assert_int_equal(a.entry[0].n_tokens, 0);
    assert_string_equal(a.entry[1].answer, "It is a \xe2\x98\x83");
    assert_null(a.entry[1].error);
    assert_string_equal(a.entry[1].id, "q\xef\xbf\xbd 1");
    assert_string_equal(a.entry[1].image, "a \"b\"\n.png");
    assert_string_equal(a.entry[1].question, "Wo?");
    assert_string_equal(a.entry[1].prompt, "Wo? \xc3\xa4");
    assert_string_equal(a.entry[1].taken, "B");
    assert_string_equal(a.entry[1].finish, "stop");
    assert_int_equal(a.entry[1].tokens[1], 31999);
    assert_true(a.entry[1].score == 0.1 && a.entry[1].seconds_decode == 1.0 / 3);
    assert_true(a.entry[1].seconds_encode == 1e-9 && a.entry[1].seconds_prefill == 0.25);
    assert_true(a.entry[1].malformed && !a.entry[1].pending);
    assert_int_equal(a.entry[1].prompt_tokens, 7);
    assert_int_equal(a.entry[1].image_tokens, 289);
    assert_int_equal(a.entry[1].cached_tokens, 290);
    assert_ptr_equal(log_find(&a, 3), &a.entry[1]);
    assert_null(log_find(&a, 1));
    log_answers_free(&a);
}

static void test_no_log(void **state)
{
    struct log_answers a;
    struct err e = { 0 };

    (void)state;
    answers(&a, scratch_path(&scratch, "none"));
    assert_null(a.header);
    assert_int_equal(a.n, 0);
    assert_null(log_find(&a, 0));
    log_answers_free(&a);
    assert_int_equal(log_merge(scratch_path(&scratch, "none"), &e), STATUS_OK);
    assert_int_equal(log_close(NULL, NULL), STATUS_OK);
}

/* Broken off at every byte of the last line: the others are read, and the next one does not suffer. */
static void test_broken_last_line(void **state)
{
    const char *out = scratch_folder(&scratch, "broken"),
               *path = scratch_path(&scratch, "broken/answers.jsonl");
    unsigned char *whole;
    struct err e = { 0 };
    size_t size, last;

    (void)state;
    closed(opened(out, 0));
    struct log_file *l = opened(out, 0);
    append(l, 1, "one", NULL);
    append(l, 2, "two", NULL);
    closed(l);
    assert_int_equal(file_read(path, 1 << 20, &whole, &size, &e), STATUS_OK);
    last = size - 1;
    while (whole[last - 1] != '\n') last--;
    for (size_t cut = last; cut < size; cut++) {
        struct log_answers a;

        scratch_write(path, whole, cut);
        answers(&a, out);
        assert_int_equal(a.n, 1);
        log_answers_free(&a);
        l = opened(out, 0);
        append(l, 2, "again", NULL);
        closed(l);
        answers(&a, out);
        assert_int_equal(a.n, 2);
        assert_string_equal(a.entry[1].answer, "again");
        log_answers_free(&a);
    }
    free(whole);
}

static void test_first_answer_counts(void **state)
{
    const char *out = scratch_path(&scratch, "twice");
    struct log_file *l = opened(out, 0);
    struct log_answers a;

    (void)state;
    append(l, 5, NULL, "image not found");
    append(l, 5, "first", NULL);
    append(l, 5, "second", NULL);
    append(l, 4, NULL, "one");
    append(l, 4, NULL, "two");
    closed(l);
    answers(&a, out);
    assert_int_equal(a.n, 2);
    assert_string_equal(a.entry[0].error, "one");
    assert_string_equal(a.entry[1].answer, "first");
    log_answers_free(&a);
}

static void test_two_ranks(void **state)
{
    const char *out = scratch_path(&scratch, "ranks"),
               *second = scratch_path(&scratch, "ranks/answers.1.jsonl");
    struct log_file *a = opened(out, 0), *b = opened(out, 1);
    struct log_answers all;
    struct err e = { 0 };

    (void)state;
    append(a, 0, "zero", NULL);
    append(b, 1, "one", NULL);
    append(a, 2, "two", NULL);
    assert_int_equal(log_merge(out, &e), STATUS_BAD_ARGUMENT); /* they are being written */
    assert_non_null(strstr(e.text, "another process is writing it"));
    err_clear(&e);
    closed(a);
    closed(b);
    append_bytes(second, "{\"index\": 77, \"ans");
    answers(&all, out);
    assert_int_equal(all.n, 3);
    assert_string_equal(all.entry[1].answer, "one");
    log_answers_free(&all);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(log_merge(out, &e), STATUS_OK);
        assert_false(file_exists(second));
        answers(&all, out);
        assert_int_equal(all.n, 3);
        assert_string_equal(all.entry[1].answer, "one");
        log_answers_free(&all);
    }
}

/* The file was replaced, but the machine stopped before the rank's was removed; and: rank 0 had none. */
static void test_interrupted_merge(void **state)
{
    const char *out = scratch_path(&scratch, "merge"), *first = scratch_path(&scratch, "merge/answers.jsonl"),
               *second = scratch_path(&scratch, "merge/answers.1.jsonl");
    struct log_file *l = opened(out, 1);
    unsigned char *kept, *before, *after;
    size_t n_kept, n_before, n_after;
    struct err e = { 0 };

    (void)state;
    append(l, 1, "one", NULL);
    closed(l);
    l = opened(out, 2);
    append(l, 2, "two", NULL);
    closed(l);
    assert_int_equal(file_read(second, 1 << 20, &kept, &n_kept, &e), STATUS_OK);
    assert_int_equal(log_merge(out, &e), STATUS_OK);
    assert_int_equal(file_read(first, 1 << 20, &before, &n_before, &e), STATUS_OK);
    scratch_write(second, kept, n_kept);
    assert_int_equal(log_merge(out, &e), STATUS_OK);
    assert_int_equal(file_read(first, 1 << 20, &after, &n_after, &e), STATUS_OK);
    assert_int_equal(n_before, n_after);
    assert_memory_equal(before, after, n_before);
    closed(opened(out, 0));
    free(kept);
    free(before);
    free(after);
}

static void refused(const char *out, json_t *h, const char *sentence)
{
    struct log_file *l;
    struct err e = { 0 };

    assert_int_equal(log_open(&l, out, 0, h, false, &e), STATUS_BAD_ARGUMENT);
    assert_null(l);
    if (strstr(e.text, sentence) == NULL) fail_msg("%s", e.text);
    json_decref(h);
}

static void test_other_header(void **state)
{
    const char *out = scratch_path(&scratch, "header");
    struct log_file *l = opened(out, 0), *other;
    struct log_answers a;
    struct err e = { 0 };
    json_t *h;

    (void)state;
    append(l, 0, "zero", NULL);
    h = header(1, "m");
    assert_int_equal(log_open(&other, out, 0, h, true, &e), STATUS_BAD_ARGUMENT);
    assert_non_null(strstr(e.text, "another process is writing it"));
    err_clear(&e);
    json_decref(h);
    closed(l);
    refused(out, header(1, "n"), "its model was \"m\" and is \"n\" now");
    refused(out, header(2, "m"), "its settings.seed was 1 and is 2 now");
    h = header(1, "m");
    json_object_set_new(json_object_get(h, "settings"), "top", json_true());
    refused(out, h, "its settings.top was nothing and is true now");
    h = header(1, "m");
    json_object_del(h, "model");
    refused(out, h, "its model was \"m\" and is nothing now");
    h = header(2, "n");
    assert_int_equal(log_open(&l, out, 0, h, true, &e), STATUS_OK);
    append(l, 1, "one", NULL);
    closed(l);
    answers(&a, out);
    assert_true(json_equal(a.header, h));
    assert_int_equal(a.n, 2);
    assert_string_equal(a.entry[0].answer, "zero");
    log_answers_free(&a);
    json_decref(h);
    refused(out, header(1, "m"), "its model was");
}

static void test_full_disk(void **state)
{
    const char *out = scratch_path(&scratch, "full");
    struct log_file *l = opened(out, 0);
    struct log_answers a;
    int status;
    pid_t child;

    (void)state;
    append(l, 0, "zero", NULL);
    closed(l);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* as if the disk had room for a part of one more line */
        struct log_entry entry = { .index = 1,
                                   .answer = "one that is too long for what is left on the disk" };
        struct rlimit limit = { 500, 500 };
        struct err e = { 0 };

        signal(SIGXFSZ, SIG_IGN);
        l = opened(out, 0);
        setrlimit(RLIMIT_FSIZE, &limit);
        while (log_append(l, &entry, &e) == STATUS_OK) entry.index++;
        log_close(l, NULL);
        _exit(e.code == STATUS_IO && strstr(e.text, "answers.jsonl: cannot write: ") != NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    answers(&a, out);
    assert_true(a.n >= 1 && a.n < 4);
    log_answers_free(&a);
    l = opened(out, 0);
    append(l, 9, "nine", NULL);
    closed(l);
    answers(&a, out);
    assert_string_equal(log_find(&a, 9)->answer, "nine");
    log_answers_free(&a);
}

static void test_bad_lines(void **state)
{
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        { "[]\n", "x: line 1 is not a JSON object" },
        { "{\"index\":0,\"answer\":\"a\"}\n", "x: is not a log of an evaluation" },
        { "{\"eval\":1}\nnull\n", "x: line 2 is not a JSON object" },
        { "{\"eval\":1}\n{\"index\":0,\"answer\":\"a\"\n", "x: line 2 is not a JSON object: " },
        { "{\"eval\":1}\n\n", "x: line 2 is not a JSON object: " },
        { "{\"eval\":1}\n{\"answer\":\"a\"}\n", "x: line 2: \"index\" is not a whole number from 0" },
        { "{\"eval\":1}\n{\"index\":-1,\"answer\":\"a\"}\n", "x: line 2: \"index\" is not" },
        { "{\"eval\":1}\n{\"index\":1}\n", "x: line 2 has neither \"answer\" nor \"error\"" },
        { "{\"eval\":1}\n{\"index\":1,\"answer\":1}\n", "x: line 2: \"answer\" is not a text" },
        { "{\"eval\":1}\n{\"index\":1,\"answer\":\"a\",\"tokens\":[1,2.5]}\n",
          "x: line 2: \"tokens\" is not" },
        { "{\"eval\":1}\n{\"index\":1,\"answer\":\"a\",\"tokens\":3}\n", "x: line 2: \"tokens\" is not" },
        { "{\"eval\":1}\n{\"index\":1,\"answer\":\"a\",\"score\":\"x\"}\n", "x: line 2: \"score\" is not" },
        { "{\"eval\":1}\n{\"index\":1,\"answer\":\"a\",\"pending\":1}\n", "x: line 2: \"pending\" is not" },
        { "{\"eval\":1}\n{\"index\":1,\"answer\":\"a\",\"image_tokens\":-4}\n",
          "x: line 2: \"image_tokens\" is not" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct log_answers a;
        struct err e = { 0 };

        assert_int_equal(log_read_memory(&a, "x", cases[i].text, strlen(cases[i].text), &e),
                         STATUS_BAD_FORMAT);
        if (strstr(e.text, cases[i].sentence) != e.text) fail_msg("%s", e.text);
        assert_int_equal(a.n, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_no_log),
        cmocka_unit_test(test_broken_last_line),
        cmocka_unit_test(test_first_answer_counts),
        cmocka_unit_test(test_two_ranks),
        cmocka_unit_test(test_interrupted_merge),
        cmocka_unit_test(test_other_header),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_bad_lines),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
