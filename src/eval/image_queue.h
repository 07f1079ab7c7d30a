/*
 * image_queue.h - images on their way to the model: a thread reads and decodes the next ones while the model works.
 *
 *   sources ── read, decoded (its own thread) ── at most `ahead` waiting ── image_queue_next, in the order of the sources
 *
 * An image that is missing or broken does not stop those behind it: why it is not there comes in its place.
 */
#ifndef SPHINX_EVAL_IMAGE_QUEUE_H
#define SPHINX_EVAL_IMAGE_QUEUE_H

#include "core/status.h"
#include "sphinx.h"

struct image_source {
    const char *path;
    const void *data; /* [size] instead of a file at path, which then only names it; NULL: none */
    size_t size;
};

struct image_queue;

/* sources [n] and what they point at stay until the queue is closed. ahead >= 1. */
enum status image_queue_open(struct image_queue **q, const struct image_source *sources, size_t n, int ahead,
                             const sphinx_session_options *options, struct err *e);
void image_queue_close(struct image_queue *q); /* accepts NULL; images not taken are closed */

/* The next image, the caller's from then on, or NULL and why there is none. False: it is not ready yet, which `wait` waits for. There
 * is a next one: at most n calls return true. */
bool image_queue_next(struct image_queue *q, bool wait, sphinx_image **image, sphinx_error *why);

#endif
