/*
 * checkpoint_params.h - the weights of a checkpoint as networks ask for them (tensor/params.h).
 */
#ifndef SPHINX_STORE_CHECKPOINT_PARAMS_H
#define SPHINX_STORE_CHECKPOINT_PARAMS_H

#include "core/arena.h"
#include "store/checkpoint.h"
#include "tensor/params.h"

/* What a checkpoint is asked for. Fields of rule as in checkpoint.h. */
struct ckpt_rule ckpt_param_rule(const struct param *p);

/* Fills in slot [p->experts] as ops take it: a vector as contiguous float32 with its dims, a matrix as [dim[0], all the rest]. It
 * borrows c; what has to be made anew is in a. The slot's adapter stays. Errors as ckpt_tensor, and NO_MEMORY. */
enum status ckpt_param(struct checkpoint *c, const struct param *p, int rank, int ranks, struct arena *a,
                       struct tensor *slot, struct err *e);

#endif
