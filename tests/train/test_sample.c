/*
 * test_sample.c - which tokens are learned: by construction, against a list made by hand, and against upstream's way of finding them,
 * which is a search for the answer's tokens.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/mix64.h"
#include "support/tokenizer_bytes.h"
#include "train/sample.h"
#include "train/sample_prompt.h"

static struct tokenizer *t;

/* The text of all tokens that have a label, the others as '|' where they begin to be missing. */
static void learned(const struct sample *s, char *text, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++) {
        if (s->labels[i] != 0) {
            size_t length;
            const char *piece = tok_piece(t, s->labels[i], &length);

            assert_int_equal(s->labels[i], s->ids[i]);
            assert_true(n + length + 2 < size);
            memcpy(text + n, piece, length);
            n += length;
        } else if (n > 0 && text[n - 1] != '|') {
            text[n++] = '|';
        }
    }
    text[n] = '\0';
}

static void check_learned(const struct sample_turn *turns, size_t n, const char *want)
{
    struct sample s;
    struct err e = { 0 };
    char text[1024];
    size_t n_targets = 0;

    if (sample_dialogue(&s, t, turns, n, 4096, &e) != STATUS_OK) fail_msg("%s", e.text);
    learned(&s, text, sizeof text);
    assert_string_equal(text, want);
    for (size_t i = 0; i < s.n; i++) n_targets += s.labels[i] != 0;
    assert_int_equal(s.n_targets, n_targets);
    assert_int_equal(s.ids[0], tok_bos(t));
    assert_int_equal(s.ids[s.n - 1], tok_eos(t));
    assert_int_equal(s.labels[s.n - 1], 0);
    sample_free(&s);
}

/* Pieces glued together, so that the list does not depend on how the vocabulary divides words. */
#define SPACE "\xe2\x96\x81"
#define STOP  "<0x0A>###"

static void test_answers(void **state)
{
    const struct sample_turn one[] = { { false, "Is there a cat?" }, { true, "yes" } };
    const struct sample_turn two[] = {
        { false, "Is there a cat?" }, { true, "yes" }, { false, "How many?" }, { true, "2" }
    };
    const struct sample_turn same[] = { { false, "Is it yes" }, { true, "yes" } };
    const struct sample_turn empty[] = { { false, "What?" }, { true, "" }, { false, "Again?" } };
    const struct sample_turn odd[] = { { true, "I speak first" }, { true, "and go on" } };

    (void)state;
    check_learned(one, 2, SPACE "yes" STOP "|");
    check_learned(two, 4, SPACE "yes" STOP "|" SPACE "2" STOP "|");
    check_learned(same, 2, SPACE "yes" STOP "|"); /* which one: test_question_repeated */
    check_learned(empty, 3, SPACE STOP "|");
    check_learned(odd, 2,
                  SPACE "I" SPACE "speak" SPACE "first" STOP "|" SPACE "and" SPACE "go" SPACE "on" STOP "|");
}

/* Where the question ends in the words of the answer, the answer is learned. */
static void test_question_repeated(void **state)
{
    const struct sample_turn turns[] = { { false, "Is it yes" }, { true, "yes" } };
    struct sample s;
    struct err e = { 0 };
    size_t first = 0;

    (void)state;
    assert_int_equal(sample_dialogue(&s, t, turns, 2, 4096, &e), STATUS_OK);
    while (s.labels[first] == 0) first++;
    assert_int_equal(first + s.n_targets, s.n - 1); /* the last before end-of-sentence */
    sample_free(&s);
}

/* A label is a word's last token: what stands before it is as it may be in a text. */
static void test_shown(void **state)
{
    const struct sample_turn turns[] = { { false, "Q" }, { true, "yes" } };
    const char *const cells[] = { "", "red", " big  blue ", "none" };
    const char *const words[] = { "red", "big", "blue", "none" };
    const int32_t place[] = { 1, 2, 2, 3 };
    struct sample s;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(sample_dialogue(&s, t, turns, 2, 4096, &e), STATUS_OK);
    assert_true(s.shown == NULL && s.n_shown == 0);
    assert_int_equal(sample_show(&s, t, cells, 2, &e), STATUS_OK);
    assert_int_equal(s.shown_side, 2);
    assert_int_equal(s.n_shown, 4);
    for (size_t i = 0; i < 4; i++) {
        int32_t *ids;
        size_t n;

        assert_int_equal(tok_encode(t, words[i], strlen(words[i]), 0, &ids, &n, &e), STATUS_OK);
        assert_int_equal(s.shown[i].id, ids[n - 1]);
        assert_int_equal(s.shown[i].cell, place[i]);
        free(ids);
    }
    sample_free(&s);
}

static void test_cut(void **state)
{
    const struct sample_turn turns[] = { { false, "Q" }, { true, "one two three four" } };
    struct sample whole, cut;
    struct err e = { 0 };
    size_t first = 0;

    (void)state;
    assert_int_equal(sample_dialogue(&whole, t, turns, 2, 4096, &e), STATUS_OK);
    while (whole.labels[first] == 0) first++;
    assert_int_equal(sample_dialogue(&cut, t, turns, 2, first + 2, &e), STATUS_OK);
    assert_int_equal(cut.n, first + 2);
    assert_int_equal(cut.n_targets, 2);
    assert_memory_equal(cut.ids, whole.ids, cut.n * sizeof *cut.ids);
    assert_memory_equal(cut.labels, whole.labels, cut.n * sizeof *cut.ids);
    sample_free(&cut);
    assert_int_equal(sample_dialogue(&cut, t, turns, 2, first, &e), STATUS_BAD_FORMAT);
    assert_non_null(strstr(e.text, "nothing to learn is left"));
    assert_null(cut.ids);
    sample_free(&whole);
}

/* Each part with what all share before it is the dialogue of its question alone. */
static void test_apart(void **state)
{
    const struct sample_turn turns[] = { { false, "Is there a cat?" },
                                         { true, "yes" },
                                         { false, "no answer" },
                                         { false, "How many?" },
                                         { true, "2" },
                                         { false, "Is there a cat?" },
                                         { true, "no" },
                                         { false, "?" } };
    const size_t begin[] = { 0, 2, 5 }, end[] = { 2, 5, 7 };
    struct sample s, alone;
    struct err e = { 0 };
    size_t n_targets = 0;

    (void)state;
    assert_int_equal(sample_apart(&s, t, turns, 8, 4096, &e), STATUS_OK);
    assert_int_equal(s.n_parts, 3);
    assert_true(s.part[0] == 0 && s.part[3] == s.n && s.n_shared > 0);
    for (size_t k = 0; k < 3; k++) {
        size_t skip = k == 0 ? 0 : s.n_shared, n = s.part[k + 1] - s.part[k];

        assert_int_equal(sample_dialogue(&alone, t, turns + begin[k], end[k] - begin[k], 4096, &e),
                         STATUS_OK);
        assert_int_equal(skip + n, alone.n);
        assert_memory_equal(s.ids, alone.ids, skip * sizeof *s.ids);
        assert_memory_equal(s.ids + s.part[k], alone.ids + skip, n * sizeof *s.ids);
        assert_memory_equal(s.labels + s.part[k], alone.labels + skip, n * sizeof *s.ids);
        assert_true(s.labels[s.part[k]] == 0);
        n_targets += alone.n_targets;
        sample_free(&alone);
    }
    for (size_t i = 0; i <= s.n_shared; i++) assert_int_equal(s.labels[i], 0);
    assert_int_equal(s.n_targets, n_targets);
    sample_free(&s);
}

/* What does not fit is left out from the first such part on; the first is cut. */
static void test_apart_cut(void **state)
{
    const struct sample_turn turns[] = { { false, "Q" }, { true, "one two three" },
                                         { false, "W" }, { true, "four" },
                                         { false, "E" }, { true, "5" } };
    struct sample whole, cut;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(sample_apart(&whole, t, turns, 6, 4096, &e), STATUS_OK);
    assert_int_equal(sample_apart(&cut, t, turns, 6, whole.n, &e), STATUS_OK);
    assert_int_equal(cut.n_parts, 3);
    sample_free(&cut);
    assert_int_equal(sample_apart(&cut, t, turns, 6, whole.n - 1, &e), STATUS_OK);
    assert_int_equal(cut.n_parts, 2);
    assert_int_equal(cut.n, whole.part[2]);
    assert_memory_equal(cut.ids, whole.ids, cut.n * sizeof *cut.ids);
    sample_free(&cut);
    assert_int_equal(sample_apart(&cut, t, turns, 2, whole.part[1] - 4, &e), STATUS_OK);
    assert_int_equal(cut.n, whole.part[1] - 4);
    sample_free(&cut);
    assert_int_equal(sample_apart(&cut, t, turns, 6, whole.n_shared, &e), STATUS_BAD_FORMAT);
    assert_non_null(strstr(e.text, "nothing to learn is left"));
    assert_true(cut.ids == NULL && cut.part == NULL);
    sample_free(&whole);
    err_clear(&e);
    assert_int_equal(sample_apart(&cut, t, NULL, 0, 4096, &e), STATUS_BAD_FORMAT);
}

static void test_no_answer(void **state)
{
    const struct sample_turn turns[] = { { false, "Q" } };
    struct sample s;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(sample_dialogue(&s, t, turns, 1, 4096, &e), STATUS_BAD_FORMAT);
    assert_int_equal(sample_dialogue(&s, t, NULL, 0, 4096, &e), STATUS_BAD_FORMAT);
}

/* ---- upstream's search ----------------------------------------------------------------------------------- */

/* The label of each token as upstream finds them: the first place behind the last answer where the answer's tokens stand. first [n answers]
 * are those places; of answers that are not found there are none. */
static bool search(const struct sample *s, const struct sample_turn *turns, size_t n_turns, int32_t *labels,
                   size_t *first, size_t *n_first)
{
    struct conv_segmenter segmenter;
    struct err e = { 0 };
    size_t from = 0;
    bool found = true;

    *n_first = 0;

    assert_int_equal(conv_segmenter_init(&segmenter, t, &e), STATUS_OK);
    memset(labels, 0, s->n * sizeof *labels);
    for (size_t i = 0; found && i < n_turns; i++) {
        char text[512];
        int32_t *ids;
        size_t n, at;

        if (!turns[i].assistant) continue;
        snprintf(text, sizeof text, "%s" CONV_STOP, turns[i].text);
        assert_int_equal(conv_segment_encode(&segmenter, text, &ids, &n, &e), STATUS_OK);
        for (at = from; at + n <= s->n && memcmp(s->ids + at, ids, n * sizeof *ids) != 0; at++) {
        }
        found = at + n <= s->n;
        if (found) {
            memcpy(labels + at, ids, n * sizeof *ids);
            first[(*n_first)++] = at;
            from = at + n;
        }
        free(ids);
    }
    return found;
}

/* The first answer that was not found where it is was found before: in what the human says. */
static void check_question_found(const struct sample *s, const size_t *first, size_t n_first)
{
    size_t at = 0;

    for (size_t i = 0; i < n_first; i++) {
        while (s->labels[at] == 0) at++;
        if (first[i] != at) {
            assert_true(first[i] < at && s->labels[first[i]] == 0);
            return;
        }
        while (s->labels[at] != 0) at++;
    }
    fail_msg("an answer is not found, although all before it were");
}

/* Dialogues of words drawn at random: both ways label the same, but where the search stops at the same words in the question. */
static void test_search(void **state)
{
    static const char *const words[] = {
        "yes",
        "no",
        "2",
        "[0.26,0.23,0.52,0.82]",
        "a red  car",
        "caf\xc3\xa9",
        "\xe7\x8c\xab",
        "left",
        "###",
        "the dog",
        "\"",
        "Human:",
        "x\ny",
        "\xf0\x9f\x90\xb1",
        "<p>cat</p>[0.1,0.2]",
        "it's",
    };
    int n_equal = 0, n_question = 0;

    (void)state;
    for (uint64_t draw = 0; draw < 3000; draw++) {
        char text[6][128];
        struct sample_turn turns[6];
        size_t n_turns = 2 + 2 * (mix64(draw * 64) % 3), first[6], n_first;
        struct sample s;
        struct err e = { 0 };
        int32_t labels[1024];
        bool found;

        for (size_t i = 0; i < n_turns; i++) {
            size_t n_words = 1 + mix64(draw * 64 + 8 + i) % 3, size = 0;

            for (size_t j = 0; j < n_words; j++)
                size += (size_t)snprintf(text[i] + size, sizeof text[i] - size, j > 0 ? " %s" : "%s",
                                         words[mix64(draw * 64 + 16 + 3 * i + j) % 16]);
            turns[i] = (struct sample_turn){ i % 2 == 1, text[i] };
        }
        assert_int_equal(sample_dialogue(&s, t, turns, n_turns, 4096, &e), STATUS_OK);
        assert_true(s.n <= 1024);
        found = search(&s, turns, n_turns, labels, first, &n_first);
        if (found && memcmp(labels, s.labels, s.n * sizeof *labels) == 0) {
            n_equal++;
        } else {
            check_question_found(&s, first, n_first);
            n_question++;
        }
        sample_free(&s);
    }
    print_message("%d alike, %d where the question was labelled\n", n_equal, n_question);
    assert_true(n_equal > 2000 && n_question > 10);
}

/* ---- single turns ---------------------------------------------------------------------------------------- */

static void test_prompts(void **state)
{
    struct arena a = { 0 };

    (void)state;
    assert_string_equal(sample_prompt(PROMPT_ALPACA, "Say.", " \n", &a),
                        "Below is an instruction that describes a task. Write a response that appropriately "
                        "completes the request.\n\n### Instruction:\nSay.\n\n### Response:");
    assert_string_equal(sample_prompt(PROMPT_ALPACA, "Say.", "it", &a),
                        "Below is an instruction that describes a task, paired with an input that provides "
                        "further context. Write a response that appropriately completes the request.\n\n"
                        "### Instruction:\nSay.\n\n### Input:\nit\n\n### Response:");
    assert_string_equal(sample_prompt(PROMPT_SHORTQA, "Say.", NULL, &a),
                        "Below is an instruction that describes a task. Write a response that appropriately "
                        "completes the request using a single word or phrase.\n\n### Instruction:\nSay.\n\n"
                        "### Response:");
    assert_string_equal(sample_prompt(PROMPT_QG, "cat", NULL, &a),
                        "Generate a question whose answer is:\ncat\n\nQuestion:\n");
    assert_string_equal(sample_prompt(PROMPT_CAPTION, "cat", NULL, &a), "");
    assert_string_equal(sample_prompt(PROMPT_NONE, "cat", NULL, &a), "cat");
    arena_free(&a);
}

static void test_single(void **state)
{
    struct sample s;
    struct err e = { 0 };
    int32_t *prompt;
    size_t n_prompt;

    (void)state;
    assert_int_equal(tok_encode(t, "Question:", 9, TOK_BOS, &prompt, &n_prompt, &e), STATUS_OK);
    assert_int_equal(sample_single(&s, t, "Question:", " a cat", 4096, &e), STATUS_OK);
    assert_memory_equal(s.ids, prompt, n_prompt * sizeof *prompt);
    for (size_t i = 0; i < s.n; i++) assert_int_equal(s.labels[i], i < n_prompt ? 0 : s.ids[i]);
    assert_int_equal(s.labels[s.n - 1], tok_eos(t));
    assert_int_equal(s.n_targets, s.n - n_prompt);
    free(prompt);
    sample_free(&s);

    assert_int_equal(sample_single(&s, t, "", "a cat", 4096, &e),
                     STATUS_OK); /* a caption: all but the first */
    assert_int_equal(s.n_targets, s.n - 1);
    sample_free(&s);

    assert_int_equal(sample_single(&s, t, "Question:", " a cat", n_prompt, &e), STATUS_BAD_FORMAT);
    assert_null(s.ids);
}

/* A label of 0 is none: the piece for unknown text, which has this id, is never learned. */
static void test_unknown(void **state)
{
    struct sample s;
    struct err e = { 0 };
    size_t n = 0;

    (void)state;
    assert_int_equal(tok_unk(t), 0);
    assert_int_equal(sample_single(&s, t, "", "a cat", 4096, &e), STATUS_OK);
    for (size_t i = 0; i < s.n; i++) n += s.labels[i] != 0;
    assert_int_equal(s.n_targets, n);
    sample_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),   cmocka_unit_test(test_question_repeated),
        cmocka_unit_test(test_shown),     cmocka_unit_test(test_cut),
        cmocka_unit_test(test_apart),     cmocka_unit_test(test_apart_cut),
        cmocka_unit_test(test_no_answer), cmocka_unit_test(test_search),
        cmocka_unit_test(test_prompts),   cmocka_unit_test(test_single),
        cmocka_unit_test(test_unknown),
    };
    int failed;

    t = tokenizer_open();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    tok_close(t);
    return failed;
}
