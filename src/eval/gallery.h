/*
 * gallery.h - small pictures for a page: each image once, however many questions are about it, up to a number.
 *
 *   record ── its file ── decoded ── at most PAGE_PICTURE_SIDE wide and high ── JPEG ── "data:image/jpeg;base64,..."
 */
#ifndef SPHINX_EVAL_GALLERY_H
#define SPHINX_EVAL_GALLERY_H

#include "eval/record.h"

#include <jansson.h>

struct gallery_item {
    const char *image; /* borrowed from the record */
    int picture;       /* its place in `pictures`; -1: it could not be read */
    int width, height; /* of the original */
};

struct gallery {
    json_t *pictures; /* data URLs */
    struct gallery_item *item;
    size_t n, capacity; /* capacity: so many images are tried */
    const char *data;
};

enum status gallery_open(struct gallery *g, size_t images_max, const char *data, struct err *e);
void gallery_close(struct gallery *g); /* accepts a zeroed one */

/* The picture of a record's image, made if `more` pictures may be made; NULL: there is none, or no memory, which *e says. Borrowed until
 * the next call. */
const struct gallery_item *gallery_find(struct gallery *g, const struct record *r, bool more, struct err *e);

#endif
