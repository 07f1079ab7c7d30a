/*
 * tokenizer_file.h - reads the pieces and settings out of a SentencePiece file (`tokenizer.model`).
 *
 * The file is a protobuf message (sentencepiece_model.proto):
 *
 *   1 piece, repeated   { 1 text, 2 score, 3 kind }
 *   2 trainer           { 3 model type, 44 how an unknown piece is shown }
 *   3 normaliser        { 2 character map, 3 add dummy prefix, 4 remove extra spaces, 5 escape spaces }
 *   5 denormaliser      { 2 character map }
 *
 * It is checked here before the library sees it: what is cut off, is of another kind or would need the parts
 * of SentencePiece that no SPHINX model uses is refused with a sentence that says so.
 */
#ifndef SPHINX_TEXT_TOKENIZER_FILE_H
#define SPHINX_TEXT_TOKENIZER_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "text/span.h"

/* The kinds as the file numbers them. */
enum piece_kind {
    PIECE_NORMAL = 1,
    PIECE_UNKNOWN = 2,
    PIECE_CONTROL = 3,
    PIECE_USER = 4,
    PIECE_UNUSED = 5,
    PIECE_BYTE = 6,
};

struct piece {
    struct span text;   /* in the file's bytes: valid UTF-8, not empty */
    float score;        /* finite */
    uint8_t kind;       /* enum piece_kind */
    unsigned char byte; /* of PIECE_BYTE */
};

struct tokenizer_file {
    struct piece *pieces; /* by id; owned */
    size_t n_pieces;
    bool add_dummy_prefix, remove_extra_spaces;
    bool has_unknown_text;    /* whether the file sets unknown_text */
    struct span unknown_text; /* what an unknown piece decodes to, in the file's bytes: valid UTF-8 */
};

/* Reads data; `name` begins error sentences. BAD_FORMAT: not such a file, or cut off; UNSUPPORTED: a
 * SentencePiece file of another kind. On failure nothing is left to free. */
enum status tokenizer_file_read(struct tokenizer_file *f, const unsigned char *data, size_t size,
                                const char *name, struct err *e);
void tokenizer_file_free(struct tokenizer_file *f); /* accepts a zeroed one */

#endif
