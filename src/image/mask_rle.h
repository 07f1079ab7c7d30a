/*
 * mask_rle.h - masks as COCO writes them: the lengths of runs of 0 and 1 in turn, column by column, and these as text.
 *
 *   counts   3 2 1        three zeros, two ones, one zero, down the first column, then down the second ...
 *   text     each count, from the fourth on its difference to the one two before, in groups of 5 bits, lowest first; a group is the character
 *            '0' + its bits + 32 if another one follows. The last group's highest bit is the sign.
 *
 * Byte for byte what pycocotools' encode gives: its `counts`, beside "size": [height, width].
 */
#ifndef SPHINX_IMAGE_MASK_RLE_H
#define SPHINX_IMAGE_MASK_RLE_H

#include <stddef.h>

#include "core/status.h"

/* The text of a mask [height, width], row by row, which is set where logits > 0; *area is how many are. The caller frees
 * *text. Errors: NO_MEMORY. */
enum status mask_rle_text(const float *logits, int width, int height, char **text, size_t *area,
                          struct err *e);

/* The way back: mask [height, width], row by row, 1 where it is set. BAD_FORMAT: other characters, or runs that do not come to the pixels. */
enum status mask_rle_read(unsigned char *mask, int width, int height, const char *text, struct err *e);

#endif
