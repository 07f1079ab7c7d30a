/* test_conversation.c - the template byte for byte, and the stop sequences derived from a tokenizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/tokenizer_bytes.h"
#include "text/conversation.h"

#define SYSTEM                                                                                               \
    "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, " \
    "detailed, and polite answers to the human's questions."

static void expect_text(const char *system, const struct conv_turn *turns, size_t n, const char *want)
{
    char *text;
    size_t size;
    struct err e = { 0 };

    assert_int_equal(conv_render(system, turns, n, &text, &size, &e), STATUS_OK);
    assert_string_equal(text, want);
    assert_int_equal(size, strlen(want));
    free(text);
}

static void test_template(void **state)
{
    struct conv_turn turns[] = { { .question = "What's in the image?" },
                                 { .question = "Then how does it look like?" } };

    (void)state;
    expect_text(NULL, turns, 1, SYSTEM "\n\n### Human: What's in the image?\n### Assistant:");
    turns[0].answer = "A cat.";
    expect_text(
        NULL, turns, 2,
        SYSTEM "\n\n### Human: What's in the image?\n### Assistant: A cat.\n### Human: Then how does it look "
               "like?\n### Assistant:");
    expect_text(NULL, turns, 1, SYSTEM "\n\n### Human: What's in the image?\n### Assistant: A cat.\n###");
    turns[0].answer = "";
    expect_text("Be brief.", turns, 1, "Be brief.\n\n### Human: What's in the image?\n### Assistant: \n###");
    turns[0].answer = NULL;
    turns[0].begins = " The answer is";
    expect_text("Be brief.", turns, 1,
                "Be brief.\n\n### Human: What's in the image?\n### Assistant: The answer is");
    expect_text(NULL, NULL, 0, SYSTEM "\n\n###");
}

static void test_open_turns(void **state)
{
    struct conv_turn turns[] = { { .question = "a" }, { .question = "b", .answer = "c" } };
    char *text;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(conv_render(NULL, turns, 2, &text, NULL, &e), STATUS_BAD_ARGUMENT);
    assert_string_equal(e.text, "turn 1 of the dialogue has no answer, only the last may be open");
    assert_null(text);
    turns[0] = (struct conv_turn){ .answer = "x" };
    assert_int_equal(conv_render(NULL, turns, 2, &text, NULL, NULL), STATUS_BAD_ARGUMENT);
}

static void expect_stop(const struct conv_stops *s, size_t i, const char *pieces, const struct tokenizer *t)
{
    char *text;

    assert_true(i < s->n_stops);
    assert_int_equal(tok_decode(t, s->stops[i].ids, s->stops[i].n_ids, &text, NULL, NULL), STATUS_OK);
    assert_string_equal(text, pieces);
    free(text);
}

static void test_stops(void **state)
{
    struct tokenizer *t = tokenizer_open();
    const char *const texts[] = { CONV_STOP, "  Human:" };
    struct conv_stops s;
    struct err e = { 0 };
    int32_t answer[] = { 300, 13, 273 };

    (void)state;
    assert_int_equal(conv_stops_init(&s, t, texts, 2, &e), STATUS_OK);
    assert_int_equal(s.n_stops, 5);
    expect_stop(&s, 0, "", t);
    assert_int_equal(s.stops[0].ids[0], tok_eos(t));
    expect_stop(&s, 1, "\n###", t); /* with the dummy prefix: space 415, line feed 13, ### 273 */
    assert_int_equal(s.stops[1].n_ids, 3);
    expect_stop(&s, 2, "\n###", t);
    assert_int_equal(s.stops[2].n_ids, 2);
    assert_memory_equal(s.stops[2].ids, answer + 1, 2 * sizeof *answer);
    expect_stop(&s, 3, "Human:", t);
    expect_stop(&s, 4, " Human:", t); /* glued keeps its spaces; the first one goes in decoding */

    assert_int_equal(conv_stops_match(&s, answer, 3), 2);
    assert_int_equal(conv_stops_match(&s, answer, 2), 0);
    assert_int_equal(conv_stops_match(&s, answer, 0), 0);
    answer[0] = s.stops[1].ids[0];
    assert_int_equal(conv_stops_match(&s, answer, 3), 3);
    answer[2] = tok_eos(t);
    assert_int_equal(conv_stops_match(&s, answer, 3), 1);
    conv_stops_free(&s);

    assert_int_equal(conv_stops_init(&s, t, (const char *const[]){ "" }, 1, &e), STATUS_BAD_ARGUMENT);
    conv_stops_free(&s);
    tok_close(t);
}

/* A tokenizer that puts no space before a text must be given one for a word of its own. The probe is about
 * the word "my", so the patched one also has the piece for " m", in place of " W". */
static void test_tokenizer_without_prefix(void **state)
{
    size_t size;
    unsigned char *data =
        tokenizer_bytes_patched(&size, TOKENIZER_FLAGS, TOKENIZER_FLAGS_NO_PREFIX, TOKENIZER_FLAGS_SIZE);
    unsigned char *capital;
    struct tokenizer *plain = tokenizer_open(), *t;
    struct conv_segmenter g;
    struct err e = { 0 };
    int32_t *ids;
    size_t n;

    (void)state;
    assert_int_equal(conv_segmenter_init(&g, plain, &e), STATUS_OK);
    assert_false(g.needs_space);
    capital = memmem(data, size, "\x0a\x04\xe2\x96\x81W", 6);
    assert_non_null(capital);
    capital[5] = 'm';
    assert_int_equal(tok_open_memory(&t, data, size, "patched", &e), STATUS_OK);
    assert_int_equal(conv_segmenter_init(&g, t, &e), STATUS_OK);
    assert_true(g.needs_space);
    assert_int_equal(conv_segment_encode(&g, " the", &ids, &n, &e), STATUS_OK);
    assert_int_equal(n, 1);
    assert_int_equal(ids[0], 263);
    free(ids);
    assert_int_equal(conv_glued_encode(&g, CONV_STOP, &ids, &n, &e), STATUS_OK);
    assert_int_equal(n, 2);
    assert_true(ids[0] == 13 && ids[1] == 273);
    free(ids);
    tok_close(t);
    tok_close(plain);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_template),
        cmocka_unit_test(test_open_turns),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_tokenizer_without_prefix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
