/*
 * transcript.h - a conversation as a file. A name that ends in .txt gets plain text; any other a JSON object that is a record of
 * upstream's training data too:
 *
 *     {"model": "SPHINX-1k", "image": "cat.jpg", "conversations": [{"from": "human", "value": "..."},
 *                                                                   {"from": "gpt", "value": "..."}]}
 */
#ifndef SPHINX_CLI_TRANSCRIPT_H
#define SPHINX_CLI_TRANSCRIPT_H

#include "core/status.h"
#include "sphinx.h"

/* image may be NULL. A file of that name is replaced at once or not at all. */
enum status transcript_save(const sphinx_session *session, const char *model, const char *image,
                            const char *path, struct err *e);

#endif
