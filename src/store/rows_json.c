/*
 * rows_json.c - the records of a .json file, parsed one at a time.
 *
 * jansson would build the whole file at once, ten times its size in memory. So what is around the records is walked by hand, with nothing but
 * the rules for where a value ends, and jansson gets the records.
 */
#include "store/rows_format.h"

#include <stdarg.h>

struct walk {
    const struct rows_input *in;
    const char *at;
    struct err *err;
};

static enum status bad(const struct walk *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

static enum status bad(const struct walk *w, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return err_set(w->err, STATUS_BAD_FORMAT, "%s: line %zu: %s", w->in->file, rows_line(w->in, w->at), text);
}

/* The next byte that is no white space, '\0' at the end. */
static char look(struct walk *w)
{
    while (w->at < w->in->end && strchr(" \t\r\n", *w->at) != NULL && *w->at != '\0') w->at++;
    return w->at < w->in->end ? *w->at : '\0';
}

static enum status expect(struct walk *w, char byte, const char *what)
{
    if (look(w) != byte)
        return bad(w, "want %s ('%c')%s", what, byte, w->at == w->in->end ? ", but the file ends" : "");
    w->at++;
    return STATUS_OK;
}

static enum status skip_string(struct walk *w)
{
    const char *from = w->at;

    for (w->at++; w->at < w->in->end && *w->at != '"'; w->at++)
        if (*w->at == '\\') w->at++;
    if (w->at < w->in->end) {
        w->at++;
        return STATUS_OK;
    }
    w->at = from;
    return bad(w, "a text that begins here does not end");
}

/* Past one value of any kind; what is inside is not looked at. */
static enum status skip_value(struct walk *w)
{
    size_t depth = 0;

    do {
        char byte = look(w);

        if (byte == '\0') return bad(w, "the file ends within a value");
        if (byte == '"') {
            if (skip_string(w) != STATUS_OK) return STATUS_BAD_FORMAT;
            continue;
        }
        if (depth == 0 && strchr("]},:", byte) != NULL) return bad(w, "want a value, not '%c'", byte);
        if (byte == '{' || byte == '[') depth++;
        if (byte == '}' || byte == ']') depth--;
        w->at++;
        if (strchr("{}[],:", byte) == NULL) /* a number, true, false, null */
            while (w->at < w->in->end && strchr("{}[],:\" \t\r\n", *w->at) == NULL) w->at++;
    } while (depth > 0);
    return STATUS_OK;
}

/* A member's name and the colon behind it. The caller frees *key, a JSON string, or NULL, whatever becomes of it. */
static enum status read_key(struct walk *w, json_t **key)
{
    const char *from;
    json_error_t why;

    if (look(w) != '"') return bad(w, "want a key in quotes");
    from = w->at;
    if (skip_string(w) != STATUS_OK) return STATUS_BAD_FORMAT;
    *key = json_loadb(from, (size_t)(w->at - from), JSON_DECODE_ANY, &why);
    if (*key == NULL) return bad(w, "bad key: %.200s", why.text);
    return expect(w, ':', "a colon behind the key");
}

/* One record. */
static enum status read_record(struct walk *w, size_t number, const char *key)
{
    struct row row = { .file = w->in->file, .unit = "record", .number = number, .key = key };
    json_error_t why;
    enum status st;
    json_t *json;

    if (look(w) == '\0') return bad(w, "want a record ('{'), but the file ends");
    if (look(w) != '{')
        return row_error(&row, w->err, "want an object ('{') at line %zu", rows_line(w->in, w->at));
    json = json_loadb(w->at, (size_t)(w->in->end - w->at), JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES,
                      &why);
    if (json == NULL)
        return row_error(&row, w->err, "line %zu: %.200s", rows_line(w->in, w->at) + (size_t)why.line - 1,
                         why.text);
    row.json = json;
    row.text = w->at;
    row.size = (size_t)why.position; /* how far it has read */
    w->at += why.position;
    st = w->in->take(w->in->user, &row, w->err);
    json_decref(json);
    return st;
}

/* Comma or end. *more: another value follows. */
static enum status behind_value(struct walk *w, char close, bool *more)
{
    char byte = look(w);

    *more = byte == ',';
    if (byte != ',' && byte != close)
        return bad(w, "want ',' or '%c'%s", close, byte == '\0' ? ", but the file ends" : "");
    w->at++;
    return STATUS_OK;
}

static enum status walk_array(struct walk *w)
{
    enum status st = expect(w, '[', "a list of records");
    bool more = true;

    if (st != STATUS_OK) return st;
    if (look(w) == ']') {
        w->at++;
        return STATUS_OK;
    }
    for (size_t i = 0; st == STATUS_OK && more; i++) {
        st = read_record(w, i, NULL);
        if (st == STATUS_OK) st = behind_value(w, ']', &more);
    }
    return st;
}

/* What is done with one member of the outermost object; *found: this was the list that is wanted. */
static enum status walk_member(struct walk *w, const char *list, size_t i, const char *key, bool *found)
{
    if (strcmp(list, "*") == 0) {
        *found = true;
        return read_record(w, i, key);
    }
    if (strcmp(list, key) != 0) return skip_value(w);
    if (*found) return bad(w, "\"%s\" is there twice", list);
    *found = true;
    return walk_array(w);
}

static enum status walk_object(struct walk *w, const char *list)
{
    enum status st = expect(w, '{', "an object of named lists or records");
    bool more = true, found = false;

    if (st == STATUS_OK && look(w) == '}') {
        w->at++;
        more = false;
    }
    for (size_t i = 0; st == STATUS_OK && more; i++) {
        json_t *key = NULL;

        st = read_key(w, &key);
        if (st == STATUS_OK) st = walk_member(w, list, i, json_string_value(key), &found);
        if (st == STATUS_OK) st = behind_value(w, '}', &more);
        json_decref(key);
    }
    if (st == STATUS_OK && !found && strcmp(list, "*") != 0)
        return err_set(w->err, STATUS_BAD_FORMAT, "%s: there is no list \"%s\"", w->in->file, list);
    return st;
}

enum status rows_walk_json(const struct rows_input *in, const char *list, struct err *e)
{
    struct walk w = { .in = in, .at = in->begin, .err = e };
    enum status st;

    /* POPE's files are called .json and have an object a line. */
    if (list[0] == '\0' && look(&w) == '{') return rows_walk_jsonl(in, e);
    st = list[0] == '\0' ? walk_array(&w) : walk_object(&w, list);
    if (st == STATUS_OK && look(&w) != '\0') return bad(&w, "something follows behind the end");
    if (st == STATUS_OK && w.at != in->end) return bad(&w, "a zero byte");
    return st;
}
