/*
 * record_list.h - a dataset while a reader fills it.
 */
#ifndef SPHINX_EVAL_RECORD_LIST_H
#define SPHINX_EVAL_RECORD_LIST_H

#include "eval/reader.h"
#include "eval/text_map.h"

struct record_list {
    struct dataset *dataset; /* texts go into its arena */
    size_t capacity;
    const char *data; /* the folder below which everything lies */
    struct text_map ids;
};

/* One more record, all empty but its index. The pointer holds until the next is added. */
enum status record_add(struct record_list *l, struct record **r, struct err *e);
/* For files whose ids are to be unique: *is_new false if there was a record of this id before. Also finds records by their id later. */
enum status record_note_id(struct record_list *l, const struct record *r, bool *is_new, struct err *e);

/* Adds a sentence to what the report says of the dataset: something the scores depend on. */
enum status record_list_remark(struct record_list *l, struct err *e, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Where the file or folder lies that the entry calls `name`: the first of those it names that exists below the data folder. If there is none,
 * NOT_FOUND names the first that was looked for; of an optional one *path is NULL then. `named` may be NULL: what the entry has in its place. */
enum status record_list_file(struct record_list *l, const char *name, bool optional, const char **path,
                             const char **named, struct err *e);

#endif
