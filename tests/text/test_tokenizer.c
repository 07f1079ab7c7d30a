/*
 * test_tokenizer.c - text and ids against what the sentencepiece package gave
 * (tests/data/tokenizer_golden.txt), and files that are no tokenizer.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "support/tokenizer_bytes.h"

#define CASES_MAX 1000

struct golden {
    char *text;
    size_t size;
    int32_t *ids;
    size_t n_ids;
    bool encode; /* else decode */
};

static struct golden cases[CASES_MAX];
static size_t n_cases;

static size_t unescape(const char *from, const char *end, char *to)
{
    size_t n = 0;

    while (from < end) {
        unsigned byte;

        if (*from != '\\') {
            to[n++] = *from++;
            continue;
        }
        switch (from[1]) {
        case 'n': to[n++] = '\n'; break;
        case 't': to[n++] = '\t'; break;
        case 'r': to[n++] = '\r'; break;
        case '\\': to[n++] = '\\'; break;
        default:
            assert_int_equal(sscanf(from, "\\x%2x", &byte), 1);
            to[n++] = (char)byte;
            from += 2;
        }
        from += 2;
    }
    return n;
}

static size_t ids_read(const char *from, const char *end, int32_t *ids)
{
    size_t n = 0;

    while (from < end) {
        char *next;

        ids[n++] = (int32_t)strtol(from, &next, 10);
        assert_true(next > from);
        from = next < end ? next + 1 : next;
    }
    return n;
}

static int golden_load(void **state)
{
    unsigned char *data;
    size_t size;
    struct err e = { 0 };
    char *line, *end;

    (void)state;
    if (file_read("tests/data/tokenizer_golden.txt", 1 << 20, &data, &size, &e) != STATUS_OK) return -1;
    for (line = (char *)data; *line != '\0'; line = end + 1) {
        struct golden *g = &cases[n_cases++];
        char *first = line + 2, *second, *text, *ids;

        assert_true(n_cases < CASES_MAX);
        end = strchr(line, '\n');
        second = strchr(first, '\t') + 1;
        g->encode = line[0] == 'E';
        text = g->encode ? first : second;
        ids = g->encode ? second : first;
        g->text = malloc((size_t)(end - line) + 1);
        g->ids = malloc((size_t)(end - line + 1) * sizeof *g->ids);
        g->size = unescape(text, g->encode ? second - 1 : end, g->text);
        g->n_ids = ids_read(ids, g->encode ? end : second - 1, g->ids);
    }
    free(data);
    return 0;
}

static int golden_free(void **state)
{
    (void)state;
    while (n_cases > 0) {
        free(cases[--n_cases].text);
        free(cases[n_cases].ids);
    }
    return 0;
}

static bool case_holds(const struct tokenizer *t, const struct golden *g)
{
    int32_t *ids = NULL;
    char *text = NULL;
    size_t n;
    bool ok;

    if (g->encode) {
        ok = tok_encode(t, g->text, g->size, 0, &ids, &n, NULL) == STATUS_OK && n == g->n_ids &&
             memcmp(ids, g->ids, n * sizeof *ids) == 0;
    } else {
        ok = tok_decode(t, g->ids, g->n_ids, &text, &n, NULL) == STATUS_OK && n == g->size &&
             memcmp(text, g->text, n) == 0 && text[n] == '\0';
    }
    free(ids);
    free(text);
    return ok;
}

static void test_golden(void **state)
{
    struct tokenizer *t = tokenizer_open();
    size_t i, n_encode = 0;

    (void)state;
    for (i = 0; i < n_cases; i++) {
        n_encode += cases[i].encode;
        if (!case_holds(t, &cases[i])) fail_msg("line %zu of tokenizer_golden.txt does not hold", i + 1);
    }
    assert_true(n_encode > 200 && n_cases - n_encode > 100);
    tok_close(t);
}

struct worker {
    const struct tokenizer *t;
    size_t n_wrong;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    size_t round, i;

    for (round = 0; round < 10; round++)
        for (i = 0; i < n_cases; i++) w->n_wrong += !case_holds(w->t, &cases[i]);
    return NULL;
}

static void test_many_threads(void **state)
{
    struct tokenizer *t = tokenizer_open();
    struct worker workers[4];
    pthread_t threads[4];
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        workers[i] = (struct worker){ .t = t };
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].n_wrong, 0);
    }
    tok_close(t);
}

static void test_properties(void **state)
{
    struct tokenizer *t = tokenizer_open(), *again;
    const unsigned char *file;
    int32_t *ids;
    size_t n;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(tok_vocab_size(t), 512);
    assert_int_equal(tok_unk(t), 0);
    assert_int_equal(tok_bos(t), 1);
    assert_int_equal(tok_eos(t), 2);
    assert_memory_equal(tok_piece(t, 13, &n), "<0x0A>", 6);
    assert_int_equal(n, 6);
    assert_int_equal(tok_kind(t, 13), 6);               /* a byte */
    assert_true(tok_score(t, 300) < tok_score(t, 290)); /* merged later */
    file = tok_file(t, &n);
    assert_int_equal(tok_open_memory(&again, file, n, "again", NULL), STATUS_OK);
    assert_int_equal(tok_vocab_size(again), 512);
    tok_close(again);
    assert_null(tok_piece(t, -1, &n));
    assert_null(tok_piece(t, 512, &n));

    assert_int_equal(tok_encode(t, "", 0, TOK_BOS | TOK_EOS, &ids, &n, &e), STATUS_OK);
    assert_int_equal(n, 2);
    assert_true(ids[0] == 1 && ids[1] == 2);
    free(ids);
    assert_int_equal(tok_encode(t, "a", 1, TOK_BOS, &ids, &n, &e), STATUS_OK);
    assert_int_equal(n, 2);
    assert_int_equal(ids[0], 1);
    free(ids);
    assert_int_equal(tok_encode(t, "", 0, 0, &ids, &n, &e), STATUS_OK);
    assert_int_equal(n, 0);
    assert_non_null(ids);
    free(ids);
    tok_close(t);
}

/* The ids are the same, and what they stand for is the whole text, one behind the other. */
static void test_spans(void **state)
{
    struct tokenizer *t = tokenizer_open();
    size_t i, j, n, n_texts = 0;
    int32_t *ids;
    struct span *spans;
    struct err e = { 0 };

    (void)state;
    for (i = 0; i < n_cases; i++) {
        const struct golden *g = &cases[i];
        size_t at = 0;

        if (!g->encode) continue;
        n_texts++;
        assert_int_equal(tok_encode_spans(t, g->text, g->size, TOK_BOS | TOK_EOS, &ids, &spans, &n, &e),
                         STATUS_OK);
        assert_int_equal(n, g->n_ids + 2);
        assert_memory_equal(ids + 1, g->ids, g->n_ids * sizeof *ids);
        assert_true(ids[0] == 1 && spans[0].begin == 0 && spans[0].end == 0);
        assert_true(ids[n - 1] == 2 && spans[n - 1].begin == g->size && spans[n - 1].end == g->size);
        for (j = 1; j + 1 < n; j++) {
            assert_int_equal(spans[j].begin, at);
            assert_true(spans[j].end >= at);
            at = spans[j].end;
        }
        assert_int_equal(at, g->size);
        free(ids);
        free(spans);
    }
    assert_true(n_texts > 200);
    assert_int_equal(tok_encode_spans(t, "a bc", 4, 0, &ids, &spans, &n, &e), STATUS_OK);
    assert_int_equal(spans[0].end, 1); /* a word brings its space with it */
    assert_int_equal(spans[1].begin, 1);
    free(ids);
    free(spans);
    tok_close(t);
}

static void test_ids_outside(void **state)
{
    struct tokenizer *t = tokenizer_open();
    const int32_t below[] = { 5, -1 }, above[] = { 512 };
    char *text;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(tok_decode(t, below, 2, &text, NULL, NULL), STATUS_BAD_ARGUMENT);
    assert_int_equal(tok_decode(t, above, 1, &text, NULL, &e), STATUS_BAD_ARGUMENT);
    assert_null(text);
    assert_string_equal(e.text, "token id 512 at place 0 is outside the vocabulary of 512");
    tok_close(t);
}

/* Without the dummy prefix nothing is put before a text and nothing taken from an answer. */
static void test_flags_are_read(void **state)
{
    size_t size, n;
    unsigned char *data =
        tokenizer_bytes_patched(&size, TOKENIZER_FLAGS, TOKENIZER_FLAGS_NO_PREFIX, TOKENIZER_FLAGS_SIZE);
    struct tokenizer *t;
    struct err e = { 0 };
    int32_t *ids;
    char *text;

    (void)state;
    assert_int_equal(tok_open_memory(&t, data, size, "patched", &e), STATUS_OK);
    assert_int_equal(tok_encode(t, " a", 2, 0, &ids, &n, &e), STATUS_OK);
    assert_int_equal(tok_decode(t, ids, n, &text, &n, &e), STATUS_OK);
    assert_string_equal(text, " a");
    free(text);
    free(ids);
    tok_close(t);
    free(data);
}

static void expect_refused(const void *data, size_t size, enum status want, const char *sentence_part)
{
    struct tokenizer *t = NULL;
    struct err e = { 0 };
    enum status st = tok_open_memory(&t, data, size, "some/tokenizer.model", &e);

    assert_null(t);
    assert_int_equal(st, want);
    assert_int_equal(e.code, want);
    assert_int_equal(strncmp(e.text, "some/tokenizer.model: ", 22), 0);
    assert_null(strchr(e.text, '\n'));
    if (sentence_part != NULL && strstr(e.text, sentence_part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", e.text, sentence_part);
}

static void test_not_a_tokenizer(void **state)
{
    static const char lfs[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 499723\n";
    static const char json[] = "{\"model\": {\"type\": \"BPE\"}}\n";
    static const char html[] = "<!DOCTYPE html><html></html>";
    unsigned char noise[4096];
    uint32_t x = 12345;
    size_t size, i;
    unsigned char *data;

    (void)state;
    expect_refused("", 0, STATUS_BAD_FORMAT, "the file is empty");
    expect_refused(lfs, sizeof lfs - 1, STATUS_BAD_FORMAT, "git-lfs pointer");
    expect_refused(json, sizeof json - 1, STATUS_BAD_FORMAT, "looks like JSON");
    expect_refused(html, sizeof html - 1, STATUS_BAD_FORMAT, "not a SentencePiece tokenizer");
    expect_refused("PK\3\4", 4, STATUS_BAD_FORMAT, NULL);
    for (i = 0; i < sizeof noise; i++) noise[i] = (unsigned char)((x = x * 1664525u + 1013904223u) >> 24);
    for (i = 0; i < 2000; i++) expect_refused(noise + i, 2000, STATUS_BAD_FORMAT, NULL);

    data = tokenizer_bytes_patched(&size, TOKENIZER_TYPE_BPE, TOKENIZER_TYPE_UNIGRAM, TOKENIZER_TYPE_SIZE);
    expect_refused(data, size, STATUS_UNSUPPORTED, "model type 1 is not supported");
    free(data);
    data = tokenizer_bytes_patched(&size, TOKENIZER_FLAGS, TOKENIZER_FLAGS_NO_ESCAPE, TOKENIZER_FLAGS_SIZE);
    expect_refused(data, size, STATUS_UNSUPPORTED, "changes characters");
    free(data);
    data = tokenizer_bytes_patched(&size, "<s>", "\xff\xff\xff", 3);
    expect_refused(data, size, STATUS_BAD_FORMAT, "piece 1 is not UTF-8");
    free(data);
    data = tokenizer_bytes_patched(&size, "</s>", "</S>", 4);
    expect_refused(data, size, STATUS_BAD_FORMAT, "end-of-sentence");
    free(data);
    data = tokenizer_bytes_patched(&size, "<0x0A>", "<0x0G>", 6);
    expect_refused(data, size, STATUS_BAD_FORMAT, "piece 13 should be a byte");
    free(data);
}

static void test_cut_anywhere(void **state)
{
    size_t size, cut;
    unsigned char *data = tokenizer_bytes(&size);

    (void)state;
    for (cut = 0; cut < size; cut++) expect_refused(data, cut, STATUS_BAD_FORMAT, NULL);
    free(data);
}

/* A damaged file may still be a tokenizer; then it must work, and otherwise be refused. */
static void test_damaged_anywhere(void **state)
{
    size_t size, i;
    unsigned char *data = tokenizer_bytes(&size);
    uint32_t x = 1;

    (void)state;
    for (i = 0; i < size; i += 3) {
        unsigned char old = data[i];
        struct tokenizer *t;
        struct err e = { 0 };
        int32_t *ids;
        size_t n;
        char *text;

        data[i] = (unsigned char)(old ^ (1 + ((x = x * 1664525u + 1013904223u) >> 24) % 255));
        if (tok_open_memory(&t, data, size, "damaged", &e) == STATUS_OK) {
            assert_int_equal(tok_encode(t, cases[30].text, cases[30].size, 0, &ids, &n, &e), STATUS_OK);
            assert_int_equal(tok_decode(t, ids, n, &text, NULL, &e), STATUS_OK);
            free(ids);
            free(text);
        } else {
            assert_int_not_equal(e.code, STATUS_OK);
        }
        tok_close(t);
        data[i] = old;
    }
    free(data);
}

static void test_paths(void **state)
{
    struct tokenizer *t;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(tok_open(&t, "tests/data/no such file", &e), STATUS_NOT_FOUND);
    assert_non_null(strstr(e.text, "tests/data/no such file"));
    assert_null(t);
    assert_int_equal(tok_open(&t, "tests/data", NULL), STATUS_IO);
    tok_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),         cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_properties),     cmocka_unit_test(test_ids_outside),
        cmocka_unit_test(test_flags_are_read), cmocka_unit_test(test_not_a_tokenizer),
        cmocka_unit_test(test_cut_anywhere),   cmocka_unit_test(test_damaged_anywhere),
        cmocka_unit_test(test_paths),          cmocka_unit_test(test_spans),
    };

    return cmocka_run_group_tests(tests, golden_load, golden_free);
}
