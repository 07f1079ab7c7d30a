/* test_batch_list.c - lists of images and questions: every format, and what is wrong with some. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "eval/batch_list.h"

static void check_item(const struct batch_item *item, const char *id, const char *image, const char *prompt,
                       size_t line)
{
    if (id != NULL)
        assert_string_equal(item->id, id);
    else
        assert_null(item->id);
    if (image != NULL)
        assert_string_equal(item->image, image);
    else
        assert_null(item->image);
    assert_string_equal(item->prompt, prompt);
    assert_int_equal(item->line, line);
}

static void read_list(struct batch_list *l, const char *text, const char *prompt)
{
    struct err e = { 0 };

    if (batch_list_read(l, "x", text, strlen(text), prompt, &e) != STATUS_OK) fail_msg("%s", e.text);
}

static void test_objects(void **state)
{
    struct batch_list l;

    (void)state;
    read_list(&l,
              "{\"image\": \"a b.png\", \"prompt\": \"Wo?\", \"id\": 7}\n\n"
              "{\"question\": \"Was?\", \"image_path\": \"c.png\", \"question_id\": \"q\", \"more\": [1]}\n"
              "{\"image\": null, \"id\": 1.5}",
              "all");
    assert_int_equal(l.n, 3);
    check_item(&l.items[0], "7", "a b.png", "Wo?", 1);
    check_item(&l.items[1], "q", "c.png", "Was?", 3);
    assert_null(l.items[2].image);
    assert_string_equal(l.items[2].prompt, "all");
    batch_list_free(&l);
}

static void test_columns(void **state)
{
    struct batch_list l;

    (void)state;
    read_list(&l, "\"id\",image,prompt,more\r\n1,\"a, \"\"b\"\".png\",\"Wo?\nUnd?\",x\r\n2,,Nur Text,\r\n",
              NULL);
    assert_int_equal(l.n, 2);
    check_item(&l.items[0], "1", "a, \"b\".png", "Wo?\nUnd?", 2);
    check_item(&l.items[1], "2", NULL, "Nur Text", 4);
    batch_list_free(&l);
    read_list(&l, "\xef\xbb\xbfimage\tprompt\na,b.png\tWas, bitte?\nc.png\t\n", "all");
    assert_int_equal(l.n, 2);
    check_item(&l.items[0], NULL, "a,b.png", "Was, bitte?", 2);
    check_item(&l.items[1], NULL, "c.png", "all", 3);
    batch_list_free(&l);
    read_list(&l, "image\na.png\n", "all");
    assert_int_equal(l.n, 1);
    check_item(&l.items[0], NULL, "a.png", "all", 2);
    batch_list_free(&l);
}

static void test_plain_lines(void **state)
{
    struct batch_list l;

    (void)state;
    read_list(&l, "photos/an image, with a comma.png\r\n\nimage.png\tWas?\n\xff\xfe.png\n\tNur Text", "all");
    assert_int_equal(l.n, 4);
    check_item(&l.items[0], NULL, "photos/an image, with a comma.png", "all", 1);
    check_item(&l.items[1], NULL, "image.png", "Was?", 3);
    check_item(&l.items[2], NULL, "\xff\xfe.png", "all", 4);
    check_item(&l.items[3], NULL, NULL, "Nur Text", 5);
    batch_list_free(&l);
}

static void test_wrong(void **state)
{
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        { "", "x: the list is empty" },
        { "\n\n", "x: the list is empty" },
        { "image,prompt\n", "x: the list is empty" },
        { "a.png\tWas?\nb.png\n", "x: line 2: there is no question, and none for all" },
        { "{\"image\": \"a.png\"}\n", "x: line 1: there is no question, and none for all" },
        { "{\"image\": 7, \"prompt\": []}\n", "x: line 1: " },
        { "{\"image\": \"a.png\"\n", "x: line 1: " },
        { "{\"prompt\": \"a\"}\n[]\n", "x: line 2: " },
        { "image,prompt\na,b,c\n", "x: line 2: " },
        { "image,image\na,b\n", "x: line 1: " },
        { "image,prompt\n\"a,b\n", "x: line 2: " },
    };
    static const char zero[] = "a.png\tWas?\nb\0.png\tWas?\n";
    struct batch_list l;
    struct err e = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_clear(&e);
        assert_int_equal(batch_list_read(&l, "x", cases[i].text, strlen(cases[i].text), NULL, &e),
                         STATUS_BAD_FORMAT);
        if (strncmp(e.text, cases[i].sentence, strlen(cases[i].sentence)) != 0)
            fail_msg("case %zu: %s", i, e.text);
        assert_int_equal(l.n, 0);
    }
    err_clear(&e);
    assert_int_equal(batch_list_read(&l, "x", zero, sizeof zero - 1, NULL, &e), STATUS_BAD_FORMAT);
    assert_string_equal(e.text, "x: line 2: holds a zero byte: this is no text");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_plain_lines),
        cmocka_unit_test(test_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
