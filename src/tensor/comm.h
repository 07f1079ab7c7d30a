/*
 * comm.h - ranks that share one model, each holding a slice of the tensor-parallel weights (spec 02 section 4, 05
 * section 5). ops.h's linear_column, linear_row, embed and gather_columns call these; with one rank there is no comm.
 * Both calls are collective: every rank makes the same calls in the same order. They return STATUS_OK or the failure.
 */
#ifndef SPHINX_TENSOR_COMM_H
#define SPHINX_TENSOR_COMM_H

#include "core/status.h"

#include <stddef.h>

struct comm {
    int rank, size;
    /* x [n] = the sum over ranks of x, added in rank order on every rank (bit-identical everywhere). */
    enum status (*all_reduce)(const struct comm *c, float *x, size_t n, struct err *e);
    /* out [size][n] = every rank's x [n], in rank order. */
    enum status (*all_gather)(const struct comm *c, float *out, const float *x, size_t n, struct err *e);
    void *user;
};

#endif
