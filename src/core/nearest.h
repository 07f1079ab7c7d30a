/*
 * nearest.h - which of several known words somebody may have meant.
 */
#ifndef SPHINX_CORE_NEAREST_H
#define SPHINX_CORE_NEAREST_H

#include <stddef.h>

enum { NEAREST_WORD_MAX = 40 }; /* longer words are near to none */

/* Collects the best of the words offered. Zero-initialise but for `wanted`. */
struct nearest {
    const char *wanted;              /* borrowed */
    char word[NEAREST_WORD_MAX + 1]; /* the best so far, "" if none is near enough */
    size_t distance;
};

void nearest_offer(struct nearest *n, const char *word);

#endif
