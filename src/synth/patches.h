/*
 * patches.h - what a picture shows in each cell of a grid over its padded square, in words: for encoders that learn from scratch
 * (train/sample.h). Nobody asks for it; it is the "patches" of a record beside its conversation.
 */
#ifndef SPHINX_SYNTH_PATCHES_H
#define SPHINX_SYNTH_PATCHES_H

#include "synth/painter.h"
#include "synth/prose.h"

enum { PATCHES_SIDE = 8 };

/* A JSON list of PATCHES_SIDE * PATCHES_SIDE texts, row by row. Of the thing that fills most of the cell: its shape ("person", "text"), color, and
 * edges as fractions of the square; of a shape its texture and, of a plain one, its size; of a person the joints in the cell; of a text the
 * letters. Of a page the letters alone. "none" where nothing is, "" where a chart's drawing may be. */
void patches_write(struct prose *out, const struct scene *s, const struct picture *picture);

#endif
