/*
 * routes.h - the paths of the API, as one table. docs/openapi.json describes the same ones; a test compares them.
 */
#ifndef SPHINX_SERVE_ROUTES_H
#define SPHINX_SERVE_ROUTES_H

#include "serve/server.h"

struct route {
    const char *method, *path;          /* a path that ends in "/" is the beginning of others */
    bool open;                          /* needs no key */
    bool while_stopping;                /* is answered even then */
    void (*handle)(struct exchange *x); /* leaves a reply */
};

extern const struct route routes[];
extern const size_t n_routes;

/* NULL, with a problem: no such path, or not with this method. Files of the page are found last. */
const struct route *route_find(const char *method, const char *path, struct problem *p);
/* There is no such path; where it only lacks "/v1", as a client asks whose base URL does, that is said. */
void route_missing(const char *path, struct problem *p);

#endif
