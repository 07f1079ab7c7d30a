/*
 * handle_image.c - /v1/images/generations: a text is passed on to the image API, the picture comes back (image_api.h).
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "serve/await.h"
#include "serve/handlers.h"
#include "serve/image_api.h"
#include "serve/reply.h"

enum { PROMPT_MAX = 32000 };

static bool give_up(void *user)
{
    const struct exchange *x = user;

    return atomic_load(&x->server->stops) || watch_is_gone(x->fd);
}

/* "512x768" */
static bool is_size(const char *text)
{
    size_t wide = strspn(text, "0123456789"), high;

    if (wide < 1 || wide > 4 || text[wide] != 'x') return false;
    high = strspn(text + wide + 1, "0123456789");
    return high >= 1 && high <= 4 && text[wide + 1 + high] == '\0';
}

static bool make(struct exchange *x, const json_t *body, struct problem *p)
{
    const char *prompt = NULL, *size = NULL, *format = NULL;
    int64_t n = 1;
    char *base64;

    if (x->server->image_api == NULL)
        return problem_set(p, 501, NULL, "no_image_api",
                           "this server cannot make pictures: it was started without --image-api");
    if (!field_text(body, "prompt", &prompt, p) || !field_text(body, "size", &size, p) ||
        !field_text(body, "response_format", &format, p) || !field_int(body, "n", 1, 1, &n, p))
        return false;
    if (prompt == NULL || *prompt == '\0' || strlen(prompt) > PROMPT_MAX)
        return problem_set(p, 400, "prompt", NULL, "prompt must be a text of 1 to %d bytes", PROMPT_MAX);
    if (size != NULL && strcmp(size, "auto") == 0) size = NULL;
    if (size != NULL && !is_size(size))
        return problem_set(p, 400, "size", NULL, "size must be WIDTHxHEIGHT, as in 512x512");
    if (format != NULL && strcmp(format, "b64_json") != 0)
        return problem_set(p, 400, "response_format", "unsupported_parameter",
                           "pictures come as b64_json: this server keeps none that could be fetched");
    if (!image_api_make(x->server->image_api, prompt, size, give_up, x, &base64, p)) return false;
    reply_json(x, 200,
               json_pack("{s:I, s:[{s:s}]}", "created", (json_int_t)time(NULL), "data", "b64_json", base64));
    free(base64);
    return true;
}

void handle_image(struct exchange *x)
{
    struct problem p = { 0 };
    json_t *body = json_body(x->body, x->size, &p);

    exchange_drop_body(x);
    if (body == NULL || !make(x, body, &p)) reply_problem(x, &p);
    json_decref(body);
}
