/* test_utf8.c - every code point, every two-byte string, and the classic malformed sequences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "text/utf8.h"

static size_t encode(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

static void test_every_code_point(void **state)
{
    uint32_t c;

    (void)state;
    for (c = 0; c < 0x120000; c++) {
        char text[4];
        size_t n = encode(c, text), length, cut;
        uint32_t code = 0;
        int valid = c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);

        assert_int_equal(utf8_next(text, n, &length, &code), valid ? UTF8_WHOLE : UTF8_BAD);
        assert_int_equal(utf8_find_bad(text, n), valid ? n : 0);
        if (!valid) continue;
        assert_int_equal(length, n);
        assert_int_equal(code, c);
        for (cut = 1; cut < n; cut++) {
            assert_int_equal(utf8_next(text, cut, &length, NULL), UTF8_CUT);
            assert_int_equal(length, cut);
            assert_int_equal(utf8_cut_suffix(text, cut), cut);
        }
        assert_int_equal(utf8_cut_suffix(text, n), 0);
    }
}

static void test_malformed(void **state)
{
    static const struct {
        const char *text;
        size_t bad, cut;
        const char *repaired;
    } cases[] = {
        { "plain", 5, 0, "plain" },
        { "", 0, 0, "" },
        { "\x80", 0, 0, UTF8_REPLACEMENT },
        { "a\xff"
          "b",
          1, 0, "a" UTF8_REPLACEMENT "b" },
        { "\xc0\xaf", 0, 0, UTF8_REPLACEMENT UTF8_REPLACEMENT }, /* overlong '/' */
        { "\xe0\x80", 0, 0, UTF8_REPLACEMENT UTF8_REPLACEMENT }, /* overlong whatever follows */
        { "\xed\xa0\x80", 0, 0, UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT }, /* surrogate */
        { "\xf4\x90", 0, 0, UTF8_REPLACEMENT UTF8_REPLACEMENT },                      /* above U+10FFFF */
        { "ab\xf0\x9f\x99", 2, 3, "ab" UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT },
        { "ab\xe1\x9e", 2, 2, "ab" UTF8_REPLACEMENT UTF8_REPLACEMENT },
        { "ab\xc3", 2, 1, "ab" UTF8_REPLACEMENT },
        { "\xc3(", 0, 0, UTF8_REPLACEMENT "(" },
        { "\xc3\xa9\xc3", 2, 1, "\xc3\xa9" UTF8_REPLACEMENT },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = strlen(cases[i].text), written;
        char out[64];

        assert_int_equal(utf8_find_bad(cases[i].text, n), cases[i].bad);
        assert_int_equal(utf8_cut_suffix(cases[i].text, n), cases[i].cut);
        written = utf8_repair(cases[i].text, n, out);
        assert_int_equal(written, strlen(cases[i].repaired));
        assert_memory_equal(out, cases[i].repaired, written);
    }
}

/* The decision about two bytes written down a second way. */
static void test_every_two_bytes(void **state)
{
    unsigned a, b;

    (void)state;
    for (a = 0; a < 256; a++) {
        for (b = 0; b < 256; b++) {
            char text[2] = { (char)a, (char)b };
            size_t length;
            int follows = b >= 0x80 && b < 0xc0;
            enum utf8_kind want = UTF8_BAD;

            if (a < 0x80 || (a >= 0xc2 && a < 0xe0 && follows)) want = UTF8_WHOLE;
            if (a >= 0xe0 && a < 0xf5 && follows) want = UTF8_CUT;
            if ((a == 0xe0 && b < 0xa0) || (a == 0xed && b >= 0xa0)) want = UTF8_BAD;
            if ((a == 0xf0 && b < 0x90) || (a == 0xf4 && b >= 0x90)) want = UTF8_BAD;
            assert_int_equal(utf8_next(text, 2, &length, NULL), want);
        }
    }
}

static void test_check_names_the_offset(void **state)
{
    struct err e = { 0 };
    size_t offset = 99;

    (void)state;
    assert_int_equal(text_utf8_check("the question", "caf\xc3\xa9", 5, &offset, &e), STATUS_OK);
    assert_int_equal(offset, 5);
    assert_int_equal(text_utf8_check("the question", "caf\xe9!", 5, &offset, &e), STATUS_BAD_ARGUMENT);
    assert_int_equal(offset, 3);
    assert_string_equal(e.text, "the question is not UTF-8: byte 3 (0xe9) belongs to no character");
}

static void test_spaces(void **state)
{
    uint32_t c;
    size_t n = 0;

    (void)state;
    for (c = 0; c < 0x110000; c++) n += utf8_is_space(c);
    assert_int_equal(n, 29); /* what Python counts */
    assert_true(utf8_is_space(' ') && utf8_is_space('\n') && utf8_is_space(0x3000));
    assert_false(utf8_is_space('a') || utf8_is_space(0x200b) || utf8_is_space(0xfeff));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_point), cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_every_two_bytes),  cmocka_unit_test(test_check_names_the_offset),
        cmocka_unit_test(test_spaces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
