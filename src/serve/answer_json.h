/*
 * answer_json.h - parts of replies: what an answer says, points at and cost, in OpenAI's form and ours. docs/api.md has the fields.
 *
 * All return new JSON, NULL when there is no memory.
 */
#ifndef SPHINX_SERVE_ANSWER_JSON_H
#define SPHINX_SERVE_ANSWER_JSON_H

#include <jansson.h>

#include "serve/ticket.h"

/* "usage" */
json_t *usage_json(const sphinx_answer *a);
/* "regions". sure: confidences are known. */
json_t *regions_json(const sphinx_answer *a, bool sure);
/* "sphinx" of an answer that is complete. seconds_queue: that it waited. */
json_t *sphinx_json(const sphinx_answer *a, const sphinx_image *image, double seconds_queue);
/* {"progress": {...}} */
json_t *progress_json(const struct ticket_progress *p);
/* "logprobs": {"content": [...]} of tokens [n] that have text: all of them, or, told by spans (NULL: not told), those whose span is not
 * empty. */
json_t *logprobs_json(const sphinx_model *model, const struct ticket_token *tokens, size_t n,
                      const sphinx_span *spans);
/* The same as /v1/completions has them: lists that stand side by side. */
json_t *text_logprobs_json(const sphinx_model *model, const struct ticket_token *tokens, size_t n,
                           const sphinx_span *spans);
/* A PNG file as a data URL; NULL: no memory. */
json_t *png_json(const unsigned char *png, size_t size);
/* "stop" or "length" */
const char *finish_name(const sphinx_answer *a);

#endif
