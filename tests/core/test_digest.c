/*
 * test_digest.c - the digest is SHA-256 (FIPS 180-4's examples), and parts that are not the same never join to the same.
 */
#include "core/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void test_examples(void **state)
{
    static const struct {
        const char *text, *hex;
    } examples[] = {
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        struct digest_maker m;
        struct digest d;
        char hex[DIGEST_TEXT_MAX];

        digest_begin(&m);
        digest_add(&m, examples[i].text, strlen(examples[i].text));
        digest_end(&m, &d);
        assert_string_equal(digest_hex(&d, hex), examples[i].hex);
    }
}

static struct digest of_texts(const char *a, const char *b, int64_t number)
{
    struct digest_maker m;
    struct digest d;

    digest_begin(&m);
    digest_text(&m, a);
    digest_text(&m, b);
    digest_number(&m, number);
    digest_end(&m, &d);
    return d;
}

static void test_parts(void **state)
{
    struct digest d = of_texts("ab", "c", 1), same = of_texts("ab", "c", 1), joined = of_texts("a", "bc", 1),
                  number = of_texts("ab", "c", -1);

    (void)state;
    assert_true(digest_equal(&d, &same));
    assert_false(digest_equal(&d, &joined));
    assert_false(digest_equal(&d, &number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
