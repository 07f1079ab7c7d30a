/*
 * problem.h - why a request gets no answer: what OpenAI's error JSON says, and the HTTP status.
 */
#ifndef SPHINX_SERVE_PROBLEM_H
#define SPHINX_SERVE_PROBLEM_H

#include <jansson.h>
#include <stdbool.h>

#include "core/status.h"
#include "sphinx.h"

struct problem {
    unsigned status;  /* of HTTP: 400 and above; 0: none */
    const char *code; /* for programs; NULL: none */
    char param[64];   /* the field to blame; "": none */
    char message[1024];
};

/* Says it, unless something was said before, and returns false so that `return problem_set(...)` reads naturally. param and code may be
 * NULL; code is a literal. */
bool problem_set(struct problem *p, unsigned status, const char *param, const char *code, const char *fmt,
                 ...) PRINTF_LIKE(5, 6);
bool problem_no_memory(struct problem *p);

/* What a failure of the library means to a client. */
bool problem_of(struct problem *p, const sphinx_error *e, const char *param, const char *code);

/* {"error": {...}} */
json_t *problem_json(const struct problem *p);

#endif
