/* metric_file.c - see metric_file.h. */
#include "eval/metric_file.h"

#include "core/file.h"
#include "text/utf8.h"

#include <string.h>

const char *metric_file_name(const char *directory, const char *name, struct arena *a)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-";
    char *path = arena_printf(a, "%s/%s", directory, name);

    if (path == NULL) return NULL;
    for (char *p = path + strlen(directory) + 1; *p != '\0'; p++)
        if (strchr(plain, *p) == NULL) *p = '_';
    return path;
}

static int put(const char *text, size_t size, void *writer)
{
    return file_writer_put(writer, text, size, NULL) == STATUS_OK ? 0 : -1;
}

/* One value; the writer's error, which `put` cannot hand on, is met again when the line feed is written or on committing. */
static enum status write_value(struct file_writer *w, const json_t *value, size_t flags, struct err *e)
{
    if (json_dump_callback(value, put, w, flags | JSON_ENCODE_ANY) != 0)
        return err_set(e, STATUS_IO, "%s cannot be written", w->path);
    return file_writer_put(w, "\n", 1, e);
}

static enum status write_file(const char *path, json_t *value, bool lines, struct err *e)
{
    struct file_writer w = { 0 };
    enum status st;

    if (value == NULL) return err_no_memory(e, "a file for an outside scorer");
    st = file_writer_open(&w, path, e);
    if (st == STATUS_OK && !lines) st = write_value(&w, value, JSON_INDENT(1), e);
    for (size_t i = 0; lines && i < json_array_size(value) && st == STATUS_OK; i++)
        st = write_value(&w, json_array_get(value, i), JSON_COMPACT, e);
    if (st == STATUS_OK) st = file_writer_commit(&w, e);
    if (st != STATUS_OK) file_writer_abort(&w);
    json_decref(value);
    return st;
}

enum status metric_file_json(const char *path, json_t *value, struct err *e)
{
    return write_file(path, value, false, e);
}

enum status metric_file_lines(const char *path, json_t *lines, struct err *e)
{
    return write_file(path, lines, true, e);
}

json_t *metric_json_text(const char *text, struct arena *a)
{
    size_t size = strlen(text);
    char *whole = arena_alloc(a, UTF8_REPLACEMENT_SIZE * size + 1);

    return whole != NULL ? json_stringn(whole, utf8_repair(text, size, whole)) : NULL;
}
