/* order.c - see order.h. */
#include "train/order.h"

#include "core/mix64.h"

#include <assert.h>
#include <stdlib.h>

enum status order_init(struct order *o, const struct corpus_type *types, size_t n_types, size_t batch,
                       uint64_t seed, struct err *e)
{
    size_t n_steps = 0;

    assert(batch > 0);
    *o = (struct order){ .batch = batch, .seed = seed };
    for (size_t i = 0; i < n_types; i++) {
        size_t n = types[i].end - types[i].first;

        if (n < batch)
            return err_set(e, STATUS_BAD_ARGUMENT,
                           "type \"%s\" has %zu items, fewer than the %zu of one step: it would never be "
                           "learned; take a smaller batch, or a type that it may share steps with",
                           types[i].name, n, batch);
        n_steps += n / batch;
    }
    if (n_steps == 0) return err_set(e, STATUS_BAD_ARGUMENT, "there is nothing to learn from");
    o->chunk = calloc(n_steps, sizeof *o->chunk);
    if (o->chunk == NULL) return err_no_memory(e, "the order of steps");
    o->n_steps = n_steps;
    order_shuffle(o, types, n_types, 0);
    return STATUS_OK;
}

void order_shuffle(struct order *o, const struct corpus_type *types, size_t n_types, uint64_t epoch)
{
    uint64_t random = mix64(o->seed + epoch);
    size_t n = 0;

    /* A type's last items, the longest, are left out where they do not fill a step. */
    for (size_t i = 0; i < n_types; i++)
        for (size_t at = types[i].first; types[i].end - at >= o->batch; at += o->batch) o->chunk[n++] = at;
    assert(n == o->n_steps);
    for (size_t i = n - 1; i > 0; i--) { /* Fisher and Yates */
        size_t j = (size_t)(mix64(random + i) % (i + 1)), moved = o->chunk[i];

        o->chunk[i] = o->chunk[j];
        o->chunk[j] = moved;
    }
}

void order_free(struct order *o)
{
    free(o->chunk);
    *o = (struct order){ 0 };
}
