/*
 * reader_mmbench.c - MMBench's tables, and CCBench's:
 *
 *     index  question  hint  A  B  C  D  answer  category  image ...           image: the file in base64, or the index of a row that has it
 *
 * "Circular" evaluation asks a question once for every rotation of its choices, and all answers must be right: they are one group. Some of the
 * published tables hold the rotations, at index + 1000000, + 2000000 and so on; of the others they are made here:
 *
 *     A. red  B. blue  C. green    answer B
 *     A. blue  B. green  C. red    answer A
 *     A. green  B. red  C. blue    answer C
 */
#include "eval/mapping.h"
#include "eval/reader_list.h"

#include <stdlib.h>
#include <string.h>

enum { ROTATION = 1000000, REFERENCE_MAX = 64 };

struct reading {
    struct record_list *l;
    json_t *options, *options_image; /* mappings: of rows without, and with an image */
};

/* ---- rows ------------------------------------------------------------------------------------------------------ */

static enum status check_row(const struct row *row, const struct record *r, struct err *e)
{
    const char *answer = r->answers[0];
    char *end;
    long index = strtol(r->id, &end, 10);

    if (*end != '\0' || index < 0)
        return row_error(row, e, "\"index\" must be a whole number, not \"%.40s\"", r->id);
    if (r->n_choices < 2) return row_error(row, e, "%zu choices, want at least A and B", r->n_choices);
    if (strlen(answer) != 1 || answer[0] < 'A' || (size_t)(answer[0] - 'A') >= r->n_choices)
        return row_error(row, e, "\"answer\" must be the letter of one of %zu choices, not \"%.40s\"",
                         r->n_choices, answer);
    return STATUS_OK;
}

static enum status take(void *user, const struct row *row, struct err *e)
{
    const struct reading *r = user;
    struct arena *a = &r->l->dataset->arena;
    const json_t *image = row_find(row, "image");
    bool has_file = json_string_length(image) > REFERENCE_MAX, is_new;
    struct record *record;
    enum status st = record_add(r->l, &record, e);

    if (st == STATUS_OK) st = mapping_apply(has_file ? r->options_image : r->options, row, a, record, e);
    if (st == STATUS_OK) st = check_row(row, record, e);
    if (st == STATUS_OK) st = has_file ? STATUS_OK : row_text(row, "image", a, &record->image, e);
    if (st == STATUS_OK) st = record_note_id(r->l, record, &is_new, e);
    if (st != STATUS_OK) return st;
    if (has_file) record->image = record->id;
    if (record->image == NULL || record->image[0] == '\0') return row_error(row, e, "there is no \"image\"");
    return is_new ? STATUS_OK : row_error(row, e, "the index \"%.40s\" was there before", record->id);
}

/* Rows that name another row's image get it. */
static enum status resolve_images(struct record_list *l, struct err *e)
{
    struct dataset *d = l->dataset;

    for (size_t i = 0; i < d->n; i++) {
        struct record *r = &d->records[i];
        const size_t *other = r->image_data == NULL ? text_map_get(&l->ids, r->image) : &i;

        if (other == NULL || d->records[*other].image_data == NULL ||
            d->records[*other].image != d->records[*other].id)
            return err_set(e, STATUS_BAD_FORMAT,
                           "%s: record %zu: its image is to be that of row \"%.40s\", which has none",
                           d->benchmark->name, i, r->image);
        if (*other == i) continue;
        r->image = d->records[*other].image;
        r->image_data = d->records[*other].image_data;
        r->image_size = d->records[*other].image_size;
    }
    return STATUS_OK;
}

/* ---- rotations ------------------------------------------------------------------------------------------------- */

static long index_of(const struct record *r)
{
    return strtol(r->id, NULL, 10);
}

static enum status name_groups(struct dataset *d, struct err *e)
{
    for (size_t i = 0; i < d->n; i++) {
        d->records[i].group = arena_printf(&d->arena, "%ld", index_of(&d->records[i]) % ROTATION);
        if (d->records[i].group == NULL) return err_no_memory(e, "an annotation");
    }
    return STATUS_OK;
}

/* `to` becomes `from` with its choices moved up by k places. */
static enum status rotate(struct record *to, const struct record *from, size_t k, struct arena *a,
                          struct err *e)
{
    size_t n = from->n_choices, answer = (size_t)(from->answers[0][0] - 'A');
    const char **choices = arena_calloc(a, n, sizeof *choices), **answers = arena_alloc(a, sizeof *answers);
    int64_t index = to->index;

    *to = *from;
    to->index = index;
    if (k == 0) return STATUS_OK;
    to->id = arena_printf(a, "%ld", index_of(from) + (long)k * ROTATION);
    if (choices == NULL || answers == NULL || to->id == NULL) return err_no_memory(e, "an annotation");
    for (size_t i = 0; i < n; i++) choices[i] = from->choices[(i + k) % n];
    answers[0] = arena_printf(a, "%c", (char)('A' + (answer + n - k) % n));
    if (answers[0] == NULL) return err_no_memory(e, "an annotation");
    to->choices = choices;
    to->answers = answers;
    return STATUS_OK;
}

/* All rotations of a question stand together. */
static enum status add_rotations(struct record_list *l, struct err *e)
{
    struct dataset *d = l->dataset;
    struct record *plain = d->records;
    size_t n_plain = d->n;
    enum status st = STATUS_OK;

    d->records = NULL;
    d->n = l->capacity = 0;
    for (size_t i = 0; st == STATUS_OK && i < n_plain; i++) {
        for (size_t k = 0; st == STATUS_OK && k < plain[i].n_choices; k++) {
            struct record *r;

            st = record_add(l, &r, e);
            if (st == STATUS_OK) st = rotate(r, &plain[i], k, &d->arena, e);
        }
    }
    free(plain);
    return st;
}

static enum status make_circular(struct record_list *l, struct err *e)
{
    const struct dataset *d = l->dataset;
    bool there = false;
    enum status st = name_groups(l->dataset, e);

    for (size_t i = 0; i < d->n; i++) there = there || index_of(&d->records[i]) >= ROTATION;
    return st != STATUS_OK || there ? st : add_rotations(l, e);
}

/* ---- the reader ------------------------------------------------------------------------------------------------ */

static json_t *mapping_of(const struct benchmark *b, const char *image)
{
    json_t *options =
        json_pack("{s:s, s:s, s:s, s:[s,s,s,s], s:s, s:s*}", "id", "{index}", "question", "{question}",
                  "hint", "{hint}", "choices", "A", "B", "C", "D", "answers", "answer", "image_data", image);

    if (options == NULL || b->options == NULL || json_object_update(options, b->options) == 0) return options;
    json_decref(options);
    return NULL;
}

static enum status read_all(struct record_list *l, const struct benchmark *b, struct err *e)
{
    const json_t *circular = benchmark_option(b, "circular");
    struct reading r = { .l = l, .options = mapping_of(b, NULL), .options_image = mapping_of(b, "image") };
    const char *path;
    enum status st = record_list_file(l, "annotation", false, &path, NULL, e);

    if (st == STATUS_OK && (r.options == NULL || r.options_image == NULL))
        st = err_no_memory(e, "an entry's options");
    if (st == STATUS_OK) st = rows_walk(path, "", take, &r, e);
    if (st == STATUS_OK) st = resolve_images(l, e);
    if (st == STATUS_OK && !json_is_false(circular)) st = make_circular(l, e);
    json_decref(r.options);
    json_decref(r.options_image);
    return st;
}

static enum status check(const struct benchmark *b, struct err *e)
{
    const json_t *circular = benchmark_option(b, "circular");

    if (circular != NULL && !json_is_boolean(circular))
        return err_set(e, STATUS_BAD_FORMAT, "\"circular\" must be true or false, not %s",
                       json_kind(circular));
    return mapping_check(b->options, e);
}

const struct reader reader_mmbench = {
    .name = "mmbench",
    .files = "annotation",
    .options = "circular question hint category kind choices",
    .check = check,
    .read = read_all,
};
