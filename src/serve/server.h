/*
 * server.h - what the parts of the server share: the server, and an exchange, which is one request with its reply.
 *
 *   http.c makes the exchange, has it checked and collects its body ── the route's handler ── reply_* (reply.h) ── http.c sends
 */
#ifndef SPHINX_SERVE_SERVER_H
#define SPHINX_SERVE_SERVER_H

#include <microhttpd.h>
#include <stdatomic.h>

#include "serve/chat_request.h"
#include "serve/engine.h"
#include "serve/guard.h"
#include "serve/image_api.h"
#include "serve/serve.h"
#include "serve/watch.h"

struct server {
    sphinx_model *model; /* borrowed */
    sphinx_model_info info;
    char *model_name, *media_path, *web_path;
    struct request_rules rules;
    size_t body_max, bodies_max; /* of one request, of all at once */
    double seconds_request;
    double opened; /* seconds since 1970 */

    struct guard guard;
    struct watch watch;
    struct engine *engine;
    struct image_api *image_api;   /* NULL: none */
    struct segmenting *segmenting; /* NULL: none */
    pthread_mutex_t
        reader_lock; /* of the session that only reads, for embeddings and attention: no part of the batch */
    sphinx_session *reader;
    struct MHD_Daemon *daemon;
    int fd, port;
    struct
    { /* requests are parsed, and their images decoded, a few at once and in the order in which they came */
        pthread_mutex_t lock;
        pthread_cond_t turn;
        uint64_t n_come, n_done;
    } parsing;
    atomic_size_t bodies, exchanges; /* bytes of bodies that are held; requests under way */
    atomic_bool stops, ends;         /* takes no more requests; gives up those that there are */
    atomic_uint_fast64_t n_requests, n_errors;

    pthread_mutex_t access_lock;
    void (*access)(void *user, const struct serve_access *line);
    void *user;
};

struct route;

struct exchange {
    struct server *server;
    struct MHD_Connection *connection;
    const char *method, *path;
    const char *origin; /* of a page that may read the reply; NULL: none need be named */
    const struct route *route;
    struct watched *watched;
    int fd;

    struct problem problem; /* found before the body was read */
    char *body;             /* [size] and a NUL */
    size_t size, capacity;

    struct MHD_Response *response;
    unsigned status;

    struct ticket *ticket;      /* whose answer this is; NULL: none */
    void *stream;               /* of a reply that is made as it is sent */
    void (*stream_end)(void *); /* frees it */

    char client[64], log_method[16], log_path[200]; /* the request's own are gone when it is logged */
    double began;
    size_t n_sent;
};

/* The body is not needed any more. */
void exchange_drop_body(struct exchange *x);

#endif
