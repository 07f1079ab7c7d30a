/*
 * text_map.h - which number belongs to a text: how duplicate ids are found, images counted and files joined.
 */
#ifndef SPHINX_EVAL_TEXT_MAP_H
#define SPHINX_EVAL_TEXT_MAP_H

#include "core/status.h"

#include <stddef.h>
#include <stdint.h>

struct text_map_place {
    const char *key; /* NULL: free */
    uint64_t hash;
    size_t value;
};

/* Zero-initialise to start. Keys are borrowed. */
struct text_map {
    struct text_map_place *place; /* [capacity], a power of two */
    size_t n, capacity;
};

/* The value of key. A new key gets `value` and *is_new true; of a known one the old value stays. */
enum status text_map_put(struct text_map *m, const char *key, size_t value, size_t **stored, bool *is_new,
                         struct err *e);
/* NULL: there is no such key. */
size_t *text_map_get(const struct text_map *m, const char *key);
void text_map_free(struct text_map *m); /* accepts a zeroed one */

#endif
