/* judgements.c - see judgements.h. */
#include "eval/judgements.h"

#include "core/file.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 28 };

/* ---- files ----------------------------------------------------------------------------------------------------- */

/* The id of a line, as text: numbers are written out into number [32]. NULL: it has none. */
static const char *id_of(const json_t *line, char *number)
{
    const json_t *id = json_object_get(line, "question_id");

    if (id == NULL) id = json_object_get(line, "id");
    if (json_is_integer(id)) {
        snprintf(number, 32, "%lld", (long long)json_integer_value(id));
        return number;
    }
    return json_string_value(id);
}

static enum status add_line(json_t *by_id, const char *text, size_t size, size_t n, const char *path,
                            struct err *e)
{
    json_error_t error;
    json_t *line = json_loadb(text, size, 0, &error);
    char number[32];
    const char *id = id_of(line, number);
    enum status st = STATUS_OK;

    if (line == NULL)
        st = err_set(e, STATUS_BAD_FORMAT, "%s: line %zu is not JSON: %s", path, n, error.text);
    else if (id == NULL)
        st = err_set(e, STATUS_BAD_FORMAT, "%s: line %zu has neither \"question_id\" nor \"id\"", path, n);
    else if (json_object_set(by_id, id, line) != 0)
        st = err_no_memory(e, "judgements");
    json_decref(line);
    return st;
}

static bool is_blank(const char *text, size_t size)
{
    return strspn(text, " \t\r\n") >= size;
}

static enum status read_lines(json_t *by_id, const char *text, size_t size, const char *path, struct err *e)
{
    enum status st = STATUS_OK;
    size_t n = 1;

    for (const char *end, *p = text; p < text + size && st == STATUS_OK; p = end + 1, n++) {
        end = memchr(p, '\n', (size_t)(text + size - p));
        if (end == NULL) end = text + size;
        if (!is_blank(p, (size_t)(end - p))) st = add_line(by_id, p, (size_t)(end - p), n, path, e);
    }
    return st;
}

enum status judgements_read(json_t **by_id, const char *path, struct err *e)
{
    unsigned char *data;
    size_t size;
    char number[32];
    json_t *whole;
    enum status st = file_read(path, FILE_MAX, &data, &size, e);

    *by_id = NULL;
    if (st != STATUS_OK) return st;
    whole = json_loadb((const char *)data, size, 0, NULL);
    if (json_is_object(whole) && id_of(whole, number) == NULL) { /* {id: ...}, and not a single line */
        *by_id = whole;
        free(data);
        return STATUS_OK;
    }
    json_decref(whole);
    *by_id = json_object();
    st = *by_id != NULL ? read_lines(*by_id, (const char *)data, size, path, e)
                        : err_no_memory(e, "judgements");
    free(data);
    if (st != STATUS_OK) {
        json_decref(*by_id);
        *by_id = NULL;
    }
    return st;
}

/* ---- prompts --------------------------------------------------------------------------------------------------- */

/* The value for the place at p, which is a brace; *size: the place's length. NULL: it is no place. */
static const char *value_at(const char *p, const char *const *key, const char *const *value, size_t n,
                            size_t *size)
{
    const char *end = strchr(p, '}');

    for (size_t i = 0; i < n && end != NULL; i++) {
        size_t length = strlen(key[i]);

        if (strncmp(p + 1, key[i], length) != 0 || (p[1 + length] != '}' && p[1 + length] != ' ')) continue;
        *size = (size_t)(end - p) + 1;
        return value[i];
    }
    return NULL;
}

char *judge_fill(const char *template, const char *const *key, const char *const *value, size_t n)
{
    size_t size = 1, place = 0;
    char *text, *at;

    for (const char *p = template; *p != '\0'; p += place) {
        const char *v = *p == '{' ? value_at(p, key, value, n, &place) : NULL;

        size += v != NULL ? strlen(v) : 1;
        if (v == NULL) place = 1;
    }
    text = at = malloc(size);
    if (text == NULL) return NULL;
    for (const char *p = template; *p != '\0'; p += place) {
        const char *v = *p == '{' ? value_at(p, key, value, n, &place) : NULL;

        if (v != NULL) {
            at = stpcpy(at, v);
        } else {
            *at++ = *p;
            place = 1;
        }
    }
    *at = '\0';
    return text;
}
