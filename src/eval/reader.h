/*
 * reader.h - the formats of annotation files. A reader opens the files that an entry names and appends records.
 */
#ifndef SPHINX_EVAL_READER_H
#define SPHINX_EVAL_READER_H

#include "eval/record.h"

/* Where a reader puts what it finds: growing list of records in the dataset, texts in its arena. */
struct record_list;

struct reader {
    const char *name;
    const char *
        files; /* names of the files that it wants, separated by spaces, optional ones in brackets; "*": any, at least one */
    const char *options; /* keys of an entry's options that are for the reader; the metric gets the others */
    /* Checks them when the table is read: BAD_FORMAT names the key. NULL: there is nothing to check. */
    enum status (*check)(const struct benchmark *b, struct err *e);
    enum status (*read)(struct record_list *l, const struct benchmark *b, struct err *e);
};

/* NULL if there is none of that name. reader_at: for lists, NULL at the end. */
const struct reader *reader_find(const char *name);
const struct reader *reader_at(size_t i);

/* Whether one of these words, separated by spaces, is `word`. Brackets around it do not count. */
bool words_hold(const char *words, const char *word);

/* The option of an entry, NULL where it has none. */
const json_t *benchmark_option(const struct benchmark *b, const char *key);

#endif
