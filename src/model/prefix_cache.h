/*
 * prefix_cache.h - what a model remembers in memory of images and dialogues that no session holds any longer: image words,
 * and keys and values of the positions at a prompt's beginning. Sessions that go on with the same image or the same text copy
 * them instead of computing.
 *
 *   newest                                                                              oldest
 *   [ rows: image A, ids 1 15 7 ... ] [ words: image A ] [ rows: no image, ids 1 9 ... ] [ words: image B ]
 *
 * Invariants: (1) All entries together are within the bound; the one unused longest goes first. (2) No rows entry is the beginning of
 * another with the same image and type: the longer one serves both. (3) An entry that is being copied is pinned: it may leave the
 * list, but is freed only when its last copier is done. So the lock is never held while many bytes move.
 *
 * Rows are found by content: the image's key (identity.h), the ids, and the type of the numbers. They are the numbers that some
 * session computed, not those that this one would: kernels for many rows may round differently from those for few, so
 * the last bits may differ from a computation anew, just as they do between one session's turns.
 *
 * All functions may be called from any thread.
 */
#ifndef SPHINX_MODEL_PREFIX_CACHE_H
#define SPHINX_MODEL_PREFIX_CACHE_H

#include "core/digest.h"
#include "language/llama.h"

#include <pthread.h>

struct memory_entry;

struct prefix_cache {
    pthread_mutex_t lock;
    struct memory_entry *newest, *oldest;
    size_t bytes, bytes_max;
    bool ready;
};

/* The beginning of a prompt: BOS, the image's words if there is one, more ids. */
struct prefix {
    const struct digest *image; /* NULL: none */
    int64_t n_words;            /* of the image; 0: none */
    const int32_t *ids;         /* [n] BOS first */
    size_t n;
};

/* bytes_max 0: nothing is ever remembered. */
enum status prefix_cache_init(struct prefix_cache *c, size_t bytes_max, struct err *e);
void prefix_cache_free(struct prefix_cache *c); /* accepts a zeroed one */

/* An eighth of the machine's memory, at most 1 GiB. */
size_t prefix_cache_bytes_default(void);

/* Positions that the first n ids take, image words included. */
int64_t prefix_rows(const struct prefix *p, size_t n);

/* Remembers the rows of p, which begin at row `first` of kv. Where there is no memory for them, they are forgotten. */
void prefix_cache_put_rows(struct prefix_cache *c, const struct prefix *p, const struct kv_cache *kv,
                           int64_t first);

/* Of the first n_have ids the rows are in kv from row `first` on. Adds those of the longest beginning of p that is remembered, and
 * returns of how many ids the rows are there now, n_have at least. */
size_t prefix_cache_take_rows(struct prefix_cache *c, const struct prefix *p, size_t n_have,
                              struct kv_cache *kv, int64_t first);

/* The same for an image's words, [n] floats. */
void prefix_cache_put_words(struct prefix_cache *c, const struct digest *image, const float *words, size_t n);
bool prefix_cache_take_words(struct prefix_cache *c, const struct digest *image, float *words, size_t n);

#endif
