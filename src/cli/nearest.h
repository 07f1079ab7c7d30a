/*
 * nearest.h - which of several known words somebody may have meant.
 */
#ifndef SPHINX_CLI_NEAREST_H
#define SPHINX_CLI_NEAREST_H

#include <stddef.h>

/* Collects the best of the words offered. Zero-initialise but for `wanted`. */
struct nearest {
    const char *wanted;
    const char *word; /* the best so far, NULL if none is near enough; borrowed */
    size_t distance;
};

void nearest_offer(struct nearest *n, const char *word);

#endif
