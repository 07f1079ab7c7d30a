/* problem.c - see problem.h. */
#include "serve/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text/utf8.h"

bool problem_set(struct problem *p, unsigned status, const char *param, const char *code, const char *fmt,
                 ...)
{
    va_list args;

    if (p->status != 0) return false;
    p->status = status;
    p->code = code;
    snprintf(p->param, sizeof p->param, "%s", param != NULL ? param : "");
    va_start(args, fmt);
    vsnprintf(p->message, sizeof p->message, fmt, args);
    va_end(args);
    p->message[utf8_find_bad(p->message, strlen(p->message))] = '\0'; /* which cutting may have left */
    return false;
}

bool problem_no_memory(struct problem *p)
{
    return problem_set(p, 500, NULL, NULL, "out of memory");
}

bool problem_of(struct problem *p, const sphinx_error *e, const char *param, const char *code)
{
    switch (e->code) {
    case SPHINX_OK: return true;
    case SPHINX_BAD_ARGUMENT:
    case SPHINX_BAD_FORMAT:
    case SPHINX_UNSUPPORTED:
    case SPHINX_NOT_FOUND: return problem_set(p, 400, param, code, "%s", e->text);
    case SPHINX_CANCELLED: return problem_set(p, 503, NULL, "shutting_down", "the server is ending");
    case SPHINX_NO_MEMORY:
    case SPHINX_IO:
    case SPHINX_NUMERIC: break;
    }
    return problem_set(p, 500, NULL, NULL, "%s", e->text);
}

static const char *type_of(unsigned status)
{
    switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404:
    case 405: return "not_found_error";
    case 408: return "timeout_error";
    case 500:
    case 502:
    case 504: return "server_error";
    case 501: return "not_supported_error";
    case 503: return "unavailable_error";
    default: return "invalid_request_error";
    }
}

json_t *problem_json(const struct problem *p)
{
    return json_pack("{s:{s:s, s:s, s:s?, s:s?}}", "error", "message", p->message, "type", type_of(p->status),
                     "param", p->param[0] != '\0' ? p->param : NULL, "code", p->code);
}
