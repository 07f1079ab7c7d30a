/*
 * join.h - further files that complete the records of the first: VQA's answers, DocVQA's, the captions that LLaVA-Bench's judge reads.
 *
 *     "join": [{"file": "truth",                     what the entry's "files" calls it
 *               "list": "annotations",               as for rows_walk
 *               "by": "{question_id}", "to": "id",   a template here is equal to the record's id, or its "image"
 *               "answers": "answers.answer", "category": "{question_type}",      a mapping
 *               "without": "..."}]                   the file need not be there: what the report says then
 */
#ifndef SPHINX_EVAL_JOIN_H
#define SPHINX_EVAL_JOIN_H

#include "eval/record_list.h"

enum status join_check(const struct benchmark *b, const json_t *joins, struct err *e);
/* All of them. A record that a file has nothing for is an error, entries for no record are not. */
enum status join_read(struct record_list *l, const json_t *joins, struct err *e);
/* Whether one of them reads the file that the entry calls `name`. */
bool join_uses(const json_t *joins, const char *name);

#endif
