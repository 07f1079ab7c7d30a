/*
 * pictures.h - the images of late requests, decoded: clients send a conversation's image again with each question.
 *
 *   a file's bytes ── pictures_get ──┬── kept: found by its digest
 *                                    └── decoded, and kept until others need the room
 *
 * Any thread may call these at any time.
 */
#ifndef SPHINX_SERVE_PICTURES_H
#define SPHINX_SERVE_PICTURES_H

#include <stdatomic.h>

#include "core/digest.h"
#include "serve/problem.h"
#include "sphinx.h"

struct picture {
    sphinx_image *image; /* nobody changes it */
    struct digest key;   /* of the file's bytes */
    size_t bytes;        /* that it takes in memory */
    atomic_size_t users;
};

struct pictures;

/* bytes_max: of the kept ones together; a larger one is not kept. NULL: no memory. */
struct pictures *pictures_open(size_t bytes_max);
void pictures_close(struct pictures *s); /* NULL is allowed; pictures in use stay until they are released */

/* The picture in a file's bytes; NULL with the problem. s may be NULL: then none is kept. The same options every time. */
struct picture *pictures_get(struct pictures *s, const void *data, size_t size,
                             const sphinx_session_options *options, struct problem *p);
void picture_release(struct picture *picture); /* NULL is allowed */

#endif
