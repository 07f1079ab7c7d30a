/*
 * identity.h - digests that tell whether numbers that were computed once may stand for those that would be computed now.
 *
 *   image bytes, EXIF, encoders switched off ── image key ──┬──────────────── caches in memory: one model, one set of kernels
 *   weights of encoders and mixer, sizes, kernels ── sight ─┴─ file key ──── the image cache on disk
 *   all weights, sizes ── mind ───────────────────────────────────────────── the prompt cache
 *
 * What decides the result is in the key, so that a cache never changes an answer: with it and without it the image words are
 * the same to the last bit. That includes the instruction level and the program's version, because kernels of different levels and
 * versions round differently; it does not include the number of threads, which changes nothing.
 *
 * A model is told by the names, types and shapes of its weights and by a sample of their content: small tensors whole, of large
 * ones 64 elements (or one block) in each of 4 rows, so that a model of 33 GB takes some 10 ms. Training changes nearly every
 * row of a tensor and all small ones; a file in which only a few numbers were edited by hand may pass for the one before.
 */
#ifndef SPHINX_MODEL_IDENTITY_H
#define SPHINX_MODEL_IDENTITY_H

#include "core/digest.h"
#include "model/network.h"

/* To be raised when the way from an image's bytes to its words gives other numbers than before. */
enum { IDENTITY_PIPELINE = 1 };

struct image_settings {
    bool apply_exif;
    unsigned without; /* bits 1 << enum encoder */
};

/* size bytes of an image file; and these as they are to be looked at. */
void identity_file(struct digest *d, const void *data, size_t size);
void identity_image(struct digest *d, const struct digest *file, const struct image_settings *s);

/* What decides the words of every image beside its key: the encoders' and the mixer's weights and sizes, and how they are computed.
 * `level` is the backend's. */
void identity_sight(struct digest *d, const struct network *n, const char *level, bool precise);

/* The whole model: its weights and sizes. */
void identity_model(struct digest *d, const struct network *n);

#endif
