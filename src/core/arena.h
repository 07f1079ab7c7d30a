/*
 * arena.h - memory that is handed out in a row and given back all at once.
 *
 *   chunk 0                chunk 1
 *   [ a ][ b ][  free  ]   [ c        ][ free ]
 *             ^ mark taken here: arena_reset(mark) frees everything after b, keeps the chunks
 *
 * Blocks are aligned to 64 bytes. Their memory is kept until arena_free, so a loop that marks and resets allocates
 * from the system only until its largest round has been. Under AddressSanitizer free space and the gaps between blocks are
 * poisoned: overruns inside the arena are seen. Not thread-safe: one arena belongs to one thread of control.
 */
#ifndef SPHINX_CORE_ARENA_H
#define SPHINX_CORE_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *first, *current;
    size_t used;      /* bytes handed out since the last full reset, gaps included */
    size_t used_peak; /* the most that `used` has been */
};

struct arena_mark {
    struct arena_chunk *chunk;
    size_t offset;
    size_t used;
};

/* Zero-initialising a struct arena is enough to start. */

/* Returns `size` bytes, uninitialised, or NULL when the system has no memory. size 0 gives a valid pointer. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_calloc(struct arena *a, size_t count, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct arena_mark arena_mark(const struct arena *a);
void arena_reset(struct arena *a, struct arena_mark mark);
void arena_free(struct arena *a);

#endif
