/* json_field.c - see json_field.h. */
#include "serve/json_field.h"

json_t *json_body(const char *body, size_t size, struct problem *p)
{
    json_error_t error;
    json_t *o;

    if (size == 0) {
        problem_set(p, 400, NULL, NULL, "the request has no body: JSON is expected");
        return NULL;
    }
    o = json_loadb(body, size, 0, &error);
    if (o == NULL)
        problem_set(p, 400, NULL, NULL, "the body is not JSON: line %d: %s", error.line, error.text);
    else if (!json_is_object(o))
        problem_set(p, 400, NULL, NULL, "the body is JSON, but not an object");
    else
        return o;
    json_decref(o);
    return NULL;
}

const json_t *field_get(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_null(value) ? NULL : value;
}

bool field_bool(const json_t *object, const char *name, bool *value, struct problem *p)
{
    const json_t *v = field_get(object, name);

    if (v == NULL) return true;
    if (!json_is_boolean(v)) return problem_set(p, 400, name, NULL, "%s must be true or false", name);
    *value = json_is_true(v);
    return true;
}

bool field_int(const json_t *object, const char *name, int64_t min, int64_t max, int64_t *value,
               struct problem *p)
{
    const json_t *v = field_get(object, name);

    if (v == NULL) return true;
    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max)
        return problem_set(p, 400, name, NULL, "%s must be a whole number from %lld to %lld", name,
                           (long long)min, (long long)max);
    *value = json_integer_value(v);
    return true;
}

bool field_float(const json_t *object, const char *name, double min, double max, float *value,
                 struct problem *p)
{
    const json_t *v = field_get(object, name);
    double x = json_number_value(v);

    if (v == NULL) return true;
    if (!json_is_number(v) || !(x >= min && x <= max))
        return problem_set(p, 400, name, NULL, "%s must be a number from %g to %g", name, min, max);
    *value = (float)x;
    return true;
}

bool field_text(const json_t *object, const char *name, const char **value, struct problem *p)
{
    const json_t *v = field_get(object, name);

    if (v == NULL) return true;
    if (!json_is_string(v)) return problem_set(p, 400, name, NULL, "%s must be a text", name);
    *value = json_string_value(v);
    return true;
}
