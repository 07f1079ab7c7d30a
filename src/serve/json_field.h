/*
 * json_field.h - fields of a request's JSON, checked. A field that is missing or null leaves the value as it is.
 */
#ifndef SPHINX_SERVE_JSON_FIELD_H
#define SPHINX_SERVE_JSON_FIELD_H

#include "serve/problem.h"

/* A request's body, an object; NULL: it is none, as p says. */
json_t *json_body(const char *body, size_t size, struct problem *p);

/* NULL for fields that are missing or null. */
const json_t *field_get(const json_t *object, const char *name);

/* All return false with the problem when the field is of another kind or out of range (both ends are allowed). */
bool field_bool(const json_t *object, const char *name, bool *value, struct problem *p);
bool field_int(const json_t *object, const char *name, int64_t min, int64_t max, int64_t *value,
               struct problem *p);
bool field_float(const json_t *object, const char *name, double min, double max, float *value,
                 struct problem *p);
/* Borrowed from the JSON. */
bool field_text(const json_t *object, const char *name, const char **value, struct problem *p);

#endif
