/* utf8.c - see utf8.h. */
#include "text/utf8.h"

#include <string.h>

/* The smallest code point that may take a sequence of so many bytes: smaller ones would be overlong. */
static const uint32_t code_min[UTF8_SIZE_MAX + 1] = { 0, 0, 0x80, 0x800, 0x10000 };

/* Bytes that a sequence with this first byte takes; 0 for a byte that begins none. */
static size_t sequence_length(unsigned char first)
{
    if (first < 0x80) return 1;
    if (first < 0xc2) return 0;
    if (first < 0xe0) return 2;
    if (first < 0xf0) return 3;
    return first < 0xf5 ? 4 : 0;
}

/* Whether some sequence of `length` bytes, of which the first `known` gave these bits, is a character. */
static bool code_possible(uint32_t bits, size_t known, size_t length)
{
    unsigned missing = 6 * (unsigned)(length - known);
    uint32_t low = bits << missing, high = low | ((1u << missing) - 1);

    return high >= code_min[length] && low <= 0x10ffff && !(low >= 0xd800 && high <= 0xdfff);
}

enum utf8_kind utf8_next(const char *text, size_t size, size_t *length, uint32_t *code)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t n = sequence_length(s[0]), i;
    uint32_t bits = n == 1 ? s[0] : s[0] & (0x7fu >> n);

    *length = 1;
    if (n == 0) return UTF8_BAD;
    for (i = 1; i < n; i++) {
        if (i == size) {
            *length = size;
            return UTF8_CUT;
        }
        if ((s[i] & 0xc0) != 0x80) return UTF8_BAD;
        bits = bits << 6 | (s[i] & 0x3f);
        if (!code_possible(bits, i + 1, n)) return UTF8_BAD;
    }
    *length = n;
    if (code != NULL) *code = bits;
    return UTF8_WHOLE;
}

size_t utf8_find_bad(const char *text, size_t size)
{
    size_t at = 0, length;

    while (at < size && utf8_next(text + at, size - at, &length, NULL) == UTF8_WHOLE) at += length;
    return at;
}

size_t utf8_cut_suffix(const char *text, size_t size)
{
    size_t back, length;

    for (back = 1; back < UTF8_SIZE_MAX && back <= size; back++) {
        if (((unsigned char)text[size - back] & 0xc0) == 0x80) continue;
        return utf8_next(text + size - back, back, &length, NULL) == UTF8_CUT ? back : 0;
    }
    return 0;
}

size_t utf8_repair(const char *text, size_t size, char *out)
{
    size_t at, length, written = 0;

    for (at = 0; at < size; at += length) {
        if (utf8_next(text + at, size - at, &length, NULL) == UTF8_WHOLE) {
            memcpy(out + written, text + at, length);
            written += length;
        } else {
            length = 1;
            memcpy(out + written, UTF8_REPLACEMENT, UTF8_REPLACEMENT_SIZE);
            written += UTF8_REPLACEMENT_SIZE;
        }
    }
    return written;
}

bool utf8_is_space(uint32_t code)
{
    return (code >= 0x09 && code <= 0x0d) || (code >= 0x1c && code <= 0x20) || code == 0x85 || code == 0xa0 ||
           code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 ||
           code == 0x202f || code == 0x205f || code == 0x3000;
}

enum status text_utf8_check(const char *what, const char *text, size_t size, size_t *offset, struct err *e)
{
    size_t at = utf8_find_bad(text, size);

    if (offset != NULL) *offset = at;
    if (at == size) return STATUS_OK;
    return err_set(e, STATUS_BAD_ARGUMENT, "%s is not UTF-8: byte %zu (0x%02x) belongs to no character", what,
                   at, (unsigned char)text[at]);
}
