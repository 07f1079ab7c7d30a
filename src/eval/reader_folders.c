/*
 * reader_folders.c - images sorted into folders by what they show, as ImageNet's are:
 *
 *     FOLDER/n01440764/ILSVRC2012_val_00000293.JPEG
 *     NAMES: a line a folder, "n01440764 tench, Tinca tinca": the class's names, any of which is a right answer
 *
 * Without a names file the folder's name is the answer, with spaces for its underscores. Folders and images are in the order of their names.
 */
#include "core/file.h"
#include "eval/folder_names.h"
#include "eval/reader_list.h"
#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { NAMES_BYTES_MAX = 16 << 20 };

struct class
{
    const char *const *names;
    size_t n;
};

struct reading {
    struct record_list *l;
    const char *folder, *place; /* as the entry has it; where it is */
    struct text_map index;      /* folder -> class */
    struct class *class;        /* in the arena */
    bool named;                 /* there is a names file */
};

/* ---- names ----------------------------------------------------------------------------------------------------- */

/* "tench, Tinca tinca" -> "tench", "Tinca tinca". */
static enum status split_names(struct class *c, char *text, struct arena *a, struct err *e)
{
    size_t most = 1;
    const char **names;
    char *part;

    for (const char *p = text; *p != '\0'; p++) most += *p == ',';
    names = arena_calloc(a, most, sizeof *names);
    if (names == NULL) return err_no_memory(e, "the names of a class");
    while ((part = strsep(&text, ",")) != NULL) {
        part += strspn(part, " \t");
        for (size_t n = strlen(part); n > 0 && strchr(" \t\r", part[n - 1]) != NULL;) part[--n] = '\0';
        if (part[0] != '\0') names[c->n++] = part;
    }
    c->names = names;
    return STATUS_OK;
}

static enum status add_class(struct reading *r, const char *path, size_t number, char *line, struct err *e)
{
    struct class *c = &r->class[r->index.n];
    size_t n = strcspn(line, " \t");
    char *names = line + n + strspn(line + n, " \t");
    bool is_new;
    enum status st;

    if (utf8_find_bad(line, strlen(line)) < strlen(line))
        return err_set(e, STATUS_BAD_FORMAT, "%s: line %zu is not UTF-8 text", path, number);
    if (*names == '\0')
        return err_set(e, STATUS_BAD_FORMAT, "%s: line %zu: want a folder and the names of its class", path,
                       number);
    line[n] = '\0';
    st = text_map_put(&r->index, line, r->index.n, NULL, &is_new, e);
    if (st == STATUS_OK && !is_new)
        st = err_set(e, STATUS_BAD_FORMAT, "%s: line %zu: the folder \"%.60s\" was there before", path,
                     number, line);
    if (st == STATUS_OK) st = split_names(c, names, &r->l->dataset->arena, e);
    if (st == STATUS_OK && c->n == 0)
        st = err_set(e, STATUS_BAD_FORMAT, "%s: line %zu: want a folder and the names of its class", path,
                     number);
    return st;
}

static enum status read_names(struct reading *r, const char *path, struct err *e)
{
    struct arena *a = &r->l->dataset->arena;
    unsigned char *bytes = NULL;
    size_t size, lines = 1, number = 0;
    enum status st = file_read(path, NAMES_BYTES_MAX, &bytes, &size, e);
    char *rest, *line;

    if (st != STATUS_OK) return st;
    rest = arena_strdup(a, (const char *)bytes); /* the names stay where they are in it */
    free(bytes);
    if (rest == NULL) return err_no_memory(e, "the names of classes");
    for (const char *p = rest; *p != '\0'; p++) lines += *p == '\n';
    r->class = arena_calloc(a, lines, sizeof *r->class);
    if (r->class == NULL) return err_no_memory(e, "the names of classes");
    while (st == STATUS_OK && (line = strsep(&rest, "\n")) != NULL) {
        number++;
        line[strcspn(line, "\r")] = '\0';
        if (line[0] != '\0') st = add_class(r, path, number, line, e);
    }
    return st;
}

/* The class of a folder: of the names file, or made of the folder's own name. */
static enum status find_class(struct reading *r, const char *name, struct class *c, struct err *e)
{
    struct arena *a = &r->l->dataset->arena;
    size_t *known = text_map_get(&r->index, name);
    const char **names;
    char *text;

    if (known != NULL) {
        *c = r->class[*known];
        return STATUS_OK;
    }
    if (r->named)
        return err_set(e, STATUS_BAD_FORMAT, "%s: the folder \"%.80s\" is not in the file of names",
                       r->l->dataset->benchmark->name, name);
    text = arena_strdup(a, name);
    names = arena_alloc(a, sizeof *names);
    if (text == NULL || names == NULL) return err_no_memory(e, "the names of a class");
    for (char *p = text; *p != '\0'; p++)
        if (*p == '_') *p = ' ';
    names[0] = text;
    *c = (struct class){ .names = names, .n = 1 };
    return STATUS_OK;
}

/* ---- images ---------------------------------------------------------------------------------------------------- */

static enum status add_image(struct reading *r, const char *folder, const char *name, const struct class *c,
                             struct err *e)
{
    struct arena *a = &r->l->dataset->arena;
    struct record *record;
    enum status st = record_add(r->l, &record, e);

    if (st != STATUS_OK) return st;
    record->id = arena_printf(a, "%s/%s", folder, name);
    record->image = arena_printf(a, "%s/%s/%s", r->folder, folder, name);
    if (record->id == NULL || record->image == NULL) return err_no_memory(e, "an annotation");
    record->answers = c->names;
    record->n_answers = c->n;
    return STATUS_OK;
}

static enum status read_class(struct reading *r, const char *folder, struct err *e)
{
    struct arena *a = &r->l->dataset->arena;
    const char *place = arena_printf(a, "%s/%s", r->place, folder);
    const char *const *images;
    struct class c = { 0 };
    enum status st;
    size_t n;

    if (place == NULL) return err_no_memory(e, "a path");
    if (!file_is_directory(place)) return STATUS_OK;
    st = folder_names(place, ".jpg .jpeg .png .webp .gif .bmp", a, &images, &n, e);
    if (st == STATUS_OK && n > 0) st = find_class(r, folder, &c, e);
    for (size_t i = 0; st == STATUS_OK && i < n; i++) st = add_image(r, folder, images[i], &c, e);
    return st;
}

static enum status read_all(struct record_list *l, const struct benchmark *b, struct err *e)
{
    struct reading r = { .l = l, .named = json_object_get(b->files, "names") != NULL };
    const char *const *folders;
    const char *names;
    size_t n = 0;
    enum status st = record_list_file(l, "folder", false, &r.place, &r.folder, e);

    if (st == STATUS_OK && r.named) st = record_list_file(l, "names", false, &names, NULL, e);
    if (st == STATUS_OK && r.named) st = read_names(&r, names, e);
    if (st == STATUS_OK) st = folder_names(r.place, "", &l->dataset->arena, &folders, &n, e);
    for (size_t i = 0; st == STATUS_OK && i < n; i++) st = read_class(&r, folders[i], e);
    text_map_free(&r.index);
    return st;
}

const struct reader reader_folders = {
    .name = "folders", .files = "folder [names]", .options = "", .read = read_all
};
