/*
 * rows_format.h - between rows.c, which looks at the file's name, and the parsers of the formats. Nobody else needs it.
 */
#ifndef SPHINX_STORE_ROWS_FORMAT_H
#define SPHINX_STORE_ROWS_FORMAT_H

#include "store/rows.h"

#include <string.h>

/* A file being read, and who gets its records. */
struct rows_input {
    const char *file;
    const char *begin, *end; /* not NUL-terminated */
    row_take take;
    void *user;
};

/* The number of the line that `at` stands in, from 1. */
static inline size_t rows_line(const struct rows_input *in, const char *at)
{
    size_t n = 1;

    for (const char *p = in->begin; p < at && (p = memchr(p, '\n', (size_t)(at - p))) != NULL; p++) n++;
    return n;
}

enum status rows_walk_json(const struct rows_input *in, const char *list, struct err *e);
enum status rows_walk_jsonl(const struct rows_input *in, struct err *e);
enum status rows_walk_cells(const struct rows_input *in, char separator, struct err *e);

#endif
