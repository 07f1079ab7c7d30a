/*
 * inquiry.h - what a client wants answered: a dialogue, perhaps an image, and how to answer. Made by the parsers of requests, read by the
 * engine.
 */
#ifndef SPHINX_SERVE_INQUIRY_H
#define SPHINX_SERVE_INQUIRY_H

#include "serve/pictures.h"
#include "sphinx.h"

struct inquiry_turn {
    char *question, *answer;
};

/* Everything in it belongs to it. */
struct inquiry {
    char *system; /* NULL: upstream's sentence */
    struct inquiry_turn *turns;
    size_t n_turns;
    char *question;
    struct picture *picture;   /* NULL: none; shared with others */
    const sphinx_image *image; /* the picture's; NULL: none */
    sphinx_ask_options ask;    /* without callbacks */
    char **stops;              /* ask.stop */
    char *grammar, *schema;    /* ask.grammar, ask.json_schema; NULL: none */
    bool tokens;               /* each token is wanted, with ask.n_top others */
};

void inquiry_free(struct inquiry *o); /* accepts a zeroed one */

/* What is wrong with the inquiry as a whole, before it waits for its turn: an image for a model that is blind, a question that is longer than the
 * context. Beside one that is nearly so, the answer is made shorter. */
bool inquiry_check(struct inquiry *o, const sphinx_model *model, struct problem *p);

#endif
