/* ranks.c - see ranks.h. */
#include "ranks/ranks.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#ifdef SPHINX_MPI
#include <mpi.h>
#endif

/* What the usual launchers tell the processes that they start. */
static const char *const counts[] = { "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS",
                                      "MV2_COMM_WORLD_SIZE" };

static int launched_count(void)
{
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const char *text = getenv(counts[i]);

        if (text != NULL && atoi(text) > 0) return atoi(text);
    }
    return 1;
}

#ifdef SPHINX_MPI

enum status ranks_begin(struct ranks *r, struct err *e)
{
    int provided;

    *r = (struct ranks){ .count = 1 };
    if (launched_count() == 1) return STATUS_OK; /* starting MPI for one process takes a second */
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
        return err_set(e, STATUS_IO, "MPI does not start");
    r->begun = true;
    MPI_Comm_rank(MPI_COMM_WORLD, &r->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &r->count);
    return STATUS_OK;
}

void ranks_end(struct ranks *r)
{
    if (r->begun) MPI_Finalize();
    r->begun = false;
}

void ranks_sum(const struct ranks *r, double *x, int n)
{
    if (r->count == 1) return;
    if (n > 0) MPI_Allreduce(MPI_IN_PLACE, x, n, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    MPI_Barrier(MPI_COMM_WORLD);
}

/* Numbers that a call of MPI moves to or from each rank: what bounds the memory for sums. */
enum { PIECE = 1 << 18 };

static enum status answer(int code, struct err *e)
{
    return code == MPI_SUCCESS ? STATUS_OK : err_set(e, STATUS_IO, "MPI fails with code %d", code);
}

/* sum [n] = the sum of parts [size][n], in their order. */
static void add_parts(float *sum, const float *parts, int size, size_t n)
{
    memcpy(sum, parts, n * sizeof *sum);
    for (int r = 1; r < size; r++)
        for (size_t i = 0; i < n; i++) sum[i] += parts[(size_t)r * n + i];
}

static enum status mpi_all_gather(const struct comm *c, float *out, const float *x, size_t n, struct err *e)
{
    const void *from = x == out + (size_t)c->rank * n ? MPI_IN_PLACE : x;

    if (n > INT_MAX) return err_set(e, STATUS_UNSUPPORTED, "%zu numbers are too many for one message", n);
    return answer(MPI_Allgather(from, (int)n, MPI_FLOAT, out, (int)n, MPI_FLOAT, MPI_COMM_WORLD), e);
}

static enum status mpi_all_reduce(const struct comm *c, float *x, size_t n, struct err *e)
{
    float *parts = malloc((size_t)c->size * PIECE * sizeof *parts);
    enum status st = parts != NULL ? STATUS_OK : err_no_memory(e, "sums over ranks");

    for (size_t at = 0; at < n && st == STATUS_OK; at += PIECE) {
        size_t some = n - at < PIECE ? n - at : PIECE;

        st = mpi_all_gather(c, parts, x + at, some, e);
        if (st == STATUS_OK) add_parts(x + at, parts, c->size, some);
    }
    free(parts);
    return st;
}

static enum status mpi_reduce_scatter(const struct comm *c, float *x, size_t n, struct err *e)
{
    size_t size = (size_t)c->size, most = n < PIECE ? n : PIECE;
    float *out = malloc((2 * size * most + 1) * sizeof *out), *in = out != NULL ? out + size * most : NULL;
    enum status st = out != NULL ? STATUS_OK : err_no_memory(e, "sums over ranks");

    for (size_t at = 0; at < n && st == STATUS_OK; at += most) {
        size_t some = n - at < most ? n - at : most;

        for (size_t r = 0; r < size; r++) memcpy(out + r * some, x + r * n + at, some * sizeof *out);
        st = answer(MPI_Alltoall(out, (int)some, MPI_FLOAT, in, (int)some, MPI_FLOAT, MPI_COMM_WORLD), e);
        if (st == STATUS_OK) add_parts(x + (size_t)c->rank * n + at, in, c->size, some);
    }
    free(out);
    return st;
}

struct comm ranks_comm(const struct ranks *r)
{
    return (struct comm){ .rank = r->rank,
                          .size = r->count,
                          .all_reduce = mpi_all_reduce,
                          .all_gather = mpi_all_gather,
                          .reduce_scatter = mpi_reduce_scatter };
}

#else

enum status ranks_begin(struct ranks *r, struct err *e)
{
    *r = (struct ranks){ .count = 1 };
    if (launched_count() == 1) return STATUS_OK;
    return err_set(
        e, STATUS_UNSUPPORTED,
        "started as one of %d processes, but this program was built without MPI: each would do all the "
        "work",
        launched_count());
}

void ranks_end(struct ranks *r)
{
    (void)r;
}

void ranks_sum(const struct ranks *r, double *x, int n)
{
    (void)r;
    (void)x;
    (void)n;
}

struct comm ranks_comm(const struct ranks *r)
{
    return (struct comm){ .rank = r->rank, .size = r->count };
}

#endif

int ranks_failed(const struct ranks *r, enum status st, bool *tells)
{
    double failed = st != STATUS_OK && st != STATUS_CANCELLED, n[2] = { failed, r->rank == 0 ? failed : 0 };

    ranks_sum(r, n, 2);
    *tells = failed > 0 && (r->rank == 0 || n[1] == 0);
    return (int)n[0];
}

enum status ranks_agree(const struct ranks *r, enum status st, struct err *e)
{
    double failed = st != STATUS_OK;

    ranks_sum(r, &failed, 1);
    if (st != STATUS_OK || failed == 0) return st;
    return err_set(e, STATUS_CANCELLED, "another of the %d processes failed", r->count);
}
