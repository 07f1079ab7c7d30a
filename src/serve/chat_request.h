/*
 * chat_request.h - the body of a request for an answer, in OpenAI's form, as an inquiry.
 *
 *   {"messages": [...], "temperature": ..., ...} ── chat_request_read ── struct chat_request { inquiry, how to reply }
 */
#ifndef SPHINX_SERVE_CHAT_REQUEST_H
#define SPHINX_SERVE_CHAT_REQUEST_H

#include "serve/inquiry.h"
#include "serve/json_field.h"

/* What a server allows, and what it takes where a request does not say. */
struct request_rules {
    sphinx_ask_options ask;
    bool seed_given; /* ask.seed is for requests without one, which otherwise draw theirs */
    int max_tokens;  /* the most that may be asked for */
    sphinx_session_options session;
    const char *media_path;    /* NULL: no files */
    struct pictures *pictures; /* images of earlier requests; NULL: none */
};

struct chat_request {
    struct inquiry inquiry;
    bool stream, usage, logprobs, echo; /* usage: in the stream */
};

/* False with the problem; then there is nothing to free. */
bool chat_request_read(struct chat_request *r, const char *body, size_t size,
                       const struct request_rules *rules, struct problem *p);
void chat_request_free(struct chat_request *r);
/* The same for /v1/completions: a prompt that is taken as it is; `echo`: the reply begins with it. logprobs is a number there. */
bool text_request_read(struct chat_request *r, const char *body, size_t size,
                       const struct request_rules *rules, struct problem *p);

/* The parts of it that other requests share. How to sample and when to stop: */
bool request_sampling(struct inquiry *o, const json_t *body, const struct request_rules *rules,
                      struct problem *p);
/* An image by its URL, as text or {"url": text}; param names the field. There must be none yet. */
bool request_image(struct inquiry *o, const json_t *url, const char *param, const struct request_rules *rules,
                   struct problem *p);
/* The server's system sentence, if it has one and the inquiry has none. */
bool request_system(struct inquiry *o, const struct request_rules *rules, struct problem *p);
/* The dialogue: all but the last question as turns. The inquiry's system, turns, question and image. */
bool request_messages(struct inquiry *o, const json_t *messages, const struct request_rules *rules,
                      struct problem *p);

#endif
