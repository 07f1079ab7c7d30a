/* kv_pool.c - see kv_pool.h. */
#include "language/kv_pool.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SLOTS = 32, CONTEXT_MAX = 1 << 20 };

struct kv_block {
    struct kv_cache cache; /* slots * context rows */
    int slots, n_taken;
    bool taken[SLOTS];
    struct kv_block *next;
};

enum status kv_pool_init(struct kv_pool *p, const struct llama_config *config, int ranks, int64_t context,
                         struct err *e)
{
    assert(context >= 1 && context <= CONTEXT_MAX);
    memset(p, 0, sizeof *p);
    if (pthread_mutex_init(&p->lock, NULL) != 0) return err_no_memory(e, "key/value cache");
    p->config = *config;
    p->ranks = ranks;
    p->context = context;
    return STATUS_OK;
}

void kv_pool_free(struct kv_pool *p)
{
    if (p->context == 0) return;
    assert(p->blocks == NULL);
    pthread_mutex_destroy(&p->lock);
    memset(p, 0, sizeof *p);
}

/* Where address space is short (a limit of the shell, a system that does not overcommit), a block has fewer slots. */
static enum status block_open(struct kv_block **block, const struct kv_pool *p, enum dtype dtype,
                              struct err *e)
{
    struct kv_block *b = calloc(1, sizeof *b);
    struct err failure;

    if (b == NULL) return err_no_memory(e, "key/value cache");
    for (b->slots = SLOTS;; b->slots /= 2) {
        failure = (struct err){ 0 };
        kv_init(&b->cache, &p->config, p->ranks, b->slots * p->context, dtype, &failure);
        if (failure.code != STATUS_NO_MEMORY || b->slots == 1) break;
    }
    if (failure.code != STATUS_OK) {
        free(b);
        return err_set(e, failure.code, "%s", failure.text);
    }
    *block = b;
    return STATUS_OK;
}

static int slot_find(const struct kv_block *b)
{
    int i = 0;

    while (b->taken[i]) i++;
    return i;
}

enum status kv_slot_open(struct kv_slot *s, struct kv_pool *p, enum dtype dtype, struct err *e)
{
    enum status st = STATUS_OK;
    struct kv_block *b;

    memset(s, 0, sizeof *s);
    pthread_mutex_lock(&p->lock);
    for (b = p->blocks; b != NULL; b = b->next) {
        if (b->cache.k[0].dtype == dtype && b->n_taken < b->slots) break;
    }
    if (b == NULL) {
        st = block_open(&b, p, dtype, e);
        if (st == STATUS_OK) {
            b->next = p->blocks;
            p->blocks = b;
        }
    }
    if (st == STATUS_OK) {
        s->number = slot_find(b);
        s->block = b;
        s->cache = &b->cache;
        s->first = s->number * p->context;
        b->taken[s->number] = true;
        b->n_taken++;
    }
    pthread_mutex_unlock(&p->lock);
    return st;
}

/* Gives the pages back that hold nothing but rows first .. first+count-1 of t. */
static void release_rows(const struct tensor *t, int64_t first, int64_t count)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), row = dtype_bytes(t->dtype, (size_t)t->stride);
    uintptr_t begin = (uintptr_t)t->data + (size_t)first * row, end = begin + (size_t)count * row;

    begin = (begin + page - 1) / page * page;
    end = end / page * page;
    if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void kv_slot_close(struct kv_slot *s, struct kv_pool *p)
{
    struct kv_block *b = s->block, **link = &p->blocks;

    if (b == NULL) return;
    for (int i = 0; i < b->cache.n_layers; i++) {
        release_rows(&b->cache.k[i], s->first, p->context);
        release_rows(&b->cache.v[i], s->first, p->context);
    }
    pthread_mutex_lock(&p->lock);
    b->taken[s->number] = false;
    if (--b->n_taken == 0) {
        while (*link != b) link = &(*link)->next;
        *link = b->next;
        kv_free(&b->cache);
        free(b);
    }
    pthread_mutex_unlock(&p->lock);
    memset(s, 0, sizeof *s);
}
