/*
 * reply.h - what a handler leaves in its exchange. The first reply counts.
 */
#ifndef SPHINX_SERVE_REPLY_H
#define SPHINX_SERVE_REPLY_H

#include "serve/server.h"

/* Bytes that are malloc'ed and taken over. type: "text/html"; a literal. NULL bytes: no memory. */
void reply_bytes(struct exchange *x, unsigned status, const char *type, char *bytes, size_t size);
/* Bytes that stay where they are. */
void reply_static(struct exchange *x, unsigned status, const char *type, const void *bytes, size_t size);
/* JSON that is taken over; NULL: no memory. */
void reply_json(struct exchange *x, unsigned status, json_t *o);
void reply_problem(struct exchange *x, const struct problem *p);
/* Events as they come: `read` as libmicrohttpd wants it. stream belongs to the exchange, which ends it. */
void reply_events(struct exchange *x, MHD_ContentReaderCallback read, void *stream, void (*end)(void *));

/* One line of JSON, malloc'ed; reals have 7 digits. o is taken over. NULL: no memory. */
char *json_line(json_t *o);

#endif
