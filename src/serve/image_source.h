/*
 * image_source.h - the bytes of an image that a request names: a data URL, or, if the server was told a folder, a file below it. Nothing else is
 * opened and nothing is fetched.
 */
#ifndef SPHINX_SERVE_IMAGE_SOURCE_H
#define SPHINX_SERVE_IMAGE_SOURCE_H

#include "serve/problem.h"

/* *data [*size] is malloc'ed. media_path NULL: no files. param is the field that holds the URL. */
bool image_source_read(const char *url, const char *media_path, unsigned char **data, size_t *size,
                       const char *param, struct problem *p);

#endif
