/*
 * tokenizer.h - text to token ids and back, as SentencePiece BPE does it.
 *
 *     struct tokenizer *t;
 *     tok_open(&t, "tokenizer.model", &e);
 *     tok_encode(t, text, strlen(text), TOK_BOS, &ids, &n_ids, &e);
 *     ...
 *     free(ids);
 *     tok_close(t);
 *
 * Encoding is the library's. Decoding is written here, token by token, so that an answer can be shown while
 * it grows; it gives the bytes that SentencePiece 0.1.97 gives for the whole list. A tokenizer never changes
 * after it is opened: any number of threads may use one at once.
 */
#ifndef SPHINX_TEXT_TOKENIZER_H
#define SPHINX_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "text/span.h"

struct tokenizer;

/* Opens a SentencePiece BPE file; errors are NOT_FOUND, IO, BAD_FORMAT (not such a file, cut off, or without
 * begin-of-sentence, end-of-sentence or unknown piece) and UNSUPPORTED. tok_open_memory copies data; `name`
 * stands for the file in error sentences. */
enum status tok_open(struct tokenizer **t, const char *path, struct err *e);
enum status tok_open_memory(struct tokenizer **t, const unsigned char *data, size_t size, const char *name,
                            struct err *e);
void tok_close(struct tokenizer *t); /* accepts NULL */

int32_t tok_vocab_size(const struct tokenizer *t);
int32_t tok_unk(const struct tokenizer *t);
int32_t tok_bos(const struct tokenizer *t);
int32_t tok_eos(const struct tokenizer *t);

/* The piece as the file spells it (U+2581 for a space, "<0x0A>" for a byte), borrowed, not NUL-terminated.
 * NULL for an id outside 0 .. vocab-1. */
const char *tok_piece(const struct tokenizer *t, int32_t id, size_t *size);

/* A piece's score, by which SentencePiece merges, and its kind as the file numbers it (enum piece_kind in tokenizer_file.h); id is 0
 * .. vocab-1. */
float tok_score(const struct tokenizer *t, int32_t id);
int tok_kind(const struct tokenizer *t, int32_t id);
/* The byte that a piece of kind PIECE_BYTE stands for. */
unsigned char tok_byte(const struct tokenizer *t, int32_t id);

/* Writes the bytes that id (0 .. vocab-1) stands for in the middle of a text, at most tok_step_size_max: its space, a byte that is no
 * character, nothing for a control piece. Returns how many. */
size_t tok_bytes(const struct tokenizer *t, int32_t id, char *out);

/* The file's bytes, borrowed: what tok_open_memory takes. */
const unsigned char *tok_file(const struct tokenizer *t, size_t *size);

enum tok_flag {
    TOK_BOS = 1, /* begin-of-sentence before the text's ids: what upstream does with every prompt */
    TOK_EOS = 2, /* end-of-sentence behind them */
};

/* *ids is malloc'ed, never NULL on success. Bytes that are not UTF-8 count as U+FFFD each (text_utf8_check in
 * utf8.h refuses them first where a user should hear of it). Nothing in text stands for a control piece:
 * "</s>" is four ordinary characters. BAD_ARGUMENT above 256 MiB of text. */
enum status tok_encode(const struct tokenizer *t, const char *text, size_t size, unsigned flags,
                       int32_t **ids, size_t *n_ids, struct err *e);

/* The same ids, and for each the bytes of text that it stands for: an id that spells a space and the word behind it begins at the space;
 * the first of a text may stand for a space that is not there; of a character that takes several byte pieces all begin where it does.
 * Begin- and end-of-sentence stand for nothing, where the text begins and ends. Both lists are malloc'ed. */
enum status tok_encode_spans(const struct tokenizer *t, const char *text, size_t size, unsigned flags,
                             int32_t **ids, struct span **spans, size_t *n_ids, struct err *e);

/* *text is malloc'ed, ends in NUL, and is always UTF-8: bytes that form no character are U+FFFD. BAD_ARGUMENT
 * for an id outside the vocabulary. size may be NULL. */
enum status tok_decode(const struct tokenizer *t, const int32_t *ids, size_t n_ids, char **text, size_t *size,
                       struct err *e);

/* ---- decoding token by token --------------------------------------------------------------------------- */

/* State of one decoding. Byte pieces that may still become a character are held back. */
struct tok_decoder {
    const struct tokenizer *t;
    bool at_start;      /* a leading space belongs to the dummy prefix and is dropped */
    bool space_dropped; /* by the last piece that was not a byte */
    bool empty;         /* no text so far */
    char held[4];       /* bytes of an unfinished character */
    size_t n_held;      /* 0..3, each from one id */
};

/* What one id gave. */
struct tok_step {
    size_t size;       /* bytes written */
    size_t n_replaced; /* so many held bytes turned out to be malformed: out starts with a U+FFFD for each */
    bool joined;       /* this id completed the character that the held bytes began: out is that character */
};

/* The most bytes that tok_decoder_put or tok_decoder_end write. */
size_t tok_step_size_max(const struct tokenizer *t);

void tok_decoder_begin(struct tok_decoder *d, const struct tokenizer *t);
/* Writes the text that `id` (0 .. vocab-1) settles to out: whole characters only, often none. */
struct tok_step tok_decoder_put(struct tok_decoder *d, int32_t id, char *out);
/* Whether the next piece, unless it is a byte or a control piece, loses the space that it begins with. */
bool tok_decoder_drops_space(const struct tok_decoder *d);
/* No more ids follow: writes a U+FFFD for each byte still held. */
struct tok_step tok_decoder_end(struct tok_decoder *d, char *out);

#endif
