/*
 * folder_names.h - what lies in a folder, sorted by its bytes: the same order on every machine.
 */
#ifndef SPHINX_EVAL_FOLDER_NAMES_H
#define SPHINX_EVAL_FOLDER_NAMES_H

#include "core/arena.h"
#include "core/status.h"

#include <stddef.h>

/* Names that do not begin with a dot and end in one of `endings`, separated by spaces, of any case; "": all names. From arena a. A path that is
 * no folder, or cannot be read, is IO. */
enum status folder_names(const char *path, const char *endings, struct arena *a, const char *const **names,
                         size_t *n, struct err *e);

#endif
