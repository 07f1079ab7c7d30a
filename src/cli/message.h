/*
 * message.h - what the program says beside its answers: sentences on standard error, each one line beginning with
 * "sphinx: ". Characters that could steer a terminal (they may come from file names and files) are shown as '?'.
 */
#ifndef SPHINX_CLI_MESSAGE_H
#define SPHINX_CLI_MESSAGE_H

#include <stddef.h>

#include "core/status.h"

/* Exit codes of the program. */
enum {
    CODE_OK = 0,
    CODE_FAILED = 1,
    CODE_USAGE = 2,        /* the command line is wrong; nothing was done */
    CODE_INTERRUPTED = 130 /* stopped by Ctrl-C, as shells count it */
};

void message(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* The same, and returns CODE_FAILED, so that `return fail(...)` reads naturally. */
int fail(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Copies text with each control character but line feed and tab as '?', in place. Bytes of UTF-8 are kept. */
void text_disarm(char *text, size_t size);

#endif
