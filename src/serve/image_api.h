/*
 * image_api.h - another server that makes pictures of texts and speaks OpenAI's /v1/images/generations. SPHINX writes prompts for pictures; what draws
 * them is not in this program.
 *
 * Only the address that the operator gave is ever connected to: no redirects are followed, and pictures come in the reply, not as addresses.
 */
#ifndef SPHINX_SERVE_IMAGE_API_H
#define SPHINX_SERVE_IMAGE_API_H

#include "serve/problem.h"

struct image_api;

/* url: http or https, of the server ("http://127.0.0.1:7860"), its "/v1", or the whole path; key: its bearer token, NULL: none needed. Both are copied.
 * BAD_ARGUMENT: the URL is none. */
enum status image_api_open(struct image_api **a, const char *url, const char *key, double seconds,
                           struct err *e);
void image_api_close(struct image_api *a); /* accepts NULL */

/* One picture, as the base64 text of its file, which is malloc'ed. size: "512x512"; NULL: as the server likes. Any thread. give_up is asked now and then. False: p says why: 502 for
 * what the server's fault is, 504 when it took too long. */
bool image_api_make(const struct image_api *a, const char *prompt, const char *size,
                    bool (*give_up)(void *user), void *user, char **base64, struct problem *p);

#endif
