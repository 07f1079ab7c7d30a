/* scene_parts.h - the kinds of scenes, a file each, for scene.c. Each fills in items of an empty scene whose size is set. */
#ifndef SPHINX_SYNTH_SCENE_PARTS_H
#define SPHINX_SYNTH_SCENE_PARTS_H

#include "synth/scene.h"

void scene_draw_objects(struct scene *s, struct draws *d);
void scene_draw_people(struct scene *s, struct draws *d);
void scene_draw_words(struct scene *s, struct draws *d);
void scene_draw_document(struct scene *s, struct draws *d);
void scene_draw_page(struct scene *s, struct draws *d);
void scene_draw_letters(struct scene *s, struct draws *d);
void scene_draw_chart(struct scene *s, struct draws *d);

/* A shape of this size at a free place, at least `gap` from what is there; false: there is none. Angle and looks are drawn too. */
bool scene_place_shape(struct scene *s, struct draws *d, struct item *item);

/* Appends a text; its place and looks are the caller's to set. There must be room for one. */
struct item *scene_add_text(struct scene *s, enum text_role role, const char *text);

/* Letters are drawn in these only: they can be read on every ground. */
enum color scene_draw_ink(struct draws *d);

#endif
