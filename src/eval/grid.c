/* grid.c - see grid.h: from the file to cells. */
#include "eval/grid.h"

#include "core/digest.h"
#include "core/file.h"

#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 16 << 20, CELLS_MAX = 4096, NAME_LETTERS = 60, DIGEST_LETTERS = 8 };

/* The file being read. */
struct reading {
    struct grid *grid;
    const char *path;
    json_t *base, *axes, *cells; /* borrowed; NULL: not there */
    struct err *err;
};

static enum status wrong(const struct reading *r, const char *key, const char *want, const json_t *found)
{
    char *text = json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT);

    err_set(r->err, STATUS_BAD_FORMAT, "%s: \"%s\" must be %s, found %.80s", r->path, key, want,
            text != NULL ? text : "nothing");
    free(text);
    return STATUS_BAD_FORMAT;
}

/* ---- values ---------------------------------------------------------------------------------------------------- */

static bool is_nothing(const json_t *value)
{
    return json_is_null(value) || json_is_false(value) ||
           (json_is_string(value) && json_string_length(value) == 0);
}

/* NULL: not a text or a number, or no memory. */
static const char *value_text(const json_t *value, struct arena *a)
{
    if (json_is_string(value)) return arena_strdup(a, json_string_value(value));
    if (json_is_integer(value)) return arena_printf(a, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return json_is_real(value) ? arena_printf(a, "%.15g", json_real_value(value)) : NULL;
}

static enum status read_setting(struct reading *r, struct grid_setting *s, const char *option,
                                const json_t *value)
{
    size_t n = json_is_true(value) ? 0 : json_is_array(value) ? json_array_size(value) : 1;
    const char **values = arena_calloc(&r->grid->arena, n + 1, sizeof *values);

    *s = (struct grid_setting){ .option = arena_strdup(&r->grid->arena, option), .n_values = n };
    if (values == NULL || s->option == NULL) return err_no_memory(r->err, r->path);
    s->values = values;
    for (size_t i = 0; i < n; i++) {
        values[i] = value_text(json_is_array(value) ? json_array_get(value, i) : value, &r->grid->arena);
        if (values[i] == NULL)
            return wrong(r, option, "a text, a number, true, or a list of texts or numbers", value);
    }
    return STATUS_OK;
}

/* ---- names ----------------------------------------------------------------------------------------------------- */

/* The same value in all cells says nothing. */
static bool differs(const struct reading *r, const char *key)
{
    const struct grid *g = r->grid;

    for (size_t i = 1; i < g->n; i++) {
        const json_t *a = json_object_get(g->cells[0].json, key), *b = json_object_get(g->cells[i].json, key);

        if (a != b && (a == NULL || b == NULL || !json_equal(a, b))) return true;
    }
    return false;
}

/* "without clip"; of a path only the end. */
static const char *setting_label(const struct grid_setting *s, struct arena *a)
{
    const char *text = s->option;

    for (size_t i = 0; i < s->n_values && text != NULL; i++) {
        const char *value = s->values[i];
        size_t n = strlen(value);

        /* "models/SPHINX/" is SPHINX. */
        while (n > 1 && value[n - 1] == '/') n--;
        value = arena_printf(a, "%.*s", (int)n, value);
        if (value == NULL) return NULL;
        text = arena_printf(a, "%s%s%s", text, i == 0 ? " " : ",",
                            strcmp(s->option, "model") == 0 ? path_base(value) : value);
    }
    return text;
}

static const char *make_label(const struct reading *r, const struct grid_cell *c)
{
    struct arena *a = &r->grid->arena;
    const char *label = "";

    for (size_t i = 0; i < c->n && label != NULL; i++) {
        const char *one;

        if (!differs(r, c->settings[i].option)) continue;
        one = setting_label(&c->settings[i], a);
        label = one != NULL ? arena_printf(a, "%s%s%s", label, label[0] != '\0' ? ", " : "", one) : NULL;
    }
    return label == NULL || label[0] != '\0' ? label : "as it is";
}

/* Letters of a text that a folder's name may have; in place of others one "-". */
static void add_letters(char *letters, size_t *n, const char *text)
{
    for (; *text != '\0' && *n < NAME_LETTERS; text++) {
        bool plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
                     (*text >= '0' && *text <= '9') || strchr("._=", *text) != NULL;

        if (plain && !(*n == 0 && *text == '.'))
            letters[(*n)++] = *text;
        else if (*n > 0 && letters[*n - 1] != '-')
            letters[(*n)++] = '-';
    }
}

/* For people letters of its own settings, and to be different the beginning of their digest. */
static const char *make_name(const struct reading *r, const struct grid_cell *c, const json_t *own)
{
    char letters[NAME_LETTERS + 1] = "", hex[DIGEST_TEXT_MAX];
    char *text = json_dumps(own, JSON_COMPACT | JSON_SORT_KEYS);
    struct digest_maker m;
    struct digest d;
    size_t n = 0;

    if (text == NULL) return NULL;
    digest_begin(&m);
    digest_text(&m, text);
    digest_end(&m, &d);
    free(text);
    for (size_t i = 0; i < c->n; i++) {
        const char *label = c->settings[i].own ? setting_label(&c->settings[i], &r->grid->arena) : "";

        if (label == NULL) return NULL;
        add_letters(letters, &n, label);
        if (label[0] != '\0') add_letters(letters, &n, " ");
    }
    letters[n] = '\0';
    return arena_printf(&r->grid->arena, "%s%s%.*s", letters, n > 0 && letters[n - 1] != '-' ? "-" : "",
                        DIGEST_LETTERS, digest_hex(&d, hex));
}

/* ---- cells ----------------------------------------------------------------------------------------------------- */

/* all: of every cell, and then its own; the cell keeps it. */
static enum status fill_cell(struct reading *r, struct grid_cell *c, json_t *all, const json_t *own)
{
    const char *key;
    json_t *value;
    enum status st = STATUS_OK;

    *c = (struct grid_cell){ .json = all };
    c->settings = arena_calloc(&r->grid->arena, json_object_size(all) + 1, sizeof *c->settings);
    if (c->settings == NULL) return err_no_memory(r->err, r->path);
    json_object_foreach(all, key, value)
    {
        if (st != STATUS_OK || is_nothing(value)) continue;
        st = read_setting(r, &c->settings[c->n], key, value);
        c->settings[c->n++].own = json_object_get(own, key) != NULL;
    }
    if (st == STATUS_OK && (c->name = make_name(r, c, own)) == NULL) return err_no_memory(r->err, r->path);
    return st;
}

/* Takes `own`. */
static enum status add_cell(struct reading *r, json_t *own)
{
    struct grid *g = r->grid;
    json_t *all = r->base != NULL ? json_copy(r->base) : json_object();
    enum status st = STATUS_OK;

    if (g->n == CELLS_MAX)
        st = err_set(r->err, STATUS_BAD_FORMAT, "%s: more than %d cells", r->path, CELLS_MAX);
    else if (all == NULL || own == NULL || json_object_update(all, own) != 0)
        st = err_no_memory(r->err, r->path);
    if (st == STATUS_OK)
        st = fill_cell(r, &g->cells[g->n++], all, own);
    else
        json_decref(all);
    json_decref(own);
    return st;
}

static enum status check_axes(const struct reading *r)
{
    const char *key;
    json_t *values;

    json_object_foreach(r->axes, key, values)
    {
        if (!json_is_array(values) || json_array_size(values) == 0)
            return wrong(r, key, "a list of values, since it is an axis", values);
    }
    return STATUS_OK;
}

/* Every combination: counted as an odometer counts, the last axis fastest. */
static enum status add_axes(struct reading *r)
{
    size_t total = 1;
    enum status st = r->axes != NULL ? check_axes(r) : STATUS_OK;
    const char *key;
    json_t *values;

    if (r->axes == NULL || json_object_size(r->axes) == 0) return st;
    if (st == STATUS_OK) json_object_foreach(r->axes, key, values)
        {
            if (total <= CELLS_MAX) total *= json_array_size(values);
        }
    if (total > CELLS_MAX)
        return err_set(r->err, STATUS_BAD_FORMAT, "%s: the axes make more than %d cells", r->path, CELLS_MAX);
    for (size_t i = 0; i < total && st == STATUS_OK; i++) {
        json_t *own = json_object();
        size_t every = total, rest = i;

        json_object_foreach(r->axes, key, values)
        {
            every /= json_array_size(values);
            json_object_set(own, key, json_array_get(values, rest / every));
            rest %= every;
        }
        st = add_cell(r, own);
    }
    return st;
}

static enum status add_listed(struct reading *r)
{
    enum status st = STATUS_OK;

    for (size_t i = 0; i < json_array_size(r->cells) && st == STATUS_OK; i++) {
        json_t *cell = json_array_get(r->cells, i);

        st = json_is_object(cell) ? add_cell(r, json_copy(cell))
                                  : wrong(r, "cells", "a list of objects", cell);
    }
    return st;
}

static enum status name_cells(struct reading *r)
{
    struct grid *g = r->grid;

    for (size_t i = 0; i < g->n; i++) {
        struct grid_cell *c = &g->cells[i];

        c->label = make_label(r, c);
        if (c->label == NULL) return err_no_memory(r->err, r->path);
        for (size_t k = 0; k < i; k++)
            if (strcmp(g->cells[k].name, c->name) == 0)
                return err_set(r->err, STATUS_BAD_FORMAT, "%s: cells %zu and %zu have the same settings (%s)",
                               r->path, k + 1, i + 1, c->label);
    }
    return STATUS_OK;
}

/* ---- the file -------------------------------------------------------------------------------------------------- */

static enum status check_keys(struct reading *r, const json_t *root)
{
    const char *key;
    json_t *value;

    if (!json_is_object(root)) return wrong(r, "the file", "an object", root);
    json_object_foreach((json_t *)(uintptr_t)root, key, value)
    {
        bool list = strcmp(key, "cells") == 0;

        if (!list && strcmp(key, "settings") != 0 && strcmp(key, "axes") != 0)
            return err_set(r->err, STATUS_BAD_FORMAT,
                           "%s: unknown key \"%.60s\", where \"settings\", \"axes\" and \"cells\" are known",
                           r->path, key);
        if (list ? !json_is_array(value) : !json_is_object(value))
            return wrong(r, key, list ? "a list" : "an object", value);
    }
    r->base = json_object_get(root, "settings");
    r->axes = json_object_get(root, "axes");
    r->cells = json_object_get(root, "cells");
    return STATUS_OK;
}

static enum status read_cells(struct reading *r, const json_t *root)
{
    struct grid *g = r->grid;
    enum status st = check_keys(r, root);

    if (st != STATUS_OK) return st;
    g->cells = arena_calloc(&g->arena, CELLS_MAX, sizeof *g->cells);
    if (g->cells == NULL) return err_no_memory(r->err, r->path);
    st = add_axes(r);
    if (st == STATUS_OK) st = add_listed(r);
    if (st == STATUS_OK && g->n == 0)
        return err_set(r->err, STATUS_BAD_FORMAT, "%s: has neither \"axes\" nor \"cells\"", r->path);
    return st == STATUS_OK ? name_cells(r) : st;
}

enum status grid_read(struct grid *g, const char *path, struct err *e)
{
    struct reading r = { .grid = g, .path = path, .err = e };
    unsigned char *text = NULL;
    json_error_t error;
    json_t *root = NULL;
    size_t size;
    enum status st;

    *g = (struct grid){ 0 };
    st = file_read(path, FILE_MAX, &text, &size, e);
    if (st != STATUS_OK) return st;
    root = json_loadb((const char *)text, size, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        st = err_set(e, STATUS_BAD_FORMAT, "%s: line %d is not JSON: %s", path, error.line, error.text);
    else
        st = read_cells(&r, root);
    json_decref(root);
    free(text);
    if (st != STATUS_OK) grid_free(g);
    return st;
}

void grid_free(struct grid *g)
{
    for (size_t i = 0; i < g->n; i++) json_decref(g->cells[i].json);
    arena_free(&g->arena);
    *g = (struct grid){ 0 };
}
