/* text_map.c - see text_map.h. Open addressing, at most half full. */
#include "eval/text_map.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a, and a last mixing, so that the low bits depend on all of the text. */
static uint64_t hash_text(const char *key)
{
    uint64_t h = 14695981039346656037u;

    for (; *key != '\0'; key++) h = (h ^ (unsigned char)*key) * 1099511628211u;
    h ^= h >> 32;
    h *= 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

/* Where the key is, or the free place where it would be. */
static struct text_map_place *find(const struct text_map *m, const char *key, uint64_t hash)
{
    size_t i = (size_t)hash & (m->capacity - 1);

    while (m->place[i].key != NULL) {
        if (m->place[i].hash == hash && strcmp(m->place[i].key, key) == 0) break;
        i = (i + 1) & (m->capacity - 1);
    }
    return &m->place[i];
}

static enum status grow(struct text_map *m, struct err *e)
{
    struct text_map bigger = { .n = m->n, .capacity = m->capacity == 0 ? 64 : 2 * m->capacity };

    bigger.place = calloc(bigger.capacity, sizeof *bigger.place);
    if (bigger.place == NULL) return err_no_memory(e, "a table of texts");
    for (size_t i = 0; i < m->capacity; i++)
        if (m->place[i].key != NULL) *find(&bigger, m->place[i].key, m->place[i].hash) = m->place[i];
    free(m->place);
    *m = bigger;
    return STATUS_OK;
}

enum status text_map_put(struct text_map *m, const char *key, size_t value, size_t **stored, bool *is_new,
                         struct err *e)
{
    uint64_t hash = hash_text(key);
    struct text_map_place *at;

    if (2 * (m->n + 1) > m->capacity && grow(m, e) != STATUS_OK) return STATUS_NO_MEMORY;
    at = find(m, key, hash);
    *is_new = at->key == NULL;
    if (*is_new) {
        *at = (struct text_map_place){ .key = key, .hash = hash, .value = value };
        m->n++;
    }
    if (stored != NULL) *stored = &at->value;
    return STATUS_OK;
}

size_t *text_map_get(const struct text_map *m, const char *key)
{
    struct text_map_place *at;

    if (m->capacity == 0) return NULL;
    at = find(m, key, hash_text(key));
    return at->key != NULL ? &at->value : NULL;
}

void text_map_free(struct text_map *m)
{
    free(m->place);
    *m = (struct text_map){ 0 };
}
