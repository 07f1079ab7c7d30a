/*
 * test_server.c - the server as such: what it refuses, whom it serves, and how it bears clients that leave, wait, or send nonsense.
 */
#include "support/scratch.h"
#include "support/servers.h"

#include <time.h>

static sphinx_model *model;

static int setup(void **state)
{
    (void)state;
    model = open_model("tests/data/tiny/llama_ens", &one_thread);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sphinx_model_close(model);
    return 0;
}

static int status_of(int port, const char *method, const char *path, const char *headers, const char *body)
{
    struct http_reply r = http(port, method, path, headers, body);
    int status = r.status;

    if (status >= 400) {
        json_t *o = json_of(&r);

        assert_true(json_string_length(json_at(o, "error/message")) > 0);
        json_decref(o);
    }
    http_free(&r);
    return status;
}

#define HELLO "{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}], \"max_tokens\": 2}"
#define CHAT  "/v1/chat/completions"

/* ---- refusals -------------------------------------------------------------------------------------------------- */

static void test_paths(void **state)
{
    struct serve_options o = server_options();
    struct server *s = open_server(model, &o);
    int port = serve_port(s);

    (void)state;
    assert_int_equal(status_of(port, "GET", "/health", "", NULL), 200);
    assert_int_equal(status_of(port, "HEAD", "/health", "", NULL), 200);
    assert_int_equal(status_of(port, "GET", "/no/such", "", NULL), 404);
    assert_int_equal(status_of(port, "POST", "/no/such", "", "{}"), 404);
    assert_int_equal(status_of(port, "GET", CHAT, "", NULL), 405);
    assert_int_equal(status_of(port, "POST", "/health", "", "{}"), 405);
    assert_int_equal(status_of(port, "GET", "/v1/models/other", "", NULL), 404);
    assert_int_equal(status_of(port, "POST", CHAT, "", HELLO), 200);
    assert_int_equal(status_of(port, "POST", CHAT, "", NULL), 400);
    refuses(port, CHAT, "{", 400, "not JSON");
    refuses(port, CHAT, "[]", 400, "not an object");
    refuses(port, CHAT, "{}", 400, "messages must be a list");
    refuses(port, CHAT, "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"n\": 2}", 400,
            "one answer");
    serve_close(s);
}

/* A client whose base URL has no "/v1" is told of it; nothing else is. */
static void test_path_without_version(void **state)
{
    struct serve_options o = server_options();
    struct server *s = open_server(model, &o);
    int port = serve_port(s);
    json_t *unknown = get(port, "/v2/models", 404), *models = get(port, "/models", 404);

    (void)state;
    refuses(port, "/chat/completions", HELLO, 404,
            "it is /v1/chat/completions, so a client's base URL ends in /v1");
    assert_non_null(strstr(text_at(models, "error/message"), "it is /v1/models,"));
    assert_string_equal(text_at(unknown, "error/message"), "there is no such path");
    json_decref(unknown);
    json_decref(models);
    serve_close(s);
}

static void test_long_question(void **state)
{
    struct serve_options o = server_options();
    struct server *s = open_server(model, &o);
    char *words = malloc(40001), *body;

    (void)state;
    for (int i = 0; i < 40000; i++) words[i] = i % 2 == 0 ? 'x' : ' ';
    words[40000] = '\0';
    body = chat_body(words, NULL, "\"stream\": true, ");
    refuses(serve_port(s), CHAT, body, 400, "the context holds 4096");
    serve_close(s);
    free(words);
    free(body);
}

static void test_max_tokens(void **state)
{
    static const char wants_more[] =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}], \"max_tokens\": 9}";
    static const char says_nothing[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}";
    struct serve_options o = server_options();
    struct server *s;
    json_t *reply;

    (void)state;
    o.max_tokens = 3;
    o.ask.ignore_eos = true;
    s = open_server(model, &o);
    reply = post(serve_port(s), CHAT, wants_more, 200);
    assert_int_equal(json_integer_value(json_at(reply, "usage/completion_tokens")), 3);
    json_decref(reply);
    reply = post(serve_port(s), CHAT, says_nothing, 200);
    assert_int_equal(json_integer_value(json_at(reply, "usage/completion_tokens")), 3);
    json_decref(reply);
    serve_close(s);
}

static void test_keys(void **state)
{
    static const char *const keys[] = { "first", "second key", NULL };
    struct serve_options o = server_options();
    struct server *s;
    int port;

    (void)state;
    o.keys = keys;
    s = open_server(model, &o);
    port = serve_port(s);
    assert_int_equal(status_of(port, "GET", "/health", "", NULL), 200);
    assert_int_equal(status_of(port, "GET", "/props", "", NULL), 401);
    assert_int_equal(status_of(port, "GET", "/props", "Authorization: Bearer firs\r\n", NULL), 401);
    assert_int_equal(status_of(port, "GET", "/props", "Authorization: Bearer firstt\r\n", NULL), 401);
    assert_int_equal(status_of(port, "GET", "/props", "Authorization: first\r\n", NULL), 401);
    assert_int_equal(status_of(port, "GET", "/props", "Authorization: Bearer first\r\n", NULL), 200);
    assert_int_equal(status_of(port, "GET", "/props", "Authorization: bearer second key\r\n", NULL), 200);
    assert_int_equal(status_of(port, "GET", "/props", "X-API-Key: first\r\n", NULL), 200);
    assert_int_equal(status_of(port, "POST", CHAT, "Authorization: Bearer x\r\n", HELLO), 401);
    assert_int_equal(status_of(port, "POST", CHAT, "Authorization: Bearer first\r\n", HELLO), 200);
    serve_close(s);
}

static void test_hosts(void **state)
{
    static const char *const names[] = { "sphinx.example", NULL };
    struct serve_options o = server_options();
    struct server *s;
    int port;

    (void)state;
    o.allowed_hosts = names;
    s = open_server(model, &o);
    port = serve_port(s);
    assert_int_equal(status_of(port, "GET", "/health", "Host: 127.0.0.1:80\r\n", NULL), 200);
    assert_int_equal(status_of(port, "GET", "/health", "Host: [::1]:80\r\n", NULL), 200);
    assert_int_equal(status_of(port, "GET", "/health", "Host: LOCALHOST\r\n", NULL), 200);
    assert_int_equal(status_of(port, "GET", "/health", "Host: a.localhost:1\r\n", NULL), 200);
    assert_int_equal(status_of(port, "GET", "/health", "Host: sphinx.example:8080\r\n", NULL), 200);
    assert_int_equal(status_of(port, "GET", "/health", "Host: evil.example\r\n", NULL), 403);
    assert_int_equal(status_of(port, "GET", "/health", "Host: notlocalhost\r\n", NULL), 403);
    assert_int_equal(status_of(port, "GET", "/health", "Host: 127.0.0.1.evil.example\r\n", NULL), 403);
    assert_int_equal(status_of(port, "GET", "/health", "Host: \r\n", NULL), 403);
    serve_close(s);
}

static void test_origins(void **state)
{
    static const char *const origins[] = { "https://page.example", NULL };
    struct serve_options o = server_options();
    struct http_reply r;
    struct server *s;
    int port;

    (void)state;
    o.origins = origins;
    s = open_server(model, &o);
    port = serve_port(s);
    assert_int_equal(status_of(port, "POST", CHAT, "Origin: https://evil.example\r\n", HELLO), 403);
    assert_int_equal(status_of(port, "POST", CHAT, "Origin: null\r\n", HELLO), 403);
    assert_int_equal(
        status_of(port, "POST", CHAT, "Host: localhost:5\r\nOrigin: http://localhost:6\r\n", HELLO), 403);
    assert_int_equal(
        status_of(port, "POST", CHAT, "Host: localhost:5\r\nOrigin: http://localhost:5\r\n", HELLO), 200);
    assert_int_equal(status_of(port, "OPTIONS", CHAT, "Origin: https://evil.example\r\n", NULL), 403);
    r = http(port, "POST", CHAT, "Origin: https://page.example\r\n", HELLO);
    assert_int_equal(r.status, 200);
    assert_true(http_has(&r, "Access-Control-Allow-Origin: https://page.example\r\n"));
    http_free(&r);
    r = http(port, "OPTIONS", CHAT,
             "Origin: https://page.example\r\nAccess-Control-Request-Headers: x-stainless-os\r\n", NULL);
    assert_int_equal(r.status, 204);
    assert_true(http_has(&r, "Access-Control-Allow-Headers: x-stainless-os\r\n"));
    http_free(&r);
    r = http(port, "GET", "/props", "Origin: https://evil.example\r\n", NULL);
    assert_false(http_has(&r, "Access-Control-Allow-Origin"));
    http_free(&r);
    serve_close(s);
}

static void test_body_limit(void **state)
{
    struct serve_options o = server_options();
    struct server *s;
    char *large = malloc(20001);
    int fd;
    struct http_reply r;

    (void)state;
    o.body_max = 10000;
    s = open_server(model, &o);
    memset(large, ' ', 20000);
    large[20000] = '\0';
    assert_int_equal(status_of(serve_port(s), "POST", CHAT, "", large), 413);
    /* And with chunks, whose sum nobody tells before. */
    fd = http_connect(serve_port(s));
    http_ask(fd, "POST", CHAT, "Transfer-Encoding: chunked\r\nConnection: close\r\n", NULL);
    http_send(fd, "2ee0\r\n", 6);
    http_send(fd, large, 0x2ee0);
    http_send(fd, "\r\n0\r\n\r\n", 7);
    r = http_take(fd);
    assert_int_equal(r.status, 413);
    http_free(&r);
    assert_int_equal(status_of(serve_port(s), "POST", CHAT, "", HELLO), 200);
    serve_close(s);
    free(large);
}

static void test_media_path(void **state)
{
    struct scratch scratch;
    struct serve_options o = server_options();
    struct server *s;
    char link[512], *body;
    static const char *const names[] = {
        "file:///../secret.png", "file:///%2e%2e/secret.png", "file:///link.png", "file:///folder",
        "file:///none.png",      "file:///a%00.png",          "file:///%zz"
    };

    (void)state;
    scratch_open(&scratch);
    scratch_write(scratch_path(&scratch, "secret.png"), "x", 1);
    o.media_path = scratch_folder(&scratch, "media");
    scratch_folder(&scratch, "media/folder");
    snprintf(link, sizeof link, "%s/media/link.png", scratch.path);
    assert_int_equal(symlink("../secret.png", link), 0);
    s = open_server(model, &o);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        body = chat_body("x", names[i], "");
        refuses(serve_port(s), CHAT, body, 400, "file");
        free(body);
    }
    serve_close(s);
    o.media_path = NULL;
    s = open_server(model, &o);
    refuses(serve_port(s), CHAT,
            "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": "
            "\"file:///etc/passwd\"}]}]}",
            400, "without --media-path");
    serve_close(s);
    scratch_close(&scratch);
}

static void test_page(void **state)
{
    struct serve_options o = server_options();
    struct scratch scratch;
    struct http_reply r;
    struct server *s;
    int port;

    (void)state;
    scratch_open(&scratch);
    scratch_write(scratch_path(&scratch, "secret.js"), "secret", 6);
    o.web_path = scratch_folder(&scratch, "web");
    scratch_write(scratch_path(&scratch, "web/index.html"), "<p>page", 7);
    scratch_write(scratch_path(&scratch, "web/a.js"), "1", 1);
    scratch_write(scratch_path(&scratch, "web/notes.txt"), "1", 1);
    s = open_server(model, &o);
    port = serve_port(s);
    r = http(port, "GET", "/", "", NULL);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "<p>page");
    assert_true(http_has(&r, "Content-Type: text/html"));
    assert_true(http_has(&r, "Content-Security-Policy: default-src 'self';"));
    assert_true(http_has(&r, "frame-ancestors 'none'"));
    assert_true(http_has(&r, "X-Content-Type-Options: nosniff"));
    assert_true(http_has(&r, "Referrer-Policy: no-referrer"));
    http_free(&r);
    assert_int_equal(status_of(port, "GET", "/a.js?v=1", "", NULL), 200);
    assert_int_equal(status_of(port, "GET", "/notes.txt", "", NULL), 404);
    assert_int_equal(status_of(port, "GET", "/../secret.js", "", NULL), 404);
    assert_int_equal(status_of(port, "GET", "/..%2fsecret.js", "", NULL), 404);
    assert_int_equal(status_of(port, "GET", "/web/../../secret.js", "", NULL), 404);
    assert_int_equal(status_of(port, "GET", "/%2e%2e/secret.js", "", NULL), 404);
    assert_int_equal(status_of(port, "GET", "//etc/passwd", "", NULL), 404);
    serve_close(s);
    scratch_close(&scratch);
}

/* ---- clients that leave, wait, or send nonsense ---------------------------------------------------------------- */

#define ENDLESS                                                                                              \
    "{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}], \"max_tokens\": 4000, \"stream\": true}"

static double metric(int port, const char *name)
{
    struct http_reply r = http(port, "GET", "/metrics", "", NULL);
    char line[128];
    const char *at;
    double value;

    snprintf(line, sizeof line, "\nsphinx:%s ", name);
    at = strstr(r.body, line);
    if (at == NULL) fail_msg("there is no metric %s", name);
    value = strtod(at + strlen(line), NULL);
    http_free(&r);
    return value;
}

/* Waits until a metric has a value; half a minute is more than any machine needs. */
static void await(int port, const char *name, double value)
{
    const struct timespec moment = { .tv_nsec = 5000000 };

    for (int i = 0; i < 6000; i++) {
        if (metric(port, name) == value) return;
        nanosleep(&moment, NULL);
    }
    fail_msg("%s is %g, not %g", name, metric(port, name), value);
}

static int begin(int port, const char *body)
{
    int fd = http_connect(port);

    http_ask(fd, "POST", CHAT, "Connection: close\r\n", body);
    return fd;
}

static void test_gone(void **state)
{
    struct serve_options o = server_options();
    struct server *s;
    char byte;
    int port, fd, others[3];

    (void)state;
    o.slots = 1;
    s = open_server(model, &o);
    port = serve_port(s);
    /* In the middle of its answer, and in the queue. */
    fd = begin(port, ENDLESS);
    assert_int_equal(recv(fd, &byte, 1, 0), 1);
    assert_true(metric(port, "requests_processing") == 1);
    for (int i = 0; i < 3; i++) others[i] = begin(port, ENDLESS);
    await(port, "requests_deferred", 3);
    for (int i = 0; i < 3; i++) close(others[i]);
    await(port, "requests_deferred", 0);
    close(fd);
    await(port, "requests_processing", 0);
    await(port, "answers_cancelled_total", 4);
    /* Not streaming: nothing has to be written for that to be noticed. */
    fd = begin(port, "{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}], \"max_tokens\": 4000}");
    await(port, "requests_processing", 1);
    close(fd);
    await(port, "answers_cancelled_total", 5);
    assert_int_equal(status_of(port, "POST", CHAT, "", HELLO), 200);
    serve_close(s);
}

static void test_queue(void **state)
{
    struct serve_options o = server_options();
    struct http_reply r;
    struct server *s;
    int port, first, second;

    (void)state;
    o.slots = 1;
    o.queue_max = 1;
    s = open_server(model, &o);
    port = serve_port(s);
    first = begin(port, ENDLESS);
    await(port, "requests_processing", 1);
    second = begin(port, HELLO);
    await(port, "requests_deferred", 1);
    r = http(port, "POST", CHAT, "", HELLO);
    assert_int_equal(r.status, 503);
    assert_true(http_has(&r, "Retry-After: "));
    http_free(&r);
    close(first);
    r = http_take(second); /* it was waiting, and is served */
    assert_int_equal(r.status, 200);
    http_free(&r);
    assert_true(metric(port, "requests_refused_total") == 1);
    serve_close(s);
}

/* Lanes: answers begun together, each in whichever thread, are those given alone. */
static void test_lanes(void **state)
{
    static const char *const words[] = { "Hello",       "A longer question about nothing",
                                         "Hello again", "x",
                                         "Why?",        "y z" };
    enum { WORDS = sizeof words / sizeof *words };
    sphinx_model_options several = one_thread;
    struct serve_options o = server_options();
    struct http_reply alone[WORDS];
    char body[WORDS][256];
    sphinx_model *wide;
    struct server *s;
    int port, fd[WORDS];

    (void)state;
    several.threads = 3;
    wide = open_model("tests/data/tiny/llama_ens", &several);
    o.slots = 4;
    s = open_server(wide, &o);
    port = serve_port(s);
    for (int i = 0; i < WORDS; i++) {
        snprintf(body[i], sizeof body[i],
                 "{\"prompt\": \"%s\", \"max_tokens\": %d, \"temperature\": 0, \"logprobs\": 1}", words[i],
                 20 + 40 * i);
        alone[i] = http(port, "POST", "/v1/completions", "", body[i]);
        assert_int_equal(alone[i].status, 200);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < WORDS; i++) {
            fd[i] = http_connect(port);
            http_ask(fd[i], "POST", "/v1/completions", "Connection: close\r\n", body[i]);
        }
        for (int i = 0; i < WORDS; i++) {
            struct http_reply r = http_take(fd[i]);
            json_t *was = json_of(&alone[i]), *is = json_of(&r);

            assert_true(json_equal(json_at(was, "choices"), json_at(is, "choices")));
            json_decref(was);
            json_decref(is);
            http_free(&r);
        }
    }
    for (int i = 0; i < WORDS; i++) http_free(&alone[i]);
    serve_close(s);
    sphinx_model_close(wide);
}

static void test_slow(void **state)
{
    struct serve_options o = server_options();
    struct server *s;
    struct http_reply r;
    int port, silent, half, slow;

    (void)state;
    o.seconds_receive = 0.2;
    s = open_server(model, &o);
    port = serve_port(s);
    silent = http_connect(port); /* says nothing */
    half = http_connect(port);   /* stops in its headers */
    http_send(half, "GET /hea", 8);
    slow = http_connect(port); /* and in its body */
    http_ask(slow, "POST", CHAT, "Content-Length: 1000\r\n", NULL);
    r = http_take(silent);
    assert_int_equal(r.status, 0);
    http_free(&r);
    r = http_take(half);
    http_free(&r);
    r = http_take(slow);
    http_free(&r);
    assert_int_equal(status_of(port, "GET", "/health", "", NULL), 200);
    serve_close(s);
}

static void test_nonsense(void **state)
{
    static const char *const lines[] = {
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\x16\x03\x01\x02",
        "POST " CHAT " HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        "POST " CHAT " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999999999999999\r\n\r\n",
        "POST " CHAT " HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    };
    struct serve_options o = server_options();
    struct server *s = open_server(model, &o);

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        int fd = http_connect(serve_port(s));
        struct http_reply r;

        http_send(fd, lines[i], strlen(lines[i]));
        shutdown(fd, SHUT_WR);
        r = http_take(fd);
        assert_true(r.status == 0 || r.status >= 400);
        http_free(&r);
    }
    assert_int_equal(status_of(serve_port(s), "GET", "/health", "", NULL), 200);
    serve_close(s);
}

static void test_time_limit(void **state)
{
    enum { MANY = 20 }; /* answers of 4000 tokens, one after the other: they take longer than that */
    struct serve_options o = server_options();
    struct server *s;
    struct http_reply r;
    int fd[MANY];

    (void)state;
    o.seconds_request = 0.2;
    o.slots = 1;
    o.ask.ignore_eos = true;
    s = open_server(model, &o);
    for (int i = 0; i < MANY; i++)
        fd[i] = begin(serve_port(s),
                      "{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}], \"max_tokens\": 4000}");
    for (int i = 0; i < MANY; i++) {
        r = http_take(fd[i]);
        if (i == MANY - 1) {
            assert_int_equal(r.status, 408);
            assert_non_null(strstr(r.body, "more than 0.2 seconds"));
        }
        http_free(&r);
    }
    serve_close(s);
}

/* ---- ending ---------------------------------------------------------------------------------------------------- */

static void test_drain(void **state)
{
    static const char long_one[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}], "
                                   "\"max_tokens\": 200, \"stream\": true}";
    struct serve_options o = server_options();
    struct server *s = open_server(model, &o);
    int port = serve_port(s), running, kept;
    struct http_reply r;
    char byte;

    (void)state;
    kept = http_connect(port); /* was there before */
    running = begin(port, long_one);
    assert_int_equal(recv(running, &byte, 1, MSG_PEEK), 1);
    serve_stop(s);
    http_ask(kept, "POST", CHAT, "Connection: close\r\n", HELLO);
    r = http_take(kept);
    assert_true(r.status == 503 || r.status == 0); /* 0: it was not yet accepted */
    http_free(&r);
    r = http_take(running);
    assert_int_equal(r.status, 200);
    assert_true(r.whole);
    assert_non_null(strstr(r.body, "[DONE]"));
    http_free(&r);
    for (int i = 0; i < 100000 && serve_busy(s) > 0; i++) usleep(1000);
    assert_int_equal(serve_busy(s), 0);
    serve_close(s);
}

static void test_close_under_way(void **state)
{
    struct serve_options o = server_options();
    struct server *s;
    struct http_reply r;
    int running, waiting;
    char byte;

    (void)state;
    o.slots = 1;
    s = open_server(model, &o);
    running = begin(serve_port(s), ENDLESS);
    assert_int_equal(recv(running, &byte, 1, MSG_PEEK), 1);
    waiting = begin(serve_port(s), ENDLESS);
    await(serve_port(s), "requests_deferred", 1);
    serve_close(s);
    r = http_take(running);
    assert_int_equal(r.status, 200);
    assert_null(strstr(r.body, "[DONE]"));
    http_free(&r);
    r = http_take(waiting);
    http_free(&r);
}

static void count_access(void *user, const struct serve_access *a)
{
    struct serve_access *last = user;

    *last = *a;
    last->client = last->method = last->path = NULL;
    if (a->tokens > 0) assert_string_equal(a->path, CHAT);
    assert_string_equal(a->client, "127.0.0.1");
}

static void test_access(void **state)
{
    struct serve_options o = server_options();
    struct serve_access last = { 0 };
    struct server *s;

    (void)state;
    o.access = count_access;
    o.user = &last;
    s = open_server(model, &o);
    assert_int_equal(status_of(serve_port(s), "POST", CHAT, "", HELLO), 200);
    serve_close(s);
    assert_int_equal(last.status, 200);
    assert_int_equal(last.tokens, 2);
    assert_true(last.whole && last.bytes > 100 && last.prompt_tokens > 5);
}

static void test_busy_port(void **state)
{
    struct serve_options o = server_options();
    struct server *s = open_server(model, &o), *other;
    struct err e = { 0 };

    (void)state;
    o.port = serve_port(s);
    assert_int_equal(serve_open(&other, model, &o, &e), STATUS_IO);
    assert_non_null(strstr(e.text, "cannot listen at 127.0.0.1"));
    assert_null(other);
    serve_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_path_without_version),
        cmocka_unit_test(test_long_question),
        cmocka_unit_test(test_max_tokens),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_body_limit),
        cmocka_unit_test(test_media_path),
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_slow),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_close_under_way),
        cmocka_unit_test(test_access),
        cmocka_unit_test(test_busy_port),
        cmocka_unit_test(test_lanes),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
