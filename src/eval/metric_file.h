/*
 * metric_file.h - the files that metrics write for outside scorers. Each appears whole or not at all (core/file.h).
 */
#ifndef SPHINX_EVAL_METRIC_FILE_H
#define SPHINX_EVAL_METRIC_FILE_H

#include "core/arena.h"
#include "core/status.h"

#include <jansson.h>

/* DIRECTORY/NAME, in which anything but letters, digits and "._+-" of name has become "_". From arena a; NULL: no memory. */
const char *metric_file_name(const char *directory, const char *name, struct arena *a);

/* Writes `value` indented. Takes the reference; NULL is NO_MEMORY. */
enum status metric_file_json(const char *path, json_t *value, struct err *e);
/* Writes every member of the array `lines` on a line of its own (JSONL). Takes the reference; NULL is NO_MEMORY. */
enum status metric_file_lines(const char *path, json_t *lines, struct err *e);

/* A JSON string of any bytes: U+FFFD for those that are not UTF-8. NULL: no memory. */
json_t *metric_json_text(const char *text, struct arena *a);

#endif
