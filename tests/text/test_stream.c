/*
 * test_stream.c - what is handed out, put together, is the final text; that is the decoding cut at the stop
 * text; and nothing is handed out too early.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/tokenizer_bytes.h"
#include "text/stream.h"
#include "text/utf8.h"

enum {
    TEXT_MAX = 1 << 20,
    BYTE_0 = 3, /* id of <0x00> */
};

static char shown[TEXT_MAX];
static size_t n_shown;

static void take(struct stream_piece piece)
{
    assert_true(n_shown + piece.size <= TEXT_MAX);
    if (piece.size > 0) memcpy(shown + n_shown, piece.text, piece.size);
    n_shown += piece.size;
    assert_int_equal(utf8_find_bad(shown, n_shown), n_shown); /* never half a character */
}

/* Feeds ids until a stop text; leaves the ended stream to the caller. Returns the ids used. */
static size_t feed(struct stream *s, const struct tokenizer *t, const char *const *stops, size_t n_stops,
                   const int32_t *ids, size_t n)
{
    struct stream_piece piece;
    struct err e = { 0 };
    size_t i;

    n_shown = 0;
    assert_int_equal(stream_init(s, t, stops, n_stops, 4, &e), STATUS_OK);
    for (i = 0; i < n && !s->stopped; i++) {
        assert_int_equal(stream_put(s, ids[i], &piece, &e), STATUS_OK);
        take(piece);
    }
    assert_int_equal(stream_end(s, &piece, &e), STATUS_OK);
    take(piece);
    assert_int_equal(n_shown, s->size);
    assert_memory_equal(shown, s->text, s->size);
    assert_int_equal(s->text[s->size], '\0');
    return i;
}

static void expect_ids(const struct tokenizer *t, const char *const *stops, size_t n_stops,
                       const int32_t *ids, size_t n, const char *want, bool stopped)
{
    struct stream s;

    feed(&s, t, stops, n_stops, ids, n);
    assert_string_equal(s.text, want);
    assert_int_equal(s.stopped, stopped);
    stream_free(&s);
}

static void expect(const char *text, const char *const *stops, size_t n_stops, const char *want, bool stopped)
{
    struct tokenizer *t = tokenizer_open();
    int32_t *ids;
    size_t n;

    assert_int_equal(tok_encode(t, text, strlen(text), 0, &ids, &n, NULL), STATUS_OK);
    expect_ids(t, stops, n_stops, ids, n, want, stopped);
    free(ids);
    tok_close(t);
}

static void test_stop_texts(void **state)
{
    const char *const one[] = { "\n###" }, *const two[] = { "Human:", "and" },
                      *const nested[] = { "cat", "a cat", "at" };

    (void)state;
    expect("A cat.\n### Human: x", one, 1, "A cat.", true);
    expect("A cat. \t\n\n\n### Human", one, 1, "A cat.", true); /* white space before the stop goes with it */
    expect("A cat.\xe3\x80\x80\n###", one, 1, "A cat.", true);  /* U+3000 is white space too */
    expect("\n###", one, 1, "", true);
    expect("A cat. \n##", one, 1, "A cat. \n##", false); /* without a stop the text is as it came */
    expect("A cat.\n## #\n##\n###", one, 1, "A cat.\n## #\n##", true);
    expect("\n\n###", one, 1, "", true);
    expect("cats and dogs Human:", two, 2, "cats", true);
    expect("this is a cat", nested, 3, "this is", true); /* complete at once: the longest */
    expect("A cat.\n### Human", NULL, 0, "A cat.\n### Human", false);
    expect("", one, 1, "", false);
}

static void test_held_back(void **state)
{
    struct tokenizer *t = tokenizer_open();
    const char *const stops[] = { "\n###" };
    const unsigned char smile[] = { 0xf0, 0x9f, 0x99, 0x82 };
    struct stream s;
    struct stream_piece piece;
    size_t i;
    int32_t a;
    int32_t *ids;
    size_t n;

    (void)state;
    assert_int_equal(tok_encode(t, "a", 1, 0, &ids, &n, NULL), STATUS_OK);
    a = ids[0];
    free(ids);
    assert_int_equal(stream_init(&s, t, stops, 1, 0, NULL), STATUS_OK);
    for (i = 0; i < 4; i++) {
        assert_int_equal(stream_put(&s, BYTE_0 + smile[i], &piece, NULL), STATUS_OK);
        assert_int_equal(piece.size, i < 3 ? 0 : 4);
    }
    for (i = 0; i < 4; i++) assert_int_equal(stream_span(&s, i).end, 4); /* all four share the character */
    assert_int_equal(stream_put(&s, BYTE_0 + '\n', &piece, NULL), STATUS_OK);
    assert_int_equal(piece.size, 0);
    assert_int_equal(stream_put(&s, BYTE_0 + '#', &piece, NULL), STATUS_OK);
    assert_int_equal(piece.size, 0);
    assert_int_equal(stream_put(&s, a, &piece, NULL), STATUS_OK); /* no stop text after all */
    assert_int_equal(piece.size, 4);
    assert_memory_equal(piece.text, "\n# a", 4);
    assert_int_equal(stream_put(&s, BYTE_0 + 0xe1, &piece, NULL), STATUS_OK);
    assert_int_equal(stream_end(&s, &piece, NULL), STATUS_OK);
    assert_int_equal(piece.size, 3);
    assert_memory_equal(piece.text, UTF8_REPLACEMENT, 3);
    assert_int_equal(stream_span(&s, 7).begin, 8);
    assert_int_equal(stream_span(&s, 7).end, 11);
    stream_free(&s);
    tok_close(t);
}

static uint32_t random_next(uint32_t *x)
{
    return (*x = *x * 1664525u + 1013904223u) >> 8;
}

/* Ids with many stops, spaces, controls and broken characters among them. */
static void ids_fill(int32_t *ids, size_t n, uint32_t *x)
{
    static const unsigned char bytes[] = { 0xf0, 0x9f, 0x99, 0x82, 0xc3, 0xa9, '\n',
                                           '#',  ' ',  0xff, 0xe2, 0x96, 0x81 };
    size_t i;

    for (i = 0; i < n; i++) {
        switch (random_next(x) % 6) {
        case 0: ids[i] = (int32_t)(random_next(x) % 512); break;
        case 1: ids[i] = (int32_t)(259 + random_next(x) % 253); break;
        case 2: ids[i] = 13; break;
        case 3: ids[i] = (int32_t[]){ 273, 415, 274, 268 }[random_next(x) % 4]; break;
        case 4: ids[i] = (int32_t)(random_next(x) % 3); break;
        default: ids[i] = BYTE_0 + bytes[random_next(x) % sizeof bytes];
        }
    }
}

static bool is_space_byte(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 28 && c <= 31);
}

/* The definition, on the whole text: stops are ASCII, and no white space beyond ASCII comes up. */
static size_t cut(const char *text, size_t size, const char *const *stops, size_t n_stops, bool *stopped)
{
    size_t end, i, longest = 0;

    *stopped = false;
    for (end = 1; end <= size && longest == 0; end++)
        for (i = 0; i < n_stops; i++) {
            size_t n = strlen(stops[i]);

            if (n <= end && n > longest && memcmp(text + end - n, stops[i], n) == 0) longest = n;
        }
    if (longest == 0) return size;
    *stopped = true;
    end = end - 1 - longest;
    while (end > 0 && is_space_byte(text[end - 1])) end--;
    return end;
}

static void check_spans(const struct stream *s, size_t n)
{
    size_t i, covered = 0;

    for (i = 0; i < n; i++) {
        struct span span = stream_span(s, i);

        assert_true(span.begin <= span.end && span.end <= s->size);
        assert_true(span.begin <= covered); /* no byte without an id */
        if (i > 0) {
            assert_true(span.begin >= stream_span(s, i - 1).begin && span.end >= stream_span(s, i - 1).end);
        }
        if (span.end > covered) covered = span.end;
    }
    assert_int_equal(covered, s->size);
}

static void test_same_as_decoding_the_whole(void **state)
{
    struct tokenizer *t = tokenizer_open();
    const char *const stops[] = { "\n###", "####", "\n\n#" };
    size_t round, n_stopped = 0, n_open = 0;
    uint32_t x = 2024;

    (void)state;
    for (round = 0; round < 20000; round++) {
        int32_t ids[40];
        size_t n = random_next(&x) % 40, n_stops = random_next(&x) % 4, used, size;
        struct stream s;
        char *text;
        bool stopped;

        ids_fill(ids, n, &x);
        used = feed(&s, t, stops, n_stops, ids, n);
        assert_int_equal(tok_decode(t, ids, n, &text, &size, NULL), STATUS_OK);
        size = cut(text, size, stops, n_stops, &stopped);
        assert_int_equal(s.size, size);
        assert_memory_equal(s.text, text, size);
        assert_int_equal(s.stopped, stopped);
        n_stopped += stopped;
        n_open += !stopped;
        check_spans(&s, used);
        stream_free(&s);
        free(text);
    }
    assert_true(n_stopped > 1000 && n_open > 1000);
    tok_close(t);
}

/* A run of white space, of half stop texts and of halves of characters: quadratic work would take minutes. */
static void test_long_answers(void **state)
{
    struct tokenizer *t = tokenizer_open();
    const char *const stops[] = { "\n###", "##########################################a" };
    static int32_t ids[300000];
    size_t kind, i, n = sizeof ids / sizeof *ids;

    (void)state;
    for (kind = 0; kind < 3; kind++) {
        struct stream s;

        for (i = 0; i < n; i++) ids[i] = BYTE_0 + (kind == 0 ? ' ' : kind == 1 ? '#' : 0xe1);
        assert_int_equal(stream_init(&s, t, stops, 2, 0, NULL), STATUS_OK);
        for (i = 0; i < n; i++) {
            struct stream_piece piece;

            assert_int_equal(stream_put(&s, ids[i], &piece, NULL), STATUS_OK);
        }
        assert_int_equal(stream_end(&s, &(struct stream_piece){ 0 }, NULL), STATUS_OK);
        assert_int_equal(s.size, kind == 2 ? 3 * n : n);
        stream_free(&s);
    }
    tok_close(t);
}

static void test_bad_arguments(void **state)
{
    struct tokenizer *t = tokenizer_open();
    struct stream s;
    struct stream_piece piece;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(stream_init(&s, t, (const char *const[]){ "ok", "" }, 2, 0, &e), STATUS_BAD_ARGUMENT);
    assert_int_equal(stream_init(&s, t, (const char *const[]){ "\xff" }, 1, 0, NULL), STATUS_BAD_ARGUMENT);
    assert_int_equal(stream_init(&s, t, NULL, 0, 0, NULL), STATUS_OK);
    err_clear(&e);
    assert_int_equal(stream_put(&s, 512, &piece, &e), STATUS_BAD_ARGUMENT);
    assert_string_equal(e.text, "token id 512 is outside the tokenizer's vocabulary of 512");
    assert_int_equal(stream_put(&s, -1, &piece, NULL), STATUS_BAD_ARGUMENT);
    stream_free(&s);
    tok_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop_texts),
        cmocka_unit_test(test_held_back),
        cmocka_unit_test(test_same_as_decoding_the_whole),
        cmocka_unit_test(test_long_answers),
        cmocka_unit_test(test_bad_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
