/*
 * judgements.h - what an outside judge said of answers, from the files in which official scripts keep it.
 *
 *   {"v1_0": {"model": [...], "content": ["0.5"], "score": [0.5]}, ...}                    MM-Vet's grades: runs side by side
 *   {"question_id": 3, "category": "...", "content": "7 8\nThe first ...", "tuple": [7, 8]}  LLaVA-Bench's reviews, one a line
 *   {"v1_0": 0.5} and {"id": "v1_0", "content": "0.5"}, one a line                        shorter forms of either
 */
#ifndef SPHINX_EVAL_JUDGEMENTS_H
#define SPHINX_EVAL_JUDGEMENTS_H

#include "core/status.h"

#include <jansson.h>

/* An object {id: what was said}; the caller decrefs it. NOT_FOUND, IO, or BAD_FORMAT with the line. Of several with one id the last counts,
 * since judges are asked again. */
enum status judgements_read(json_t **by_id, const char *path, struct err *e);

/* Writes what takes the place of each {KEY...} of the template: value[i] for key[i] [n]; braces of other texts stay, also those within
 * values. malloc'ed; NULL: no memory. */
char *judge_fill(const char *template, const char *const *key, const char *const *value, size_t n);

#endif
