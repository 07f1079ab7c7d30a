/* status.c - see status.h. */
#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const texts[] = {
#define X(code, text) text,
    STATUS_MAP(X)
#undef X
};

enum status err_set(struct err *e, enum status code, const char *fmt, ...)
{
    va_list args;

    if (e == NULL || e->code != STATUS_OK) return code;
    e->code = code;
    va_start(args, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, args);
    va_end(args);
    return code;
}

enum status err_no_memory(struct err *e, const char *what)
{
    return err_set(e, STATUS_NO_MEMORY, "out of memory: %s", what);
}

void err_clear(struct err *e)
{
    if (e == NULL) return;
    e->code = STATUS_OK;
    e->text[0] = '\0';
}

const char *status_text(enum status code)
{
    return (unsigned)code < sizeof texts / sizeof *texts ? texts[code] : "unknown status";
}
