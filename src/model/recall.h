/*
 * recall.h - what a session takes from its model's caches, and what it leaves there.
 *
 *   a new image ──── recall_words ── memory? disk? ── else encoders ── recall_keep_words
 *   a prompt ─────── recall_rows ─── memory? ──────── else computed by the next steps
 *   rows are lost ── recall_keep_rows: before an image goes, before a prompt overwrites many, before the session closes
 */
#ifndef SPHINX_MODEL_RECALL_H
#define SPHINX_MODEL_RECALL_H

#include "model/session.h"

/* The words of the image of that key, into words [n_words, D] of s; false if nobody remembers them. */
bool recall_words(struct sphinx_session *s, const struct digest *key, float *words);
void recall_keep_words(struct sphinx_session *s, const struct digest *key, const float *words);

/* The session's rows are about to be lost. */
void recall_keep_rows(struct sphinx_session *s);
/* ids [n] are about to be computed: puts the rows of their longest remembered beginning, the last id's never among them, into the
 * session's slot. */
void recall_rows(struct sphinx_session *s, const int32_t *ids, size_t n);

/* For independent sessions: the rows of the image, as soon as all are there, for others that look at it. */
void recall_share_image(struct sphinx_session *s);

/* Of how many ids, image words included, all rows are there. */
size_t recall_known_ids(const struct sphinx_session *s);

#endif
