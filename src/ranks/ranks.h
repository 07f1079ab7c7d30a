/*
 * ranks.h - several processes that share out one run: those that `mpirun -np N` starts, or this one alone. Where the program was built
 * without MPI there is always one.
 *
 *   ranks_begin ── each does its part ── ranks_sum (waits for all, and adds up) ── ranks_end
 *
 * All ranks make the same calls in the same order, also those whose part failed: else the others wait for ever.
 */
#ifndef SPHINX_RANKS_RANKS_H
#define SPHINX_RANKS_RANKS_H

#include "core/status.h"
#include "tensor/comm.h"

struct ranks {
    int rank, count;
    bool begun; /* there is something to end */
};

/* UNSUPPORTED: started as one of several, and this program cannot know of the others. */
enum status ranks_begin(struct ranks *r, struct err *e);
void ranks_end(struct ranks *r); /* accepts a zeroed one */

/* x [n] becomes the sum over all ranks; n 0 only waits. */
void ranks_sum(const struct ranks *r, double *x, int n);

/* st, but where it is OK and another rank's is not, CANCELLED: a failure of one is a failure of all. */
enum status ranks_agree(const struct ranks *r, enum status st, struct err *e);

/* On how many ranks st is a failure of their own, neither OK nor CANCELLED. *tells: whether this one is to say so: the first if it is among them,
 * else each of them. */
int ranks_failed(const struct ranks *r, enum status st, bool *tells);

/* All of them as comm.h has it. */
struct comm ranks_comm(const struct ranks *r);

#endif
