/* log.c - see log.h. */
#include "eval/log.h"

#include "core/file.h"
#include "text/journal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct log_file {
    struct journal journal;
};

/* DIRECTORY/answers.jsonl; malloc'ed. */
static char *main_path(const char *directory)
{
    return path_join(directory, "answers.jsonl");
}

/* ---- the header ------------------------------------------------------------------------------------------------- */

static bool is_header(const json_t *object)
{
    return json_object_get(object, "eval") != NULL;
}

/* The first key, with those around it as "settings.seed" in name [size], in which two objects differ; their values go to *a and *b, NULL
 * where there is none. False: they are equal. */
static bool differ(const json_t *old, const json_t *new, char *name, size_t size, const json_t **a,
                   const json_t **b)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t) new, key, value)
    {
        const json_t *other = json_object_get(old, key);
        int n = snprintf(name, size, "%s", key);

        if (json_equal(other, value)) continue;
        *a = other;
        *b = value;
        if (!json_is_object(other) || !json_is_object(value) || (size_t)n + 1 >= size) return true;
        name[n] = '.';
        return differ(other, value, name + n + 1, size - (size_t)n - 1, a, b);
    }
    json_object_foreach((json_t *)(uintptr_t)old, key, value)
    {
        if (json_object_get(new, key) != NULL) continue;
        snprintf(name, size, "%s", key);
        *a = value;
        *b = NULL;
        return true;
    }
    return false;
}

static char *value_text(const json_t *value)
{
    return value != NULL ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : strdup("nothing");
}

static enum status compare(const char *path, const json_t *old, const json_t *new, struct err *e)
{
    char name[128], *a, *b;
    const json_t *was, *is;
    enum status st;

    if (!differ(old, new, name, sizeof name, &was, &is)) return STATUS_OK;
    a = value_text(was);
    b = value_text(is);
    if (a == NULL || b == NULL)
        st = err_no_memory(e, path);
    else
        st = err_set(e, STATUS_BAD_ARGUMENT,
                     "%s: holds answers of another run: its %s was %.100s and is %.100s now (another folder "
                     "begins anew; --force goes on with this one)",
                     path, name, a, b);
    free(a);
    free(b);
    return st;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static enum status make_folder(const char *path, struct err *e)
{
    if (mkdir(path, 0777) == 0 || file_is_directory(path)) return STATUS_OK;
    return err_set(e, STATUS_IO, "%s: cannot make the folder: %s", path, strerror(errno));
}

/* With those that it lies in. */
static enum status make_folders(const char *directory, struct err *e)
{
    char *path = strdup(directory);
    enum status st = path != NULL ? STATUS_OK : err_no_memory(e, directory);

    for (size_t i = 1; st == STATUS_OK && i < strlen(directory); i++) {
        if (directory[i] != '/') continue;
        path[i] = '\0';
        st = make_folder(path, e);
        path[i] = '/';
    }
    if (st == STATUS_OK) st = make_folder(directory, e);
    free(path);
    return st;
}

/* The file anew: the header and what followed the first line. */
static enum status write_header(const char *path, const json_t *header, struct err *e)
{
    struct file_map map = { 0 };
    struct file_writer w = { 0 };
    char *text = json_dumps(header, JSON_COMPACT);
    enum status st = text != NULL ? STATUS_OK : err_no_memory(e, path);
    const unsigned char *end = NULL;

    if (st == STATUS_OK && file_exists(path)) st = file_map_open(&map, path, e);
    if (map.size > 0) end = memchr(map.data, '\n', map.size);
    if (st == STATUS_OK) st = file_writer_open(&w, path, e);
    if (st == STATUS_OK) st = file_writer_put(&w, text, strlen(text), e);
    if (st == STATUS_OK) st = file_writer_put(&w, "\n", 1, e);
    if (st == STATUS_OK && end != NULL)
        st = file_writer_put(&w, end + 1, map.size - (size_t)(end + 1 - map.data), e);
    if (st == STATUS_OK) st = file_writer_commit(&w, e);
    file_writer_abort(&w);
    file_map_close(&map);
    free(text);
    return st;
}

static enum status take_header(void *user, const struct journal_line *line, struct err *e)
{
    json_t **header = user;

    if (line->number == 1 && is_header(line->object))
        *header = json_incref((json_t *)(uintptr_t)line->object);
    else if (line->number == 1)
        return err_set(e, STATUS_BAD_FORMAT, "%s: is not a log of an evaluation: its first line is no header",
                       line->file);
    return STATUS_OK;
}

/* Makes the file one that begins with this header. */
static enum status settle_header(const char *path, const json_t *header, bool force, struct err *e)
{
    json_t *old = NULL;
    enum status st = file_exists(path) ? journal_read(path, take_header, &old, e) : STATUS_OK;

    if (st == STATUS_OK && old != NULL && !force) st = compare(path, old, header, e);
    if (st == STATUS_OK && !json_equal(old, header)) st = write_header(path, header, e);
    json_decref(old);
    return st;
}

enum status log_open(struct log_file **l, const char *directory, int rank, json_t *header, bool force,
                     struct err *e)
{
    struct journal other = { 0 }; /* holds the lock of the file that may be replaced */
    char *first = main_path(directory), *path = first != NULL ? journal_path(first, rank) : NULL;
    enum status st = path != NULL ? make_folders(directory, e) : err_no_memory(e, directory);

    *l = NULL;
    if (st == STATUS_OK && file_exists(path)) st = journal_open(&other, path, e);
    if (st == STATUS_OK) st = settle_header(path, header, force, e);
    journal_close(&other, NULL);
    if (st == STATUS_OK) {
        *l = calloc(1, sizeof **l);
        st = *l != NULL ? journal_open(&(*l)->journal, path, e) : err_no_memory(e, path);
    }
    if (st != STATUS_OK) {
        free(*l);
        *l = NULL;
    }
    free(path);
    free(first);
    return st;
}

/* An entry's fields by name, so that reading and writing are one list. T(field) texts, N(field) counts, S(field) seconds, F(field) flags. */
#define ENTRY_MAP(T, N, S, F)                                                                                \
    T(id)                                                                                                    \
    T(image)                                                                                                 \
    T(question)                                                                                              \
    T(prompt)                                                                                                \
    T(answer)                                                                                                \
    T(error)                                                                                                 \
    T(finish)                                                                                                \
    T(taken)                                                                                                 \
    F(malformed)                                                                                             \
    F(pending)                                                                                               \
    N(prompt_tokens)                                                                                         \
    N(image_tokens)                                                                                          \
    N(cached_tokens)                                                                                         \
    S(score)                                                                                                 \
    S(seconds_encode)                                                                                        \
    S(seconds_prefill)                                                                                       \
    S(seconds_decode)

static json_t *entry_json(const struct log_entry *entry)
{
    json_t *o = json_object(), *tokens = json_array();
    bool ok = o != NULL && tokens != NULL;

    ok = ok && json_object_set_new(o, "index", json_integer(entry->index)) == 0;
#define T(field)                                                                                             \
    if (entry->field != NULL) ok = ok && json_object_set_new(o, #field, journal_text(entry->field)) == 0;
#define F(field) ok = ok && json_object_set_new(o, #field, json_boolean(entry->field)) == 0;
#define N(field) ok = ok && json_object_set_new(o, #field, json_integer((json_int_t)entry->field)) == 0;
#define S(field)                                                                                             \
    ok = ok && json_object_set_new(o, #field, json_real(isfinite(entry->field) ? entry->field : 0)) == 0;
    ENTRY_MAP(T, N, S, F)
#undef T
#undef F
#undef N
#undef S
    for (size_t i = 0; i < entry->n_tokens && ok; i++)
        ok = json_array_append_new(tokens, json_integer(entry->tokens[i])) == 0;
    ok = ok && json_object_set(o, "tokens", tokens) == 0;
    json_decref(tokens);
    if (ok) return o;
    json_decref(o);
    return NULL;
}

enum status log_append(struct log_file *l, const struct log_entry *entry, struct err *e)
{
    json_t *o = entry_json(entry);
    enum status st = o != NULL ? journal_append(&l->journal, o, e) : err_no_memory(e, "log");

    json_decref(o);
    return st;
}

enum status log_close(struct log_file *l, struct err *e)
{
    enum status st = STATUS_OK;

    if (l == NULL) return st;
    st = journal_close(&l->journal, e);
    free(l);
    return st;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct reading {
    struct log_answers *answers;
    size_t capacity;
};

static enum status wrong(const struct journal_line *line, const char *key, const char *wanted, struct err *e)
{
    return err_set(e, STATUS_BAD_FORMAT, "%s: line %zu: \"%s\" is not %s", line->file, line->number, key,
                   wanted);
}

static enum status read_text(const struct journal_line *line, const char *key, const char **text,
                             struct arena *a, struct err *e)
{
    const json_t *value = json_object_get(line->object, key);

    *text = NULL;
    if (value == NULL) return STATUS_OK;
    if (!json_is_string(value)) return wrong(line, key, "a text", e);
    *text = arena_strdup(a, json_string_value(value));
    return *text != NULL ? STATUS_OK : err_no_memory(e, line->file);
}

static enum status read_count(const struct journal_line *line, const char *key, size_t *n, struct err *e)
{
    const json_t *value = json_object_get(line->object, key);

    if (value == NULL) return STATUS_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return wrong(line, key, "a whole number from 0", e);
    *n = (size_t)json_integer_value(value);
    return STATUS_OK;
}

static enum status read_number(const struct journal_line *line, const char *key, double *x, struct err *e)
{
    const json_t *value = json_object_get(line->object, key);

    if (value == NULL) return STATUS_OK;
    if (!json_is_number(value)) return wrong(line, key, "a number", e);
    *x = json_number_value(value);
    return STATUS_OK;
}

static enum status read_flag(const struct journal_line *line, const char *key, bool *flag, struct err *e)
{
    const json_t *value = json_object_get(line->object, key);

    if (value == NULL) return STATUS_OK;
    if (!json_is_boolean(value)) return wrong(line, key, "true or false", e);
    *flag = json_is_true(value);
    return STATUS_OK;
}

static enum status read_tokens(const struct journal_line *line, struct log_entry *entry, struct arena *a,
                               struct err *e)
{
    const json_t *list = json_object_get(line->object, "tokens");
    size_t n = json_array_size(list);
    int32_t *tokens;

    if (list == NULL) return STATUS_OK;
    if (!json_is_array(list)) return wrong(line, "tokens", "a list", e);
    tokens = arena_alloc(a, n * sizeof *tokens);
    if (tokens == NULL) return err_no_memory(e, line->file);
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_array_get(list, i);
        json_int_t value = json_integer_value(id);

        if (!json_is_integer(id) || value < 0 || value > INT32_MAX)
            return wrong(line, "tokens", "a list of token ids", e);
        tokens[i] = (int32_t)value;
    }
    entry->tokens = tokens;
    entry->n_tokens = n;
    return STATUS_OK;
}

static enum status read_entry(const struct journal_line *line, struct log_entry *entry, struct arena *a,
                              struct err *e)
{
    const json_t *index = json_object_get(line->object, "index");
    enum status st = STATUS_OK;

    *entry = (struct log_entry){ .index = json_integer_value(index) };
    if (!json_is_integer(index) || entry->index < 0) return wrong(line, "index", "a whole number from 0", e);
#define T(field)                                                                                             \
    if (st == STATUS_OK) st = read_text(line, #field, &entry->field, a, e);
#define F(field)                                                                                             \
    if (st == STATUS_OK) st = read_flag(line, #field, &entry->field, e);
#define N(field)                                                                                             \
    if (st == STATUS_OK) st = read_count(line, #field, &entry->field, e);
#define S(field)                                                                                             \
    if (st == STATUS_OK) st = read_number(line, #field, &entry->field, e);
    ENTRY_MAP(T, N, S, F)
#undef T
#undef F
#undef N
#undef S
    if (st == STATUS_OK) st = read_tokens(line, entry, a, e);
    if (st == STATUS_OK && entry->answer == NULL && entry->error == NULL)
        st = err_set(e, STATUS_BAD_FORMAT, "%s: line %zu has neither \"answer\" nor \"error\"", line->file,
                     line->number);
    return st;
}

static enum status take_line(void *user, const struct journal_line *line, struct err *e)
{
    struct reading *r = user;
    struct log_answers *a = r->answers;

    if (line->number == 1) {
        json_t *header = NULL;
        enum status st = take_header(&header, line, e);

        if (a->header == NULL)
            a->header = header;
        else
            json_decref(header);
        return st;
    }
    if (a->n == r->capacity) {
        size_t capacity = r->capacity == 0 ? 256 : 2 * r->capacity;
        struct log_entry *entry = realloc(a->entry, capacity * sizeof *entry);

        if (entry == NULL) return err_no_memory(e, line->file);
        a->entry = entry;
        r->capacity = capacity;
    }
    return read_entry(line, &a->entry[a->n++], &a->memory, e);
}

struct sortable {
    const struct log_entry *entry;
    size_t place;
};

/* By index; what has an answer before what has none; else as they came. */
static int by_index(const void *a, const void *b)
{
    const struct sortable *x = a, *y = b;
    bool failed_x = x->entry->answer == NULL, failed_y = y->entry->answer == NULL;

    if (x->entry->index != y->entry->index) return x->entry->index < y->entry->index ? -1 : 1;
    if (failed_x != failed_y) return failed_x ? 1 : -1;
    return x->place < y->place ? -1 : 1;
}

/* Sorts, and leaves one an index. */
static enum status sort_entries(struct log_answers *a, struct err *e)
{
    struct sortable *list = malloc((a->n + 1) * sizeof *list);
    struct log_entry *sorted = malloc((a->n + 1) * sizeof *sorted);
    size_t n = 0;

    if (list == NULL || sorted == NULL) {
        free(list);
        free(sorted);
        return err_no_memory(e, "log");
    }
    for (size_t i = 0; i < a->n; i++) list[i] = (struct sortable){ &a->entry[i], i };
    qsort(list, a->n, sizeof *list, by_index);
    for (size_t i = 0; i < a->n; i++)
        if (n == 0 || sorted[n - 1].index != list[i].entry->index) sorted[n++] = *list[i].entry;
    free(list);
    free(a->entry);
    a->entry = sorted;
    a->n = n;
    return STATUS_OK;
}

enum status log_read_memory(struct log_answers *a, const char *name, const char *data, size_t size,
                            struct err *e)
{
    struct reading r = { a, 0 };
    enum status st;

    memset(a, 0, sizeof *a);
    st = journal_read_memory(name, data, size, take_line, &r, e);
    if (st == STATUS_OK) st = sort_entries(a, e);
    if (st != STATUS_OK) log_answers_free(a);
    return st;
}

enum status log_read(struct log_answers *a, const char *directory, struct err *e)
{
    struct reading r = { a, 0 };
    char *path = main_path(directory);
    enum status st;

    memset(a, 0, sizeof *a);
    st = path != NULL ? journal_read_all(path, take_line, &r, e) : err_no_memory(e, directory);
    if (st == STATUS_OK) st = sort_entries(a, e);
    if (st != STATUS_OK) log_answers_free(a);
    free(path);
    return st;
}

void log_answers_free(struct log_answers *a)
{
    json_decref(a->header);
    free(a->entry);
    arena_free(&a->memory);
    memset(a, 0, sizeof *a);
}

const struct log_entry *log_find(const struct log_answers *a, int64_t index)
{
    size_t low = 0, high = a->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (a->entry[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low < a->n && a->entry[low].index == index ? &a->entry[low] : NULL;
}

enum status log_merge(const char *directory, struct err *e)
{
    char *path = main_path(directory);
    enum status st = path != NULL ? journal_merge(path, true, e) : err_no_memory(e, directory);

    free(path);
    return st;
}
