/* palette.h - what the names of colors look like. */
#ifndef SPHINX_SYNTH_PALETTE_H
#define SPHINX_SYNTH_PALETTE_H

#include "synth/scene.h"

/* 0 .. 1. */
struct tone {
    double r, g, b;
};

struct tone palette_color(enum color color);
/* The second tone of a texture: lighter on dark colors, darker on light ones. */
struct tone palette_second(enum color color);
struct tone palette_ground(enum ground ground);

#endif
