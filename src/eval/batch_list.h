/*
 * batch_list.h - a list of images and questions, as people have them, for `sphinx batch`.
 *
 *   JSONL      {"image": "a.jpg", "prompt": "What is this?", "id": 7}     an object a line
 *   CSV, TSV   image,prompt,id                                            a first line of such names, then a question a line (rows.h)
 *   text       a.jpg                                                      an image a line, or image, tab, question
 *
 * Which one it is the first line says. Also known: "image_path", "question", "question_id".
 */
#ifndef SPHINX_EVAL_BATCH_LIST_H
#define SPHINX_EVAL_BATCH_LIST_H

#include "core/arena.h"
#include "core/status.h"

#include <stddef.h>

struct batch_item {
    const char *id;     /* NULL: it has none */
    const char *image;  /* NULL: a question without an image */
    const char *prompt; /* its own, else the one for all */
    size_t line;        /* of the list, from 1 */
};

struct batch_list {
    struct batch_item *items; /* [n] */
    size_t n;
    struct arena arena;
};

/* prompt: for those that have none of their own; NULL: each must have one. Images that are no absolute paths lie where the process is. Errors name
 * list and line. */
enum status batch_list_read(struct batch_list *l, const char *name, const char *data, size_t size,
                            const char *prompt, struct err *e);
void batch_list_free(struct batch_list *l); /* accepts a zeroed one */

#endif
