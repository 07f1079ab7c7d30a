/*
 * cache_file.h - what the caches on disk have in common: a safetensors file whose metadata say what it is and hold a
 * checksum of everything else, so that damage is found before anything is used.
 *
 *   __metadata__   "format": which cache and version; "sha256" of the rest; what the cache adds, as texts
 *   tensors        what the cache adds, in ascending order of names
 *
 * So a cache needs no format of its own: other programs can look into it, and its parser is the one for weights.
 */
#ifndef SPHINX_MODEL_CACHE_FILE_H
#define SPHINX_MODEL_CACHE_FILE_H

#include "store/safetensors.h"

struct cache_part {
    struct tensor_spec spec;
    const void *data; /* borrowed, contiguous */
};

/* Replaces `path` atomically. metadata: n_metadata pairs key, value. Parts stand in ascending order of their names. */
enum status cache_file_write(const char *path, const char *format, const struct cache_part *parts,
                             size_t n_parts, const char *const *metadata, size_t n_metadata, struct err *e);

/* Errors: NOT_FOUND, IO; UNSUPPORTED (another version of the format); BAD_FORMAT (anything else than `format`, damage). */
enum status cache_file_open(struct safetensors_file *f, const char *path, const char *format, struct err *e);
/* The same for bytes that the caller keeps. */
enum status cache_file_open_memory(struct safetensors_file *f, const void *data, size_t size,
                                   const char *path, const char *format, struct err *e);

/* The tensor of that name if it has just this type and shape. BAD_FORMAT names what is wanted and found. */
enum status cache_file_part(const struct safetensors_file *f, const struct tensor_spec *wanted,
                            const void **data, struct err *e);

#endif
