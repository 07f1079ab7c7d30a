/*
 * status.h - how every function of the program reports failure.
 *
 * Bad input, missing files and lack of memory return a status, and the sentence for the user goes into the
 * caller's struct err: it names the file, the offset or key, what was expected and what was found. A broken
 * promise between our own functions is an assert. Nothing below cli/ prints or exits.
 */
#ifndef SPHINX_CORE_STATUS_H
#define SPHINX_CORE_STATUS_H

#include <stdbool.h>

/* X(code, text). The public enum sphinx_status mirrors this list in this order; api.c asserts that it does. */
#define STATUS_MAP(X)                                                                                        \
    X(OK, "success")                                                                                         \
    X(NO_MEMORY, "out of memory")                                                                            \
    X(IO, "input or output failed")                                                                          \
    X(NOT_FOUND, "not found")                                                                                \
    X(BAD_FORMAT, "malformed file")                                                                          \
    X(BAD_ARGUMENT, "bad argument")                                                                          \
    X(UNSUPPORTED, "not supported")                                                                          \
    X(CANCELLED, "cancelled")                                                                                \
    X(NUMERIC, "not a number")

enum status {
#define X(code, text) STATUS_##code,
    STATUS_MAP(X)
#undef X
};

/* The first failure wins: err_set on an err that already holds one leaves it alone, so that a caller's
 * general message never hides the callee's precise one. Zero-initialise before use. */
struct err {
    enum status code;
    char text[1024];
};

#if defined(__GNUC__)
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define PRINTF_LIKE(fmt, args)
#endif

/* Records the failure (e may be NULL) and returns code, so that `return err_set(...)` reads naturally. */
enum status err_set(struct err *e, enum status code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Shorthand for the commonest failure. `what` says what the memory was for. */
enum status err_no_memory(struct err *e, const char *what);

void err_clear(struct err *e);
const char *status_text(enum status code);

#endif
