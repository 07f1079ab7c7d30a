/*
 * scratch.h - a folder of its own for a test that writes files, removed with all that is in it.
 */
#ifndef TESTS_SUPPORT_SCRATCH_H
#define TESTS_SUPPORT_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch {
    char path[256];
};

static inline void scratch_open(struct scratch *s)
{
    const char *parent = getenv("TMPDIR");

    snprintf(s->path, sizeof s->path, "%s/sphinx-test-XXXXXX", parent != NULL ? parent : P_tmpdir);
    assert_non_null(mkdtemp(s->path));
}

static inline void scratch_remove(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *entry;
    char name[1024];

    while (d != NULL && (entry = readdir(d)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        assert_true(snprintf(name, sizeof name, "%s/%s", path, entry->d_name) < (int)sizeof name);
        if (unlink(name) != 0) scratch_remove(name);
    }
    if (d != NULL) closedir(d);
    rmdir(path);
}

static inline void scratch_close(struct scratch *s)
{
    scratch_remove(s->path);
}

/* A path inside, in one of a few buffers that take turns. */
static inline const char *scratch_path(const struct scratch *s, const char *name)
{
    static char paths[8][512];
    static int turn;
    char *path = paths[turn++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", s->path, name);
    return path;
}

static inline const char *scratch_folder(const struct scratch *s, const char *name)
{
    const char *path = scratch_path(s, name);

    assert_int_equal(mkdir(path, 0777), 0);
    return path;
}

static inline void scratch_write(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

#endif
