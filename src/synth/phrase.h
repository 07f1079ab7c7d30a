/*
 * phrase.h - things in words: "large striped red circle", "person in blue", "word \"milk\"", and which things in a scene such words fit.
 */
#ifndef SPHINX_SYNTH_PHRASE_H
#define SPHINX_SYNTH_PHRASE_H

#include "synth/prose.h"
#include "synth/scene.h"

/* What is said of a thing besides what it is. Texts are always told by what is written. */
enum { TOLD_SIZE = 1, TOLD_TEXTURE = 2, TOLD_COLOR = 4, TOLD_ALL = 7 };

enum { PHRASE_MAX = 96 };

/* Into text [PHRASE_MAX]; returns text. Texture is told only where there is one. */
const char *phrase_item(char *text, const struct item *t, unsigned told);
/* The same of several things: "striped red circles", "people in blue". */
const char *phrase_items(char *text, const struct item *t, unsigned told);
/* "a", or "an" before a vowel. */
const char *phrase_article(const char *phrase);

/* Whether `told` of one thing is true of another. */
bool phrase_fits(const struct item *told_of, unsigned told, const struct item *other);
size_t phrase_count(const struct scene *s, const struct item *t, unsigned told);
/* Draws what to tell so that it fits only this thing in the scene; `never` is not told. False: nothing does. */
bool phrase_draw_unique(const struct scene *s, const struct item *t, unsigned never, struct draws *d,
                        unsigned *told);

/* How one thing lies to another; only what is plain to see. */
enum relation {
    RELATION_LEFT,
    RELATION_RIGHT,
    RELATION_ABOVE,
    RELATION_BELOW,
    RELATION_FRONT,
    RELATION_BEHIND,
    RELATION_COUNT
};
extern const char *const relation_names[RELATION_COUNT]; /* "to the left of" */
bool relation_holds(const struct scene *s, size_t a, size_t b, enum relation r);
/* The one that holds if the things change places. */
enum relation relation_reversed(enum relation r);

/* Shapes and people of a scene, not its texts. */
size_t scene_things(const struct scene *s, size_t *index);
/* Items of one kind. */
size_t scene_items_of(const struct scene *s, enum item_kind kind, size_t *index);

#endif
