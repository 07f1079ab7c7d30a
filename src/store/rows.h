/*
 * rows.h - the records of an annotation file one after the other, whatever the file is written in: each becomes a JSON object.
 *
 *   x.json     an array of objects, or one under a key of the outermost object, or that object's members
 *   x.jsonl    an object a line; a .json file that is to hold an array and begins with '{' is taken for one, too
 *   x.tsv .csv a header, then a record a line; cells in double quotes may hold anything, "" being one quote
 *
 * One record is in memory at a time: VQAv2's annotations are read in the space of one question. Nothing in the file is believed: what is
 * wrong is told with the file, the record and the key.
 */
#ifndef SPHINX_STORE_ROWS_H
#define SPHINX_STORE_ROWS_H

#include "core/arena.h"
#include "core/status.h"

#include <jansson.h>
#include <stddef.h>

struct row {
    const char *file;   /* its path, for messages */
    const char *unit;   /* "record", counted from 0, or "line", from 1 */
    size_t number;      /* in these */
    const char *key;    /* where the records are the members of an object; else NULL */
    const char *name;   /* what the entry calls the file; NULL: rows_walk does not know */
    const json_t *json; /* an object */
    const char *text;   /* [size] how it stands in the file: JSON, or a table's lines */
    size_t size;
};

typedef enum status (*row_take)(void *user, const struct row *row, struct err *e);

/* `list`: "" the file is the list; "*" its outermost object's members are the records; a name: the list under that key. Only for
 * .json; the others have no such choice and want "". Stops at the first status that is not OK and returns it. */
enum status rows_walk(const char *path, const char *list, row_take take, void *user, struct err *e);

/* BAD_FORMAT with "file: record 17: " and the sentence. */
enum status row_error(const struct row *row, struct err *e, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The value under a key, or NULL where it is absent or null. "a.b" is b of the object a; "" the row itself. The key "#" is a member's key. */
const json_t *row_find(const struct row *row, const char *key);

/* A text or number as text, from arena a; NULL where it is absent or null. Anything else is an error. */
enum status row_text(const struct row *row, const char *key, struct arena *a, const char **text,
                     struct err *e);

/* All texts and numbers that are found under a key, going into lists on the way: "answers.answer" of VQA's ten. n = 0 where it is absent. */
enum status row_texts(const struct row *row, const char *key, struct arena *a, const char *const **texts,
                      size_t *n, struct err *e);

/* n numbers (a list of exactly n); *found false where it is absent. Numbers are finite. */
enum status row_numbers(const struct row *row, const char *key, double *x, size_t n, bool *found,
                        struct err *e);

/* "a text", "a number", ...: for messages. NULL is "nothing". */
const char *json_kind(const json_t *value);

#endif
