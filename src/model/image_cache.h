/*
 * image_cache.h - images' words on disk, so that a picture that was looked at once is not encoded again.
 *
 *   DIR/<64 hexadecimal digits>.safetensors      a cache_file.h with one tensor, words [N, D] f32
 *
 * The name is the key: image key and sight of identity.h. Files appear and vanish whole, by renaming, so any number of programs
 * may use one folder at a time. A file's time of modification is when it was last used; when all together are larger than the
 * bound, those unused longest go. Nothing here is ever an error for the caller: what cannot be read is computed, what
 * cannot be written is not kept, and a warning says why.
 */
#ifndef SPHINX_MODEL_IMAGE_CACHE_H
#define SPHINX_MODEL_IMAGE_CACHE_H

#include "core/digest.h"
#include "core/report.h"
#include "core/status.h"

#include <stdatomic.h>

#define IMAGE_CACHE_BYTES_DEFAULT ((uint64_t)4 << 30)

struct image_cache {
    char *directory;
    uint64_t size_max;
    struct digest sight;
    atomic_bool told; /* that the folder cannot be written: once is enough */
};

/* Remembers the folder, which is made when something is first written to it. size_max 0: the default. */
enum status image_cache_init(struct image_cache *c, const char *directory, uint64_t size_max,
                             const struct digest *sight, struct err *e);
void image_cache_free(struct image_cache *c); /* accepts a zeroed one */

/* words [n_words, width] of the image, if they are there; false if not, after a warning if something else is. Thread-safe. */
bool image_cache_load(struct image_cache *c, const struct digest *image, float *words, int64_t n_words,
                      int64_t width, const struct report *report);
/* Keeps them, and drops what is then too much. Thread-safe. */
void image_cache_store(struct image_cache *c, const struct digest *image, const float *words, int64_t n_words,
                       int64_t width, const struct report *report);

/* The bytes of an entry: copies its words out if it is whole, of this key, and of this shape. */
enum status image_cache_parse(const void *data, size_t size, const char *name, const struct digest *key,
                              float *words, int64_t n_words, int64_t width, struct err *e);

#endif
