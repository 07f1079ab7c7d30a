/*
 * kv_pool.h - the memory for keys and values of all the sequences that share a model. It is cut into slots of `context` rows, one for
 * each sequence. Slots of one block lie in the same tensors, so that sequences which know nothing of each other can be decoded in
 * one step: the rows of a batch only say where their own keys and values lie.
 *
 *   block (f16)    k[layer]  [ slot 0: context rows | slot 1 | slot 2 | ... ]      and v[layer] likewise
 *   block (f16)    ...       the next, when all slots of the first are taken
 *   block (f32)    ...       for sequences that asked for another type
 *
 * Invariants: (1) a slot belongs to one sequence from kv_slot_open to kv_slot_close, and only its owner touches its rows. (2) A block
 * lives as long as one of its slots is taken. (3) Memory is address space until a row is written, and is given back to the system
 * when its slot is closed.
 *
 * Opening and closing slots may be done by any thread.
 */
#ifndef SPHINX_LANGUAGE_KV_POOL_H
#define SPHINX_LANGUAGE_KV_POOL_H

#include "language/llama.h"

#include <pthread.h>

struct kv_block;

struct kv_pool {
    pthread_mutex_t lock;
    struct kv_block *blocks;
    struct llama_config config;
    int ranks;
    int64_t context;
};

struct kv_slot {
    struct kv_cache *cache; /* borrowed from the pool; slots with the same cache may go in one step */
    int64_t first;          /* the sequence's position 0 is this row */
    struct kv_block *block;
    int number;
};

/* Takes no memory yet. context: rows of a slot, 1 .. 2^20. */
enum status kv_pool_init(struct kv_pool *p, const struct llama_config *config, int ranks, int64_t context,
                         struct err *e);
void kv_pool_free(struct kv_pool *p); /* after all its slots; accepts a zeroed one */

enum status kv_slot_open(struct kv_slot *s, struct kv_pool *p, enum dtype dtype, struct err *e);
void kv_slot_close(struct kv_slot *s, struct kv_pool *p); /* accepts a zeroed one */

#endif
