/*
 * test_zip.c - archives of every kind that must be read, and those that contradict themselves.
 */
#include "store/zip.h"

#include <stdio.h>

#include "store/zip_build.h"

static const char text[] = "one two two three three three four four four four five five five five five";

static void build(struct zip_build *z, bool deflated, bool zip64)
{
    memset(z, 0, sizeof *z);
    zip_build_add(z, "b/second", text, sizeof text, deflated);
    zip_build_add(z, "a/first", "12345", 5, false);
    zip_build_add(z, "c/empty", "", 0, false);
    zip_build_end(z, zip64);
}

static void members_are_found_and_unpacked(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct zip_build b;
        struct zip z;
        struct err e = { 0 };
        const struct zip_member *m;
        const unsigned char *data;
        char out[sizeof text];

        build(&b, (kind & 1) != 0, (kind & 2) != 0);
        if (zip_open(&z, b.data, b.size, "x.zip", &e) != STATUS_OK) fail_msg("%s", e.text);
        assert_int_equal(z.count, 3);
        assert_null(zip_find(&z, "a/firs"));
        m = zip_find(&z, "a/first");
        assert_non_null(m);
        assert_int_equal(zip_member_data(&z, m, &data, &e), STATUS_OK);
        assert_memory_equal(data, "12345", 5);
        m = zip_find(&z, "b/second");
        assert_non_null(m);
        assert_int_equal(m->deflated, kind & 1);
        assert_int_equal(zip_member_unpack(&z, m, out, &e), STATUS_OK);
        assert_memory_equal(out, text, sizeof text);
        for (size_t i = 0; i < z.count; i++)
            assert_int_equal(zip_member_check(&z, &z.members[i], &e), STATUS_OK);
        zip_close(&z);
        free(b.data);
    }
}

static void empty_archive_has_no_members(void **state)
{
    struct zip_build b = { 0 };
    struct zip z;
    struct err e = { 0 };

    (void)state;
    zip_build_end(&b, false);
    assert_int_equal(zip_open(&z, b.data, b.size, "x.zip", &e), STATUS_OK);
    assert_int_equal(z.count, 0);
    assert_null(zip_find(&z, "a"));
    zip_close(&z);
    free(b.data);
}

/* A number written over a sound archive, `at` counted from one of its records. */
struct patch {
    enum { AT_LOCAL, AT_DIRECTORY, AT_END64, AT_END } from;
    size_t at;
    unsigned bytes;
    uint64_t value;
    bool zip64;
    const char *sentence;
};

static const struct patch patches[] = {
    { AT_LOCAL, 0, 4, 0x44444444, false, "does not start with PK" },
    { AT_END, 0, 4, 0, false, "is truncated" },
    { AT_END, 20, 2, 1, false, "is truncated" }, /* a comment that is not there */
    { AT_END, 4, 2, 1, false, "a ZIP archive in several parts is not supported" },
    { AT_END, 8, 2, 2, false, "a ZIP archive in several parts is not supported" },
    { AT_END, 12, 4, 0x7fffffff, false, "the ZIP directory should be 2147483647 bytes" },
    { AT_END, 16, 4, 0x7fffffff, false, "at offset 2147483647" },
    { AT_END, 16, 4, 1, false, "entry 0 of the ZIP directory is damaged" },
    { AT_END, 8, 4, 60000 | 60000u << 16, false, "60000 ZIP members cannot be in a directory of" },
    { AT_END64, 56 + 8, 8, UINT64_MAX, true,
      "the ZIP64 end record should be at offset 18446744073709551615" },
    { AT_END64, 56 + 8, 8, 0, true, "the ZIP64 end record should be at offset 0" },
    { AT_END64, 24, 8, 1, true, "a ZIP archive in several parts is not supported" },
    { AT_END64, 40, 8, UINT64_MAX, true, "the ZIP directory should be 18446744073709551615 bytes" },
    { AT_END64, 48, 8, UINT64_MAX, true, "at offset 18446744073709551615" },
    { AT_END, 16, 4, 77, true, "the two end records of the ZIP archive contradict each other" },
    { AT_DIRECTORY, 0, 4, 0, false, "entry 0 of the ZIP directory is damaged" },
    { AT_DIRECTORY, 8, 2, 1, false, "ZIP member b/second is encrypted" },
    { AT_DIRECTORY, 10, 2, 14, false, "is packed by method 14" },
    { AT_DIRECTORY, 10, 2, 0, false, "is stored, yet its two sizes differ" }, /* it is deflated */
    { AT_DIRECTORY, 24, 4, 0xfffffffe, false, "claims 4294967294 bytes from" },
    { AT_DIRECTORY, 20, 4, 0x7fffffff, false, "runs into" },
    { AT_DIRECTORY, 28, 2, 0, false, "is damaged" }, /* no name */
    { AT_DIRECTORY, 28, 2, 0xffff, false, "is damaged" },
    { AT_DIRECTORY, 30, 2, 0xffff, false, "is damaged" },
    { AT_DIRECTORY, 32, 2, 0xffff, false, "is damaged" },
    { AT_DIRECTORY, 34, 2, 1, false, "a ZIP archive in several parts is not supported" },
    { AT_DIRECTORY, 42, 4, 5, false, "runs into" },
    { AT_DIRECTORY, 42, 4, 0x7fffffff, false, "runs into" },
    { AT_DIRECTORY, 46, 1, 0, false, "is damaged" },                         /* NUL in a name */
    { AT_DIRECTORY, 46 + 8, 2, 2, true, "is damaged" },                      /* the ZIP64 field gone */
    { AT_DIRECTORY, 46 + 8 + 2, 2, 8, true, "is damaged" },                  /* or too short */
    { AT_DIRECTORY, 46 + 8 + 4 + 8, 8, UINT64_MAX, true, "runs into" },      /* packed size */
    { AT_DIRECTORY, 46 + 8 + 4 + 16, 8, UINT64_MAX - 8, true, "runs into" }, /* offset */
};

static void broken_archives_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof patches / sizeof *patches; i++) {
        const struct patch *p = &patches[i];
        struct zip_build b;
        struct zip z;
        struct err e = { 0 };

        build(&b, true, p->zip64);
        zip_build_patch(&b,
                        p->at + (p->from == AT_DIRECTORY ? b.directory
                                 : p->from == AT_END64   ? b.end64
                                 : p->from == AT_END     ? b.end
                                                         : 0),
                        p->bytes, p->value);
        if (zip_open(&z, b.data, b.size, "x.zip", &e) == STATUS_OK) fail_msg("case %zu was accepted", i);
        if (strstr(e.text, p->sentence) == NULL)
            fail_msg("case %zu: expected \"%s\", got \"%s\"", i, p->sentence, e.text);
        free(b.data);
    }
}

static void names_are_unique(void **state)
{
    struct zip_build b = { 0 };
    struct zip z;
    struct err e = { 0 };

    (void)state;
    zip_build_add(&b, "a", "1", 1, false);
    zip_build_add(&b, "a", "2", 1, false);
    zip_build_end(&b, false);
    assert_int_equal(zip_open(&z, b.data, b.size, "x.zip", &e), STATUS_BAD_FORMAT);
    assert_non_null(strstr(e.text, "ZIP member a is there twice"));
    free(b.data);
}

/* Damage that opening does not see is found when the member is read. */
static void broken_members_are_refused(void **state)
{
    static const struct {
        size_t at; /* in the file: the local header of b/second, its data from 38 on */
        unsigned char value;
        bool deflated;
        const char *sentence, *sentence_check;
    } cases[] = {
        { 3, 5, true, "does not start with PK",
          NULL }, /* the file's first bytes are looked at when opening */
        { 26, 7, true, "no valid header", "no valid header" },
        { 31, 'x', true, "no valid header", "no valid header" },
        { 29, 0xff, true, "no valid header", "no valid header" }, /* extra field beyond the member */
        { 38, 0xff, true, "does not unpack to the 75 bytes it promises", "does not unpack" },
        { 40, 'x', false, NULL, "is damaged: its checksum is" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct zip_build b;
        struct zip z;
        struct err e = { 0 }, check = { 0 };
        char out[sizeof text];

        build(&b, cases[i].deflated, false);
        b.data[cases[i].at] = cases[i].value;
        if (cases[i].sentence_check == NULL) {
            assert_int_equal(zip_open(&z, b.data, b.size, "x.zip", &e), STATUS_BAD_FORMAT);
            assert_non_null(strstr(e.text, cases[i].sentence));
            free(b.data);
            continue;
        }
        if (zip_open(&z, b.data, b.size, "x.zip", &e) != STATUS_OK) fail_msg("%s", e.text);
        const struct zip_member *m = zip_find(&z, "b/second");
        if (cases[i].sentence == NULL) {
            assert_int_equal(zip_member_unpack(&z, m, out, &e), STATUS_OK);
        } else {
            assert_int_equal(zip_member_unpack(&z, m, out, &e), STATUS_BAD_FORMAT);
            assert_non_null(strstr(e.text, cases[i].sentence));
        }
        assert_int_equal(zip_member_check(&z, m, &check), STATUS_BAD_FORMAT);
        assert_non_null(strstr(check.text, cases[i].sentence_check));
        zip_close(&z);
        free(b.data);
    }
}

/* A member that says 75 bytes but whose deflated data give one more or one less. */
static void unpacked_size_is_exact(void **state)
{
    (void)state;
    for (int off = -1; off <= 1; off += 2) {
        struct zip_build b;
        struct zip z;
        struct err e = { 0 };
        char out[sizeof text + 1];

        build(&b, true, false);
        zip_build_patch(&b, b.directory + 24, 4, (uint64_t)((int)sizeof text + off));
        assert_int_equal(zip_open(&z, b.data, b.size, "x.zip", &e), STATUS_OK);
        assert_int_equal(zip_member_unpack(&z, zip_find(&z, "b/second"), out, &e), STATUS_BAD_FORMAT);
        assert_int_equal(zip_member_check(&z, zip_find(&z, "b/second"), &e), STATUS_BAD_FORMAT);
        zip_close(&z);
        free(b.data);
    }
}

/* Far more than a member admits to: nothing may be written beyond what it said. */
static void unpacked_bombs_stop_early(void **state)
{
    static const char zeros[100000];
    struct zip_build b = { 0 };
    struct zip z;
    struct err e = { 0 };
    unsigned char out[16];

    (void)state;
    zip_build_add(&b, "bomb", zeros, sizeof zeros, true);
    zip_build_end(&b, false);
    zip_build_patch(&b, b.directory + 24, 4, 8);
    assert_int_equal(zip_open(&z, b.data, b.size, "x.zip", &e), STATUS_OK);
    memset(out, 0x77, sizeof out);
    assert_int_equal(zip_member_unpack(&z, zip_find(&z, "bomb"), out, &e), STATUS_BAD_FORMAT);
    assert_non_null(strstr(e.text, "does not unpack to the 8 bytes it promises"));
    for (size_t i = 8; i < sizeof out; i++) assert_int_equal(out[i], 0x77);
    assert_int_equal(zip_member_check(&z, zip_find(&z, "bomb"), &e), STATUS_BAD_FORMAT);
    zip_close(&z);
    free(b.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found_and_unpacked), cmocka_unit_test(empty_archive_has_no_members),
        cmocka_unit_test(broken_archives_are_refused),    cmocka_unit_test(names_are_unique),
        cmocka_unit_test(broken_members_are_refused),     cmocka_unit_test(unpacked_size_is_exact),
        cmocka_unit_test(unpacked_bombs_stop_early),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
