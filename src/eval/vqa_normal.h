/*
 * vqa_normal.h - the normalisation of VQA's evaluator, to the letter: what "Yes, it is." and "yes it is" have in common.
 *
 *   answer ── line feeds, tabs to spaces ── strip ── punctuation ── small letters ── number words, articles, contractions
 *
 * Punctuation: each of ;/[]"{}()=+\_-><@`,?! disappears if the text has it beside a space anywhere, or has a digit, a comma, a digit
 * anywhere; else it becomes a space. Then periods that no digit follows disappear, the first 32 of them (the evaluator passes a
 * flag where a count belongs). Digits are ASCII here; the evaluator's are Unicode's.
 */
#ifndef SPHINX_EVAL_VQA_NORMAL_H
#define SPHINX_EVAL_VQA_NORMAL_H

#include "core/arena.h"

#include <stddef.h>

/* Both from arena a; NULL: no memory. text is UTF-8. */
char *vqa_punctuation(const char *text, struct arena *a); /* what is done to references */
char *vqa_prediction(const char *text, struct arena *a);  /* all of it */

/* Word without apostrophe, word with it; sorted. */
extern const char *const vqa_contractions[][2];
extern const size_t n_vqa_contractions;

#endif
