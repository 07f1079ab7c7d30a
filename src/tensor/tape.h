/*
 * tape.h - reverse-mode differentiation. With ctx->tape set, every op appends how to propagate its gradient;
 * tape_backward plays the entries from last to first. Saved values live in the context's arena, which is then not
 * rewound (ops.h, scope_begin), until the caller resets it after the step.
 */
#ifndef SPHINX_TENSOR_TAPE_H
#define SPHINX_TENSOR_TAPE_H

struct ctx;

struct tape_entry {
    void (*backward)(struct ctx *c, const void *args);
    const void *args; /* the op's own record, in the arena */
    struct tape_entry *previous;
};

struct tape {
    struct tape_entry *last;
};

/* Plays the tape. The caller has first put the gradient of the loss into the outputs' grad. Failures (a lost rank)
 * are in c->err afterwards. Empties the tape. */
void tape_backward(struct ctx *c);

#endif
