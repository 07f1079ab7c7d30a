/*
 * world.h - a data set of drawn scenes in a folder that appears when it is complete:
 *
 *     OUT/meta.yaml                 the META list for training
 *     OUT/annotations/TASK.json     conversations in upstream's form, of one question each; or, of several questions about a picture
 *     OUT/annotations/mix.json      in a drawn order: less to compute, since the picture and the system's words come once
 *     OUT/annotations/masks.json    each shape's and person's pixels, in COCO's form (world_masks.h), if they are asked for
 *     OUT/images/NNNNNN.png         vector drawings; .jpg: photos
 *     OUT/benchmarks.json           val and test: entries for `sphinx eval --task OUT/benchmarks.json --data OUT`,
 *     OUT/eval/TASK.json            and the questions, in the forms that eval's readers "unified" and "coco" know
 *
 *   threads: scene ── painter ── image file                    main thread, in the order of scenes:
 *            └─ questions ── struct scene_texts (a slot each) ── annotation files
 *
 * The files are the same, byte for byte, for any number of threads. Memory is that of the slots.
 */
#ifndef SPHINX_SYNTH_WORLD_H
#define SPHINX_SYNTH_WORLD_H

#include "core/report.h"
#include "core/status.h"
#include "synth/task.h"

enum domain { DOMAIN_VECTOR, DOMAIN_PHOTO, DOMAIN_BOTH };

struct world_options {
    const char *out;
    uint64_t seed;
    size_t count;       /* of scenes */
    enum domain domain; /* both: every other scene is a photo */
    enum split split;
    unsigned kinds;        /* of scenes, as scene_draw_of has them */
    int side;              /* pixels of a picture's longer side: PAINTER_SIDE_MIN .. PAINTER_SIDE_MAX */
    bool task[TASK_COUNT]; /* which are wanted */
    size_t turns;          /* questions a conversation at most, 1 or more */
    bool patches;          /* conversations also tell what the patches show (patches.h) */
    bool masks;            /* annotations/masks.json */
    int threads;           /* 1 or more */
    const struct report *report;
};

struct world_result {
    size_t n_questions[TASK_COUNT];
    size_t n_masks;
};

/* Errors: as folder.h for `out`; NOT_FOUND (no fonts), IO (the disk is full, named), NO_MEMORY, CANCELLED. Nothing is left then. */
enum status world_write(const struct world_options *o, struct world_result *result, struct err *e);

#endif
