/*
 * tokenizer_sp.h - the part of the SentencePiece library that the program uses, as C: opening and encoding.
 *
 * tokenizer.c puts the public functions on top of it. No exception leaves these functions.
 */
#ifndef SPHINX_TEXT_TOKENIZER_SP_H
#define SPHINX_TEXT_TOKENIZER_SP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "core/status.h"
#include "text/span.h"

struct sp_model;

struct sp_ids {
    int32_t unk, bos, eos; /* -1 where the file has none */
};

/* Opens a file that tokenizer_file_read has accepted; data is copied. */
enum status sp_open(struct sp_model **model, const unsigned char *data, size_t size, const char *name,
                    struct err *e);
void sp_close(struct sp_model *model); /* accepts NULL */

size_t sp_vocab_size(const struct sp_model *model);
struct sp_ids sp_special_ids(const struct sp_model *model);

/* Encodes text into ids[room_before ..], leaving room for room_before ids before and room_after after them.
 * *ids is malloc'ed and never NULL on success, *n_ids counts the encoded ids only. Safe from many threads at
 * once. */
enum status sp_encode(const struct sp_model *model, const char *text, size_t size, size_t room_before,
                      size_t room_after, int32_t **ids, size_t *n_ids, struct err *e);

/* The same, and in spans[room_before ..], as long as ids, the bytes of text that each id stands for. Both are malloc'ed. */
enum status sp_encode_spans(const struct sp_model *model, const char *text, size_t size, size_t room_before,
                            size_t room_after, int32_t **ids, struct span **spans, size_t *n_ids,
                            struct err *e);

#ifdef __cplusplus
}
#endif

#endif
