/* test_mask_data.c - COCO's instances: each mask to its picture, and what a file may have wrong, with the record that is named. */
#include "support/scratch.h"

#include "train/mask_data.h"

static struct scratch scratch;

static void write_text(const char *name, const char *text)
{
    FILE *f = fopen(scratch_path(&scratch, name), "wb");

    assert_non_null(f);
    assert_int_equal(fputs(text, f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
}

static enum status open_with(struct mask_data *d, const char *images, const char *annotations, struct err *e)
{
    char text[2000];

    snprintf(text, sizeof text, "{\"images\": [%s], \"annotations\": [%s]}", images, annotations);
    write_text("m.json", text);
    write_text("c.yaml", "META:\n  - path: m.json\n    root: pictures\n");
    return mask_data_open(d, scratch_path(&scratch, "c.yaml"), e);
}

#define IMAGE(id, name)                                                                                      \
    "{\"id\": " #id ", \"file_name\": \"" name "\", \"width\": 4, \"height\": 3, \"license\": 1}"
#define MASK(image, x, width, counts)                                                                        \
    "{\"image_id\": " #image ", \"bbox\": [" #x ", 0, " #width                                               \
    ", 3.0], \"segmentation\": {\"size\": [3, 4], "                                                          \
    "\"counts\": \"" counts "\"}}"

/* Masks in any order; a crowd is passed over, and so is a picture without masks. */
static void test_read(void **state)
{
    struct mask_data d, again;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(open_with(&d, IMAGE(9, "b.png") "," IMAGE(4, "empty.png") "," IMAGE(2, "a.png"),
                               MASK(2, 0, 4, "0<") "," MASK(9, 1, 2, "<") "," MASK(
                                   2, 1, 1.5, "93") ", {\"image_id\": 9, \"iscrowd\": 1}",
                               &e),
                     STATUS_OK);
    assert_int_equal(d.n, 2);
    assert_int_equal(d.n_masks, 3);
    assert_true(strstr(d.pictures[0].path, "pictures/b.png") != NULL && d.pictures[0].n == 1);
    assert_true(strstr(d.pictures[1].path, "pictures/a.png") != NULL && d.pictures[1].n == 2);
    assert_true(d.pictures[1].width == 4 && d.pictures[1].height == 3);
    assert_string_equal(d.pictures[0].masks[0].counts, "<");
    assert_string_equal(d.pictures[1].masks[0].counts, "0<");
    assert_true(d.pictures[1].masks[1].box[0] == 1 && d.pictures[1].masks[1].box[2] == 2.5 &&
                d.pictures[1].masks[1].box[3] == 3);
    assert_int_equal(open_with(&again, IMAGE(9, "b.png"), MASK(9, 1, 2, "<"), &e), STATUS_OK);
    assert_false(digest_equal(&d.digest, &again.digest));
    mask_data_close(&d);
    mask_data_close(&again);
}

static void test_refused(void **state)
{
    static const char *const cases[][3] = {
        { "", "", "no picture" },
        { IMAGE(1, "a"), "", "no picture" },
        { "{\"id\": 1}", "", "images, record 0: want" },
        { "{\"id\": 1, \"file_name\": \"a\", \"width\": 0, \"height\": 3}", "", "record 0: \"width\"" },
        { "{\"id\": 1, \"file_name\": \"a\", \"width\": 65535, \"height\": 65535}", "",
          "record 0: \"width\"" },
        { IMAGE(1, "a") "," IMAGE(1, "b"), "", "another one's" },
        { IMAGE(1, "a"), MASK(2, 0, 4, "<"), "annotations, record 0: want the" },
        { IMAGE(1, "a"), "{\"image_id\": \"1\"}", "annotations, record 0: want the" },
        { IMAGE(1, "a"), "{\"image_id\": 1, \"bbox\": [0, 0, 1, 1], \"segmentation\": [[1, 2]]}",
          "want \"bbox\"" },
        { IMAGE(1, "a"), MASK(1, 2, 3, "<"), "not a box within" },
        { IMAGE(1, "a"), MASK(1, 2, 0, "<"), "not a box within" },
        { IMAGE(1, "a") ", 7", MASK(1, 0, 4, "<"), "images, record 1" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mask_data d;
        struct err e = { 0 };

        assert_int_equal(open_with(&d, cases[i][0], cases[i][1], &e), STATUS_BAD_FORMAT);
        if (strstr(e.text, cases[i][2]) == NULL) fail_msg("case %zu: %s", i, e.text);
        assert_true(d.pictures == NULL && d.n == 0);
    }
}

static void test_no_lists(void **state)
{
    static const char *const texts[] = { "", "{", "[]", "7", "{\"images\": [], \"annotations\": {}}" };

    (void)state;
    write_text("c.yaml", "META:\n  - path: m.json\n");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct mask_data d;
        struct err e = { 0 };

        write_text("m.json", texts[i]);
        assert_int_equal(mask_data_open(&d, scratch_path(&scratch, "c.yaml"), &e), STATUS_BAD_FORMAT);
        assert_non_null(strstr(e.text, "m.json"));
    }
}

static int begin(void **state)
{
    (void)state;
    scratch_open(&scratch);
    return 0;
}

static int end(void **state)
{
    (void)state;
    scratch_close(&scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_read), cmocka_unit_test(test_refused),
                                        cmocka_unit_test(test_no_lists) };

    return cmocka_run_group_tests(tests, begin, end);
}
