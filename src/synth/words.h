/* words.h - what is written in scenes: common short words, made-up ones that can only be read, numbers. */
#ifndef SPHINX_SYNTH_WORDS_H
#define SPHINX_SYNTH_WORDS_H

#include "core/draws.h"

/* A word of at most `longest` letters (3 or more), in lower case. */
const char *word_common(struct draws *d, size_t longest);

/* A common word, a made-up one or a number, in lower case, capitals or with one capital letter, into text [9]; at most `longest` long. */
void word_any(struct draws *d, size_t longest, char *text);

/* A title of charts; and n different labels of one kind, n <= 5. */
const char *word_title(struct draws *d);
void word_labels(struct draws *d, const char **label, size_t n);

#endif
