/* test_grammar.c - which texts a grammar takes, which grammars are refused, and that neither takes long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/grammars.h"

static void expect(const char *grammar, const char *text, enum follows want)
{
    struct grammar g = grammar_made(grammar, NULL, 0);
    enum follows got = grammar_follows(&g, text, strlen(text));

    if (got != want) fail_msg("%s\n\"%s\": %d, not %d", grammar, text, (int)got, (int)want);
    grammar_free(&g);
}

static void test_items(void **state)
{
    static const struct {
        const char *grammar, *text;
        enum follows want;
    } cases[] = {
        { "root ::= \"abc\"", "abc", FOLLOWS },
        { "root ::= \"abc\"", "ab", FOLLOWS_SO_FAR },
        { "root ::= \"abc\"", "abd", FOLLOWS_NOT },
        { "root ::= \"abc\"", "abcd", FOLLOWS_NOT },
        { "root ::= \"\"", "", FOLLOWS },
        { "root ::= \"a\" | \"b\" |", "", FOLLOWS },
        { "root ::= \"a\" | \"b\"", "b", FOLLOWS },
        { "root ::= [a-c0_]", "b", FOLLOWS },
        { "root ::= [a-c0_]", "_", FOLLOWS },
        { "root ::= [a-c0_]", "d", FOLLOWS_NOT },
        { "root ::= [a-]", "-", FOLLOWS },
        { "root ::= [^a-c]", "b", FOLLOWS_NOT },
        { "root ::= [^a-c]", "d", FOLLOWS },
        { "root ::= [^a-cb-fz]", "e", FOLLOWS_NOT },
        { "root ::= [^a-cb-fz]", "y", FOLLOWS },
        { "root ::= .", "\n", FOLLOWS },
        { "root ::= \"\\x41\\u00e9\\U0001F600\\n\\\"\\\\\"", "A\xc3\xa9\xf0\x9f\x98\x80\n\"\\", FOLLOWS },
        { "root ::= [\\]\\[\\-\\^]+", "^-[]", FOLLOWS },
        { "root ::= \"a\"*", "", FOLLOWS },
        { "root ::= \"a\"* \"b\"", "aaab", FOLLOWS },
        { "root ::= \"a\"+", "", FOLLOWS_SO_FAR },
        { "root ::= \"ab\"+", "abab", FOLLOWS },
        { "root ::= \"ab\"+", "aba", FOLLOWS_SO_FAR },
        { "root ::= \"a\"? \"b\"", "b", FOLLOWS },
        { "root ::= \"a\"{2}", "a", FOLLOWS_SO_FAR },
        { "root ::= \"a\"{2}", "aa", FOLLOWS },
        { "root ::= \"a\"{2}", "aaa", FOLLOWS_NOT },
        { "root ::= \"a\"{0}", "", FOLLOWS },
        { "root ::= \"a\"{ 2 , }", "aaaaa", FOLLOWS },
        { "root ::= \"a\"{1,3}", "aaa", FOLLOWS },
        { "root ::= \"a\"{1,3}", "aaaa", FOLLOWS_NOT },
        { "root ::= (\"a\"{2}){2}", "aaaa", FOLLOWS },
        { "root ::= (\"a\" | \"bc\"\n  | \"d\")+ # comment\n", "abcd", FOLLOWS },
        { "root ::= a b\na ::= \"x\"\n\n# b\nb ::=\n  \"y\"\n  | \"z\"\n", "xz", FOLLOWS },
        { "root ::= (\"a\"?)* \"b\"", "aab", FOLLOWS },
        { "root ::= ((\"a\"*)*)* \"b\"", "aab", FOLLOWS },
        { "root ::= root | \"x\"", "x", FOLLOWS }, /* a cycle that adds nothing */
        { "root ::= \"(\" root \")\" | \"x\"", "((x))", FOLLOWS },
        { "root ::= \"(\" root \")\" | \"x\"", "((x)", FOLLOWS_SO_FAR },
        { "root ::= \"(\" root \")\" | \"x\"", "((x)))", FOLLOWS_NOT },
        { "root ::= \"a\" root \"a\" | \"a\"", "aaaaa", FOLLOWS },
        { "root ::= \"a\" root \"a\" | \"a\"", "aaaa", FOLLOWS_SO_FAR },
        { "root ::= a-1 A_2\na-1 ::= \"1\"\nA_2 ::= \"2\"", "12", FOLLOWS },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(cases[i].grammar, cases[i].text, cases[i].want);
}

/* Byte by byte, a character is possible as long as some character is that begins so. */
static void test_characters_in_part(void **state)
{
    (void)state;
    expect("root ::= [\xc3\xa0-\xc3\xbf]", "\xc3", FOLLOWS_SO_FAR);
    expect("root ::= [\xc3\xa0-\xc3\xbf]", "\xc3\xa9", FOLLOWS);
    expect("root ::= [\xc3\xa0-\xc3\xbf]", "\xc3\x89", FOLLOWS_NOT);
    expect("root ::= [\xc3\xa0-\xc3\xbf]", "\xc4", FOLLOWS_NOT);
    expect("root ::= [^a]", "\xf0\x9f\x98", FOLLOWS_SO_FAR);
    expect("root ::= [^a]", "\xf0\x9f\x98\x80", FOLLOWS);
    expect("root ::= .*", "\xf0\x9f\x98x", FOLLOWS_NOT);
    expect("root ::= .*", "\x80", FOLLOWS_NOT);
    expect("root ::= .*", "\xc0", FOLLOWS_NOT);     /* overlong */
    expect("root ::= .*", "\xe0\x80", FOLLOWS_NOT); /* overlong */
    expect("root ::= .*", "\xe0\xa0", FOLLOWS_SO_FAR);
    expect("root ::= .*", "\xed\xa0", FOLLOWS_NOT); /* a surrogate */
    expect("root ::= .*", "\xed\x9f\xbf", FOLLOWS);
    expect("root ::= .*", "\xf4\x90", FOLLOWS_NOT); /* above U+10FFFF */
    expect("root ::= .*", "\xf4\x8f\xbf\xbf", FOLLOWS);
    expect("root ::= .*", "\xff", FOLLOWS_NOT);
}

/* What ends an answer may follow root, with or without a space. */
static void test_ends(void **state)
{
    static const char *const ends[] = { "\n###", "END" };
    struct grammar g = grammar_made("root ::= \"a\"+", ends, 2);

    (void)state;
    assert_int_equal(grammar_follows(&g, "aa", 2), FOLLOWS);
    assert_int_equal(grammar_follows(&g, "aa\n##", 5), FOLLOWS_SO_FAR);
    assert_int_equal(grammar_follows(&g, "aa \n###", 7), FOLLOWS);
    assert_int_equal(grammar_follows(&g, "aaEND", 5), FOLLOWS);
    assert_int_equal(grammar_follows(&g, "\n###", 4), FOLLOWS_NOT);
    assert_int_equal(grammar_follows(&g, "a\n###a", 6), FOLLOWS_NOT);
    grammar_free(&g);
}

static void test_presets(void **state)
{
    static const struct {
        const char *preset, *text;
        enum follows want;
    } cases[] = {
        { "boxes", "[0.26,0.23,0.52,0.82]", FOLLOWS },
        { "boxes", "[0.26,0.23,0.52,0.82;0.00,0.123,1.00,1.000]", FOLLOWS },
        { "boxes",
          "<p>A dog</p>[0.10,0.20,0.30,0.40] <p>two cats</p> [0.50,0.60,0.70,0.80;0.11,0.12,0.13,0.14].",
          FOLLOWS_SO_FAR },
        { "boxes", "<p>A dog</p>[0.10,0.20,0.30,0.40], <p>two cats</p> [0.50,0.60,0.70,0.80]", FOLLOWS },
        { "boxes", "[0.26,0.23,0.52]", FOLLOWS_NOT },
        { "boxes", "[0.26,0.23,0.52,1.82]", FOLLOWS_NOT },
        { "boxes", "[0.2,", FOLLOWS_NOT },
        { "boxes", "The dog", FOLLOWS_NOT },
        { "boxes", "", FOLLOWS_SO_FAR },
        { "points", "<p>left eye</p>[0.52,0.24] <p>nose</p>[0.5", FOLLOWS_SO_FAR },
        { "points", "<p>left_eye</p>[0.52,0.24] <p>nose</p>[0.51,0.25]", FOLLOWS },
        { "points", "[0.52,0.24]", FOLLOWS_NOT },
        { "points", "<p>nose</p>[0.52,0.24,0.25,0.26]", FOLLOWS_NOT },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(grammar_preset(cases[i].preset), cases[i].text, cases[i].want);
    assert_null(grammar_preset("box"));
}

/* ---- refused -------------------------------------------------------------------------------------------- */

static void refuse(const char *grammar, size_t size, const char *why)
{
    struct grammar g;
    struct err e = { 0 };

    assert_int_equal(grammar_parse(&g, grammar, size, NULL, 0, &e), STATUS_BAD_ARGUMENT);
    if (strstr(e.text, why) == NULL) fail_msg("%s\nis refused with: %s", grammar, e.text);
    grammar_free(&g);
}

static void test_refused(void **state)
{
    static const struct {
        const char *grammar, *why;
    } cases[] = {
        { "", "no rule 'root'" },
        { "a ::= \"a\"", "no rule 'root'" },
        { "root ::= a", "line 1, column 10: there is no rule of this name" },
        { "root ::= \"a\"\nroot ::= \"b\"", "line 2, column 1: this rule was there before" },
        { "root = \"a\"", "::= is missing" },
        { "::= \"a\"", "name of a rule is missing" },
        { "root ::= \"a", "has no partner" },
        { "root ::= \"a\n\"", "has no partner on its line" },
        { "root ::= [a", "has no partner" },
        { "root ::= []", "no character at all" },
        { "root ::= [b-a]", "ends before it begins" },
        { "root ::= (\"a\"", "this ( has no partner" },
        { "root ::= \"a\")", "nor the end of the line" },
        { "root ::= * \"a\"", "nor the end of the line" },
        { "root ::= \"\\q\"", "no such escape" },
        { "root ::= \"\\", "ends behind a \\" },
        { "root ::= \"\\x4\"", "hexadecimal digit is missing" },
        { "root ::= \"\\ud800\"", "no such character" },
        { "root ::= \"\\U00110000\"", "no such character" },
        { "root ::= \"\xff\"", "not UTF-8" },
        { "root ::= \"a\"{", "a number is missing" },
        { "root ::= \"a\"{1", "a } is missing" },
        { "root ::= \"a\"{,3}", "a number is missing" },
        { "root ::= \"a\"{3,2}", "fewer repetitions" },
        { "root ::= \"a\"{99999999999}", "more than 4096 repetitions" },
        { "root ::= root \"a\" | \"a\"", "'root' is left-recursive" },
        { "root ::= a\na ::= b \"x\" | \"y\"\nb ::= a", "is left-recursive" },
        { "root ::= \"x\"? root \"y\" | \"z\"", "'root' is left-recursive" },
        { "root ::= (root \"y\")* \"z\"", "'root' is left-recursive" },
        { "root ::= \"a\" root", "'root' can never come to an end" },
        { "root ::= \"x\" | a\na ::= \"(\" b \")\"\nb ::= \"a\" a", "can never come to an end" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse(cases[i].grammar, strlen(cases[i].grammar), cases[i].why);
    refuse("root ::= \"a\"\0", 13, "nor the end of the line");
}

static char *repeated(const char *before, const char *middle, size_t n, const char *behind)
{
    size_t size = strlen(before) + n * strlen(middle) + strlen(behind) + 1;
    char *text = malloc(size), *at;

    assert_non_null(text);
    at = stpcpy(text, before);
    for (size_t i = 0; i < n; i++) at = stpcpy(at, middle);
    strcpy(at, behind);
    return text;
}

/* Depth, size and ambiguity have limits that are sentences, and what is within them is quick. */
static void test_hostile(void **state)
{
    char *text = repeated("root ::= ", "(", 100000, "");
    struct grammar_walk w;
    struct grammar_state s;
    struct err e = { 0 };
    struct grammar g;

    (void)state;
    refuse(text, strlen(text), "within each other");
    free(text);
    text = repeated("root ::= \"x\" ", "\"a\"{4096} ", 100, "");
    refuse(text, strlen(text), "too large");
    free(text);
    text = repeated("root ::= \"", "a", 2 << 20, "\"");
    refuse(text, strlen(text), "bytes, it may have");
    free(text);
    text = repeated("root ::= ", "\"a\"? ", 500, ""); /* 2^500 ways to read "aaa", but few places */
    g = grammar_made(text, NULL, 0);
    assert_int_equal(grammar_follows(&g, "aaaaa", 5), FOLLOWS);
    grammar_free(&g);
    free(text);
    g = grammar_made("root ::= (((\"a\"?){1000}){1000}){1000}", NULL, 0);
    assert_int_equal(walk_init(&w, &g, &e), STATUS_OK);
    assert_int_equal(walk_start(&w, &s, &e), STATUS_BAD_ARGUMENT);
    assert_non_null(strstr(e.text, "too ambiguous"));
    walk_free(&w);
    grammar_free(&g);
}

/* "e", and then up to 1000 letters: every e may be that one, so each step looks at many places. A token may not take many such steps; any number
 * of tokens may. */
static void test_work_is_bounded(void **state)
{
    enum { STEPS = 2500 };
    struct grammar g = grammar_made("root ::= [a-z]* \"e\" [a-z]{1,1000}", NULL, 0);
    enum status st = STATUS_OK;

    (void)state;
    for (int settled = 1; settled >= 0; settled--) {
        struct grammar_walk w;
        struct grammar_state s;
        struct err e = { 0 };

        assert_int_equal(walk_init(&w, &g, &e), STATUS_OK);
        st = walk_start(&w, &s, &e);
        for (unsigned i = 0; i < STEPS && st == STATUS_OK; i++) {
            st = walk_byte(&w, &s, i < 1000 || i * i % 7 < 3 ? 'e' : 'x', &s, &e);
            if (st == STATUS_OK && settled) st = walk_settle(&w, &s, &e);
            assert_true(st != STATUS_OK || s.set != WALK_DEAD);
        }
        assert_int_equal(st, settled ? STATUS_OK : STATUS_BAD_ARGUMENT);
        if (!settled) assert_non_null(strstr(e.text, "takes too long"));
        walk_free(&w);
    }
    grammar_free(&g);
}

/* Of a text with deep brackets only what is open is remembered. */
static void test_long_text(void **state)
{
    enum { ROUNDS = 40000 };
    struct grammar g =
        grammar_made("root ::= list (\";\" list)*\nlist ::= \"[\" (list (\",\" list)*)? \"]\"", NULL, 0);
    char *text = malloc(10 * ROUNDS), *at = text;

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < ROUNDS; i++) at = stpcpy(at, i % 8 < 4 ? "[[],[" : "],[]]"); /* ever in and out */
    assert_int_equal(grammar_follows(&g, text, (size_t)(at - text)), FOLLOWS_NOT);
    for (at = text; at < text + ROUNDS; at++) *at = '[';
    for (; at < text + 2 * ROUNDS; at++) *at = ']';
    assert_int_equal(grammar_follows(&g, text, 2 * ROUNDS), FOLLOWS);
    assert_int_equal(grammar_follows(&g, text, 2 * ROUNDS - 1), FOLLOWS_SO_FAR);
    at[-1] = ',';
    assert_int_equal(grammar_follows(&g, text, 2 * ROUNDS), FOLLOWS_SO_FAR);
    at[-2] = ',';
    assert_int_equal(grammar_follows(&g, text, 2 * ROUNDS), FOLLOWS_NOT);
    free(text);
    grammar_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_characters_in_part),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_work_is_bounded),
        cmocka_unit_test(test_long_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
