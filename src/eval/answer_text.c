/* answer_text.c - see answer_text.h. */
#include "eval/answer_text.h"

#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>

/* ---- characters ------------------------------------------------------------------------------------------------ */

/* The character at text, which is not at its end. A byte that is none stands for itself. */
static uint32_t next_code(const char *text, size_t *length)
{
    uint32_t code = (unsigned char)*text;

    *length = 1;
    if (code >= 0x80 && utf8_next(text, strnlen(text, UTF8_SIZE_MAX), length, &code) != UTF8_WHOLE) {
        *length = 1;
        code = 0xfffd;
    }
    return code;
}

static char *put_code(char *at, uint32_t code)
{
    if (code < 0x80) {
        *at++ = (char)code;
    } else if (code < 0x800) {
        *at++ = (char)(0xc0 | code >> 6);
        *at++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *at++ = (char)(0xe0 | code >> 12);
        *at++ = (char)(0x80 | (code >> 6 & 0x3f));
        *at++ = (char)(0x80 | (code & 0x3f));
    } else {
        *at++ = (char)(0xf0 | code >> 18);
        *at++ = (char)(0x80 | (code >> 12 & 0x3f));
        *at++ = (char)(0x80 | (code >> 6 & 0x3f));
        *at++ = (char)(0x80 | (code & 0x3f));
    }
    return at;
}

size_t ans_space(const char *text)
{
    size_t n = 0, length;

    while (text[n] != '\0' && utf8_is_space(next_code(text + n, &length))) n += length;
    return n;
}

size_t ans_word(const char **text)
{
    size_t n = 0, length;

    *text += ans_space(*text);
    while ((*text)[n] != '\0' && !utf8_is_space(next_code(*text + n, &length))) n += length;
    return n;
}

size_t ans_length(const char *text)
{
    size_t n = 0, length;

    for (; *text != '\0'; text += length, n++) next_code(text, &length);
    return n;
}

uint32_t *ans_codes(const char *text, size_t max, size_t *n, struct arena *a)
{
    size_t size = strlen(text), length;
    uint32_t *code = arena_calloc(a, (size < max ? size : max) + 1, sizeof *code);

    *n = 0;
    if (code == NULL) return NULL;
    for (; *text != '\0' && *n < max; text += length) code[(*n)++] = next_code(text, &length);
    return code;
}

/* ---- whole texts ----------------------------------------------------------------------------------------------- */

char *ans_strip(const char *text, struct arena *a)
{
    const char *begin = text + ans_space(text), *at = begin, *end = begin;
    size_t length;
    char *out;

    while (*at != '\0') {
        bool space = utf8_is_space(next_code(at, &length));

        at += length;
        if (!space) end = at;
    }
    out = arena_alloc(a, (size_t)(end - begin) + 1);
    if (out == NULL) return NULL;
    memcpy(out, begin, (size_t)(end - begin));
    out[end - begin] = '\0';
    return out;
}

char *ans_clean(const char *answer, struct arena *a)
{
    const char *turn = strstr(answer, "###");
    size_t size = turn != NULL ? (size_t)(turn - answer) : strlen(answer);
    char *text = arena_alloc(a, UTF8_REPLACEMENT_SIZE * size + 1);

    if (text == NULL) return NULL;
    size = utf8_repair(answer, size, text);
    text[size] = '\0';
    return ans_strip(text, a);
}

static uint32_t lower_code(uint32_t code)
{
    size_t low = 0, high = n_lower_runs;

    if (code < 0x80) return code >= 'A' && code <= 'Z' ? code + 32 : code;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct lower_run *r = &lower_runs[middle];

        if (code < r->first)
            high = middle;
        else if (code > r->last)
            low = middle + 1;
        else
            return (code - r->first) % r->step == 0 ? (uint32_t)((int64_t)code + r->delta) : code;
    }
    return code;
}

char *ans_lower(const char *text, struct arena *a)
{
    char *out = arena_alloc(a, strlen(text) * 3 / 2 + UTF8_SIZE_MAX), *at = out; /* Ⱥ, 2 bytes, becomes 3 */
    size_t length;

    if (out == NULL) return NULL;
    for (; *text != '\0'; text += length) {
        uint32_t code = next_code(text, &length), small = lower_code(code);

        if (code == small)
            at = (char *)memcpy(at, text, length) + length;
        else
            at = put_code(at, small);
    }
    *at = '\0';
    return out;
}

char *ans_collapse(const char *text, struct arena *a)
{
    char *out = arena_alloc(a, strlen(text) + 1), *at = out;

    if (out == NULL) return NULL;
    for (size_t n; (n = ans_word(&text)) > 0; text += n) {
        if (at > out) *at++ = ' ';
        at = (char *)memcpy(at, text, n) + n;
    }
    *at = '\0';
    return out;
}

char *ans_without(const char *text, const char *drop, struct arena *a)
{
    char *out = arena_alloc(a, strlen(text) + 1), *at = out;

    if (out == NULL) return NULL;
    for (; *text != '\0'; text++)
        if (strchr(drop, *text) == NULL) *at++ = *text;
    *at = '\0';
    return out;
}

char *ans_plain(const char *text, struct arena *a)
{
    char *without = ans_without(text, ".", a), *stripped = without != NULL ? ans_strip(without, a) : NULL;

    return stripped != NULL ? ans_lower(stripped, a) : NULL;
}

/* ---- numbers and letters --------------------------------------------------------------------------------------- */

static size_t digits(const char *text, size_t at, size_t size)
{
    while (at < size && text[at] >= '0' && text[at] <= '9') at++;
    return at;
}

bool ans_number(const char *text, size_t size, double *value)
{
    size_t begin = ans_space(text), at, point, end;

    if (begin > size) return false;
    at = begin;
    if (at < size && (text[at] == '+' || text[at] == '-')) at++;
    point = digits(text, at, size);
    end = point;
    if (point < size && text[point] == '.') {
        end = digits(text, point + 1, size);
        if (point == at && end == point + 1) return false; /* "." */
    } else if (point == at) {
        return false;
    }
    if (end < size && (text[end] == 'e' || text[end] == 'E')) {
        size_t sign = end + 1 < size && (text[end + 1] == '+' || text[end + 1] == '-') ? end + 2 : end + 1;
        size_t exponent = digits(text, sign, size);

        if (exponent == sign) return false;
        end = exponent;
    }
    if (end + ans_space(text + end) < size) return false;
    /* Only what was looked at is read: what follows is white space or the caller's separator. The program never leaves the "C" locale
     * for numbers. */
    *value = strtod(text + begin, NULL);
    return true;
}

char ans_letter(const char *text, size_t n_letters)
{
    bool bracket = text[0] == '(';
    char letter = text[bracket ? 1 : 0], after;

    if (letter < 'A' || letter > 'Z' || (size_t)(letter - 'A') >= n_letters) return '\0';
    after = text[bracket ? 2 : 1];
    if (bracket) return after == ')' ? letter : '\0';
    return after == '\0' || after == '.' || after == ')' ? letter : '\0';
}
