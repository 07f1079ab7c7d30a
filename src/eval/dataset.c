/*
 * dataset.c - the records of a benchmark: what readers put them into, and what is counted when they are all there.
 *
 *   benchmark ── its reader ── record_add ... ── counts, digest ── dataset
 */
#include "core/file.h"
#include "eval/metric.h"
#include "eval/record_list.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what readers use ------------------------------------------------------------------------------------------ */

enum status record_add(struct record_list *l, struct record **r, struct err *e)
{
    struct dataset *d = l->dataset;

    if (d->n == l->capacity) {
        size_t capacity = l->capacity == 0 ? 256 : 2 * l->capacity;
        struct record *records = reallocarray(d->records, capacity, sizeof *records);

        if (records == NULL) return err_no_memory(e, "the records of a benchmark");
        d->records = records;
        l->capacity = capacity;
    }
    *r = &d->records[d->n];
    **r = (struct record){ .index = (int64_t)d->n++, .id = "", .image = "", .question = "" };
    return STATUS_OK;
}

enum status record_note_id(struct record_list *l, const struct record *r, bool *is_new, struct err *e)
{
    return text_map_put(&l->ids, r->id, (size_t)r->index, NULL, is_new, e);
}

enum status record_list_remark(struct record_list *l, struct err *e, const char *fmt, ...)
{
    struct dataset *d = l->dataset;
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    d->remarks = d->remarks == NULL ? arena_strdup(&d->arena, text)
                                    : arena_printf(&d->arena, "%s\n%s", d->remarks, text);
    return d->remarks != NULL ? STATUS_OK : err_no_memory(e, "a remark");
}

/* *path: the file that `name` (a JSON string) means, or NULL, and then what was looked for is in *wanted. */
static enum status find_file(struct record_list *l, const json_t *name, const char **path,
                             const char **wanted, struct err *e)
{
    const struct record as_image = { .image = json_string_value(name) };

    *path = record_image_path(&as_image, l->data, &l->dataset->arena, wanted);
    return *wanted != NULL ? STATUS_OK : err_no_memory(e, "a file's name");
}

enum status record_list_file(struct record_list *l, const char *name, bool optional, const char **path,
                             const char **named, struct err *e)
{
    const struct benchmark *b = l->dataset->benchmark;
    const json_t *names = json_object_get(b->files, name);
    const char *wanted = "", *other = "";
    size_t n = json_is_array(names) ? json_array_size(names) : 1;

    *path = NULL;
    for (size_t i = 0; i < n && *path == NULL; i++) {
        const json_t *one = json_is_array(names) ? json_array_get(names, i) : names;
        enum status st = find_file(l, one, path, i == 0 ? &wanted : &other, e);

        if (st != STATUS_OK) return st;
        if (named != NULL) *named = json_string_value(one);
    }
    if (*path != NULL || optional) return STATUS_OK;
    return err_set(e, STATUS_NOT_FOUND, "%s: %s (the benchmark's \"%s\") is not there%s", b->name, wanted,
                   name, n > 1 ? ", nor under its other names" : "");
}

/* ---- what is counted ------------------------------------------------------------------------------------------- */

static enum status count_images(struct dataset *d, struct err *e)
{
    struct text_map images = { 0 };
    enum status st = STATUS_OK;

    for (size_t i = 0; st == STATUS_OK && i < d->n; i++) {
        bool is_new;

        if (d->records[i].image[0] != '\0')
            st = text_map_put(&images, d->records[i].image, i, NULL, &is_new, e);
    }
    d->n_images = images.n;
    text_map_free(&images);
    return st;
}

static enum status count_unique(struct dataset *d, struct err *e)
{
    struct text_map keys = { 0 };
    struct arena scratch = { 0 };
    enum status st = STATUS_OK;

    for (size_t i = 0; st == STATUS_OK && i < d->n; i++) {
        const struct record *r = &d->records[i];
        const char *key = arena_printf(&scratch, "%s\n%s\n%s", r->image, r->question, r->id);
        bool is_new;

        st = key != NULL ? text_map_put(&keys, key, i, NULL, &is_new, e)
                         : err_no_memory(e, "counting records");
    }
    d->n_unique = keys.n;
    text_map_free(&keys);
    arena_free(&scratch);
    return st;
}

/* ---- the digest ------------------------------------------------------------------------------------------------ */

static void digest_optional(struct digest_maker *m, const char *text)
{
    digest_number(m, text != NULL);
    if (text != NULL) digest_text(m, text);
}

static void digest_texts(struct digest_maker *m, const char *const *text, size_t n)
{
    digest_number(m, (int64_t)n);
    for (size_t i = 0; i < n; i++) digest_text(m, text[i]);
}

static void digest_objects(struct digest_maker *m, const struct record *r)
{
    digest_number(m, (int64_t)r->n_objects);
    for (size_t i = 0; i < r->n_objects; i++) {
        const struct record_object *o = &r->objects[i];

        digest_text(m, o->category);
        digest_add(m, o->box, sizeof o->box);
        digest_add(m, &o->area, sizeof o->area);
        digest_number(m, o->crowd);
        digest_number(m, o->posed);
        if (o->posed) digest_add(m, o->joint, sizeof o->joint);
    }
}

static void digest_record(struct digest_maker *m, const struct record *r)
{
    digest_text(m, r->id);
    digest_text(m, r->image);
    digest_number(m, (int64_t)r->image_size);
    if (r->image_data != NULL) digest_add(m, r->image_data, r->image_size);
    digest_text(m, r->question);
    digest_optional(m, r->hint);
    digest_texts(m, r->choices, r->n_choices);
    digest_texts(m, r->answers, r->n_answers);
    digest_number(m, r->answer_same != NULL);
    if (r->answer_same != NULL) digest_add(m, r->answer_same, r->n_answers);
    digest_optional(m, r->category);
    digest_optional(m, r->kind);
    digest_optional(m, r->group);
    digest_optional(m, r->context);
    digest_number(m, r->has_box);
    if (r->has_box) digest_add(m, r->box, sizeof r->box);
    digest_add(m, &r->width, sizeof r->width);
    digest_add(m, &r->height, sizeof r->height);
    digest_objects(m, r);
}

static enum status make_digest(struct dataset *d, struct err *e)
{
    const struct benchmark *b = d->benchmark;
    char *options = b->options != NULL ? json_dumps(b->options, JSON_COMPACT | JSON_SORT_KEYS) : strdup("");
    struct digest_maker m;

    if (options == NULL) return err_no_memory(e, "a benchmark's digest");
    digest_begin(&m);
    digest_text(&m, b->metric->name);
    digest_text(&m, options);
    digest_text(&m, b->prompt);
    digest_text(&m, b->answer_prefix);
    digest_number(&m, b->max_tokens);
    digest_number(&m, (int64_t)d->n);
    for (size_t i = 0; i < d->n; i++) digest_record(&m, &d->records[i]);
    digest_end(&m, &d->digest);
    free(options);
    return STATUS_OK;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

enum status dataset_read(struct dataset *d, const struct benchmark *b, const char *data, struct err *e)
{
    struct record_list l = { .dataset = d, .data = data };
    enum status st;

    *d = (struct dataset){ .benchmark = b };
    st = b->reader->read(&l, b, e);
    if (st == STATUS_OK && d->n == 0)
        st = err_set(e, STATUS_BAD_FORMAT, "%s: its files hold no question", b->name);
    if (st == STATUS_OK) st = count_images(d, e);
    if (st == STATUS_OK) st = count_unique(d, e);
    if (st == STATUS_OK) st = make_digest(d, e);
    text_map_free(&l.ids);
    if (st != STATUS_OK) dataset_free(d);
    return st;
}

void dataset_free(struct dataset *d)
{
    free(d->records);
    arena_free(&d->arena);
    *d = (struct dataset){ 0 };
}
