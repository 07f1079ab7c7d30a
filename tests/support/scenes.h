/*
 * scenes.h - the world's scenes one after the other, painted, with the questions about them.
 */
#ifndef TESTS_SUPPORT_SCENES_H
#define TESTS_SUPPORT_SCENES_H

#include "support/fonts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "synth/task.h"

enum { SCENES = 400 };

struct fixture {
    struct painter *painter;
    struct scene s;
    struct picture picture;
    struct question q;
    uint64_t index;
};

static inline void begin(struct fixture *f)
{
    struct err e = { 0 };

    memset(f, 0, sizeof *f);
    assert_int_equal(painter_open(&f->painter, 112, &e), STATUS_OK);
}

/* The next scene, of the kinds whose bits are set; 0: as the world has them. */
static inline void next_of(struct fixture *f, unsigned kinds)
{
    struct err e = { 0 };

    scene_draw_of(&f->s, kinds, 11, SPLIT_TRAIN, f->index, f->index % 2 == 1);
    assert_int_equal(painter_paint(f->painter, &f->s, &f->picture, &e), STATUS_OK);
    f->index++;
}

static inline void next(struct fixture *f)
{
    next_of(f, 0);
}

static inline bool ask(struct fixture *f, enum task task, unsigned turn)
{
    struct draws d = draws_begin(11, 0, f->index, 99 + task);

    return task_ask(&f->q, task, &f->s, &f->picture, &d, turn);
}

static inline void end(struct fixture *f)
{
    question_free(&f->q);
    painter_close(f->painter);
}

#endif
