/*
 * answer_text.h - what metrics do with the text of an answer: clean it, compare it, find a letter or a number in it.
 *
 * Answers are any bytes; ans_clean makes UTF-8 of them, and all other functions want that. Everything is done as Python's str does
 * it, by characters, white space as str.isspace has it, since that is what the official scripts are written in. Time is linear. Texts come
 * from arena a; NULL: no memory.
 */
#ifndef SPHINX_EVAL_ANSWER_TEXT_H
#define SPHINX_EVAL_ANSWER_TEXT_H

#include "core/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The answer up to the first "###", where a conversation's next turn begins, without white space at both ends. Bytes that are not UTF-8
 * become U+FFFD. */
char *ans_clean(const char *answer, struct arena *a);

/* Without white space at both ends. */
char *ans_strip(const char *text, struct arena *a);
/* Small letters. Two characters differ from str.lower: İ stays, and Σ at a word's end becomes σ. */
char *ans_lower(const char *text, struct arena *a);
/* Words with one space between. */
char *ans_collapse(const char *text, struct arena *a);
/* Without any byte that is in `drop`, which is ASCII. */
char *ans_without(const char *text, const char *drop, struct arena *a);

/* What exact match compares: without periods, stripped, small letters. */
char *ans_plain(const char *text, struct arena *a);

/* The length of the white space at the start of text; 0: none. */
size_t ans_space(const char *text);
/* The next word: *text moves to its start; its length is returned, 0 at the end. */
size_t ans_word(const char **text);

size_t ans_length(const char *text); /* in characters */
/* The characters of text, at most max; *n of them. */
uint32_t *ans_codes(const char *text, size_t max, size_t *n, struct arena *a);

/* text [size] as a decimal number, white space around allowed: 12, -0.5, .5, 3., 1e-3. Not: nan, inf, 1,000, 1_000, 0x10, "". */
bool ans_number(const char *text, size_t size, double *value);

/* The letter that an answer to a multiple choice begins with: "B", "B.", "B. text", "B) text", "(B)", "(B) text" of the first n_letters
 * letters. '\0': it names none. Small letters are none, since "a dog" is no choice. */
char ans_letter(const char *text, size_t n_letters);

/* private to answer_text.c and lower_table.c: the letters first, first + step .. last become small by adding delta */
struct lower_run {
    uint32_t first, last, step;
    int32_t delta;
};
extern const struct lower_run lower_runs[]; /* sorted */
extern const size_t n_lower_runs;

#endif
