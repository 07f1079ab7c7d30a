/* batch_list.c - see batch_list.h. */
#include "eval/batch_list.h"

#include "store/rows_format.h"

#include <stdlib.h>
#include <string.h>

static const char *const image_names[] = { "image", "image_path", NULL };
static const char *const prompt_names[] = { "prompt", "question", NULL };
static const char *const id_names[] = { "id", "question_id", NULL };

struct reading {
    struct batch_list *list;
    size_t capacity;
    const char *prompt;
};

/* The item's texts are in the list's arena already. */
static enum status add(struct reading *r, const char *name, struct batch_item item, struct err *e)
{
    struct batch_list *l = r->list;

    if (item.image != NULL && item.image[0] == '\0') item.image = NULL;
    if (item.prompt == NULL || item.prompt[0] == '\0') item.prompt = r->prompt;
    if (item.prompt == NULL)
        return err_set(e, STATUS_BAD_FORMAT, "%s: line %zu: there is no question, and none for all", name,
                       item.line);
    if (l->n == r->capacity) {
        size_t capacity = r->capacity == 0 ? 256 : 2 * r->capacity;
        struct batch_item *items = realloc(l->items, capacity * sizeof *items);

        if (items == NULL) return err_no_memory(e, name);
        l->items = items;
        r->capacity = capacity;
    }
    l->items[l->n++] = item;
    return STATUS_OK;
}

/* ---- objects and columns ---------------------------------------------------------------------------------------- */

static enum status read_one_of(const struct row *row, const char *const *names, struct arena *a,
                               const char **text, struct err *e)
{
    enum status st = STATUS_OK;

    *text = NULL;
    for (; *names != NULL && *text == NULL && st == STATUS_OK; names++)
        st = row_text(row, *names, a, text, e);
    return st;
}

static enum status take_row(void *user, const struct row *row, struct err *e)
{
    struct reading *r = user;
    struct arena *a = &r->list->arena;
    struct batch_item item = { .line = row->number };
    enum status st = read_one_of(row, image_names, a, &item.image, e);

    if (st == STATUS_OK) st = read_one_of(row, prompt_names, a, &item.prompt, e);
    if (st == STATUS_OK) st = read_one_of(row, id_names, a, &item.id, e);
    return st == STATUS_OK ? add(r, row->file, item, e) : st;
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

static char *copy(struct arena *a, const char *from, const char *to)
{
    char *text = arena_alloc(a, (size_t)(to - from) + 1);

    if (text == NULL) return NULL;
    memcpy(text, from, (size_t)(to - from));
    text[to - from] = '\0';
    return text;
}

static enum status read_line(struct reading *r, const char *name, size_t number, const char *from,
                             const char *to, struct err *e)
{
    const char *tab;
    struct batch_item item = { .line = number };
    struct arena *a = &r->list->arena;

    if (to > from && to[-1] == '\r') to--;
    if (from == to) return STATUS_OK;
    if (memchr(from, '\0', (size_t)(to - from)) != NULL)
        return err_set(e, STATUS_BAD_FORMAT, "%s: line %zu: holds a zero byte: this is no text", name,
                       number);
    tab = memchr(from, '\t', (size_t)(to - from));
    item.image = copy(a, from, tab != NULL ? tab : to);
    if (tab != NULL) item.prompt = copy(a, tab + 1, to);
    if (item.image == NULL || (tab != NULL && item.prompt == NULL)) return err_no_memory(e, name);
    return add(r, name, item, e);
}

static enum status walk_lines(struct reading *r, const struct rows_input *in, struct err *e)
{
    enum status st = STATUS_OK;
    const char *from = in->begin;

    for (size_t number = 1; from < in->end && st == STATUS_OK; number++) {
        const char *line_end = memchr(from, '\n', (size_t)(in->end - from)),
                   *to = line_end != NULL ? line_end : in->end;

        st = read_line(r, in->file, number, from, to, e);
        from = to + (line_end != NULL);
    }
    return st;
}

/* ---- which ------------------------------------------------------------------------------------------------------ */

static bool is_name(const char *from, const char *to, const char *const *names)
{
    if (to - from >= 2 && *from == '"' && to[-1] == '"') {
        from++;
        to--;
    }
    for (; *names != NULL; names++)
        if (strlen(*names) == (size_t)(to - from) && memcmp(*names, from, (size_t)(to - from)) == 0)
            return true;
    return false;
}

/* True if the first line is names of columns, of which one is that of images or questions. */
static bool has_columns(const struct rows_input *in, char separator)
{
    const char *end = in->begin < in->end ? memchr(in->begin, '\n', (size_t)(in->end - in->begin)) : NULL;
    const char *from = in->begin;

    if (end == NULL) end = in->end;
    if (end > from && end[-1] == '\r') end--;
    for (;;) {
        const char *to = from < end ? memchr(from, separator, (size_t)(end - from)) : NULL;

        if (to == NULL) to = end;
        if (is_name(from, to, image_names) || is_name(from, to, prompt_names)) return true;
        if (to == end) return false;
        from = to + 1;
    }
}

enum status batch_list_read(struct batch_list *l, const char *name, const char *data, size_t size,
                            const char *prompt, struct err *e)
{
    static const char mark[] = "\xef\xbb\xbf"; /* that some programs begin UTF-8 with */
    struct reading r = { .list = l, .prompt = prompt };
    struct rows_input in = { .file = name, .begin = data, .end = data + size, .take = take_row, .user = &r };
    enum status st;

    memset(l, 0, sizeof *l);
    if (size >= 3 && memcmp(data, mark, 3) == 0) in.begin += 3;
    if (in.begin < in.end && *in.begin == '{')
        st = rows_walk_jsonl(&in, e);
    else if (has_columns(&in, '\t'))
        st = rows_walk_cells(&in, '\t', e);
    else if (has_columns(&in, ','))
        st = rows_walk_cells(&in, ',', e);
    else
        st = walk_lines(&r, &in, e);
    if (st == STATUS_OK && l->n == 0) st = err_set(e, STATUS_BAD_FORMAT, "%s: the list is empty", name);
    if (st != STATUS_OK) batch_list_free(l);
    return st;
}

void batch_list_free(struct batch_list *l)
{
    free(l->items);
    arena_free(&l->arena);
    memset(l, 0, sizeof *l);
}
