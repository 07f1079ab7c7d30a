/* prose.h - a text that grows. Out of memory is noticed once, at the end: `failed`. */
#ifndef SPHINX_SYNTH_PROSE_H
#define SPHINX_SYNTH_PROSE_H

#include <stdbool.h>
#include <stddef.h>

struct prose {
    char *text; /* [n] and NUL; NULL while nothing was added */
    size_t n, capacity;
    bool failed;
};

void prose_add(struct prose *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As a JSON string, with quotes. */
void prose_add_json(struct prose *p, const char *text);
void prose_add_bytes(struct prose *p, const char *bytes, size_t n);
void prose_clear(struct prose *p); /* keeps the memory */
void prose_free(struct prose *p);
const char *prose_text(const struct prose *p); /* "" while empty */

#endif
