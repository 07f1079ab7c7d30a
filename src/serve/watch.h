/*
 * watch.h - how long connections may take: a thread that cuts those off which are too slow in sending their request or in reading their
 * answer. What the server itself takes does not count.
 */
#ifndef SPHINX_SERVE_WATCH_H
#define SPHINX_SERVE_WATCH_H

#include <pthread.h>
#include <stdbool.h>

#include "core/status.h"

struct watched {
    struct watched *next, **at; /* in the list */
    int fd;
    bool waits;   /* for the client */
    double since; /* it waits */
};

struct watch {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    struct watched *first;
    double seconds;
    bool started, ends;
};

enum status watch_init(struct watch *w, double seconds, struct err *e);
void watch_free(struct watch *w); /* accepts a zeroed one; no connections are left */

/* A connection comes, which is waited for, and goes. NULL: no memory. */
struct watched *watch_add(struct watch *w, int fd);
void watch_remove(struct watch *w, struct watched *c); /* NULL is allowed */
/* From now on the client is waited for, anew, or it is not. NULL is allowed. */
void watch_wait(struct watch *w, struct watched *c, bool waits);

/* Whether the other side has closed the connection, or its half of it. */
bool watch_is_gone(int fd);

#endif
