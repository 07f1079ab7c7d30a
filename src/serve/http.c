/*
 * http.c - the server's life, and that of a request: libmicrohttpd calls on_request first with the headers, which are checked, then with
 * each piece of the body, then with nothing, when the handler makes the reply. A request that is refused has its body read and thrown away first, for
 * a client that is still sending does not listen.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/file.h"
#include "core/report.h"
#include "serve/masks.h"
#include "serve/reply.h"
#include "serve/routes.h"

enum {
    PORT_DEFAULT = 8080,
    BODY_DEFAULT = 32 << 20,
    BODIES_AT_ONCE = 8,         /* of the largest size; many more of ordinary ones */
    IMAGE_BYTES_MAX = 1 << 30,  /* of waiting requests */
    PICTURES_BYTES = 128 << 20, /* of late requests */
    SLOTS_DEFAULT = 4,
    LANES_PARAMETERS = 32 << 20, /* of the largest model that is answered in several lanes: see engine.h */
    QUEUE_DEFAULT = 64,
    CONNECTIONS_DEFAULT = 256,
    REQUEST_SECONDS = 600,
    RECEIVE_SECONDS = 60,
    BACKLOG = 511,
    THREAD_STACK = 2 << 20,
    PEM_MAX = 1 << 20
};

static const char *header(const struct exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

static double time_now(void)
{
    struct timeval t;

    gettimeofday(&t, NULL);
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

/* ---- a request's headers --------------------------------------------------------------------------------------- */

static void check(struct exchange *x)
{
    const struct server *s = x->server;
    const char *host = header(x, "Host"), *origin = header(x, "Origin"),
               *length = header(x, "Content-Length");
    struct problem *p = &x->problem;
    bool reads = strcmp(x->method, "GET") == 0 || strcmp(x->method, "HEAD") == 0;

    if (!guard_host(&s->guard, host, p)) return;
    if (!reads && !guard_origin(&s->guard, origin, host, p)) return;
    if (origin != NULL && guard_origin_allowed(&s->guard, origin)) x->origin = origin;
    if (strcmp(x->method, "OPTIONS") == 0) return;
    x->route = route_find(x->method, x->path, p);
    if (x->route == NULL) return;
    if (!x->route->open && !guard_key(&s->guard, header(x, "Authorization"), header(x, "X-API-Key"), p))
        return;
    if (!x->route->while_stopping && atomic_load(&s->stops))
        problem_set(p, 503, NULL, "shutting_down", "the server is ending");
    if (length != NULL && strtoull(length, NULL, 10) > s->body_max)
        problem_set(p, 413, NULL, NULL, "the body has %.20s bytes: this server takes %zu at most", length,
                    s->body_max);
}

/* Pages of other origins ask first what they may send (CORS). */
static void reply_preflight(struct exchange *x)
{
    const char *headers = header(x, "Access-Control-Request-Headers");

    reply_static(x, 204, "text/plain", "", 0);
    if (x->response == NULL || x->origin == NULL) return;
    MHD_add_response_header(x->response, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    MHD_add_response_header(x->response, "Access-Control-Allow-Headers",
                            headers != NULL ? headers : "authorization, content-type");
    MHD_add_response_header(x->response, "Access-Control-Max-Age", "600");
}

static void name_client(struct exchange *x)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *a = info != NULL ? info->client_addr : NULL;

    if (a != NULL && a->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr, x->client,
                  sizeof x->client);
    if (a != NULL && a->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, x->client,
                  sizeof x->client);
}

static struct exchange *begin_exchange(struct server *s, struct MHD_Connection *c, const char *method,
                                       const char *path)
{
    const union MHD_ConnectionInfo *info;
    struct exchange *x = calloc(1, sizeof *x);

    if (x == NULL) return NULL;
    *x = (struct exchange){ .server = s, .connection = c, .method = method, .path = path, .fd = -1 };
    x->began = clock_seconds();
    snprintf(x->log_method, sizeof x->log_method, "%s", method);
    snprintf(x->log_path, sizeof x->log_path, "%s", path);
    info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != NULL) x->fd = info->connect_fd;
    info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (info != NULL) x->watched = info->socket_context;
    name_client(x);
    atomic_fetch_add(&s->exchanges, 1);
    atomic_fetch_add(&s->n_requests, 1);
    check(x);
    return x;
}

/* ---- its body -------------------------------------------------------------------------------------------------- */

/* Room for so many more bytes, within what one and what all requests may take. */
static bool make_room(struct exchange *x, size_t more)
{
    struct server *s = x->server;
    size_t needed = x->size + more, capacity = x->capacity == 0 ? 16384 : x->capacity;
    char *larger;

    if (needed > s->body_max)
        return problem_set(&x->problem, 413, NULL, NULL, "the body is longer than %zu bytes", s->body_max);
    while (capacity < needed + 1) capacity *= 2;
    if (capacity == x->capacity) return true;
    if (atomic_fetch_add(&s->bodies, capacity - x->capacity) > s->bodies_max) {
        atomic_fetch_sub(&s->bodies, capacity - x->capacity);
        return problem_set(&x->problem, 503, NULL, "queue_full",
                           "too many large requests are arriving: try again later");
    }
    larger = realloc(x->body, capacity);
    if (larger == NULL) {
        atomic_fetch_sub(&s->bodies, capacity - x->capacity);
        return problem_no_memory(&x->problem);
    }
    x->body = larger;
    x->capacity = capacity;
    return true;
}

void exchange_drop_body(struct exchange *x)
{
    atomic_fetch_sub(&x->server->bodies, x->capacity);
    free(x->body);
    x->body = NULL;
    x->size = x->capacity = 0;
}

/* Of a request that is refused nothing is kept. Not longer than the largest body, then the line is cut. */
static enum MHD_Result take_piece(struct exchange *x, const char *piece, size_t size)
{
    if (x->problem.status == 0 && make_room(x, size)) {
        memcpy(x->body + x->size, piece, size);
        x->size += size;
        x->body[x->size] = '\0';
        return MHD_YES;
    }
    if (x->body != NULL) exchange_drop_body(x);
    x->size += size;
    return x->size <= 2 * x->server->body_max ? MHD_YES : MHD_NO;
}

/* ---- its reply ------------------------------------------------------------------------------------------------- */

static enum MHD_Result reply(struct exchange *x)
{
    enum MHD_Result sent = MHD_NO;

    watch_wait(&x->server->watch, x->watched, false);
    if (x->body == NULL) x->size = 0;
    if (x->problem.status != 0)
        reply_problem(x, &x->problem);
    else if (x->route == NULL)
        reply_preflight(x);
    else
        x->route->handle(x);
    if (x->response == NULL) return MHD_NO; /* no memory even to say so, or nobody to say it to */
    sent = MHD_queue_response(x->connection, x->status, x->response);
    MHD_destroy_response(x->response);
    watch_wait(&x->server->watch, x->watched, true);
    return sent;
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *piece, size_t *size, void **context)
{
    struct exchange *x = *context;

    (void)version;
    if (x == NULL) {
        *context = begin_exchange(user, c, method, url);
        return *context != NULL ? MHD_YES : MHD_NO;
    }
    if (*size > 0) {
        size_t n = *size;

        *size = 0;
        return take_piece(x, piece, n);
    }
    return reply(x);
}

static void log_access(struct exchange *x, bool whole)
{
    struct server *s = x->server;
    struct serve_access line = { .time = time_now(),
                                 .client = x->client,
                                 .method = x->log_method,
                                 .path = x->log_path,
                                 .status = x->status,
                                 .bytes = x->n_sent,
                                 .seconds = clock_seconds() - x->began,
                                 .whole = whole };

    if (s->access == NULL) return;
    if (x->ticket != NULL) {
        pthread_mutex_lock(&x->ticket->lock);
        if (x->ticket->answer != NULL) {
            line.prompt_tokens = x->ticket->answer->prompt_tokens + x->ticket->answer->image_tokens;
            line.tokens = x->ticket->answer->n_tokens;
        }
        pthread_mutex_unlock(&x->ticket->lock);
    }
    pthread_mutex_lock(&s->access_lock);
    s->access(s->user, &line);
    pthread_mutex_unlock(&s->access_lock);
}

static void on_completed(void *user, struct MHD_Connection *c, void **context,
                         enum MHD_RequestTerminationCode why)
{
    struct exchange *x = *context;
    struct server *s = user;

    (void)c;
    if (x == NULL) return;
    *context = NULL;
    if (x->ticket != NULL) engine_cancel(s->engine, x->ticket); /* of no effect on one that has ended */
    if (x->stream_end != NULL) x->stream_end(x->stream);
    log_access(x, why == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    ticket_drop(x->ticket);
    exchange_drop_body(x);
    watch_wait(&s->watch, x->watched, true);
    atomic_fetch_sub(&s->exchanges, 1);
    free(x);
}

static void on_connection(void *user, struct MHD_Connection *c, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    const union MHD_ConnectionInfo *info;
    struct server *s = user;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
        *context = info != NULL ? watch_add(&s->watch, info->connect_fd) : NULL;
    } else {
        watch_remove(&s->watch, *context);
        *context = NULL;
    }
}

/* ---- listening ------------------------------------------------------------------------------------------------- */

static enum status listen_at(struct server *s, const char *host, int port, struct err *e)
{
    struct addrinfo wanted = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE },
                    *found = NULL;
    struct sockaddr_storage bound;
    socklen_t n = sizeof bound;
    char service[16];
    int on = 1, code;

    snprintf(service, sizeof service, "%d", port);
    code = getaddrinfo(host, service, &wanted, &found);
    if (code != 0) return err_set(e, STATUS_NOT_FOUND, "%s: %s", host, gai_strerror(code));
    s->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd >= 0) setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    code = s->fd >= 0 && bind(s->fd, found->ai_addr, found->ai_addrlen) == 0 && listen(s->fd, BACKLOG) == 0 &&
           getsockname(s->fd, (struct sockaddr *)&bound, &n) == 0;
    freeaddrinfo(found);
    if (!code) return err_set(e, STATUS_IO, "cannot listen at %s port %d: %s", host, port, strerror(errno));
    s->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                : ((struct sockaddr_in *)&bound)->sin_port);
    return STATUS_OK;
}

static enum status read_pem(const char *path, char **text, struct err *e)
{
    unsigned char *data;
    size_t size;
    enum status st = file_read(path, PEM_MAX, &data, &size, e);

    if (st == STATUS_OK) *text = (char *)data;
    return st;
}

static enum status start(struct server *s, const struct serve_options *o, const char *certificate,
                         const char *key, struct err *e)
{
    unsigned flags =
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC;
    struct MHD_OptionItem tls[] = { { MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)certificate },
                                    { MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)key },
                                    { MHD_OPTION_END, 0, NULL } };
    int connections = o->connections_max > 0 ? o->connections_max : CONNECTIONS_DEFAULT;

    if (certificate != NULL)
        flags |= MHD_USE_TLS;
    else
        tls[0].option = MHD_OPTION_END;
    s->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, s->fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)connections, MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    if (s->daemon != NULL) return STATUS_OK;
    s->fd = -1; /* it was closed */
    return err_set(e, STATUS_IO,
                   certificate != NULL ? "TLS cannot be begun with this certificate and key"
                                       : "the HTTP server cannot be started");
}

static enum status start_listening(struct server *s, const struct serve_options *o, struct err *e)
{
    char *certificate = NULL, *key = NULL;
    enum status st = STATUS_OK;

    if ((o->tls_certificate != NULL) != (o->tls_key != NULL))
        st = err_set(e, STATUS_BAD_ARGUMENT, "TLS needs both a certificate and a key");
    if (st == STATUS_OK && o->tls_certificate != NULL) st = read_pem(o->tls_certificate, &certificate, e);
    if (st == STATUS_OK && o->tls_key != NULL) st = read_pem(o->tls_key, &key, e);
    if (st == STATUS_OK) st = listen_at(s, o->host != NULL ? o->host : "127.0.0.1", o->port, e);
    if (st == STATUS_OK) st = start(s, o, certificate, key, e);
    free(certificate);
    free(key);
    return st;
}

/* ---- opening and closing --------------------------------------------------------------------------------------- */

static enum status copy_texts(struct server *s, const struct serve_options *o, struct err *e)
{
    s->model_name = strdup(o->model_name != NULL ? o->model_name : s->info.name);
    if (o->media_path != NULL) s->media_path = strdup(o->media_path);
    if (o->web_path != NULL) s->web_path = strdup(o->web_path);
    if (s->model_name == NULL || (o->media_path != NULL && s->media_path == NULL) ||
        (o->web_path != NULL && s->web_path == NULL))
        return err_no_memory(e, "server");
    return STATUS_OK;
}

static int most_tokens(const struct server *s, const struct serve_options *o)
{
    return o->max_tokens > 0 && o->max_tokens < s->info.context ? o->max_tokens : s->info.context;
}

static void set_rules(struct server *s, const struct serve_options *o)
{
    s->rules = (struct request_rules){ .ask = o->ask,
                                       .seed_given = o->seed_given,
                                       .max_tokens = most_tokens(s, o),
                                       .session = o->session,
                                       .media_path = s->media_path };
    if (s->rules.ask.max_tokens < 0 || s->rules.ask.max_tokens > s->rules.max_tokens)
        s->rules.ask.max_tokens = s->rules.max_tokens;
    s->body_max = o->body_max > 0 ? o->body_max : BODY_DEFAULT;
    s->bodies_max = BODIES_AT_ONCE * s->body_max;
    s->seconds_request = o->seconds_request > 0 ? o->seconds_request : REQUEST_SECONDS;
    s->access = o->access;
    s->user = o->user;
    s->opened = time_now();
}

/* The session that only reads. */
static enum status open_reader(struct server *s, const struct serve_options *o, struct err *e)
{
    sphinx_error error = { 0 };

    if (sphinx_session_open(&s->reader, s->model, &o->session, &error) == SPHINX_OK) return STATUS_OK;
    return err_set(e, (enum status)error.code, "%s", error.text);
}

static int lanes_for(const sphinx_model_info *model, int slots)
{
    if (model->parameters > LANES_PARAMETERS) return 1;
    return model->threads < slots ? model->threads : slots;
}

static enum status open_server(struct server *s, const struct serve_options *o, struct err *e)
{
    int slots = o->slots > 0 ? o->slots : SLOTS_DEFAULT;
    struct engine_options engine = { .slots = slots,
                                     .lanes = lanes_for(&s->info, slots),
                                     .queue_max = (size_t)(o->queue_max > 0 ? o->queue_max : QUEUE_DEFAULT),
                                     .image_bytes_max = IMAGE_BYTES_MAX,
                                     .session = o->session };
    enum status st = copy_texts(s, o, e);

    set_rules(s, o);
    s->rules.pictures = pictures_open(PICTURES_BYTES);
    if (st == STATUS_OK && s->rules.pictures == NULL) st = err_no_memory(e, "server");
    if (st == STATUS_OK) st = guard_init(&s->guard, o->allowed_hosts, o->origins, o->keys, e);
    if (st == STATUS_OK)
        st = watch_init(&s->watch, o->seconds_receive > 0 ? o->seconds_receive : RECEIVE_SECONDS, e);
    if (st == STATUS_OK && o->image_api != NULL)
        st = image_api_open(&s->image_api, o->image_api, o->image_api_key, s->seconds_request, e);
    if (st == STATUS_OK) st = engine_open(&s->engine, s->model, &engine, e);
    if (st == STATUS_OK) st = open_reader(s, o, e);
    if (st == STATUS_OK && o->sam != NULL) st = segmenting_open(&s->segmenting, o->sam, &o->segmenter, e);
    if (st == STATUS_OK) st = start_listening(s, o, e);
    return st;
}

enum status serve_open(struct server **server, sphinx_model *model, const struct serve_options *o,
                       struct err *e)
{
    struct server *s = calloc(1, sizeof *s);
    enum status st;

    *server = s;
    if (s == NULL) return err_no_memory(e, "server");
    s->model = model;
    s->fd = -1;
    sphinx_model_get_info(model, &s->info);
    pthread_mutex_init(&s->access_lock, NULL);
    pthread_mutex_init(&s->reader_lock, NULL);
    pthread_mutex_init(&s->parsing.lock, NULL);
    pthread_cond_init(&s->parsing.turn, NULL);
    st = open_server(s, o, e);
    if (st == STATUS_OK) return STATUS_OK;
    serve_close(s);
    *server = NULL;
    return st;
}

int serve_port(const struct server *s)
{
    return s->port;
}

void serve_stop(struct server *s)
{
    if (atomic_exchange(&s->stops, true)) return;
    MHD_quiesce_daemon(s->daemon);
    shutdown(s->fd, SHUT_RDWR); /* who comes now is refused, not left waiting */
    engine_refuse(s->engine);
}

size_t serve_busy(struct server *s)
{
    return atomic_load(&s->exchanges);
}

void serve_close(struct server *s)
{
    if (s == NULL) return;
    if (s->daemon != NULL) serve_stop(s);
    atomic_store(&s->ends, true); /* so that nobody waits for an answer, masks or a vector */
    if (s->engine != NULL) engine_stop(s->engine);
    if (s->reader != NULL) sphinx_session_cancel(s->reader);
    if (s->daemon != NULL) MHD_stop_daemon(s->daemon);
    if (s->fd >= 0) close(s->fd);
    engine_close(s->engine);
    sphinx_session_close(s->reader);
    segmenting_close(s->segmenting);
    pictures_close(s->rules.pictures);
    watch_free(&s->watch);
    guard_free(&s->guard);
    image_api_close(s->image_api);
    pthread_cond_destroy(&s->parsing.turn);
    pthread_mutex_destroy(&s->parsing.lock);
    pthread_mutex_destroy(&s->access_lock);
    pthread_mutex_destroy(&s->reader_lock);
    free(s->model_name);
    free(s->media_path);
    free(s->web_path);
    free(s);
}
