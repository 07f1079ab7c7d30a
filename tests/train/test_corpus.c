/*
 * test_corpus.c - configurations and annotation files, whole and broken: which items they give, in which order, and what is said about those
 * that give none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "support/scratch.h"
#include "support/tokenizer_bytes.h"
#include "train/corpus.h"
#include "train/data_config.h"

static struct tokenizer *t;
static struct scratch scratch;

static const char *put(const char *name, const char *text)
{
    const char *path = scratch_path(&scratch, name);

    scratch_write(path, text, strlen(text));
    return path;
}

static struct corpus *open_corpus(const char *yaml, uint64_t seed)
{
    struct corpus *c;
    struct err e = { 0 };

    if (corpus_open(&c, put("c.yaml", yaml), seed, NULL, &e) != STATUS_OK) fail_msg("%s", e.text);
    return c;
}

static void check_refused(const char *yaml, const char *want)
{
    struct corpus *c;
    struct err e = { 0 };

    if (corpus_open(&c, put("c.yaml", yaml), 0, NULL, &e) == STATUS_OK) fail_msg("not refused: %s", yaml);
    assert_null(c);
    if (strstr(e.text, want) == NULL) fail_msg("\"%s\" does not say \"%s\"", e.text, want);
}

/* The text of item i's ids. */
static const char *text_of(const struct corpus *c, size_t i, uint64_t draw, char **image)
{
    static char text[2048];
    struct sample s;
    struct err e = { 0 };
    char *decoded;

    if (corpus_read(c, i, draw, t, 4096, &s, image, &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_int_equal(tok_decode(t, s.ids, s.n, &decoded, NULL, &e), STATUS_OK);
    snprintf(text, sizeof text, "%s", decoded);
    free(decoded);
    sample_free(&s);
    return text;
}

static void check_item(const struct corpus *c, size_t i, const char *ends_in, const char *image)
{
    char *path;
    const char *text = text_of(c, i, 0, &path);

    if (strlen(text) < strlen(ends_in) || strcmp(text + strlen(text) - strlen(ends_in), ends_in) != 0)
        fail_msg("item %zu: \"%s\" does not end in \"%s\"", i, text, ends_in);
    if (image == NULL) {
        assert_null(path);
    } else {
        char want[600]; /* relative ones are below the configuration's folder */

        snprintf(want, sizeof want, "%s%s%s", image[0] == '/' ? "" : scratch.path, image[0] == '/' ? "" : "/",
                 image);
        assert_non_null(path);
        assert_string_equal(path, want);
    }
    free(path);
}

static void check_bad_item(const struct corpus *c, size_t i, const char *want)
{
    struct sample s;
    struct err e = { 0 };
    char *image;

    assert_int_equal(corpus_read(c, i, 0, t, 4096, &s, &image, &e), STATUS_BAD_FORMAT);
    if (strstr(e.text, want) == NULL) fail_msg("\"%s\" does not say \"%s\"", e.text, want);
    assert_null(s.ids);
    assert_null(image);
}

#define TURNS(question, answer)                                                                              \
    "\"conversations\": [{\"from\": \"human\", \"value\": \"" question                                       \
    "\"}, {\"from\": \"gpt\", \"value\": " answer "}]"

/* ---- items ----------------------------------------------------------------------------------------------- */

static void test_dialogues(void **state)
{
    const struct corpus_type *types;
    const struct corpus_file *files;
    struct corpus *c;
    char place[600];

    (void)state;
    put("a.json",
        "[{\"image\": \"1.png\", " TURNS(
            "<image>\\nWhat is this?",
            "\" a long answer \"") "},\n"
                                   " {\"image\": \"/2.png\", \"id\": 7, " TURNS(
                                       "What?", "2") "},"
                                                     " {\"image\": \"3.png\", " TURNS(
                                                         "\\u00a0\xe7\x8c\xab\xe3\x80\x80", "true") "}]");
    put("b.jsonl",
        "\xEF\xBB\xBF{" TURNS("Why?", "0.1") "}\n\n{\"image\": null, " TURNS("A?", "\"b\"") "}\r\n");
    c = open_corpus("META:\n"
                    "  - {path: a.json, type: seen, root: pictures/}\n"
                    "  - {path: b.jsonl, type: 'heard'}\n"
                    "  - path: b.jsonl\n"
                    "    type: heard\n"
                    "learning_rate: [1, 2] # another reader's\n",
                    0);
    assert_int_equal(corpus_count(c), 7);
    assert_int_equal(corpus_types(c, &types), 2);
    assert_string_equal(types[0].name, "seen");
    assert_true(types[0].first == 0 && types[0].end == 3 && types[0].sees);
    assert_true(types[1].first == 3 && types[1].end == 7 && !types[1].sees);
    assert_int_equal(corpus_files(c, &files), 3);
    assert_true(files[1].n_found == 2 && files[1].n_used == 2);

    /* by their lengths: 6 characters, of which the white space counts, then 7, then 35 */
    check_item(c, 1, " Human: \xe7\x8c\xab\n### Assistant: True\n###", "pictures/3.png");
    check_item(c, 0,
               "###"
               " Human: What?\n### Assistant: 2\n###",
               "/2.png");
    check_item(c, 2, "### Human: What is this?\n### Assistant: a long answer\n###", "pictures/1.png");
    /* of the same length: in the order of the files */
    check_item(c, 3, "### Human: A?\n### Assistant: b\n###", NULL);
    check_item(c, 4, "### Human: A?\n### Assistant: b\n###", NULL);
    check_item(c, 5, "### Human: Why?\n### Assistant: 0.1\n###", NULL);
    assert_non_null(strstr(corpus_place(c, 2, place, sizeof place), "a.json, record 0"));
    assert_non_null(strstr(corpus_place(c, 4, place, sizeof place), "b.jsonl, line 3"));
    corpus_close(c);
}

/* Image marks go wherever they stand, and then what is white at both ends, of any kind. */
static void test_stripped(void **state)
{
    struct corpus *c;

    (void)state;
    put("w.json",
        "[{" TURNS("\\u2003<image> \\u0085\\n", "\"\\t<image>x <image>y<image>\\u00a0\\u3000\\n\"") "}]");
    c = open_corpus("META: [{path: w.json}]", 0);
    check_item(c, 0, "### Human: \n### Assistant: x y\n###", NULL);
    corpus_close(c);
}

static void test_singles(void **state)
{
    struct corpus *c;

    (void)state;
    put("s.json", "[{\"instruction\": \"Say it.\", \"input\": \" \", \"output\": \"it\"}]");
    c = open_corpus("META: [{path: s.json}]", 0);
    check_item(c, 0, "request.\n\n### Instruction:\nSay it.\n\n### Response:it", NULL);
    corpus_close(c);
    c = open_corpus("META: [{path: s.json, prompt_type: None}]", 0);
    check_item(c, 0, "Say it.it", NULL);
    corpus_close(c);

    put("l.json", "[{\"image\": \"x.png\", " TURNS("Q", "\"A\"") "}]");
    c = open_corpus("META: [{path: l.json, preprocess: single_turn_llava, prompt_type: qg}]", 0);
    check_item(c, 0, "answer is:\nQ\n\nQuestion:\nA", "x.png");
    corpus_close(c);

    put("t.csv", "instruction\toutput\n\nSay\tno\n\"Say\n\"\"it\"\"\"\tyes, I do\n");
    c = open_corpus("META: [{path: t.csv, prompt_type: shortqa}]", 0);
    assert_int_equal(corpus_count(c), 2);
    check_item(c, 0, "phrase.\n\n### Instruction:\nSay\n\n### Response:no", NULL);
    check_item(c, 1, "### Instruction:\nSay\n\"it\"\n\n### Response:yes, I do", NULL);
    corpus_close(c);
}

static void test_turns(void **state)
{
    struct corpus *c;
    struct sample s;
    struct err e = { 0 };
    char *image;

    (void)state;
    put("two.json", "[{\"image\": \"x.png\", \"conversations\": ["
                    "{\"from\": \"human\", \"value\": \"Q\"}, {\"from\": \"gpt\", \"value\": \"A\"}, "
                    "{\"from\": \"human\", \"value\": \"R\"}, {\"from\": \"gpt\", \"value\": \"B\"}]}]");
    for (size_t apart = 0; apart < 2; apart++) {
        c = open_corpus(apart ? "META: [{path: two.json, turns: apart}]"
                              : "META: [{path: two.json, turns: together}]",
                        0);
        assert_int_equal(corpus_read(c, 0, 0, t, 4096, &s, &image, &e), STATUS_OK);
        assert_int_equal(s.n_parts, apart ? 2 : 0);
        sample_free(&s);
        free(image);
        corpus_close(c);
    }
}

static void test_captions_and_texts(void **state)
{
    struct corpus *c;
    int n_seen[3] = { 0 };

    (void)state;
    put("c.json", "[{\"url\": \"1.png\", \"caption\": [\"one\", \"two\", \"three\"]}, {\"image\": \"2.png\", "
                  "\"caption\": \"a\"}]");
    c = open_corpus("META: [{path: c.json, preprocess: caption}]", 0);
    check_item(c, 0, "a", "2.png");
    for (uint64_t epoch = 0; epoch < 300; epoch++) {
        char *image;
        const char *text = text_of(c, 1, epoch, &image);

        n_seen[0] += strcmp(text, "one") == 0;
        n_seen[1] += strcmp(text, "two") == 0;
        n_seen[2] += strcmp(text, "three") == 0;
        free(image);
    }
    assert_int_equal(n_seen[0] + n_seen[1] + n_seen[2], 300);
    for (int i = 0; i < 3; i++) assert_in_range(n_seen[i], 70, 130);
    corpus_close(c);

    put("t.txt", "The first line.\r\n\r\n\nThe second.");
    put("t.jsonl", "{\"content\": \"A document,\\nof two lines.\"}\n");
    c = open_corpus("META: [{path: t.txt, type: text}, {path: t.jsonl, type: text}]", 0);
    assert_int_equal(corpus_count(c), 3);
    check_item(c, 0, "The second.", NULL);
    check_item(c, 1, "The first line.", NULL);
    check_item(c, 2, "A document,\nof two lines.", NULL);
    corpus_close(c);
}

/* ---- ratio ----------------------------------------------------------------------------------------------- */

static size_t draw_items(double ratio, uint64_t seed, int *n_times)
{
    char yaml[100], place[600];
    struct corpus *c;
    size_t n;

    snprintf(yaml, sizeof yaml, "META: [{path: n.jsonl, ratio: %g}]", ratio);
    c = open_corpus(yaml, seed);
    n = corpus_count(c);
    memset(n_times, 0, 100 * sizeof *n_times);
    for (size_t i = 0; i < n; i++) {
        const char *line = strrchr(corpus_place(c, i, place, sizeof place), ' ');

        n_times[atoi(line + 1) - 1]++;
    }
    corpus_close(c);
    return n;
}

static void test_ratio(void **state)
{
    int a[100], b[100], n_drawn[100] = { 0 };
    size_t size = 0;
    char text[8192];

    (void)state;
    for (int i = 0; i < 100; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "{\"content\": \"line %d\"}\n", i);
    put("n.jsonl", text);
    assert_int_equal(draw_items(0.305, 1, a), 30);
    for (int i = 0; i < 100; i++) assert_in_range(a[i], 0, 1);
    assert_int_equal(draw_items(0.305, 1, b), 30);
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(draw_items(0.305, 2, b), 30);
    assert_memory_not_equal(a, b, sizeof a);
    assert_int_equal(draw_items(2.25, 1, a), 225);
    for (int i = 0; i < 100; i++) assert_in_range(a[i], 2, 3);
    for (uint64_t seed = 0; seed < 400; seed++) { /* each as often as the others */
        draw_items(0.25, seed, a);
        for (int i = 0; i < 100; i++) n_drawn[i] += a[i];
    }
    for (int i = 0; i < 100; i++) assert_in_range(n_drawn[i], 60, 145);
    check_refused("META: [{path: n.jsonl, ratio: 0.001}]", "nothing to learn from");
    check_refused("META: [{path: n.jsonl, ratio: 1e300}]", "too many");
}

/* ---- what is wrong --------------------------------------------------------------------------------------- */

static void test_bad_configurations(void **state)
{
    struct corpus *c;
    struct err e = { 0 };

    (void)state;
    put("a.jsonl", "{" TURNS("Q", "\"A\"") "}\n");
    check_refused("", "want a key META");
    check_refused("- a", "want a key META");
    check_refused("DATA: []", "there is no key META");
    check_refused("META: a.jsonl", "c.yaml: line 1: META: want a list");
    check_refused("META: []", "want a list");
    check_refused("a: 1\nMETA:\n  - a.jsonl\n", "line 3: an entry of META must have keys");
    check_refused("META:\n  - path: a.jsonl\n    tpye: x\n", "line 3: the key \"tpye\" is unknown");
    check_refused("META:\n  - path: a.jsonl\n    path: b\n", "line 3: the key \"path\" is there twice");
    check_refused("META:\n  - type: a\n", "line 2: this entry of META has no path");
    check_refused("META:\n  - path: ~\n", "line 2: this entry of META has no path");
    check_refused("META:\n  - path: [a]\n", "line 2: path: want a text");
    check_refused("META:\n  - path: a.jsonl\n    ratio: 0\n", "line 3: ratio: want a number above 0");
    check_refused("META:\n  - path: a.jsonl\n    ratio: nan\n", "line 3: ratio");
    check_refused("META:\n  - path: a.jsonl\n    ratio: 0.5x\n", "line 3: ratio");
    check_refused("META:\n  - path: a.jsonl\n    prompt_type: alpacca\n",
                  "known are alpaca, shortqa, qg, caption, None");
    check_refused("META:\n  - path: a.jsonl\n    preprocess: x\n",
                  "known are none, single_turn_llava, caption");
    check_refused("META:\n  - path: a.jsonl\n    prompt_type: qg\n",
                  "prompt_type is for instructions and captions");
    check_refused("META:\n  - path: a.jsonl\n    turns: alone\n", "known are together, apart");
    check_refused("META: [{path: s.json, turns: apart}]", "turns are of dialogues");
    check_refused("META:\n  - path: 'a.jsonl\n", "c.yaml: line ");
    check_refused("META:\n  - path: a\n\tb: c\n", "c.yaml: line 3");
    check_refused("META: [{path: a.jsonl}]\nMETA: [{path: a.jsonl}]\n",
                  "line 2: the key \"META\" is there twice");
    check_refused("META: [{path: none.json}]", "none.json");
    check_refused("META: [{path: a.parquet}]", "must end in");
    assert_int_equal(corpus_open(&c, scratch_path(&scratch, "none.yaml"), 0, NULL, &e), STATUS_NOT_FOUND);
}

static void test_bad_files(void **state)
{
    static const struct {
        const char *name, *text, *want;
    } bad[] = {
        { "x.json", "", "want" },
        { "x.json", "[{\"content\": \"a\"}", "but the file ends" },
        { "x.json", "[{\"content\": \"a\"}, {\"content\": }]", "line 1" },
        { "x.json", "[{\"content\": \"a\", \"content\": \"b\"}]", "duplicate" },
        { "x.json", "[[]]", "want an object" },
        { "x.json", "[]", "nothing to learn from" },
        { "x.json", "[{\"text\": \"a\"}]", "record 0: want \"conversations\", \"instruction\"" },
        { "x.jsonl", "{\"content\": \"a\"}\n{\"content\"", "line 2" },
        { "x.csv", "instruction\toutput\na\n", "1 columns" },
        { "x.txt", "a\nb\xff\n", "x.txt: line 2 is not UTF-8" },
        { "x.txt", "\n\r\n", "nothing to learn from" },
        { "x.json", "[{\"image\": \"a\", \"caption\": \"b\"}, {\"caption\": \"b\"}]",
          "record 1 has no image, but" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char yaml[100];

        put(bad[i].name, bad[i].text);
        snprintf(yaml, sizeof yaml, "META: [{path: %s}]", bad[i].name);
        check_refused(yaml, bad[i].want);
    }
    put("x.json", "[{\"image\": \"a\", \"caption\": \"b\"}]");
    put("y.json", "[{\"caption\": \"b\"}]");
    check_refused("META: [{path: x.json, type: a}, {path: y.json, type: b}, {path: y.json, type: a}]",
                  "of the same type \"a\", has one; give them types of their own");
}

/* Records that cannot be learned from stop nothing before their turn comes. */
static void test_bad_items(void **state)
{
    struct corpus *c;

    (void)state;
    put("x.json", "[{\"conversations\": [{\"value\": \"a\"}]},"
                  " {\"conversations\": [{\"from\": \"system\", \"value\": \"a\"}]},"
                  " {\"conversations\": [{\"from\": \"human\"}]},"
                  " {\"conversations\": []},"
                  " {\"conversations\": 5},"
                  " {\"no\": 1},"
                  " {\"conversations\": [{\"from\": \"HUMAN\", \"value\": \"a\"}]},"
                  " {" TURNS("a long question", "\"and its answer\"") "}]");
    c = open_corpus("META: [{path: x.json}]", 0);
    assert_int_equal(corpus_count(c), 8);
    check_bad_item(c, 0, "x.json, record 0: turn 1 does not say whom it is \"from\"");
    check_bad_item(c, 1, "turn 1 is from \"system\"; known are");
    check_bad_item(c, 2, "turn 1 has no \"value\"");
    check_bad_item(c, 3, "must be a list of turns, not empty");
    check_bad_item(c, 4, "not a number");
    check_bad_item(c, 5, "not nothing");
    check_bad_item(c, 6, "nothing to learn");
    check_item(c, 7, "its answer\n###", NULL);
    corpus_close(c);
}

#define PATCHES(list, question)                                                                              \
    "{\"image\": \"a.png\", \"patches\": [" list "], " TURNS(question, "\"b\"") "}\n"

static void test_patches(void **state)
{
    struct corpus *c;
    struct sample s;
    struct err e = { 0 };
    char *image;

    (void)state;
    put("x.jsonl", PATCHES("\"red\", \"\", \"one two\", \"none\"", "a") PATCHES("\"red\", \"red\"", "aa")
                       PATCHES("5", "aaa"));
    c = open_corpus("META: [{path: x.jsonl}]", 0);
    if (corpus_read(c, 2, 0, t, 4096, &s, &image, &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_int_equal(s.shown_side, 2);
    assert_int_equal(s.n_shown, 4);
    sample_free(&s);
    free(image);
    check_bad_item(c, 0, "\"patches\" must be a list of a square number of texts, not of 2");
    check_bad_item(c, 1, "\"patches\"[0] must be a text, not a number");
    corpus_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialogues),
        cmocka_unit_test(test_stripped),
        cmocka_unit_test(test_singles),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_captions_and_texts),
        cmocka_unit_test(test_ratio),
        cmocka_unit_test(test_bad_configurations),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_bad_items),
        cmocka_unit_test(test_patches),
    };
    int failed;

    t = tokenizer_open();
    scratch_open(&scratch);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_close(&scratch);
    tok_close(t);
    return failed;
}
