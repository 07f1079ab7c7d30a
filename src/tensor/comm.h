/*
 * comm.h - ranks that share one model, each holding a slice of the tensor-parallel weights (spec 02 section 4, 05
 * section 5), or that learn from parts of the same batch (train/optimizer.h). ops.h's linear_column, linear_row, embed and gather_columns call
 * these; with one rank there is no comm.
 * All calls are collective: every rank makes the same calls in the same order. They return STATUS_OK or the failure. Sums are added in the
 * order of ranks, so that they are the same to the last bit each time, and on every rank.
 */
#ifndef SPHINX_TENSOR_COMM_H
#define SPHINX_TENSOR_COMM_H

#include "core/status.h"

#include <stddef.h>

struct comm {
    int rank, size;
    /* x [n] = the sum over ranks of x. */
    enum status (*all_reduce)(const struct comm *c, float *x, size_t n, struct err *e);
    /* out [size][n] = every rank's x [n], in rank order. x may be out's own part. */
    enum status (*all_gather)(const struct comm *c, float *out, const float *x, size_t n, struct err *e);
    /* x [size][n]: the own part becomes the sum over ranks of that part; the others stay. */
    enum status (*reduce_scatter)(const struct comm *c, float *x, size_t n, struct err *e);
    void *user;
};

#endif
