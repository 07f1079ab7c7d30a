/*
 * reader_rows.h - what the readers share whose files are a record a row: rows, unified, mmbench.
 */
#ifndef SPHINX_EVAL_READER_ROWS_H
#define SPHINX_EVAL_READER_ROWS_H

#include "eval/record_list.h"

/* Option keys: "list", "only", "unique_ids", "join" (join.h) and those of mapping.h. */
extern const char reader_rows_options[];
enum status reader_rows_check(const struct benchmark *b, struct err *e);

/* Reads all files of the entry but those of its joins, in their order, then the joins. `options` is the entry's, or what a reader made of
 * them. */
enum status reader_rows_read(struct record_list *l, const json_t *options, struct err *e);
/* Only the file that the entry calls `name`, without joins. */
enum status reader_rows_read_file(struct record_list *l, const json_t *options, const char *name,
                                  struct err *e);

#endif
