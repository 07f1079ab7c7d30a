/*
 * replay.c - the main of a fuzz target in an ordinary build: gives it every file of the named files and folders, so that an input
 * that once failed is a test of every build.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 64 << 20 };

/* The input is copied to a block of just its size: one byte read past it is seen by ASan and valgrind. */
static bool replay_file(const char *path)
{
    struct err e = { 0 };
    unsigned char *data = NULL;
    size_t size = 0;
    uint8_t *exact;

    if (file_read(path, INPUT_MAX, &data, &size, &e) != STATUS_OK) {
        fprintf(stderr, "%s\n", e.text);
        return false;
    }
    exact = malloc(size > 0 ? size : 1);
    if (exact == NULL) {
        free(data);
        return false;
    }
    memcpy(exact, data, size);
    free(data);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return true;
}

static bool replay_folder(const char *path, size_t *n_files)
{
    DIR *d = opendir(path);
    struct dirent *entry;
    bool ok = true;

    if (d == NULL) {
        perror(path);
        return false;
    }
    while (ok && (entry = readdir(d)) != NULL) {
        char *file;

        if (entry->d_name[0] == '.') continue;
        file = path_join(path, entry->d_name);
        ok = file != NULL && replay_file(file);
        free(file);
        *n_files += ok;
    }
    closedir(d);
    return ok;
}

int main(int argc, char **argv)
{
    size_t n_files = 0;
    int i;

    for (i = 1; i < argc; i++) {
        if (file_is_directory(argv[i])) {
            if (!replay_folder(argv[i], &n_files)) return 1;
        } else {
            if (!replay_file(argv[i])) return 1;
            n_files++;
        }
    }
    printf("%zu inputs\n", n_files);
    return n_files > 0 ? 0 : 1; /* an empty corpus tests nothing */
}
