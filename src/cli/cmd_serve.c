/*
 * cmd_serve.c - the server (serve/serve.h) from its options to the signal that ends it.
 *
 * The signals that end it are blocked in all threads, which inherit that, and waited for here. The first one lets answers that have begun be
 * completed; a second one, or the time that they have, ends them too.
 */
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/setup.h"
#include "core/file.h"
#include "core/report.h"
#include "serve/access_log.h"
#include "serve/serve.h"

enum { KEY_FILE_MAX = 1 << 20, WORDS_MAX = 1000, CHUNK = 128 };

/* Words cut out of texts: a list that ends with NULL. */
struct words {
    char *item[WORDS_MAX + 1];
    size_t count;
};

struct serve_command {
    struct setup setup;
    struct server *server;
    struct words keys, origins, hosts;
    char *model_name;
    char segmenter[PATH_MAX]; /* the bundled one, where it is taken; else "" */
};

static void words_free(struct words *w)
{
    for (size_t i = 0; i < w->count; i++) free(w->item[i]);
}

/* Adds what stands between separators, less white space at both ends; empty words are none. */
static int words_add(struct words *w, const char *text, const char *separators)
{
    while (*text != '\0') {
        size_t n = strcspn(text, separators);
        const char *from = text, *to = text + n;

        while (from < to && strchr(" \t\r", *from) != NULL) from++;
        while (to > from && strchr(" \t\r", to[-1]) != NULL) to--;
        if (to > from) {
            if (w->count == WORDS_MAX) return fail("more than %d keys or names are given", WORDS_MAX);
            w->item[w->count] = strndup(from, (size_t)(to - from));
            if (w->item[w->count++] == NULL) return fail("out of memory");
        }
        text += n;
        if (*text != '\0') text++;
    }
    return CODE_OK;
}

static int read_lists(struct serve_command *c, const struct settings *s)
{
    unsigned char *text = NULL;
    struct err e = { 0 };
    int code = CODE_OK;
    size_t size;

    for (size_t i = 0; i < s->api_keys.count && code == CODE_OK; i++)
        code = words_add(&c->keys, s->api_keys.item[i], ",");
    for (size_t i = 0; i < s->origins.count && code == CODE_OK; i++)
        code = words_add(&c->origins, s->origins.item[i], ",");
    for (size_t i = 0; i < s->allowed_hosts.count && code == CODE_OK; i++)
        code = words_add(&c->hosts, s->allowed_hosts.item[i], ",");
    if (s->host != NULL && code == CODE_OK) code = words_add(&c->hosts, s->host, "");
    if (s->api_key_file == NULL || code != CODE_OK) return code;
    if (file_read(s->api_key_file, KEY_FILE_MAX, &text, &size, &e) != STATUS_OK) return fail("%s", e.text);
    code = words_add(&c->keys, (const char *)text, "\n");
    free(text);
    if (code == CODE_OK && c->keys.count == 0) code = fail("%s: there is no key in it", s->api_key_file);
    return code;
}

/* What the model is called: as the user says, or as its file or folder is. */
static int name_model(struct serve_command *c, const struct settings *s)
{
    const char *name = s->alias != NULL ? s->alias : path_base(c->setup.paths.item[c->setup.paths.count - 1]);
    size_t n = strlen(name);

    if (s->alias == NULL && n > 5 && strcmp(name + n - 5, ".gguf") == 0) n -= 5;
    c->model_name = strndup(name, n);
    return c->model_name != NULL ? CODE_OK : fail("out of memory");
}

static void on_access(void *user, const struct serve_access *a)
{
    const struct settings *s = user;
    char *line = access_line(a, strcmp(s->log_format, "json") == 0);

    if (line != NULL) output_printf("%s\n", line);
    output_flush();
    free(line);
}

/* The bundled model's boxes are cut out by the bundled segmenter; that of another model is for the user to name. */
static void find_segmenter(struct serve_command *c, const struct settings *s)
{
    if (s->sam != NULL || !c->setup.paths.bundled) return;
    if (!segmenter_path(NULL, c->segmenter, sizeof c->segmenter)) c->segmenter[0] = '\0';
}

static int open_server(struct serve_command *c, struct settings *s)
{
    struct serve_options o = {
        .host = s->host,
        .port = s->port,
        .model_name = c->model_name,
        .keys = (const char *const *)c->keys.item,
        .origins = (const char *const *)c->origins.item,
        .allowed_hosts = (const char *const *)c->hosts.item,
        .tls_certificate = s->tls_certificate,
        .tls_key = s->tls_key,
        .media_path = s->media_path,
        .web_path = s->web_path,
        .image_api = s->image_api,
        .image_api_key = s->image_api_key,
        .body_max = s->body_max,
        .max_tokens = s->max_tokens,
        .slots = s->parallel,
        .queue_max = s->queue,
        .connections_max = s->connections,
        .seconds_request = s->timeout,
        .seconds_receive = s->timeout_read,
        .sam = c->segmenter[0] != '\0' ? c->segmenter : s->sam,
        .segmenter = { .cpu = s->model.cpu, .threads = s->model.threads, .precise = s->model.precise },
        .session = s->session,
        .ask = s->ask,
        .seed_given = s->ask.seed != sphinx_ask_options_default().seed,
        .access = strcmp(s->log_format, "none") != 0 ? on_access : NULL,
        .user = s
    };
    struct err e = { 0 };

    o.session.kv_type = s->kv_keys != NULL ? s->kv_keys : s->kv_values;
    return serve_open(&c->server, c->setup.model, &o, &e) == STATUS_OK ? CODE_OK : fail("%s", e.text);
}

static void say_address(const struct serve_command *c, const struct settings *s)
{
    const char *host = s->host != NULL ? s->host : "127.0.0.1";
    bool bare = strchr(host, ':') != NULL; /* an IPv6 address */

    message("%s at http%s://%s%s%s:%d", c->model_name, s->tls_certificate != NULL ? "s" : "", bare ? "[" : "",
            host, bare ? "]" : "", serve_port(c->server));
    if (c->keys.count == 0 && s->host != NULL && strncmp(host, "127.", 4) != 0 &&
        strcmp(host, "localhost") != 0 && strcmp(host, "::1") != 0)
        message("warning: other machines can use this server, for no key is needed (see --api-key-file)");
}

/* Until the answers that have begun are given, or nobody wants to wait for that any more. */
static void drain(struct serve_command *c, const struct settings *s, const sigset_t *signals)
{
    const struct timespec moment = { .tv_nsec = 50000000 };
    double end = clock_seconds() + s->timeout_drain;

    serve_stop(c->server);
    if (serve_busy(c->server) > 0 && !s->quiet)
        message("ending: %zu requests are still answered; Ctrl-C ends them", serve_busy(c->server));
    while (serve_busy(c->server) > 0 && clock_seconds() < end)
        if (sigtimedwait(signals, NULL, &moment) > 0) return;
}

static int serve(struct serve_command *c, struct settings *s)
{
    sigset_t signals;
    int code, got;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    code = open_server(c, s);
    if (code != CODE_OK) return code;
    if (!s->quiet) say_address(c, s);
    while (sigwait(&signals, &got) != 0) continue;
    drain(c, s, &signals);
    serve_close(c->server);
    return CODE_OK;
}

int cmd_serve(struct settings *s)
{
    struct serve_command *c = calloc(1, sizeof *c);
    int code;

    if (c == NULL) return fail("out of memory");
    /* A long prompt lets the others wait for a portion of it: small ones cost little speed. */
    if (s->model.chunk == 0) s->model.chunk = CHUNK;
    code = read_lists(c, s);
    if (code == CODE_OK) code = setup_model(&c->setup, s);
    if (code == CODE_OK) code = name_model(c, s);
    if (code == CODE_OK) find_segmenter(c, s);
    if (code == CODE_OK) code = serve(c, s);
    setup_close(&c->setup);
    words_free(&c->keys);
    words_free(&c->origins);
    words_free(&c->hosts);
    free(c->model_name);
    free(c);
    return code;
}
