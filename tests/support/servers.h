/*
 * servers.h - for tests of the server: one that listens at a free port, and what it says as JSON.
 */
#ifndef TESTS_SUPPORT_SERVERS_H
#define TESTS_SUPPORT_SERVERS_H

#include "support/http_client.h"
#include "support/sessions.h"

#include <jansson.h>
#include <nettle/base64.h>

#include "core/file.h"
#include "serve/serve.h"

/* One thread to compute with: so small a model needs no more, and what ThreadSanitizer does not know of OpenMP is not asked. */
static const sphinx_model_options one_thread = { .threads = 1 };

/* Defaults that answer the same each time, and end soon. */
static inline struct serve_options server_options(void)
{
    struct serve_options o = { .ask = sphinx_ask_options_default(), .slots = 2, .seed_given = true };

    o.ask.max_tokens = 8;
    o.ask.temperature = 0;
    return o;
}

static inline struct server *open_server(sphinx_model *model, const struct serve_options *o)
{
    struct server *s;
    struct err e = { 0 };

    if (serve_open(&s, model, o, &e) != STATUS_OK) fail_msg("%s", e.text);
    return s;
}

/* A file as a data URL, to be freed. */
static inline char *data_url(const char *path)
{
    unsigned char *data;
    struct err e = { 0 };
    size_t size, n;
    char *url;

    if (file_read(path, 1 << 24, &data, &size, &e) != STATUS_OK) fail_msg("%s", e.text);
    url = malloc(64 + BASE64_ENCODE_RAW_LENGTH(size) + 1);
    n = (size_t)sprintf(url, "data:image/png;base64,");
    base64_encode_raw(url + n, size, data);
    url[n + BASE64_ENCODE_RAW_LENGTH(size)] = '\0';
    free(data);
    return url;
}

/* A request with one question, about an image (NULL: none), with more fields ("\"seed\": 1, "). To be freed. */
static inline char *chat_body(const char *question, const char *image, const char *fields)
{
    size_t size = strlen(question) + (image != NULL ? strlen(image) : 0) + strlen(fields) + 256;
    char *body = malloc(size);

    if (image == NULL)
        snprintf(body, size, "{%s\"messages\": [{\"role\": \"user\", \"content\": \"%s\"}]}", fields,
                 question);
    else
        snprintf(
            body, size,
            "{%s\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": "
            "{\"url\": \"%s\"}}, {\"type\": \"text\", \"text\": \"%s\"}]}]}",
            fields, image, question);
    return body;
}

static inline json_t *json_of(const struct http_reply *r)
{
    json_error_t problem;
    json_t *o = json_loadb(r->body, r->size, 0, &problem);

    if (o == NULL) fail_msg("not JSON (%s): %s", problem.text, r->body);
    return o;
}

/* What is at "choices/0/message": names and indices. Borrowed; a missing one fails. */
static inline json_t *json_at(json_t *o, const char *path)
{
    const char *rest = path;

    while (*rest != '\0') {
        char name[64];
        size_t n = strcspn(rest, "/");

        snprintf(name, sizeof name, "%.*s", (int)n, rest);
        o = json_is_array(o) ? json_array_get(o, strtoul(name, NULL, 10)) : json_object_get(o, name);
        if (o == NULL) fail_msg("there is no %s", path);
        rest += n + (rest[n] == '/');
    }
    return o;
}

static inline const char *text_at(json_t *o, const char *path)
{
    const char *text = json_string_value(json_at(o, path));

    if (text == NULL) fail_msg("%s is no text", path);
    return text;
}

/* A reply's JSON, to be released; it must have this status. */
static inline json_t *answered(struct http_reply r, const char *path, int status)
{
    json_t *o;

    if (r.status != status) fail_msg("%s: %d, not %d: %s", path, r.status, status, r.body);
    o = json_of(&r);
    http_free(&r);
    return o;
}

static inline json_t *post(int port, const char *path, const char *body, int status)
{
    return answered(http(port, "POST", path, "", body), path, status);
}

static inline json_t *get(int port, const char *path, int status)
{
    return answered(http(port, "GET", path, "", NULL), path, status);
}

/* POSTs and expects an error whose sentence holds this. */
static inline void refuses(int port, const char *path, const char *body, int status, const char *part)
{
    json_t *o = post(port, path, body, status);

    if (strstr(text_at(o, "error/message"), part) == NULL)
        fail_msg("'%s' is not in: %s", part, text_at(o, "error/message"));
    assert_non_null(json_object_get(json_at(o, "error"), "type"));
    json_decref(o);
}

#endif
