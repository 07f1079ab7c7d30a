/*
 * reader_mme.c - MME as it is published: a folder a category, and beside each image a text file with two lines, question tab answer.
 *
 *     FOLDER/existence/000000006040.txt, .jpg
 *     FOLDER/artwork/questions_answers_YN/10002.txt, FOLDER/artwork/images/10002.jpg         or so
 *
 * Categories and images are in the order of their names.
 */
#include "core/file.h"
#include "eval/folder_names.h"
#include "eval/reader_list.h"
#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 1 << 20 };

/* One category. */
struct reading {
    struct record_list *l;
    const char *folder;   /* as the entry has it: what images' names begin with */
    const char *place;    /* where that is on the disk */
    const char *category; /* its folder's name */
};

/* The image that belongs to a text file, with the ending that there is; else .jpg, and the run will say that it is missing. */
static const char *image_of(const struct reading *r, const char *inner, const char *text)
{
    static const char *const endings[] = { ".jpg", ".png", ".jpeg" };
    struct arena *a = &r->l->dataset->arena;
    int stem = (int)strlen(text) - 4;

    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        struct arena_mark mark = arena_mark(a);
        const char *path =
            arena_printf(a, "%s/%s%s/%.*s%s", r->place, r->category, inner, stem, text, endings[i]);

        if (path == NULL) return NULL;
        if (file_exists(path))
            return arena_printf(a, "%s/%s%s/%.*s%s", r->folder, r->category, inner, stem, text, endings[i]);
        arena_reset(a, mark);
    }
    return arena_printf(a, "%s/%s%s/%.*s.jpg", r->folder, r->category, inner, stem, text);
}

/* A line "question<tab>answer", which it cuts up. */
static enum status add_line(const struct reading *r, const char *path, size_t number, char *line,
                            const char *image, struct err *e)
{
    struct arena *a = &r->l->dataset->arena;
    char *tab = strrchr(line, '\t');
    struct record *record;
    const char **answer;
    enum status st;

    if (utf8_find_bad(line, strlen(line)) < strlen(line))
        return err_set(e, STATUS_BAD_FORMAT, "%s: line %zu is not UTF-8 text", path, number);
    if (tab == NULL || tab == line)
        return err_set(e, STATUS_BAD_FORMAT, "%s: line %zu: want a question, a tab and an answer", path,
                       number);
    *tab = '\0';
    st = record_add(r->l, &record, e);
    if (st != STATUS_OK) return st;
    answer = arena_alloc(a, sizeof *answer);
    record->id = arena_printf(a, "%zu", number - 1);
    record->question = arena_strdup(a, line);
    record->category = r->category;
    record->image = record->group = image;
    if (answer == NULL || record->id == NULL || record->question == NULL ||
        (*answer = arena_strdup(a, tab + 1)) == NULL)
        return err_no_memory(e, "an annotation");
    record->answers = answer;
    record->n_answers = 1;
    return STATUS_OK;
}

static enum status read_text(const struct reading *r, const char *path, const char *image, struct err *e)
{
    unsigned char *text = NULL;
    size_t size, number = 0;
    enum status st = file_read(path, TEXT_BYTES_MAX, &text, &size, e);
    char *rest = (char *)text, *line;

    while (st == STATUS_OK && (line = strsep(&rest, "\n")) != NULL) {
        line[strcspn(line, "\r")] = '\0';
        number++;
        if (line[0] != '\0') st = add_line(r, path, number, line, image, e);
    }
    free(text);
    return st;
}

/* The text files of one folder. `inner_text`, `inner_image`: "" or "/images", below the category. */
static enum status read_folder(const struct reading *r, const char *inner_text, const char *inner_image,
                               struct err *e)
{
    struct arena *a = &r->l->dataset->arena;
    const char *folder = arena_printf(a, "%s/%s%s", r->place, r->category, inner_text);
    const char *const *names;
    enum status st;
    size_t n;

    if (folder == NULL) return err_no_memory(e, "a path");
    if (!file_is_directory(folder)) return STATUS_OK;
    st = folder_names(folder, ".txt", a, &names, &n, e);
    for (size_t i = 0; st == STATUS_OK && i < n; i++) {
        const char *path = arena_printf(a, "%s/%s", folder, names[i]);
        const char *image = image_of(r, inner_image, names[i]);

        st = path != NULL && image != NULL ? read_text(r, path, image, e) : err_no_memory(e, "a path");
    }
    return st;
}

static enum status read_category(struct reading *r, const char *name, struct err *e)
{
    size_t before = r->l->dataset->n;
    enum status st;

    r->category = name;
    st = read_folder(r, "", "", e);
    if (st == STATUS_OK && r->l->dataset->n == before)
        st = read_folder(r, "/questions_answers_YN", "/images", e);
    return st;
}

static enum status read_all(struct record_list *l, const struct benchmark *b, struct err *e)
{
    struct reading r = { .l = l };
    const char *const *names;
    size_t n = 0;
    enum status st = record_list_file(l, "folder", false, &r.place, &r.folder, e);

    (void)b;
    if (st == STATUS_OK) st = folder_names(r.place, "", &l->dataset->arena, &names, &n, e);
    for (size_t i = 0; st == STATUS_OK && i < n; i++) st = read_category(&r, names[i], e);
    return st;
}

const struct reader reader_mme = { .name = "mme", .files = "folder", .options = "", .read = read_all };
