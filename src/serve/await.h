/*
 * await.h - from an inquiry to its answer, as handlers see it: one ticket of an exchange, waited for with an eye on the client.
 */
#ifndef SPHINX_SERVE_AWAIT_H
#define SPHINX_SERVE_AWAIT_H

#include "serve/server.h"

/* Requests are parsed, and their images decoded, between these two: not too many at once, first come first served. The body is dropped at the end. */
void await_parse_begin(struct exchange *x);
void await_parse_end(struct exchange *x);

/* The inquiry, which is freed or taken over, becomes the exchange's ticket and waits for its turn. */
bool await_begin(struct exchange *x, struct inquiry *o, struct problem *p);

/* Waits for news of it, but not long. False when nobody waits for the answer any more, or it takes too long: p says so, and it is
 * cancelled. news->ended etc. say what there is, perhaps nothing. */
bool await_news(struct exchange *x, struct ticket_news *news, struct problem *p);
/* False: nobody waits for the reply any more, or it takes too long. */
bool await_wanted(const struct exchange *x, struct problem *p);
void await_drop(struct ticket_news *news); /* frees what is in them */

/* It has ended: false if there is no answer, as p says. */
bool await_check(const struct exchange *x, struct problem *p);

/* All of this: x->ticket->answer is there when it returns true. */
bool await_answer(struct exchange *x, struct problem *p);

/* Seconds that it waited in the queue. */
double await_queued(const struct exchange *x);

#endif
