/* routes.c - see routes.h. */
#include "serve/routes.h"

#include <string.h>

#include "serve/handlers.h"

const struct route routes[] = {
    { "GET", "/health", true, true, handle_health },
    { "GET", "/v1/health", true, true, handle_health },
    { "GET", "/props", false, true, handle_props },
    { "GET", "/slots", false, true, handle_slots },
    { "GET", "/metrics", false, true, handle_metrics },
    { "GET", "/v1/models", false, true, handle_models },
    { "GET", "/v1/models/", false, true, handle_model },
    { "POST", "/v1/chat/completions", false, false, handle_chat },
    { "POST", "/v1/completions", false, false, handle_completions },
    { "POST", "/v1/ground", false, false, handle_ground },
    { "POST", "/v1/attention", false, false, handle_attention },
    { "POST", "/v1/images/generations", false, false, handle_image },
    { "POST", "/v1/embeddings", false, false, handle_embeddings },
    { "GET", "/openapi.json", true, true, handle_openapi },
    { "POST", "/tokenize", false, true, handle_tokenize },
    { "POST", "/detokenize", false, true, handle_detokenize },
    { "POST", "/apply-template", false, true, handle_template },
    { "GET", "/", true, true, handle_web },
};

const size_t n_routes = sizeof routes / sizeof *routes;

static bool matches(const struct route *r, const char *path)
{
    size_t n = strlen(r->path);

    return strcmp(r->path, path) == 0 || (r->path[n - 1] == '/' && strncmp(r->path, path, n) == 0);
}

void route_missing(const char *path, struct problem *p)
{
    const char version[] = "/v1";
    const size_t n = strlen(version);

    for (size_t i = 0; i < n_routes; i++) {
        struct route shorter = routes[i];

        if (strncmp(shorter.path, version, n) != 0) continue;
        shorter.path += n;
        if (matches(&shorter, path))
            problem_set(p, 404, NULL, NULL,
                        "there is no such path: it is %s, so a client's base URL ends in %s", routes[i].path,
                        version);
    }
    problem_set(p, 404, NULL, NULL, "there is no such path"); /* unless the other was said */
}

const struct route *route_find(const char *method, const char *path, struct problem *p)
{
    const struct route *other = NULL;

    if (strcmp(method, "HEAD") == 0) method = "GET";
    for (size_t i = 0; i < n_routes; i++) {
        if (!matches(&routes[i], path)) continue;
        if (strcmp(routes[i].method, method) == 0 && (other == NULL || strcmp(routes[i].path, "/") != 0))
            return &routes[i];
        if (other == NULL) other = &routes[i];
    }
    if (other != NULL && strcmp(other->path, "/") != 0)
        problem_set(p, 405, NULL, NULL, "%.10s cannot be used with this path: %s can", method, other->method);
    else
        route_missing(path, p);
    return NULL;
}
