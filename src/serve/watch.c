/* watch.c - see watch.h. */
#include "serve/watch.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "core/report.h"

/* Closes what waits for too long; under the lock, so that no fd is another connection's by now. */
static void cut_off(struct watch *w)
{
    double now = clock_seconds();

    for (struct watched *c = w->first; c != NULL; c = c->next) {
        if (!c->waits || now - c->since < w->seconds) continue;
        shutdown(c->fd, SHUT_RDWR);
        c->waits = false; /* once is enough */
    }
}

static void *run(void *user)
{
    struct watch *w = user;
    struct timespec until;

    pthread_mutex_lock(&w->lock);
    while (!w->ends) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += (long)(w->seconds < 4 ? w->seconds * 0.25e9 : 1e9 - 1);
        if (until.tv_nsec >= 1000000000L) {
            until.tv_nsec -= 1000000000L;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&w->wake, &w->lock, &until);
        cut_off(w);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

enum status watch_init(struct watch *w, double seconds, struct err *e)
{
    pthread_condattr_t attributes;

    w->seconds = seconds;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    w->started = pthread_create(&w->thread, NULL, run, w) == 0;
    return w->started ? STATUS_OK : err_set(e, STATUS_IO, "no thread can be started");
}

void watch_free(struct watch *w)
{
    if (!w->started) return;
    pthread_mutex_lock(&w->lock);
    w->ends = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    w->started = false;
}

struct watched *watch_add(struct watch *w, int fd)
{
    struct watched *c = calloc(1, sizeof *c);

    if (c == NULL) return NULL;
    *c = (struct watched){ .fd = fd, .waits = true, .since = clock_seconds(), .at = &w->first };
    pthread_mutex_lock(&w->lock);
    c->next = w->first;
    if (c->next != NULL) c->next->at = &c->next;
    w->first = c;
    pthread_mutex_unlock(&w->lock);
    return c;
}

void watch_remove(struct watch *w, struct watched *c)
{
    if (c == NULL) return;
    pthread_mutex_lock(&w->lock);
    *c->at = c->next;
    if (c->next != NULL) c->next->at = c->at;
    pthread_mutex_unlock(&w->lock);
    free(c);
}

void watch_wait(struct watch *w, struct watched *c, bool waits)
{
    if (c == NULL) return;
    pthread_mutex_lock(&w->lock);
    c->waits = waits;
    c->since = clock_seconds();
    pthread_mutex_unlock(&w->lock);
}

bool watch_is_gone(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLRDHUP };

    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0;
}
