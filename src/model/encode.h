/*
 * encode.h - from a prepared image to the words that the language model reads.
 */
#ifndef SPHINX_MODEL_ENCODE_H
#define SPHINX_MODEL_ENCODE_H

#include "model/network.h"

/* planes [3, S, S] from img_prepare -> [image words, D] in c's arena; NULL with the failure in c->err. `without` has the bits
 * 1 << enum encoder of those to leave out, and 1 << (ENCODER_COUNT + i) of views: their features are zero. seconds [ENCODER_COUNT] receives what each took.
 * Named intermediates: views, clip, convnext, dinov2, qformer, image_tokens, and those of the encoders. */
struct tensor *encode_image(struct ctx *c, const struct network *n, const float *planes, unsigned without,
                            double *seconds);

/* The two halves of it. What the encoders see in an image, and the words that the mixer makes of that: in training the encoders are
 * frozen as a rule and the mixer is not. False: the failure is in c->err. */
bool encode_features(struct ctx *c, const struct network *n, const float *planes, unsigned without,
                     struct features *f, double *seconds);
/* The same of several images at once: their features one after the other. */
bool encode_features_of(struct ctx *c, const struct network *n, const float *const *planes, int64_t n_images,
                        unsigned without, struct features *f, double *seconds);
/* -> [images * image words, D], of as many images as f has. */
struct tensor *encode_mix(struct ctx *c, const struct network *n, const struct features *f);

/* Image words of one image. */
int64_t encode_words(const struct network *n);

#endif
