/*
 * ranks.h - ranks as threads of one process: what MPI and NCCL will be, small enough to test tensor parallelism anywhere.
 */
#ifndef TESTS_SUPPORT_RANKS_H
#define TESTS_SUPPORT_RANKS_H

#include "tensor/comm.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { RANKS_MAX = 8 };

struct ranks {
    pthread_barrier_t barrier;
    const float *part[RANKS_MAX];
};

static inline enum status ranks_gather(const struct comm *c, float *out, const float *x, size_t n,
                                       struct err *e)
{
    struct ranks *r = c->user;

    (void)e;
    r->part[c->rank] = x;
    pthread_barrier_wait(&r->barrier);
    for (int i = 0; i < c->size; i++)
        if (r->part[i] != out + (size_t)i * n) memcpy(out + (size_t)i * n, r->part[i], n * sizeof *out);
    pthread_barrier_wait(&r->barrier);
    return STATUS_OK;
}

static inline enum status ranks_reduce(const struct comm *c, float *x, size_t n, struct err *e)
{
    float *all = malloc((size_t)c->size * n * sizeof *all);

    if (all == NULL) abort();
    ranks_gather(c, all, x, n, e);
    for (size_t i = 0; i < n; i++) {
        x[i] = 0;
        for (int r = 0; r < c->size; r++) x[i] += all[(size_t)r * n + i];
    }
    free(all);
    return STATUS_OK;
}

static inline enum status ranks_reduce_scatter(const struct comm *c, float *x, size_t n, struct err *e)
{
    float *all = malloc((size_t)c->size * n * sizeof *all);

    if (all == NULL) abort();
    memcpy(all, x, (size_t)c->size * n * sizeof *all);
    ranks_reduce(c, all, (size_t)c->size * n, e);
    memcpy(x + (size_t)c->rank * n, all + (size_t)c->rank * n, n * sizeof *x);
    free(all);
    return STATUS_OK;
}

struct ranks_thread {
    struct comm comm;
    void (*run)(const struct comm *comm, void *user);
    void *user;
};

static inline void *ranks_main(void *argument)
{
    struct ranks_thread *t = argument;

    t->run(&t->comm, t->user);
    return NULL;
}

/* Calls run once a rank, at the same time. */
static inline void ranks_run(int size, void (*run)(const struct comm *comm, void *user), void *user)
{
    struct ranks shared;
    struct ranks_thread threads[RANKS_MAX];
    pthread_t handles[RANKS_MAX];

    pthread_barrier_init(&shared.barrier, NULL, (unsigned)size);
    for (int i = 0; i < size; i++) {
        threads[i] = (struct ranks_thread){
            { i, size, ranks_reduce, ranks_gather, ranks_reduce_scatter, &shared }, run, user
        };
        pthread_create(&handles[i], NULL, ranks_main, &threads[i]);
    }
    for (int i = 0; i < size; i++) pthread_join(handles[i], NULL);
    pthread_barrier_destroy(&shared.barrier);
}

#endif
