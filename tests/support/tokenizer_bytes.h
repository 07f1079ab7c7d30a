/*
 * tokenizer_bytes.h - the tests' tokenizer, whole or with settings changed.
 */
#ifndef SPHINX_TESTS_TOKENIZER_BYTES_H
#define SPHINX_TESTS_TOKENIZER_BYTES_H

#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "text/tokenizer.h"

#define TOKENIZER_PATH "tests/data/tokenizer.model"

static inline struct tokenizer *tokenizer_open(void)
{
    struct tokenizer *t;
    struct err e = { 0 };

    if (tok_open(&t, TOKENIZER_PATH, &e) != STATUS_OK) fail_msg("%s", e.text);
    return t;
}

/* The file's bytes; the caller frees. */
static inline unsigned char *tokenizer_bytes(size_t *size)
{
    unsigned char *data;
    struct err e = { 0 };

    if (file_read(TOKENIZER_PATH, 1 << 20, &data, size, &e) != STATUS_OK) fail_msg("%s", e.text);
    return data;
}

/* The file's bytes with the one place where the n bytes of `from` stand changed to `to`. */
static inline unsigned char *tokenizer_bytes_patched(size_t *size, const void *from, const void *to, size_t n)
{
    unsigned char *data = tokenizer_bytes(size), *place = memmem(data, *size, from, n);

    assert_non_null(place);
    assert_null(memmem(place + 1, *size - (size_t)(place + 1 - data), from, n));
    memcpy(place, to, n);
    return data;
}

/* The normaliser's add_dummy_prefix and remove_extra_whitespaces, as bytes of the file; the last takes the
 * place of the first with escape_whitespaces false, which the file leaves at true by saying nothing. */
#define TOKENIZER_FLAGS           "\x18\x01\x20\x00"
#define TOKENIZER_FLAGS_NO_PREFIX "\x18\x00\x20\x00"
#define TOKENIZER_FLAGS_NO_ESCAPE "\x28\x00\x20\x00"
#define TOKENIZER_FLAGS_SIZE      4
/* The trainer's model type and number of pieces. */
#define TOKENIZER_TYPE_BPE     "\x18\x02\x20\x80\x04"
#define TOKENIZER_TYPE_UNIGRAM "\x18\x01\x20\x80\x04"
#define TOKENIZER_TYPE_SIZE    5

#endif
