/*
 * sam_random.h - SAMs of any size with random weights, to begin training with.
 *
 *   SIDE,WIDTH,LAYERS,DIM ── sam_random_config ── struct sam_config ── sam_random_write ── a .pth file that sam_open reads
 */
#ifndef SPHINX_SEGMENT_SAM_RANDOM_H
#define SPHINX_SEGMENT_SAM_RANDOM_H

#include "segment/sam.h"

/* Four numbers with commas between them: side of the square in pixels, width and number of the image encoder's blocks, width of the decoder; all
 * other sizes follow from these as in the published ones, but heads are 32 wide. BAD_ARGUMENT: other texts; sides that are no multiple of 16 up to 2048,
 * widths of encoder and decoder that are none of 32 up to 4096, more than 256 blocks. */
enum status sam_random_config(struct sam_config *k, const char *sizes, struct err *e);

/* Upstream's distributions (PyTorch's for linears and convolutions, normal ones for tokens), but positions: theirs begin with 0, and are meant to
 * come from another training. The numbers depend on the seed and on names alone.
 * Errors: of files; NO_MEMORY. */
enum status sam_random_write(const char *path, const struct sam_config *k, uint64_t seed, struct err *e);

#endif
