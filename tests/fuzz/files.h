/*
 * files.h - where a parser wants files: a fuzz target puts its bytes into a folder of its own, which goes when the target ends.
 */
#ifndef TESTS_FUZZ_FILES_H
#define TESTS_FUZZ_FILES_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char fuzz_folder[256]; /* "" until a file is put into it */

static void fuzz_folder_remove(void)
{
    DIR *d = opendir(fuzz_folder);
    struct dirent *entry;

    while (d != NULL && (entry = readdir(d)) != NULL) unlinkat(dirfd(d), entry->d_name, 0);
    if (d != NULL) closedir(d);
    rmdir(fuzz_folder);
}

/* Of a file in it; until the next call. */
static const char *fuzz_path(const char *name)
{
    static char path[512];

    snprintf(path, sizeof path, "%s/%s", fuzz_folder, name);
    return path;
}

static void fuzz_put(const char *name, const void *data, size_t size)
{
    const char *parent = getenv("TMPDIR");
    FILE *f;

    if (fuzz_folder[0] == '\0') {
        snprintf(fuzz_folder, sizeof fuzz_folder, "%s/sphinx-fuzz-XXXXXX",
                 parent != NULL ? parent : P_tmpdir);
        if (mkdtemp(fuzz_folder) == NULL) abort();
        atexit(fuzz_folder_remove);
    }
    f = fopen(fuzz_path(name), "wb");
    if (f == NULL || (size > 0 && fwrite(data, 1, size, f) != size) || fclose(f) != 0) abort();
}

#endif
