/* rows.c - see rows.h. Which parser a file needs, and what is taken out of a record. */
#include "store/rows.h"

#include "core/file.h"
#include "store/rows_format.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- files ----------------------------------------------------------------------------------------------------- */

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

static enum status walk(const struct rows_input *in, const char *list, struct err *e)
{
    if (ends_in(in->file, ".json")) return rows_walk_json(in, list, e);
    if (list[0] != '\0')
        return err_set(e, STATUS_BAD_FORMAT, "%s: a list \"%s\" can only be in a .json file", in->file, list);
    if (ends_in(in->file, ".jsonl")) return rows_walk_jsonl(in, e);
    if (ends_in(in->file, ".tsv")) return rows_walk_cells(in, '\t', e);
    if (ends_in(in->file, ".csv")) return rows_walk_cells(in, ',', e);
    return err_set(e, STATUS_BAD_FORMAT, "%s: the name must end in .json, .jsonl, .tsv or .csv", in->file);
}

enum status rows_walk(const char *path, const char *list, row_take take, void *user, struct err *e)
{
    struct file_map map = { 0 };
    enum status st = file_map_open(&map, path, e);
    struct rows_input in = { .file = path, .take = take, .user = user };

    if (st != STATUS_OK) return st;
    in.begin = map.data != NULL ? (const char *)map.data : "";
    in.end = in.begin + map.size;
    if (map.size >= 3 && memcmp(in.begin, "\xEF\xBB\xBF", 3) == 0) in.begin += 3;
    st = walk(&in, list, e);
    file_map_close(&map);
    return st;
}

/* ---- messages -------------------------------------------------------------------------------------------------- */

enum status row_error(const struct row *row, struct err *e, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (row->key != NULL)
        return err_set(e, STATUS_BAD_FORMAT, "%s: %s \"%.60s\": %s", row->file, row->unit, row->key, text);
    return err_set(e, STATUS_BAD_FORMAT, "%s: %s %zu: %s", row->file, row->unit, row->number, text);
}

const char *json_kind(const json_t *value)
{
    if (value == NULL) return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "a list";
    case JSON_STRING: return "a text";
    case JSON_INTEGER:
    case JSON_REAL: return "a number";
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    case JSON_NULL: break;
    }
    return "null";
}

/* ---- values ---------------------------------------------------------------------------------------------------- */

/* The member of `object` that `key` up to its first dot names; *rest what is behind the dot, "" nothing. */
static const json_t *member(const json_t *object, const char *key, const char **rest)
{
    const char *dot = strchr(key, '.');
    size_t n = dot != NULL ? (size_t)(dot - key) : strlen(key);
    const json_t *value = json_object_getn(object, key, n);

    *rest = dot != NULL ? dot + 1 : "";
    return value != NULL && !json_is_null(value) ? value : NULL;
}

const json_t *row_find(const struct row *row, const char *key)
{
    const json_t *at = row->json;

    while (at != NULL && key[0] != '\0') at = member(at, key, &key);
    return at;
}

/* Reals as the shortest text that reads back as the same number. */
static const char *scalar_text(const json_t *value, struct arena *a)
{
    char text[40];

    if (json_is_string(value)) return arena_strdup(a, json_string_value(value));
    if (json_is_integer(value)) return arena_printf(a, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, json_real_value(value));
        if (strtod(text, NULL) == json_real_value(value)) break;
    }
    return arena_strdup(a, text);
}

static bool is_scalar(const json_t *value)
{
    return json_is_string(value) || json_is_number(value);
}

enum status row_text(const struct row *row, const char *key, struct arena *a, const char **text,
                     struct err *e)
{
    const json_t *value = row_find(row, key);

    *text = NULL;
    if (strcmp(key, "#") == 0 && row->key != NULL) {
        *text = arena_strdup(a, row->key);
    } else {
        if (value == NULL) return STATUS_OK;
        if (!is_scalar(value))
            return row_error(row, e, "\"%s\" must be a text or a number, not %s", key, json_kind(value));
        *text = scalar_text(value, a);
    }
    return *text != NULL ? STATUS_OK : err_no_memory(e, "an annotation");
}

/* Lists on the way to a value are gone through, so one key may name many. */
struct collect {
    const struct row *row;
    const char *key; /* the whole, for messages */
    struct arena *arena;
    const char **texts; /* NULL: only counted */
    size_t n;
    struct err *err;
};

enum { LISTS_MAX = 4 };

static enum status collect(struct collect *c, const json_t *value, const char *rest, int depth)
{
    enum status st = STATUS_OK;

    if (value == NULL) return STATUS_OK;
    if (json_is_array(value)) {
        if (depth == LISTS_MAX)
            return row_error(c->row, c->err, "\"%s\" holds lists in lists in lists", c->key);
        for (size_t i = 0; st == STATUS_OK && i < json_array_size(value); i++)
            st = collect(c, json_array_get(value, i), rest, depth + 1);
        return st;
    }
    if (rest[0] != '\0') {
        if (!json_is_object(value))
            return row_error(c->row, c->err, "\"%s\" leads to %s where an object is wanted", c->key,
                             json_kind(value));
        value = member(value, rest, &rest);
        return collect(c, value, rest, depth);
    }
    if (!is_scalar(value))
        return row_error(c->row, c->err, "\"%s\" must be texts or numbers, not %s", c->key, json_kind(value));
    if (c->texts != NULL && (c->texts[c->n] = scalar_text(value, c->arena)) == NULL)
        return err_no_memory(c->err, "an annotation");
    c->n++;
    return STATUS_OK;
}

enum status row_texts(const struct row *row, const char *key, struct arena *a, const char *const **texts,
                      size_t *n, struct err *e)
{
    struct collect c = { .row = row, .key = key, .arena = a, .err = e };
    enum status st = collect(&c, row->json, key, 0);

    *texts = NULL;
    *n = 0;
    if (st != STATUS_OK || c.n == 0) return st;
    c.texts = arena_calloc(a, c.n, sizeof *c.texts);
    if (c.texts == NULL) return err_no_memory(e, "an annotation");
    c.n = 0;
    st = collect(&c, row->json, key, 0);
    *texts = c.texts;
    *n = c.n;
    return st;
}

enum status row_numbers(const struct row *row, const char *key, double *x, size_t n, bool *found,
                        struct err *e)
{
    const json_t *value = row_find(row, key);

    *found = value != NULL;
    if (value == NULL) return STATUS_OK;
    if (!json_is_array(value) || json_array_size(value) != n)
        return row_error(row, e, "\"%s\" must be a list of %zu numbers", key, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(value, i);

        if (!json_is_number(item) || !isfinite(json_number_value(item)))
            return row_error(row, e, "\"%s\" must be a list of %zu numbers, but holds %s", key, n,
                             json_kind(item));
        x[i] = json_number_value(item);
    }
    return STATUS_OK;
}
