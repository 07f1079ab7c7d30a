/* guard.c - see guard.h. */
#include "serve/guard.h"

#include <arpa/inet.h>
#include <nettle/memops.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static enum status copy_list(char ***copy, const char *const *list, struct err *e)
{
    size_t n = 0;

    while (list != NULL && list[n] != NULL) n++;
    *copy = calloc(n + 1, sizeof **copy);
    if (*copy == NULL) return err_no_memory(e, "guard");
    for (size_t i = 0; i < n; i++) {
        (*copy)[i] = strdup(list[i]);
        if ((*copy)[i] == NULL) return err_no_memory(e, "guard");
    }
    return STATUS_OK;
}

static void free_list(char **list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++) free(list[i]);
    free(list);
}

static void digest_key(struct digest *d, const char *key)
{
    struct digest_maker m;

    digest_begin(&m);
    digest_add(&m, key, strlen(key));
    digest_end(&m, d);
}

enum status guard_init(struct guard *g, const char *const *hosts, const char *const *origins,
                       const char *const *keys, struct err *e)
{
    enum status st = copy_list(&g->hosts, hosts, e);
    size_t n = 0;

    if (st == STATUS_OK) st = copy_list(&g->origins, origins, e);
    while (keys != NULL && keys[n] != NULL) n++;
    g->keys = calloc(n + 1, sizeof *g->keys);
    if (st == STATUS_OK && g->keys == NULL) st = err_no_memory(e, "guard");
    if (st != STATUS_OK) return st;
    g->n_keys = n;
    for (size_t i = 0; i < n; i++) digest_key(&g->keys[i], keys[i]);
    return STATUS_OK;
}

void guard_free(struct guard *g)
{
    free_list(g->hosts);
    free_list(g->origins);
    free(g->keys);
    *g = (struct guard){ 0 };
}

/* ---- host ------------------------------------------------------------------------------------------------------ */

/* The host without its port and brackets, into name [size]; false if it is longer. */
static bool strip_port(const char *host, char *name, size_t size)
{
    size_t n = host[0] == '[' ? strcspn(host, "]") : strcspn(host, ":");
    size_t from = host[0] == '[';

    if (n - from >= size || n < from) return false;
    memcpy(name, host + from, n - from);
    name[n - from] = '\0';
    return true;
}

static bool is_address(const char *name)
{
    unsigned char address[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

static bool is_local(const char *name)
{
    static const char local[] = "localhost";
    size_t n = strlen(name), m = sizeof local - 1;

    return n >= m && strcasecmp(name + n - m, local) == 0 && (n == m || name[n - m - 1] == '.');
}

static bool list_has(char *const *list, const char *text)
{
    for (; *list != NULL; list++)
        if (strcmp(*list, "*") == 0 || strcasecmp(*list, text) == 0) return true;
    return false;
}

bool guard_host(const struct guard *g, const char *host, struct problem *p)
{
    char name[256];

    if (host == NULL) return true; /* HTTP/1.0: no page's request */
    if (strip_port(host, name, sizeof name) &&
        (is_address(name) || is_local(name) || list_has(g->hosts, name)))
        return true;
    return problem_set(p, 403, NULL, NULL,
                       "this server is not called so: a name other than localhost needs --allowed-hosts");
}

/* ---- origin ---------------------------------------------------------------------------------------------------- */

bool guard_origin_allowed(const struct guard *g, const char *origin)
{
    return list_has(g->origins, origin);
}

bool guard_origin(const struct guard *g, const char *origin, const char *host, struct problem *p)
{
    const char *authority = origin != NULL ? strstr(origin, "://") : NULL;

    if (origin == NULL || guard_origin_allowed(g, origin)) return true;
    if (authority != NULL && host != NULL && strcasecmp(authority + 3, host) == 0) return true;
    return problem_set(p, 403, NULL, NULL,
                       "a page of another origin may not use this server, unless --cors-origins says so");
}

/* ---- key ------------------------------------------------------------------------------------------------------- */

bool guard_key(const struct guard *g, const char *authorization, const char *other, struct problem *p)
{
    static const char bearer[] = "Bearer ";
    const char *key = other;
    struct digest d;
    int equal = 0;

    if (g->n_keys == 0) return true;
    if (authorization != NULL && strncasecmp(authorization, bearer, sizeof bearer - 1) == 0)
        key = authorization + sizeof bearer - 1;
    if (key == NULL)
        return problem_set(p, 401, NULL, "invalid_api_key",
                           "an API key is needed: Authorization: Bearer KEY");
    digest_key(&d, key);
    for (size_t i = 0; i < g->n_keys; i++) equal |= memeql_sec(&d, &g->keys[i], sizeof d);
    if (equal) return true;
    return problem_set(p, 401, NULL, "invalid_api_key", "the API key is not one of this server's");
}
