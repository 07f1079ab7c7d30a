/*
 * access_log.h - a line of the access log as text or JSON.
 */
#ifndef SPHINX_SERVE_ACCESS_LOG_H
#define SPHINX_SERVE_ACCESS_LOG_H

#include "serve/serve.h"

/*  2026-11-23T07:01:02.345Z 127.0.0.1 POST /v1/chat/completions 200 1234 bytes 0.345 s 341+17 tokens
 *
 * malloc'ed, without a line feed; what is no printable ASCII is '?', or, in JSON, escaped. NULL: no memory. */
char *access_line(const struct serve_access *a, bool json);

#endif
