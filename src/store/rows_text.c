/*
 * rows_text.c - the records of .jsonl, .tsv and .csv files.
 *
 * Cells become texts of a JSON object, so that what reads records need not know which it was.
 */
#include "store/rows_format.h"

#include <stdlib.h>

/* ---- an object a line ------------------------------------------------------------------------------------------ */

static bool blank(const char *from, const char *to)
{
    while (from < to && (*from == ' ' || *from == '\t' || *from == '\r')) from++;
    return from == to;
}

static enum status read_line(const struct rows_input *in, size_t number, const char *from, const char *to,
                             struct err *e)
{
    struct row row = { .file = in->file, .unit = "line", .number = number };
    json_error_t why;
    enum status st;
    json_t *json = json_loadb(from, (size_t)(to - from), JSON_REJECT_DUPLICATES, &why);

    if (json == NULL) return row_error(&row, e, "%.200s", why.text);
    row.json = json;
    row.text = from;
    row.size = (size_t)(to - from);
    st =
        json_is_object(json) ? in->take(in->user, &row, e) : row_error(&row, e, "want an object, not a list");
    json_decref(json);
    return st;
}

enum status rows_walk_jsonl(const struct rows_input *in, struct err *e)
{
    const char *from = in->begin;

    for (size_t number = 1; from < in->end; number++) {
        const char *line_end = memchr(from, '\n', (size_t)(in->end - from)),
                   *to = line_end != NULL ? line_end : in->end;
        enum status st = blank(from, to) ? STATUS_OK : read_line(in, number, from, to, e);

        if (st != STATUS_OK) return st;
        from = to + (line_end != NULL);
    }
    return STATUS_OK;
}

/* ---- cells ----------------------------------------------------------------------------------------------------- */

enum { COLUMNS_MAX = 4096 };

/* A record's cells, decoded one behind the other into `text`, which grows. */
struct cells {
    char *text;
    size_t size, capacity;
    size_t end[COLUMNS_MAX]; /* where cell i ends in text */
    size_t n;
};

struct cell_walk {
    const struct rows_input *in;
    const char *at;
    char separator;
    size_t line; /* of `at` */
    struct cells cells;
};

static enum status reserve(struct cells *c, size_t more, struct err *e)
{
    size_t capacity = c->capacity;
    char *text;

    if (more <= c->capacity - c->size) return STATUS_OK;
    while (capacity - c->size < more) capacity = capacity == 0 ? 4096 : 2 * capacity;
    text = realloc(c->text, capacity);
    if (text == NULL) return err_no_memory(e, "a line of a table");
    c->text = text;
    c->capacity = capacity;
    return STATUS_OK;
}

static enum status append(struct cells *c, const char *from, const char *to, struct err *e)
{
    enum status st = reserve(c, (size_t)(to - from), e);

    if (st != STATUS_OK || from == to) return st; /* there may be no text yet */
    memcpy(c->text + c->size, from, (size_t)(to - from));
    c->size += (size_t)(to - from);
    return STATUS_OK;
}

/* A cell in quotes; `at` stands on the first one. */
static enum status read_quoted(struct cell_walk *w, struct err *e)
{
    size_t line = w->line;

    for (w->at++;; w->at += 2) {
        const char *quote = memchr(w->at, '"', (size_t)(w->in->end - w->at));
        enum status st;

        if (quote == NULL)
            return err_set(e, STATUS_BAD_FORMAT, "%s: line %zu: a quote is opened and not closed",
                           w->in->file, line);
        for (const char *p = w->at; (p = memchr(p, '\n', (size_t)(quote - p))) != NULL; p++) w->line++;
        st = append(&w->cells, w->at, quote, e);
        if (st != STATUS_OK) return st;
        w->at = quote;
        if (quote + 1 == w->in->end || quote[1] != '"') break;
        st = append(&w->cells, quote, quote + 1, e);
        if (st != STATUS_OK) return st;
    }
    w->at++;
    return STATUS_OK;
}

/* What stands up to the next separator or the line's end, as it is. */
static enum status read_plain(struct cell_walk *w, struct err *e)
{
    const char *from = w->at;

    while (w->at < w->in->end && *w->at != w->separator && *w->at != '\n' &&
           !(*w->at == '\r' && (w->at + 1 == w->in->end || w->at[1] == '\n')))
        w->at++;
    return append(&w->cells, from, w->at, e);
}

/* One record's cells, past the end of its last line. */
static enum status read_cells(struct cell_walk *w, struct err *e)
{
    size_t line = w->line;

    w->cells.n = w->cells.size = 0;
    for (;;) {
        enum status st = w->at < w->in->end && *w->at == '"' ? read_quoted(w, e) : STATUS_OK;

        if (st == STATUS_OK) st = read_plain(w, e); /* behind a closing quote: kept, as spreadsheets do */
        if (st != STATUS_OK) return st;
        if (w->cells.n == COLUMNS_MAX)
            return err_set(e, STATUS_BAD_FORMAT, "%s: line %zu: more than %d columns", w->in->file, line,
                           COLUMNS_MAX);
        w->cells.end[w->cells.n++] = w->cells.size;
        if (w->at == w->in->end || *w->at != w->separator) break;
        w->at++;
    }
    if (w->at < w->in->end && *w->at == '\r') w->at++;
    if (w->at < w->in->end) w->at++;
    w->line++;
    return STATUS_OK;
}

/* The cells as texts, in a list. */
static enum status list_cells(const struct cell_walk *w, const struct row *row, json_t **list, struct err *e)
{
    const struct cells *c = &w->cells;
    json_t *texts = json_array();

    for (size_t i = 0, from = 0; texts != NULL && i < c->n; from = c->end[i++]) {
        size_t size = c->end[i] - from;
        bool zero = size > 0 && memchr(c->text + from, '\0', size) != NULL;
        json_t *text = zero ? NULL : json_stringn(size > 0 ? c->text + from : "", size);

        if (text == NULL || json_array_append_new(texts, text) != 0) {
            json_decref(texts);
            return row_error(row, e, "column %zu is not UTF-8 text", i + 1);
        }
    }
    if (texts == NULL) return err_no_memory(e, "a line of a table");
    *list = texts;
    return STATUS_OK;
}

static enum status check_header(const struct row *row, const json_t *header, struct err *e)
{
    for (size_t i = 0; i < json_array_size(header); i++)
        for (size_t j = 0; j < i; j++)
            if (json_equal(json_array_get(header, i), json_array_get(header, j)))
                return row_error(row, e, "two columns are called \"%.60s\"",
                                 json_string_value(json_array_get(header, i)));
    return STATUS_OK;
}

/* Takes over `texts`. */
static enum status take_cells(const struct cell_walk *w, struct row *row, const json_t *header, json_t *texts,
                              struct err *e)
{
    enum status st = STATUS_OK;
    json_t *object = json_object();

    for (size_t i = 0; object != NULL && i < json_array_size(texts); i++)
        if (json_object_set(object, json_string_value(json_array_get(header, i)), json_array_get(texts, i)) !=
            0)
            st = STATUS_NO_MEMORY;
    if (object == NULL || st != STATUS_OK) st = err_no_memory(e, "a line of a table");
    row->json = object;
    if (st == STATUS_OK) st = w->in->take(w->in->user, row, e);
    json_decref(object);
    json_decref(texts);
    return st;
}

static enum status read_table(struct cell_walk *w, json_t **header, struct err *e)
{
    struct row row = { .file = w->in->file, .unit = "line", .number = 1 };
    enum status st = read_cells(w, e);

    if (st == STATUS_OK) st = list_cells(w, &row, header, e);
    if (st == STATUS_OK) st = check_header(&row, *header, e);
    while (st == STATUS_OK && w->at < w->in->end) {
        json_t *texts = NULL;

        row.number = w->line;
        row.text = w->at;
        st = read_cells(w, e);
        row.size = (size_t)(w->at - row.text);
        if (st == STATUS_OK && w->cells.n == 1 && w->cells.size == 0) continue; /* an empty line */
        if (st == STATUS_OK && w->cells.n != json_array_size(*header))
            st = row_error(&row, e, "%zu columns, but the first line has %zu", w->cells.n,
                           json_array_size(*header));
        if (st == STATUS_OK) st = list_cells(w, &row, &texts, e);
        if (st == STATUS_OK) st = take_cells(w, &row, *header, texts, e);
    }
    return st;
}

enum status rows_walk_cells(const struct rows_input *in, char separator, struct err *e)
{
    struct cell_walk *w = calloc(1, sizeof *w);
    json_t *header = NULL;
    enum status st;

    if (w == NULL) return err_no_memory(e, "a line of a table");
    *w = (struct cell_walk){ .in = in, .at = in->begin, .separator = separator, .line = 1 };
    if (in->begin == in->end)
        st = err_set(e, STATUS_BAD_FORMAT, "%s: there is no first line with the columns' names", in->file);
    else
        st = read_table(w, &header, e);
    json_decref(header);
    free(w->cells.text);
    free(w);
    return st;
}
