/*
 * reader_iconqa.c - files as "rows" reads them, of which another file lists what is wanted: IconQA's problems.json holds all splits and tasks, and
 * pid_splits.json the ids of each, {"choose_txt_test": ["17", ...], ...}; "split" in the options says which.
 */
#include "core/file.h"
#include "eval/reader_list.h"
#include "eval/reader_rows.h"
#include "store/rows.h"

#include <stdlib.h>
#include <string.h>

enum { SPLITS_BYTES_MAX = 64 << 20 };

/* The ids of the split. The caller frees *root, which they live in. */
static enum status read_split(struct record_list *l, const char *split, json_t **root, const json_t **ids,
                              struct err *e)
{
    unsigned char *text = NULL;
    json_error_t why;
    const char *path;
    size_t size;
    enum status st = record_list_file(l, "splits", false, &path, NULL, e);

    if (st == STATUS_OK) st = file_read(path, SPLITS_BYTES_MAX, &text, &size, e);
    if (st != STATUS_OK) return st;
    *root = json_loadb((const char *)text, size, 0, &why);
    free(text);
    if (*root == NULL) return err_set(e, STATUS_BAD_FORMAT, "%s: line %d: %.200s", path, why.line, why.text);
    *ids = json_object_get(*root, split);
    if (!json_is_array(*ids))
        return err_set(e, STATUS_BAD_FORMAT, "%s: there is no list \"%.60s\"", path, split);
    for (size_t i = 0; i < json_array_size(*ids); i++)
        if (!json_is_string(json_array_get(*ids, i)))
            return err_set(e, STATUS_BAD_FORMAT, "%s: \"%.60s\": entry %zu must be a text, not %s", path,
                           split, i, json_kind(json_array_get(*ids, i)));
    return STATUS_OK;
}

/* Leaves the records whose id is listed, in the order of the records. */
static enum status keep(struct record_list *l, const json_t *ids, struct err *e)
{
    struct dataset *d = l->dataset;
    struct text_map listed = { 0 };
    enum status st = STATUS_OK;
    bool is_new;
    size_t n = 0;

    for (size_t i = 0; st == STATUS_OK && i < json_array_size(ids); i++)
        st = text_map_put(&listed, json_string_value(json_array_get(ids, i)), i, NULL, &is_new, e);
    for (size_t i = 0; st == STATUS_OK && i < d->n; i++) {
        if (text_map_get(&listed, d->records[i].id) == NULL) continue;
        d->records[n] = d->records[i];
        d->records[n].index = (int64_t)n;
        n++;
    }
    if (st == STATUS_OK && n != listed.n)
        st = err_set(e, STATUS_BAD_FORMAT, "%s: of %zu listed questions only %zu are there",
                     d->benchmark->name, listed.n, n);
    d->n = n;
    text_map_free(&listed);
    return st;
}

static enum status read_all(struct record_list *l, const struct benchmark *b, struct err *e)
{
    const json_t *ids = NULL;
    json_t *root = NULL;
    enum status st = read_split(l, json_string_value(benchmark_option(b, "split")), &root, &ids, e);

    if (st == STATUS_OK) st = reader_rows_read_file(l, b->options, "annotation", e);
    if (st == STATUS_OK) st = keep(l, ids, e);
    json_decref(root);
    return st;
}

static enum status check(const struct benchmark *b, struct err *e)
{
    if (!json_is_string(benchmark_option(b, "split")))
        return err_set(e, STATUS_BAD_FORMAT, "\"split\" must name a list of the file \"splits\"");
    return reader_rows_check(b, e);
}

const struct reader reader_iconqa = {
    .name = "iconqa",
    .files = "annotation splits",
    .options = "split list only unique_ids id image question hint category kind group context choices "
               "answers answers_are",
    .check = check,
    .read = read_all,
};
