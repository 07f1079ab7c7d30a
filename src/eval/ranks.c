/* ranks.c - see ranks.h. */
#include "eval/ranks.h"

#include <stdlib.h>

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

#endif

enum status ranks_agree(const struct ranks *r, enum status st, struct err *e)
{
    double failed = st != STATUS_OK;

    ranks_sum(r, &failed, 1);
    if (st != STATUS_OK || failed == 0) return st;
    return err_set(e, STATUS_CANCELLED, "another of the %d processes failed", r->count);
}
