/*
 * reader_rows.c - any file that has a record a row, with a mapping (mapping.h) in the entry that says which key is what. Most public formats
 * are of this kind, and a user's own benchmark is.
 */
#include "eval/reader_rows.h"

#include "eval/join.h"
#include "eval/mapping.h"
#include "eval/reader_list.h"

#include <string.h>

const char reader_rows_options[] =
    "list only unique_ids join "
    "id image question hint category kind group context width height answers answers_are "
    "choices box box_is image_data";

enum status reader_rows_check(const struct benchmark *b, struct err *e)
{
    const json_t *list = benchmark_option(b, "list"), *unique = benchmark_option(b, "unique_ids");
    enum status st = mapping_check(b->options, e);

    if (list != NULL && !json_is_string(list))
        return err_set(e, STATUS_BAD_FORMAT, "\"list\" must be a text, not %s", json_kind(list));
    if (unique != NULL && !json_is_boolean(unique))
        return err_set(e, STATUS_BAD_FORMAT, "\"unique_ids\" must be true or false, not %s",
                       json_kind(unique));
    if (st == STATUS_OK) st = mapping_check_only(benchmark_option(b, "only"), e);
    if (st == STATUS_OK) st = join_check(b, benchmark_option(b, "join"), e);
    return st;
}

struct reading {
    struct record_list *l;
    const json_t *options;
    const char *name; /* of the file at hand, in the entry */
};

static enum status take(void *user, const struct row *given, struct err *e)
{
    struct reading *r = user;
    struct arena *a = &r->l->dataset->arena;
    struct row row = *given;
    struct record *record;
    bool wanted, is_new;
    enum status st;

    row.name = r->name;
    st = mapping_wants(json_object_get(r->options, "only"), &row, a, &wanted, e);
    if (st != STATUS_OK || !wanted) return st;
    st = record_add(r->l, &record, e);
    if (st == STATUS_OK) st = mapping_apply(r->options, &row, a, record, e);
    if (st != STATUS_OK) return st;
    if (record->image_data != NULL && record->image[0] == '\0') {
        record->image = record->id[0] != '\0' ? record->id : arena_printf(a, "%s %zu", row.unit, row.number);
        if (record->image == NULL) return err_no_memory(e, "an annotation");
    }
    if (!json_is_true(json_object_get(r->options, "unique_ids"))) return STATUS_OK;
    st = record_note_id(r->l, record, &is_new, e);
    if (st == STATUS_OK && !is_new)
        return row_error(&row, e, "the id \"%.80s\" was there before", record->id);
    return st;
}

enum status reader_rows_read_file(struct record_list *l, const json_t *options, const char *name,
                                  struct err *e)
{
    struct reading r = { .l = l, .options = options, .name = name };
    const char *list = json_string_value(json_object_get(options, "list")), *path;
    enum status st = record_list_file(l, name, false, &path, NULL, e);

    return st == STATUS_OK ? rows_walk(path, list != NULL ? list : "", take, &r, e) : st;
}

enum status reader_rows_read(struct record_list *l, const json_t *options, struct err *e)
{
    const json_t *joins = json_object_get(options, "join");
    enum status st = STATUS_OK;
    const char *name;
    json_t *paths;

    json_object_foreach(l->dataset->benchmark->files, name, paths)
    {
        if (st == STATUS_OK && !join_uses(joins, name)) st = reader_rows_read_file(l, options, name, e);
    }
    return st == STATUS_OK ? join_read(l, joins, e) : st;
}

static enum status read_all(struct record_list *l, const struct benchmark *b, struct err *e)
{
    return reader_rows_read(l, b->options, e);
}

const struct reader reader_rows = {
    .name = "rows",
    .files = "*",
    .options = reader_rows_options,
    .check = reader_rows_check,
    .read = read_all,
};
