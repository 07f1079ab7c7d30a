/*
 * handle_embeddings.c - /v1/embeddings: texts and images as vectors.
 *
 *   input: "text" | {"text"} | {"image"} | a list of these ── one after the other, in a session of their own ── vectors
 */
#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>

#include "serve/await.h"
#include "serve/handlers.h"
#include "serve/reply.h"

enum { INPUTS_MAX = 256 };

struct embedding {
    struct exchange *x;
    bool base64;
    float *vector; /* [width] */
    json_t *list;
    size_t tokens; /* of all inputs */
};

/* As numbers, or their bytes (little endian, as everywhere that this runs) in base64. */
static json_t *vector_json(const struct embedding *m)
{
    size_t n = (size_t)m->x->server->info.width, size = n * sizeof *m->vector;
    json_t *o;
    char *text;

    if (!m->base64) {
        o = json_array();
        for (size_t i = 0; i < n; i++) json_array_append_new(o, json_real((double)m->vector[i]));
        return o;
    }
    text = malloc(BASE64_ENCODE_RAW_LENGTH(size));
    if (text == NULL) return NULL;
    base64_encode_raw(text, size, (const uint8_t *)m->vector);
    o = json_stringn(text, BASE64_ENCODE_RAW_LENGTH(size));
    free(text);
    return o;
}

static bool embed(struct embedding *m, const sphinx_image *image, const char *text, struct problem *p)
{
    struct server *s = m->x->server;
    sphinx_error error = { 0 };
    sphinx_status st = SPHINX_OK;
    size_t tokens = 0;

    pthread_mutex_lock(&s->reader_lock);
    if (image == NULL)
        sphinx_session_image_clear(s->reader);
    else
        st = sphinx_session_image(s->reader, image, &error);
    if (st == SPHINX_OK) st = sphinx_session_embed(s->reader, text, strlen(text), m->vector, &tokens, &error);
    pthread_mutex_unlock(&s->reader_lock);
    if (st != SPHINX_OK) return problem_of(p, &error, "input", NULL);
    m->tokens += tokens;
    json_array_append_new(m->list, json_pack("{s:s, s:i, s:o}", "object", "embedding", "index",
                                             (int)json_array_size(m->list), "embedding", vector_json(m)));
    return true;
}

static bool embed_image(struct embedding *m, const json_t *image, struct problem *p)
{
    struct server *s = m->x->server;
    struct inquiry o = { 0 };
    bool ok;

    if (!s->info.sees)
        return problem_set(p, 400, "input", "no_vision",
                           "the model is a language model only: it cannot look at an image");
    ok = request_image(&o, image, "input", &s->rules, p) && embed(m, o.image, "", p);
    inquiry_free(&o);
    return ok;
}

static bool embed_input(struct embedding *m, const json_t *input, struct problem *p)
{
    const json_t *text = json_is_object(input) ? json_object_get(input, "text") : input,
                 *image = json_object_get(input, "image");

    if (!await_wanted(m->x, p)) return false;
    if (image != NULL && text == NULL) return embed_image(m, image, p);
    if (json_is_string(text) && image == NULL) return embed(m, NULL, json_string_value(text), p);
    return problem_set(p, 400, "input", NULL,
                       "input must be a text, {\"text\": ...}, {\"image\": ...}, or a list of these");
}

static bool embed_all(struct embedding *m, const json_t *body, struct problem *p)
{
    const json_t *input = json_object_get(body, "input");
    const char *format = "float";
    size_t n = json_is_array(input) ? json_array_size(input) : 1;

    if (!field_text(body, "encoding_format", &format, p)) return false;
    m->base64 = strcmp(format, "base64") == 0;
    if (!m->base64 && strcmp(format, "float") != 0)
        return problem_set(p, 400, "encoding_format", NULL, "encoding_format must be float or base64");
    if (field_get(body, "dimensions") != NULL)
        return problem_set(p, 400, "dimensions", "unsupported_parameter", "vectors have %d numbers here",
                           m->x->server->info.width);
    if (n == 0 || n > INPUTS_MAX)
        return problem_set(p, 400, "input", NULL, "input must be 1 to %d texts or images", INPUTS_MAX);
    for (size_t i = 0; i < n; i++)
        if (!embed_input(m, json_is_array(input) ? json_array_get(input, i) : input, p)) return false;
    return true;
}

void handle_embeddings(struct exchange *x)
{
    struct embedding m = { .x = x, .list = json_array() };
    struct problem p = { 0 };
    json_t *body;
    bool ok;

    m.vector = calloc((size_t)x->server->info.width, sizeof *m.vector);
    await_parse_begin(x);
    body = json_body(x->body, x->size, &p);
    await_parse_end(x);
    ok = body != NULL && m.vector != NULL && embed_all(&m, body, &p);
    if (ok)
        reply_json(x, 200,
                   json_pack("{s:s, s:O, s:s, s:{s:I, s:I}}", "object", "list", "data", m.list, "model",
                             x->server->model_name, "usage", "prompt_tokens", (json_int_t)m.tokens,
                             "total_tokens", (json_int_t)m.tokens));
    else if (m.vector == NULL)
        problem_no_memory(&p);
    if (!ok) reply_problem(x, &p);
    json_decref(body);
    json_decref(m.list);
    free(m.vector);
}
