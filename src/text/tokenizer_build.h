/*
 * tokenizer_build.h - a SentencePiece BPE file from its vocabulary, for models that came with the vocabulary alone.
 */
#ifndef SPHINX_TEXT_TOKENIZER_BUILD_H
#define SPHINX_TEXT_TOKENIZER_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

struct tok_vocabulary {
    const char *const *text; /* [n] pieces as tok_piece gives them */
    const size_t *text_size;
    const float *score;  /* [n] */
    const int32_t *kind; /* [n] enum piece_kind of tokenizer_file.h */
    size_t n;
    uint32_t unk, bos, eos;   /* below n */
    bool add_dummy_prefix;    /* a space before every text */
    bool remove_extra_spaces; /* runs of spaces become one */
};

/* The bytes for tok_open_memory, malloc'ed. What is not checked here is checked there. */
enum status tok_build(const struct tok_vocabulary *v, unsigned char **data, size_t *size, struct err *e);

#endif
