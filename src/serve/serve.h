/*
 * serve.h - the server: the demo page and the API that OpenAI's clients speak, over HTTP. docs/api.md is its manual.
 *
 *   connections (a thread each, libmicrohttpd) ── guard.h: host, origin, key ── routes.h ── handle_*.c ── engine.h
 *
 *     serve_open(&server, model, &options, &e);
 *     ... serve_port(server) ...
 *     serve_stop(server);                         takes no more; wait until serve_busy(server) is 0
 *     serve_close(server);
 *
 * All of it may be called from one thread; none of it blocks but serve_close, which waits for the threads.
 */
#ifndef SPHINX_SERVE_SERVE_H
#define SPHINX_SERVE_SERVE_H

#include "core/status.h"
#include "sphinx.h"

struct server;

/* A line of the access log. Texts are borrowed for the call. */
struct serve_access {
    double time; /* seconds since 1970 */
    const char *client, *method, *path;
    unsigned status; /* 0: the client was gone before there was one */
    uint64_t bytes;  /* of the reply's body */
    double seconds;
    size_t prompt_tokens, tokens; /* 0 where nothing was answered */
    bool whole;                   /* the reply was sent to its end */
};

/* Lists of texts end with NULL, and may be NULL; nothing is kept but copies. Zero means the default throughout. */
struct serve_options {
    const char *host;           /* address or name to listen at; "127.0.0.1" */
    int port;                   /* 0: one that is free */
    const char *model_name;     /* what the model is called in replies; the variant's name */
    const char *const *keys;    /* one of which every request needs; none: no key is needed */
    const char *const *origins; /* pages of these may use the API too; "*": of all */
    const char *const
        *allowed_hosts; /* names by which the server is called, besides localhost and addresses; "*": all */
    const char *tls_certificate, *tls_key; /* PEM files; NULL: no TLS */
    const char *media_path;                /* folder of file:// images; NULL: they are refused */
    const char *image_api,
        *image_api_key;   /* server that makes pictures of texts (image_api.h), and its key; NULL: none */
    const char *web_path; /* folder of the page, instead of the one in the program */
    size_t body_max;      /* bytes of a request; 32 MiB */
    int max_tokens;       /* of an answer, whatever a request asks for; the context */
    int slots, queue_max, connections_max; /* 4, 64, 256 */
    double seconds_request;                /* that an answer may take in all; 600 */
    double seconds_receive;                /* that a request may take to arrive, a client to read on; 60 */
    const char *sam;                       /* Segment Anything's weights, for masks; NULL: none */
    sphinx_segmenter_options segmenter;    /* without report */
    sphinx_session_options session;
    sphinx_ask_options ask; /* what requests do not say */
    bool seed_given;
    void (*access)(void *user,
                   const struct serve_access *line); /* from several threads, one at a time; NULL: no log */
    void *user;
};

/* Listens when it returns. IO says why it cannot. */
enum status serve_open(struct server **s, sphinx_model *model, const struct serve_options *o, struct err *e);
int serve_port(const struct server *s);
void serve_stop(struct server *s);
size_t serve_busy(struct server *s); /* requests under way */
void serve_close(struct server *s);  /* NULL is allowed */

#endif
