/* reply.c - see reply.h. */
#include "serve/reply.h"

#include <stdlib.h>
#include <string.h>

enum { EVENTS_BLOCK = 16384 };

static void set_header(struct exchange *x, const char *name, const char *value)
{
    MHD_add_response_header(x->response, name, value);
}

/* The headers of every reply. */
static void set_headers(struct exchange *x, unsigned status, const char *type)
{
    x->status = status;
    if (x->response == NULL) return;
    set_header(x, "Content-Type", type);
    set_header(x, "X-Content-Type-Options", "nosniff");
    set_header(x, "Referrer-Policy", "no-referrer");
    set_header(x, "Cache-Control", "no-cache");
    set_header(x, "Content-Security-Policy",
               "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
               "form-action 'self'; frame-ancestors 'none'");
    set_header(x, "Vary", "Origin");
    if (x->origin != NULL) set_header(x, "Access-Control-Allow-Origin", x->origin);
    if (status == 503) set_header(x, "Retry-After", "2");
    if (status == 401) set_header(x, "WWW-Authenticate", "Bearer");
}

void reply_bytes(struct exchange *x, unsigned status, const char *type, char *bytes, size_t size)
{
    if (x->response != NULL) {
        free(bytes);
        return;
    }
    if (bytes == NULL) return;
    x->response = MHD_create_response_from_buffer(size, bytes, MHD_RESPMEM_MUST_FREE);
    if (x->response == NULL) free(bytes);
    x->n_sent = size;
    set_headers(x, status, type);
}

void reply_static(struct exchange *x, unsigned status, const char *type, const void *bytes, size_t size)
{
    if (x->response != NULL) return;
    x->response = MHD_create_response_from_buffer(size, (void *)(uintptr_t)bytes,
                                                  MHD_RESPMEM_PERSISTENT); /* only read */
    x->n_sent = size;
    set_headers(x, status, type);
}

char *json_line(json_t *o)
{
    enum { DIGITS = 7 };
    char *text = o != NULL ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS)) : NULL;

    json_decref(o);
    return text;
}

void reply_json(struct exchange *x, unsigned status, json_t *o)
{
    char *text = json_line(o);

    reply_bytes(x, status, "application/json", text, text != NULL ? strlen(text) : 0);
}

void reply_problem(struct exchange *x, const struct problem *p)
{
    atomic_fetch_add(&x->server->n_errors, 1);
    reply_json(x, p->status, problem_json(p));
}

void reply_events(struct exchange *x, MHD_ContentReaderCallback read, void *stream, void (*end)(void *))
{
    x->stream = stream;
    x->stream_end = end;
    x->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, EVENTS_BLOCK, read, x, NULL);
    set_headers(x, 200, "text/event-stream");
    if (x->response != NULL) set_header(x, "X-Accel-Buffering", "no"); /* proxies pass on each event */
}
