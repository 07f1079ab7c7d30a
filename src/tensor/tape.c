/* tape.c - see tape.h. */
#include "tensor/tape.h"

#include "tensor/op_common.h"

struct tensor *tape_record(struct ctx *c, struct tensor *y, void (*backward)(struct ctx *, const void *),
                           const void *args, size_t size)
{
    struct tape_entry *entry;
    void *copy;

    if (y == NULL || c->tape == NULL || y->grad == NULL) return y;
    entry = ctx_alloc(c, 1, sizeof *entry);
    copy = ctx_alloc(c, 1, size);
    if (entry == NULL || copy == NULL) return NULL;
    memcpy(copy, args, size);
    *entry = (struct tape_entry){ backward, copy, c->tape->last };
    c->tape->last = entry;
    return y;
}

bool ctx_stopped(struct ctx *c)
{
    if (c->err.code != STATUS_OK) return true;
    if (!report_cancelled(c->report)) return false;
    err_set(&c->err, STATUS_CANCELLED, "cancelled");
    return true;
}

void tape_backward(struct ctx *c)
{
    struct tape_entry *entry = c->tape->last;

    for (; entry != NULL && !ctx_stopped(c); entry = entry->previous) entry->backward(c, entry->args);
    c->tape->last = NULL;
}
