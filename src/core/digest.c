/* digest.c - see digest.h. */
#include "core/digest.h"

#include <stdio.h>
#include <string.h>

void digest_begin(struct digest_maker *m)
{
    sha256_init(&m->sha);
}

void digest_add(struct digest_maker *m, const void *data, size_t size)
{
    if (size > 0) sha256_update(&m->sha, size, data);
}

void digest_number(struct digest_maker *m, int64_t x)
{
    uint8_t byte[8];

    for (int i = 0; i < 8; i++) byte[i] = (uint8_t)((uint64_t)x >> (8 * i));
    digest_add(m, byte, sizeof byte);
}

void digest_text(struct digest_maker *m, const char *text)
{
    size_t n = strlen(text);

    digest_number(m, (int64_t)n);
    digest_add(m, text, n);
}

void digest_end(struct digest_maker *m, struct digest *d)
{
    sha256_digest(&m->sha, sizeof d->byte, d->byte);
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a->byte, b->byte, sizeof a->byte) == 0;
}

const char *digest_hex(const struct digest *d, char *text)
{
    for (size_t i = 0; i < sizeof d->byte; i++) snprintf(text + 2 * i, 3, "%02x", d->byte[i]);
    return text;
}
