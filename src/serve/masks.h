/*
 * masks.h - the server's segmenter: masks of the boxes of an answer. One request at a time has it; the others wait.
 */
#ifndef SPHINX_SERVE_MASKS_H
#define SPHINX_SERVE_MASKS_H

#include "serve/server.h"

struct segmenting; /* the segmenter, and whose turn it is */

/* Maps the weights; they are read when they are first needed. */
enum status segmenting_open(struct segmenting **g, const char *path, const sphinx_segmenter_options *o,
                            struct err *e);
void segmenting_close(struct segmenting *g); /* NULL is allowed */
/* What the weights' file is called. */
const char *segmenting_name(const struct segmenting *g);

/* A mask for each box of the answer, in their order. */
struct masks {
    sphinx_mask **item; /* [count] */
    size_t count;
};

/* Waits for its turn, then for the masks; gives up when the client goes or waits too long. */
bool masks_make(struct masks *m, struct exchange *x, const sphinx_image *image, const sphinx_answer *a,
                struct problem *p);
void masks_free(struct masks *m); /* accepts a zeroed one */
/* "masks" of a reply. */
json_t *masks_json(const struct masks *m, const sphinx_answer *a);

#endif
