/* test_constraint.c - which tokens a grammar allows, against the text that the tokenizer makes of them; and whatever is drawn, the answer is one of
 * the grammar's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/grammars.h"
#include "support/tokenizer_bytes.h"
#include "text/constraint.h"
#include "text/tokenizer_file.h"

static const char *const ends[] = { "\n###" };

static const char *const grammars[] = {
    "root ::= \"[\" [0-9]+ (\",\" [0-9]+)* \"]\"",
    "root ::= \" \"? [a-z]{1,5} (\" \" [a-z]+)* \".\"",
    "root ::= . .? [^a-z]? \"\xe4\xbd\xa0\"",
    "root ::= \"a\" (\"\\n\" \"b\")*",
    "root ::= \"(\" root \")\" | [\\U0001F600-\\U0001F64F]+ | \"\"",
    "root ::= \"the red square\" | \"the red \" [a-z]+",
    "root ::= [^<>\\n]* \"<\" | [^e]+",
};

enum { GRAMMARS = sizeof grammars / sizeof *grammars };

struct fixture {
    struct tokenizer *t;
    struct vocabulary *v;
};

static struct fixture fixture_open(void)
{
    struct fixture f = { .t = tokenizer_open() };

    assert_int_equal(vocabulary_make(&f.v, f.t, NULL), STATUS_OK);
    return f;
}

static void fixture_close(struct fixture *f)
{
    vocabulary_free(f->v);
    tok_close(f->t);
}

static void constraint_make(struct constraint *c, const struct fixture *f, const char *text, int32_t n_ids)
{
    struct grammar g = grammar_made(text, ends, 1);
    struct err e = { 0 };

    if (constraint_init(c, f->v, f->t, n_ids, &g, &e) != STATUS_OK) fail_msg("%s", e.text);
}

/* The bytes of ids: byte pieces at the end as they are, though they may make no whole character. */
static size_t bytes_of(const struct tokenizer *t, const int32_t *ids, size_t n, char *out)
{
    size_t size, n_bytes = 0;
    char *text;

    while (n_bytes < n && tok_kind(t, ids[n - 1 - n_bytes]) == PIECE_BYTE) n_bytes++;
    assert_int_equal(tok_decode(t, ids, n - n_bytes, &text, &size, NULL), STATUS_OK);
    memcpy(out, text, size);
    if (strstr(text, "\xef\xbf\xbd") != NULL) out[0] = '\xff'; /* malformed: no grammar has that */
    free(text);
    for (size_t i = n - n_bytes; i < n; i++) out[size++] = (char)tok_byte(t, ids[i]);
    return size;
}

static bool decodes_to_the_grammar(const struct fixture *f, struct grammar_walk *w, const int32_t *ids,
                                   size_t n)
{
    char text[1024];

    return walk_follows(w, text, bytes_of(f->t, ids, n, text)) != FOLLOWS_NOT;
}

static uint32_t random_next(uint32_t *x)
{
    return (*x = *x * 1664525u + 1013904223u) >> 8;
}

/* One that the mask allows; by preference the first of some, which are the tokens of single bytes. */
static int32_t draw(const unsigned char *allowed, int32_t n, uint32_t *random)
{
    int32_t id = (int32_t)(random_next(random) % (uint32_t)n);

    while (!allowed[id]) id = (id + 1) % n;
    return id;
}

/* Of every token: the mask, the token's own test, and the text that it would make say the same. */
static void check_mask(const struct fixture *f, struct constraint *c, const int32_t *ids, size_t n,
                       const unsigned char *allowed)
{
    int32_t longer[64];
    struct grammar_walk w;

    assert_true(n < 64);
    assert_int_equal(walk_init(&w, &c->grammar, NULL), STATUS_OK);
    if (n > 0) memcpy(longer, ids, n * sizeof *ids);
    for (int32_t id = 0; id < tok_vocab_size(f->t); id++) {
        int kind = tok_kind(f->t, id);
        bool allows, want;

        assert_int_equal(constraint_allows(c, id, &allows, NULL), STATUS_OK);
        assert_int_equal(allows, allowed[id]);
        if (kind == PIECE_CONTROL || kind == PIECE_UNKNOWN) {
            assert_true(!allows || (id == tok_eos(f->t) && walk_is_complete(&c->walk, &c->state)));
            continue;
        }
        longer[n] = id;
        want = decodes_to_the_grammar(f, &w, longer, n + 1);
        if (allows != want) fail_msg("token %d after %zu: %d, not %d", (int)id, n, (int)allows, (int)want);
    }
    walk_free(&w);
}

/* An answer of random tokens. Only the first few masks are checked token by token. */
static void walk_at_random(const struct fixture *f, const char *text, uint32_t seed, size_t checked)
{
    struct constraint c;
    struct grammar plain = grammar_made(text, NULL, 0);
    enum constraint_verdict verdict = CONSTRAINT_GOES_ON;
    int32_t ids[48], id = -1;
    size_t n = 0;

    constraint_make(&c, f, text, tok_vocab_size(f->t) + 5);
    while (n < 40 && verdict == CONSTRAINT_GOES_ON) {
        const unsigned char *allowed;

        assert_int_equal(constraint_mask(&c, &allowed, NULL), STATUS_OK);
        for (int32_t i = 0; i < 5; i++) assert_int_equal(allowed[tok_vocab_size(f->t) + i], 0);
        if (n < checked) {
            unsigned char copy[4096];

            memcpy(copy, allowed, (size_t)c.n_ids);
            check_mask(f, &c, ids, n, copy);
            assert_int_equal(constraint_mask(&c, &allowed, NULL), STATUS_OK);
            assert_memory_equal(copy, allowed, (size_t)c.n_ids);
        }
        id = draw(allowed, tok_vocab_size(f->t), &seed);
        if (id == tok_eos(f->t)) break;
        assert_int_equal(constraint_accept(&c, id, &verdict, NULL), STATUS_OK);
        if (verdict != CONSTRAINT_ENDS_BEFORE) ids[n++] = id;
    }
    if (verdict != CONSTRAINT_GOES_ON || id == tok_eos(f->t)) {
        char *answer;
        size_t size;

        assert_int_equal(tok_decode(f->t, ids, n, &answer, &size, NULL), STATUS_OK);
        if (strstr(answer, "\n###") == NULL && grammar_follows(&plain, answer, size) != FOLLOWS)
            fail_msg("%s\nended with \"%s\"", text, answer);
        free(answer);
    }
    grammar_free(&plain);
    constraint_free(&c);
}

static void test_masks(void **state)
{
    struct fixture f = fixture_open();

    (void)state;
    for (size_t i = 0; i < GRAMMARS; i++)
        for (uint32_t seed = 0; seed < 60; seed++) walk_at_random(&f, grammars[i], seed, seed < 2 ? 6 : 0);
    fixture_close(&f);
}

/* Accepts the tokens of a text, and says how it ended. */
static enum constraint_verdict feed(struct constraint *c, const struct fixture *f, const char *text,
                                    size_t *n_taken)
{
    enum constraint_verdict verdict = CONSTRAINT_GOES_ON;
    size_t n;
    int32_t *ids;

    assert_int_equal(tok_encode(f->t, text, strlen(text), 0, &ids, &n, NULL), STATUS_OK);
    for (*n_taken = 0; *n_taken < n && verdict == CONSTRAINT_GOES_ON; ++*n_taken) {
        bool allows;

        assert_int_equal(constraint_allows(c, ids[*n_taken], &allows, NULL), STATUS_OK);
        if (!allows) fail_msg("token %zu of \"%s\" is not allowed", *n_taken, text);
        assert_int_equal(constraint_accept(c, ids[*n_taken], &verdict, NULL), STATUS_OK);
    }
    free(ids);
    return verdict;
}

static void check_end(const struct fixture *f, const char *grammar, const char *text,
                      enum constraint_verdict want)
{
    struct constraint c;
    size_t n;

    constraint_make(&c, f, grammar, tok_vocab_size(f->t));
    if (feed(&c, f, text, &n) != want) fail_msg("%s\n\"%s\" does not end with %d", grammar, text, (int)want);
    constraint_free(&c);
}

/* The tokenizer puts a space before the text, as the model does. */
static void test_ends(void **state)
{
    struct fixture f = fixture_open();

    (void)state;
    check_end(&f, "root ::= \"[1]\"", "[1]", CONSTRAINT_ENDS_BEHIND);
    check_end(&f, "root ::= \"[1]\"+", "[1]", CONSTRAINT_GOES_ON);
    check_end(&f, "root ::= \"[1]\"+", "[1]\n", CONSTRAINT_ENDS_BEFORE);
    check_end(&f, "root ::= \"[1]\"+", "[1] \n", CONSTRAINT_ENDS_BEFORE);
    check_end(&f, "root ::= \"[1]\" \"\\n\"*", "[1]\n", CONSTRAINT_GOES_ON);
    check_end(&f, "root ::= \"[1]\" \"\\n\"*", "[1]\n###",
              CONSTRAINT_GOES_ON); /* the whole text stands there */
    fixture_close(&f);
}

static void test_nothing_fits(void **state)
{
    struct fixture f = fixture_open();
    struct constraint c;
    const unsigned char *allowed;
    struct err e = { 0 };

    (void)state;
    constraint_make(&c, &f, "root ::= \"a\"", 3); /* a model of three tokens */
    assert_int_equal(constraint_mask(&c, &allowed, &e), STATUS_BAD_ARGUMENT);
    assert_non_null(strstr(e.text, "what the grammar wants next"));
    constraint_free(&c);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_nothing_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
