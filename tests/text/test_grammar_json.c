/* test_grammar_json.c - which JSON follows a schema, and which schemas are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/grammars.h"
#include "text/grammar_json.h"

#define PERSON                                                                                               \
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"age\":{\"type\":\"integer\"},"    \
    "\"dog\":{\"$ref\":\"#/$defs/dog\"}},\"required\":[\"name\"],\"additionalProperties\":false,"            \
    "\"$defs\":{\"dog\":{\"type\":\"object\",\"properties\":{\"of\":{\"$ref\":\"#\"}},\"required\":[\"of\"]" \
    "}}}"

static void test_follows(void **state)
{
    static const struct {
        const char *schema, *text;
        enum follows want;
    } cases[] = {
        { "true", "{\"a\": [1, -2.5e3, \"x\\n\\u00e9\", null, {}]}", FOLLOWS },
        { "{}", "[1,]", FOLLOWS_NOT },
        { "{\"type\":\"string\"}", "\"a\\\"b\xc3\xa9\"", FOLLOWS },
        { "{\"type\":\"string\"}", "\"a\nb\"", FOLLOWS_NOT },
        { "{\"type\":\"string\"}", "\"\\ud800\"", FOLLOWS_NOT },
        { "{\"type\":\"string\"}", "\"\\u0000\"", FOLLOWS_NOT },
        { "{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", "\"a\"", FOLLOWS_NOT },
        { "{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", "\"ab\\n\"", FOLLOWS },
        { "{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", "\"abcd\"", FOLLOWS_NOT },
        { "{\"type\":\"integer\"}", "-10", FOLLOWS },
        { "{\"type\":\"integer\"}", "01", FOLLOWS_NOT },
        { "{\"type\":\"integer\"}", "1.5", FOLLOWS_NOT },
        { "{\"type\":\"number\"}", "1.5e-7", FOLLOWS },
        { "{\"type\":[\"boolean\",\"null\"]}", "null", FOLLOWS },
        { "{\"enum\":[\"a\\\"\\\\\",1,null]}", "\"a\\\"\\\\\"", FOLLOWS },
        { "{\"enum\":[\"a\",1,null]}", "2", FOLLOWS_NOT },
        { "{\"const\":{\"a\":[1]}}", "{\"a\":[1]}", FOLLOWS },
        { "{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}", "\"\"", FOLLOWS },
        { "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":2}", "[]",
          FOLLOWS_NOT },
        { "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":2}", "[1, 2]",
          FOLLOWS },
        { "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":2}", "[1,2,",
          FOLLOWS_NOT },
        { "{\"type\":\"array\",\"maxItems\":0}", "[]", FOLLOWS },
        { "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}", "{\"a\":1,\"b\": 2}",
          FOLLOWS },
        { "{\"type\":\"object\",\"additionalProperties\":false}", "{\"a\":1}", FOLLOWS_NOT },
        { "{\"properties\":{\"a\":{},\"b\":{},\"c\":{}}}", "{}", FOLLOWS },
        { "{\"properties\":{\"a\":{},\"b\":{},\"c\":{}}}", "{\"b\":1}", FOLLOWS },
        { "{\"properties\":{\"a\":{},\"b\":{},\"c\":{}}}", "{\"a\":1,\"c\":2}", FOLLOWS },
        { "{\"properties\":{\"a\":{},\"b\":{},\"c\":{}}}", "{\"b\":1,\"a\":2}", FOLLOWS_NOT },
        { "{\"properties\":{\"a\":{},\"b\":{}},\"required\":[\"b\"]}", "{\"b\":1}", FOLLOWS },
        { "{\"properties\":{\"a\":{},\"b\":{}},\"required\":[\"b\"]}", "{\"a\":1}", FOLLOWS_NOT },
        { "{\"properties\":{\"a\":{},\"b\":{}},\"required\":[\"b\"]}", "{\"a\":1,\"b\":2}", FOLLOWS },
        { "{\"properties\":{\"a\":{},\"b\":{}},\"additionalProperties\":true}", "{\"b\":2}", FOLLOWS },
        { "{\"properties\":{\"a\":{},\"b\":{}},\"additionalProperties\":true}", "{\"c\"", FOLLOWS_NOT },
        { "{\"allOf\":[{\"type\":\"integer\"}],\"description\":\"x\"}", "12", FOLLOWS },
        { "{\"enum\":[\"a\"],\"type\":[\"string\",\"null\"]}", "\"a\"", FOLLOWS },
        { "{\"enum\":[0.1,1e300]}", "0.1", FOLLOWS },
        { "{\"const\":0.1234567890123456}", "0.1234567890123456", FOLLOWS },
        { "{\"minItems\":1}", "[{\"a\":[]}]", FOLLOWS },
        { "{\"minItems\":1}", "1", FOLLOWS_NOT },
        { "{\"maxLength\":1}", "\"ab", FOLLOWS_NOT },
        { PERSON, "{\"name\": \"x\"}", FOLLOWS },
        { PERSON, "{\"name\":\"x\",\"age\":3,\"dog\":{\"of\":{\"name\":\"y\"}}}", FOLLOWS },
        { PERSON, "{\"age\":3", FOLLOWS_NOT },
        { PERSON, "{\"name\":\"x\",\"cat\"", FOLLOWS_NOT },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = { 0 };
        struct grammar g;
        char *text;
        enum follows got;

        if (grammar_from_schema(cases[i].schema, strlen(cases[i].schema), &text, &e) != STATUS_OK)
            fail_msg("%s: %s", cases[i].schema, e.text);
        g = grammar_made(text, NULL, 0);
        got = grammar_follows(&g, cases[i].text, strlen(cases[i].text));
        if (got != cases[i].want)
            fail_msg("%s\n%s: %d, not %d", cases[i].schema, cases[i].text, (int)got, (int)cases[i].want);
        grammar_free(&g);
        free(text);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *schema, *why;
    } cases[] = {
        { "{", "is not JSON" },
        { "[]", "neither an object nor true" },
        { "{\"type\":\"text\"}", "no type 'text'" },
        { "{\"type\":[]}", "neither a name" },
        { "{\"type\":\"string\",\"pattern\":\"a\"}", "'pattern' cannot be kept to" },
        { "{\"type\":\"integer\",\"minimum\":0}", "'minimum' cannot be kept to" },
        { "{\"type\":\"string\",\"minLength\":-1}", "minLength is no number" },
        { "{\"type\":\"string\",\"minLength\":3,\"maxLength\":2}", "maxLength is below minLength" },
        { "{\"enum\":[]}", "enum is no list" },
        { "{\"$ref\":\"#/$defs/a\"}", "leads nowhere" },
        { "{\"properties\":{\"a\":1}}", "neither an object nor true" },
        { "{\"properties\":{},\"required\":[\"a\"]}", "'a' is required" },
        { "{\"properties\":{\"a\":{}},\"additionalProperties\":{}}", "may only be true or false" },
        { "{\"anyOf\":[{}],\"properties\":{}}", "'properties' beside anyOf" },
        { "{\"anyOf\":[{}],\"type\":\"string\"}", "'type' beside anyOf" },
        { "{\"enum\":[1],\"const\":1}", "'const' beside enum" },
        { "{\"enum\":[1,\"a\"],\"type\":\"string\"}", "not of its type" },
        { "{\"allOf\":[{},{}]}", "more than one schema" },
        { "{\"required\":[\"a\"]}", "'a' is required" },
        { "{\"required\":[1],\"properties\":{\"a\":{}}}", "no name" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = { 0 };
        char *text;

        assert_int_equal(grammar_from_schema(cases[i].schema, strlen(cases[i].schema), &text, &e),
                         STATUS_BAD_ARGUMENT);
        if (strstr(e.text, cases[i].why) == NULL)
            fail_msg("%s\nis refused with: %s", cases[i].schema, e.text);
        assert_null(text);
    }
}

/* An object of many members makes a grammar that grows as they do. */
static void test_many_members(void **state)
{
    enum { MEMBERS = 500 };
    static const char in_order[] = "{\"m7\":1,\"m498\":[]}", disordered[] = "{\"m7\":1,\"m6\"";
    char *schema = malloc(32 * MEMBERS), *at = schema, *text;
    struct grammar g;

    (void)state;
    assert_non_null(schema);
    at = stpcpy(at, "{\"properties\":{");
    for (int i = 0; i < MEMBERS; i++) at += sprintf(at, "%s\"m%d\":true", i > 0 ? "," : "", i);
    strcpy(at, "}}");
    assert_int_equal(grammar_from_schema(schema, strlen(schema), &text, NULL), STATUS_OK);
    assert_true(strlen(text) < 200 * MEMBERS);
    g = grammar_made(text, NULL, 0);
    assert_int_equal(grammar_follows(&g, in_order, strlen(in_order)), FOLLOWS);
    assert_int_equal(grammar_follows(&g, disordered, strlen(disordered)), FOLLOWS_NOT);
    grammar_free(&g);
    free(text);
    free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_follows), cmocka_unit_test(test_refused),
                                        cmocka_unit_test(test_many_members) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
