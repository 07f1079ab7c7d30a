/*
 * digest.h - SHA-256 of what a thing is made of: how the caches tell one image, model or file from another.
 *
 *   digest_begin ── digest_add, digest_number, digest_text, ... ── digest_end ── struct digest
 */
#ifndef SPHINX_CORE_DIGEST_H
#define SPHINX_CORE_DIGEST_H

#include <nettle/sha2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIGEST_BYTES = SHA256_DIGEST_SIZE, DIGEST_TEXT_MAX = 2 * DIGEST_BYTES + 1 };

struct digest {
    uint8_t byte[DIGEST_BYTES];
};

struct digest_maker {
    struct sha256_ctx sha;
};

void digest_begin(struct digest_maker *m);
/* Bytes as they are. Parts of varying length need their length before them, or "ab", "c" would be "a", "bc". */
void digest_add(struct digest_maker *m, const void *data, size_t size);
void digest_number(struct digest_maker *m, int64_t x); /* the same on every machine */
void digest_text(struct digest_maker *m, const char *text);
void digest_end(struct digest_maker *m, struct digest *d);

bool digest_equal(const struct digest *a, const struct digest *b);

/* Lower-case hexadecimal, into text [DIGEST_TEXT_MAX]; returns text. */
const char *digest_hex(const struct digest *d, char *text);

#endif
