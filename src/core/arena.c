/* arena.c - see arena.h. */
#include "core/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
enum { RED_ZONE = 64 };
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
enum { RED_ZONE = 0 };
#endif

enum { ALIGNMENT = 64 };
static const size_t chunk_size_min = (size_t)1 << 20;

struct arena_chunk {
    struct arena_chunk *next;
    size_t size, offset;
    unsigned char *data;
};

static size_t round_up(size_t n)
{
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static struct arena_chunk *chunk_new(size_t size)
{
    struct arena_chunk *c = malloc(sizeof *c);

    if (c == NULL) return NULL;
    c->data = aligned_alloc(ALIGNMENT, size);
    if (c->data == NULL) {
        free(c);
        return NULL;
    }
    c->next = NULL;
    c->size = size;
    c->offset = 0;
    POISON(c->data, size);
    return c;
}

static void chunks_free(struct arena_chunk *c)
{
    while (c != NULL) {
        struct arena_chunk *next = c->next;

        UNPOISON(c->data, c->size);
        free(c->data);
        free(c);
        c = next;
    }
}

/* The sum of the chunks from c on. */
static size_t chunks_size(const struct arena_chunk *c)
{
    size_t sum = 0;

    for (; c != NULL; c = c->next) sum += c->size;
    return sum;
}

/* Makes `current` a chunk with `need` bytes free: one that a reset left behind, or a new one. Where the next one is too small, all that follow,
 * which are empty, become one: so a loop whose rounds want other sizes ends with few chunks that fit them all. */
static int chunk_advance(struct arena *a, size_t need)
{
    struct arena_chunk **link = a->current != NULL ? &a->current->next : &a->first;

    if (*link == NULL || (*link)->size < need) {
        size_t size = chunks_size(*link);

        chunks_free(*link);
        if (size < need) size = need;
        *link = chunk_new(size > chunk_size_min ? size : chunk_size_min);
        if (*link == NULL) return -1;
    }
    a->current = *link;
    a->current->offset = 0;
    return 0;
}

void *arena_alloc(struct arena *a, size_t size)
{
    size_t need;
    void *p;

    if (size > SIZE_MAX / 2) return NULL;
    need = round_up(size == 0 ? 1 : size) + RED_ZONE;
    if (a->current == NULL || a->current->size - a->current->offset < need) {
        if (chunk_advance(a, need) != 0) return NULL;
    }
    p = a->current->data + a->current->offset;
    a->current->offset += need;
    a->used += need;
    if (a->used > a->used_peak) a->used_peak = a->used;
    UNPOISON(p, size);
    return p;
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
    void *p;

    if (size != 0 && count > SIZE_MAX / size) return NULL;
    p = arena_alloc(a, count * size);
    if (p != NULL) memset(p, 0, count * size);
    return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = arena_alloc(a, n);

    if (p != NULL) memcpy(p, s, n);
    return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    int n;
    char *p;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) return NULL;
    p = arena_alloc(a, (size_t)n + 1);
    if (p == NULL) return NULL;
    va_start(args, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, args);
    va_end(args);
    return p;
}

struct arena_mark arena_mark(const struct arena *a)
{
    struct arena_mark m = { a->current, a->current != NULL ? a->current->offset : 0, a->used };

    return m;
}

void arena_reset(struct arena *a, struct arena_mark mark)
{
    struct arena_chunk *c = mark.chunk != NULL ? mark.chunk : a->first;
    size_t keep = mark.chunk != NULL ? mark.offset : 0;

    for (; c != NULL; c = c->next, keep = 0) {
        c->offset = keep;
        POISON(c->data + keep, c->size - keep);
    }
    a->current = mark.chunk;
    a->used = mark.used;
}

void arena_free(struct arena *a)
{
    chunks_free(a->first);
    memset(a, 0, sizeof *a);
}
