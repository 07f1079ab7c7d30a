/* test_folder.c - folders that appear all at once. */
#include "support/scratch.h"

#include "core/file.h"
#include "core/folder.h"

static void put(const struct folder_writer *w, const char *name)
{
    char *path = path_join(w->path_temporary, name);

    scratch_write(path, name, strlen(name));
    free(path);
}

static void make(const struct folder_writer *w, const char *name)
{
    char *path = path_join(w->path_temporary, name);

    assert_int_equal(mkdir(path, 0777), 0);
    free(path);
}

static void test_commit(void **state)
{
    struct folder_writer w;
    struct scratch scratch;
    struct err e = { 0 };

    (void)state;
    scratch_open(&scratch);
    assert_int_equal(folder_writer_open(&w, scratch_path(&scratch, "new//"), &e), STATUS_OK);
    put(&w, "one");
    assert_false(file_exists(scratch_path(&scratch, "new")));
    assert_int_equal(folder_writer_commit(&w, &e), STATUS_OK);
    assert_true(file_exists(scratch_path(&scratch, "new/one")));
    folder_writer_abort(&w);

    assert_int_equal(folder_writer_open(&w, scratch_folder(&scratch, "empty"), &e), STATUS_OK);
    put(&w, "two");
    assert_int_equal(folder_writer_commit(&w, &e), STATUS_OK);
    assert_true(file_exists(scratch_path(&scratch, "empty/two")));
    scratch_close(&scratch);
}

static void test_refused(void **state)
{
    struct folder_writer w;
    struct scratch scratch;
    struct err e = { 0 };

    (void)state;
    scratch_open(&scratch);
    scratch_write(scratch_path(&scratch, "file"), "x", 1);
    assert_int_equal(folder_writer_open(&w, scratch.path, &e), STATUS_BAD_ARGUMENT);
    assert_non_null(strstr(e.text, "holds something already"));
    err_clear(&e);
    assert_int_equal(folder_writer_open(&w, scratch_path(&scratch, "file"), &e), STATUS_IO);
    assert_non_null(strstr(e.text, "there is a file of that name"));
    err_clear(&e);
    assert_int_equal(folder_writer_open(&w, scratch_path(&scratch, "none/new"), &e), STATUS_IO);
    scratch_close(&scratch);
}

/* Nothing is left of what was given up, or could not be put in place. */
static void test_abort(void **state)
{
    struct folder_writer w;
    struct scratch scratch;
    struct err e = { 0 };
    char *temporary;

    (void)state;
    scratch_open(&scratch);
    assert_int_equal(folder_writer_open(&w, scratch_path(&scratch, "new"), &e), STATUS_OK);
    put(&w, "one");
    make(&w, "below");
    make(&w, "below/it");
    put(&w, "below/two");
    temporary = strdup(w.path_temporary);
    folder_writer_abort(&w);
    assert_false(file_exists(temporary));
    free(temporary);

    assert_int_equal(folder_writer_open(&w, scratch_path(&scratch, "new"), &e), STATUS_OK);
    put(&w, "one");
    temporary = strdup(w.path_temporary);
    scratch_write(scratch_path(&scratch, "new"), "in the way", 10);
    assert_int_equal(folder_writer_commit(&w, &e), STATUS_IO);
    assert_false(file_exists(temporary));
    free(temporary);
    folder_writer_abort(&w);
    scratch_close(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_commit), cmocka_unit_test(test_refused),
                                        cmocka_unit_test(test_abort) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
