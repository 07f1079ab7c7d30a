/* message.c - see message.h. */
#include "cli/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void text_disarm(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];

        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) text[i] = '?';
    }
}

static void PRINTF_LIKE(1, 0) print_line(const char *fmt, va_list args)
{
    char text[4096];

    vsnprintf(text, sizeof text, fmt, args);
    text_disarm(text, strlen(text));
    for (char *p = text; *p != '\0'; p++) {
        if (*p == '\n' || *p == '\t') *p = ' ';
    }
    fprintf(stderr, "sphinx: %s\n", text);
}

void message(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    print_line(fmt, args);
    va_end(args);
}

int fail(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    print_line(fmt, args);
    va_end(args);
    return CODE_FAILED;
}
