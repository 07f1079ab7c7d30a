/*
 * utf8.h - what the program needs to know of UTF-8 (RFC 3629: no overlong forms, no surrogates, at most
 * U+10FFFF).
 *
 * Malformed text is divided as SentencePiece does it: every byte that does not begin or belong to a whole
 * character is one U+FFFD.
 */
#ifndef SPHINX_TEXT_UTF8_H
#define SPHINX_TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

#define UTF8_REPLACEMENT      "\xef\xbf\xbd" /* U+FFFD */
#define UTF8_REPLACEMENT_SIZE 3
#define UTF8_SIZE_MAX         4 /* bytes of the longest character */

enum utf8_kind {
    UTF8_WHOLE, /* a character */
    UTF8_CUT,   /* the first bytes of a character whose others are missing: the text ends here */
    UTF8_BAD,   /* a byte that begins no character */
};

/* Looks at the character at the start of text; size >= 1. *length is the bytes it takes: 1..4 if whole, all
 * that are left if cut, 1 if bad. *code, which may be NULL, is the code point of a whole character. */
enum utf8_kind utf8_next(const char *text, size_t size, size_t *length, uint32_t *code);

/* The offset of the first byte that is not part of a whole character; size if there is none. */
size_t utf8_find_bad(const char *text, size_t size);

/* How many bytes (0..3) at the end of text begin a character that is not finished. */
size_t utf8_cut_suffix(const char *text, size_t size);

/* Copies text with U+FFFD in place of each bad byte; returns the bytes written, at most 3 * size. */
size_t utf8_repair(const char *text, size_t size, char *out);

/* White space as Python's str.isspace has it: this is what upstream strips from answers. */
bool utf8_is_space(uint32_t code);

/* For text that a user typed: BAD_ARGUMENT and the offset (also in *offset, which may be NULL) unless all of
 * it is UTF-8. `what` begins the sentence, for instance "the question". */
enum status text_utf8_check(const char *what, const char *text, size_t size, size_t *offset, struct err *e);

#endif
