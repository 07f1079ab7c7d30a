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
        files; /* names of the files that it wants, separated by spaces; optional ones in brackets: "annotation [truth]" */
    enum status (*read)(struct record_list *l, const struct benchmark *b, const char *data, struct err *e);
};

const struct reader *reader_find(const char *name);
const struct reader *reader_at(size_t i);

#endif
