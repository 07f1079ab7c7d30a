/*
 * golden.h - reading the text files of expected values under tests/data: one case a line, # starts a comment.
 */
#ifndef TESTS_SUPPORT_GOLDEN_H
#define TESTS_SUPPORT_GOLDEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Calls run for every case of the file and fails when there are fewer than n_min, so that a golden that was
 * emptied by mistake does not pass. */
static inline void golden_each(const char *path, int n_min, void (*run)(char *line))
{
    static char line[16384];
    FILE *f = fopen(path, "r");
    int n = 0;

    if (f == NULL) fail_msg("%s cannot be opened", path);
    while (fgets(line, sizeof line, f) != NULL) {
        if (line[0] == '#') continue;
        if (strchr(line, '\n') == NULL) fail_msg("%s: line %d is too long", path, n);
        run(line);
        n++;
    }
    fclose(f);
    if (n < n_min) fail_msg("%s holds %d cases, expected at least %d", path, n, n_min);
}

#endif
