/* blend.c - see blend.h. A lane for each part of the mix, or one for all types. */
#include "train/blend.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mix64.h"

static enum status lane_init(struct blend *b, const struct corpus_type *types, size_t n_types, size_t n_micro,
                             uint64_t seed, struct err *e)
{
    struct blend_lane *lane = &b->lane[b->n_lanes];

    *lane = (struct blend_lane){ .types = types, .n_types = n_types, .n_micro = n_micro };
    b->n_lanes++;
    return order_init(&lane->order, types, n_types, n_micro * b->micro, seed, e);
}

/* NULL: there is none. */
static const struct corpus_type *type_find(const struct corpus_type *types, size_t n_types, const char *name)
{
    for (size_t i = 0; i < n_types; i++)
        if (strcmp(types[i].name, name) == 0) return &types[i];
    return NULL;
}

static enum status check_all_mixed(const struct corpus_type *types, size_t n_types,
                                   const struct blend_part *parts, size_t n_parts, struct err *e)
{
    for (size_t i = 0; i < n_types; i++) {
        size_t k = 0;

        while (k < n_parts && strcmp(parts[k].type, types[i].name) != 0) k++;
        if (k == n_parts)
            return err_set(e, STATUS_BAD_ARGUMENT, "the data has items of type \"%s\", and the mix has none",
                           types[i].name);
    }
    return STATUS_OK;
}

static enum status lanes_init(struct blend *b, const struct corpus_type *types, size_t n_types,
                              const struct blend_part *parts, size_t n_parts, uint64_t seed, struct err *e)
{
    enum status st = check_all_mixed(types, n_types, parts, n_parts, e);

    for (size_t i = 0; i < n_parts && st == STATUS_OK; i++) {
        const struct corpus_type *type = type_find(types, n_types, parts[i].type);

        if (type == NULL)
            return err_set(e, STATUS_BAD_ARGUMENT, "the mix has items of type \"%s\", and the data has none",
                           parts[i].type);
        st = lane_init(b, type, 1, parts[i].n_micro, i == 0 ? seed : seed ^ mix64(i), e);
    }
    return st;
}

enum status blend_init(struct blend *b, const struct corpus_type *types, size_t n_types,
                       const struct blend_part *parts, size_t n_parts, size_t accumulate, size_t micro,
                       uint64_t seed, struct err *e)
{
    enum status st;

    assert(micro > 0);
    *b = (struct blend){ .micro = micro, .lane = calloc(n_parts > 0 ? n_parts : 1, sizeof *b->lane) };
    if (b->lane == NULL) return err_no_memory(e, "the order of steps");
    if (n_parts == 0)
        st = lane_init(b, types, n_types, accumulate, seed, e);
    else
        st = lanes_init(b, types, n_types, parts, n_parts, seed, e);
    if (st == STATUS_OK)
        b->n_steps = b->lane[0].order.n_steps;
    else
        blend_free(b);
    return st;
}

size_t blend_first(struct blend *b, uint64_t epoch, size_t step, size_t k)
{
    struct blend_lane *lane = b->lane;
    uint64_t at = epoch * b->n_steps + step, pass;

    assert(step < b->n_steps);
    for (; k >= lane->n_micro; lane++) k -= lane->n_micro;
    assert(lane < b->lane + b->n_lanes);
    pass = at / lane->order.n_steps;
    if (pass != lane->pass) order_shuffle(&lane->order, lane->types, lane->n_types, pass);
    lane->pass = pass;
    return lane->order.chunk[at % lane->order.n_steps] + k * b->micro;
}

void blend_free(struct blend *b)
{
    for (size_t i = 0; i < b->n_lanes; i++) order_free(&b->lane[i].order);
    free(b->lane);
    *b = (struct blend){ .lane = NULL };
}
