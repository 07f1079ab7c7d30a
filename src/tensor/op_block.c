/*
 * op_block.c - the blocks that networks are stacked of, and what becomes of the activations inside of them. See ops.h.
 *
 *   way there:  x ── block ── y            y is kept, and what is inside of the block is dropped
 *   way back:   x ── block, recorded ── y  its tape is played with y's gradient, and dropped as well
 *
 * So a step holds the activations of one block at a time, and each block's y (Chen et al. 2016). The same ops see the same numbers
 * in the same order as without: gradients are equal to the last bit.
 */
#include "tensor/op_common.h"

struct block_args {
    struct tensor *x, *y;
    block_function *block;
    const void *args;
    uint64_t dropout_key; /* as it was before the block */
};

static void copy_matrix(const struct tensor *to, const struct tensor *from)
{
    size_t bytes = (size_t)tensor_columns(to) * sizeof(float);

    for (int64_t t = 0; t < tensor_rows(to); t++)
        memcpy(tensor_f32(to) + t * to->stride, tensor_f32(from) + t * from->stride, bytes);
}

static void block_backward(struct ctx *c, const void *args)
{
    const struct block_args *a = args;
    struct arena_mark mark = arena_mark(c->arena);
    struct ctx again = *c;
    struct tape tape = { NULL };
    struct tensor *y;

    again.tape = &tape;
    again.dropout_key = a->dropout_key;
    again.observer = NULL; /* has seen it all on the way there */
    y = a->block(&again, a->args, a->x);
    if (y != NULL) {
        memcpy(y->grad, a->y->grad, (size_t)tensor_rows(y) * (size_t)tensor_columns(y) * sizeof *y->grad);
        tape_backward(&again);
    }
    c->err = again.err;
    arena_reset(c->arena, mark);
}

/* The block is run as if it were recorded, since that tells whether anything in it has a gradient. */
static struct tensor *run_and_forget(struct ctx *c, block_function *block, const void *args, size_t size,
                                     struct tensor *x)
{
    struct block_args kept = { x, tensor_new(c, tensor_rows(x), tensor_columns(x), false), block, NULL,
                               c->dropout_key };
    void *copy = ctx_alloc(c, 1, size);
    struct arena_mark mark = arena_mark(c->arena);
    struct tape forgotten = { NULL }, *tape = c->tape;
    struct tensor *y;
    bool grad;

    if (kept.y == NULL || copy == NULL) return NULL;
    kept.args = memcpy(copy, args, size);
    c->tape = &forgotten;
    y = block(c, args, x);
    c->tape = tape;
    if (y == NULL) return NULL;
    assert(y->stride == tensor_columns(y) && tensor_rows(y) == tensor_rows(x) &&
           tensor_columns(y) == tensor_columns(x));
    copy_matrix(kept.y, y);
    grad = has_grad(y);
    arena_reset(c->arena, mark);
    if (!grad) return kept.y;
    return tape_record(c, tensor_add_grad(c, kept.y), block_backward, &kept, sizeof kept);
}

struct tensor *apply_block(struct ctx *c, block_function *block, const void *args, size_t size,
                           struct tensor *x)
{
    struct arena_mark scope = scope_begin(c);
    struct tensor *y;

    if (x == NULL || ctx_stopped(c)) return NULL;
    if (c->tape != NULL && c->recompute) return run_and_forget(c, block, args, size, x);
    y = block(c, args, x);
    if (y != NULL && c->tape == NULL && y->data != x->data) {
        copy_matrix(x, y);
        y = x;
    }
    scope_end(c, scope);
    return y;
}
