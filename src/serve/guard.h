/*
 * guard.h - who may ask: the checks of a request's headers, before its body is read.
 *
 *   Host      an address, localhost, or a name that the server was told: a page whose name was pointed at this machine (DNS rebinding) has
 *             another
 *   Origin    of what changes something: this server's own, or one of --cors-origins
 *   key       compared by digests, in a time that does not depend on it
 */
#ifndef SPHINX_SERVE_GUARD_H
#define SPHINX_SERVE_GUARD_H

#include "core/digest.h"
#include "serve/problem.h"

struct guard {
    char **hosts, **origins; /* end with NULL */
    struct digest *keys;     /* [n_keys] */
    size_t n_keys;
};

/* Lists end with NULL or are NULL. */
enum status guard_init(struct guard *g, const char *const *hosts, const char *const *origins,
                       const char *const *keys, struct err *e);
void guard_free(struct guard *g); /* accepts a zeroed one */

/* host: the header, NULL if there is none. */
bool guard_host(const struct guard *g, const char *host, struct problem *p);
/* Whether pages of this origin may read replies: it is in the list. */
bool guard_origin_allowed(const struct guard *g, const char *origin);
/* origin NULL: not from a page. */
bool guard_origin(const struct guard *g, const char *origin, const char *host, struct problem *p);
/* authorization: "Bearer KEY", or other: the key alone; either may be NULL. */
bool guard_key(const struct guard *g, const char *authorization, const char *other, struct problem *p);

#endif
