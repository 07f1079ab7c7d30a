/*
 * span.h - a byte range of a text.
 */
#ifndef SPHINX_TEXT_SPAN_H
#define SPHINX_TEXT_SPAN_H

#include <stddef.h>

/* The bytes begin <= i < end; empty where begin == end. */
struct span {
    size_t begin, end;
};

#endif
