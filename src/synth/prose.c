/* prose.c - see prose.h. */
#include "synth/prose.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For n more bytes and NUL. */
static bool make_room(struct prose *p, size_t n)
{
    size_t capacity = p->capacity == 0 ? 256 : p->capacity;
    char *larger;

    if (p->failed) return false;
    if (p->n + n < p->capacity) return true;
    while (capacity <= p->n + n) capacity *= 2;
    larger = realloc(p->text, capacity);
    p->failed = larger == NULL;
    if (p->failed) return false;
    p->text = larger;
    p->capacity = capacity;
    return true;
}

void prose_add_bytes(struct prose *p, const char *bytes, size_t n)
{
    if (!make_room(p, n)) return;
    memcpy(p->text + p->n, bytes, n);
    p->n += n;
    p->text[p->n] = '\0';
}

void prose_add(struct prose *p, const char *fmt, ...)
{
    char small[256];
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    if (n < (int)sizeof small) {
        prose_add_bytes(p, small, (size_t)n);
        return;
    }
    if (!make_room(p, (size_t)n)) return;
    va_start(args, fmt);
    vsnprintf(p->text + p->n, (size_t)n + 1, fmt, args);
    va_end(args);
    p->n += (size_t)n;
}

void prose_add_json(struct prose *p, const char *text)
{
    prose_add_bytes(p, "\"", 1);
    while (*text != '\0') {
        size_t n = strcspn(text, "\"\\\n");

        prose_add_bytes(p, text, n);
        text += n;
        if (*text == '\0') break;
        prose_add_bytes(p, *text == '\n' ? "\\n" : *text == '"' ? "\\\"" : "\\\\", 2);
        text++;
    }
    prose_add_bytes(p, "\"", 1);
}

void prose_clear(struct prose *p)
{
    p->n = 0;
    if (p->text != NULL) p->text[0] = '\0';
}

void prose_free(struct prose *p)
{
    free(p->text);
    *p = (struct prose){ 0 };
}

const char *prose_text(const struct prose *p)
{
    return p->text != NULL ? p->text : "";
}
