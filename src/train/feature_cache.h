/*
 * feature_cache.h - what frozen encoders make of the images of a run, kept so that each is encoded once: their outputs are constants.
 *
 *   image's path ── feature_cache_find ── features, or none: encode them, feature_cache_add
 *
 * Kept as they are, in float32, so that a run computes the same with any bound. What was added stays until the end, and when the bound
 * is reached nothing more is added: epochs come in random order, so every image is as likely to be needed next as any other.
 */
#ifndef SPHINX_TRAIN_FEATURE_CACHE_H
#define SPHINX_TRAIN_FEATURE_CACHE_H

#include <stdint.h>

#include "core/status.h"
#include "vision/mixer.h"

struct feature_cache;

/* bytes_max: of all features together. */
enum status feature_cache_open(struct feature_cache **c, uint64_t bytes_max, struct err *e);
void feature_cache_close(struct feature_cache *c); /* accepts NULL */

/* Those of the image, borrowed until the cache is closed; NULL: not there. Any thread. */
const struct features *feature_cache_find(struct feature_cache *c, const char *image);
/* Keeps a copy, if it fits and there is none yet. Any thread. */
void feature_cache_add(struct feature_cache *c, const char *image, const struct features *f);

#endif
