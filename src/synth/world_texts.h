/* world_texts.h - what one scene adds to the files of a data set. */
#ifndef SPHINX_SYNTH_WORLD_TEXTS_H
#define SPHINX_SYNTH_WORLD_TEXTS_H

#include "synth/world.h"

/* The turns of all tasks about one scene are fewer (task_rows); test_world.c counts. */
enum { TURNS_MAX = 120 };

/* JSON objects, each followed by ",\n". */
struct scene_texts {
    struct prose record[TASK_COUNT]; /* conversations of one turn each; with turns > 1 none */
    struct prose conversations;      /* of several turns, all tasks together; with turns == 1 none */
    size_t n[TASK_COUNT];            /* questions */
    struct prose truth[TASK_COUNT];  /* records of the unified form; COCO's annotations */
    struct prose image[TASK_COUNT];  /* COCO's images */
    struct prose names[TASK_COUNT];  /* COCO's categories in truth, a line each, perhaps repeated */
    size_t n_masks;
    struct prose masks, masks_image; /* COCO's annotations and images of annotations/masks.json */
};

/* texts are empty. What is out of memory says so (scene_texts_failed). `name` is the image's file, `index` the scene's. */
void scene_texts_write(struct scene_texts *texts, struct question *q, const struct world_options *o,
                       uint64_t index, const struct scene *s, const struct picture *picture,
                       const char *name);
bool scene_texts_failed(const struct scene_texts *texts);
void scene_texts_clear(struct scene_texts *texts);
void scene_texts_free(struct scene_texts *texts);

#endif
