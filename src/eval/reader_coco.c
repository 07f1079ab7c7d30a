/*
 * reader_coco.c - COCO's instances and person_keypoints: what is where in an image.
 *
 *     {"images": [{"id", "file_name", "width", "height"}, ...], "categories": [{"id", "name"}, ...],
 *      "annotations": [{"image_id", "category_id", "bbox": [x, y, width, height], "area", "iscrowd", "keypoints": [51 numbers]}, ...]}
 *
 * "ask" in the options says what a question is:
 *     "image"      all things in an image; its text is empty
 *     "category"   all things of a category that is in the image; its text is the category's name
 *     "person"     a person whose joints are known; its text is where he is, [x1,y1,x2,y2] in parts of the padded square, as answers are
 */
#include "eval/padded_square.h"
#include "eval/reader_list.h"
#include "store/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct image {
    const char *id, *file;
    double width, height;
};

/* An annotation, and what it is sorted by. */
struct thing {
    size_t image, category, order;
    struct record_object object;
};

struct reading {
    struct record_list *l;
    const struct benchmark *b;
    const char *path;
    struct text_map image_index, category_index; /* id -> number */
    struct image *image;                         /* [n_images] */
    const char **category;                       /* [n_categories] names */
    struct thing *thing; /* [n_things], sorted by image, category, order in the file */
    size_t n_images, n_categories, n_things, capacity;
};

/* ---- values ---------------------------------------------------------------------------------------------------- */

static enum status need_text(const struct reading *r, const struct row *row, const char *key,
                             const char **text, struct err *e)
{
    enum status st = row_text(row, key, &r->l->dataset->arena, text, e);

    return st == STATUS_OK && *text == NULL ? row_error(row, e, "\"%s\" is absent", key) : st;
}

static enum status need_number(const struct row *row, const char *key, double min, double *x, struct err *e)
{
    const json_t *value = row_find(row, key);

    *x = json_number_value(value);
    if (!json_is_number(value) || !(*x >= min) || !(*x <= 1e9))
        return row_error(row, e, "\"%s\" must be a number of at least %g, not %s", key, min,
                         json_is_number(value) ? "another" : json_kind(value));
    return STATUS_OK;
}

/* The list with room for one more element behind its n, perhaps elsewhere; NULL: no memory, and the list is as it was. */
static void *make_room(void *list, size_t n, size_t *capacity, size_t size)
{
    void *larger;

    if (n < *capacity) return list;
    larger = reallocarray(list, *capacity == 0 ? 256 : 2 * *capacity, size);
    if (larger != NULL) *capacity = *capacity == 0 ? 256 : 2 * *capacity;
    return larger;
}

/* ---- the three lists ------------------------------------------------------------------------------------------- */

static enum status take_category(void *user, const struct row *row, struct err *e)
{
    struct reading *r = user;
    const char *id, *name;
    void *list = NULL;
    bool is_new;
    enum status st = need_text(r, row, "id", &id, e);

    if (st == STATUS_OK) st = need_text(r, row, "name", &name, e);
    if (st == STATUS_OK &&
        (list = make_room(r->category, r->n_categories, &r->capacity, sizeof *r->category)) != NULL)
        r->category = list;
    if (st == STATUS_OK && list == NULL) st = err_no_memory(e, "COCO\'s annotations");
    if (st == STATUS_OK) st = text_map_put(&r->category_index, id, r->n_categories, NULL, &is_new, e);
    if (st != STATUS_OK) return st;
    if (!is_new) return row_error(row, e, "the id %s was there before", id);
    r->category[r->n_categories++] = name;
    return STATUS_OK;
}

static enum status take_image(void *user, const struct row *row, struct err *e)
{
    struct reading *r = user;
    struct image image;
    void *list = NULL;
    bool is_new;
    enum status st = need_text(r, row, "id", &image.id, e);

    if (st == STATUS_OK) st = need_text(r, row, "file_name", &image.file, e);
    if (st == STATUS_OK) st = need_number(row, "width", 1, &image.width, e);
    if (st == STATUS_OK) st = need_number(row, "height", 1, &image.height, e);
    if (st == STATUS_OK && (list = make_room(r->image, r->n_images, &r->capacity, sizeof *r->image)) != NULL)
        r->image = list;
    if (st == STATUS_OK && list == NULL) st = err_no_memory(e, "COCO\'s annotations");
    if (st == STATUS_OK) st = text_map_put(&r->image_index, image.id, r->n_images, NULL, &is_new, e);
    if (st != STATUS_OK) return st;
    if (!is_new) return row_error(row, e, "the id %s was there before", image.id);
    r->image[r->n_images++] = image;
    return STATUS_OK;
}

/* The number of what an id in the annotation refers to. */
static enum status refer(const struct reading *r, const struct row *row, const char *key,
                         const struct text_map *index, size_t *number, struct err *e)
{
    struct arena *a = &r->l->dataset->arena;
    struct arena_mark mark = arena_mark(a);
    const char *id;
    const size_t *found;
    enum status st = need_text(r, row, key, &id, e);

    if (st != STATUS_OK) return st;
    found = text_map_get(index, id);
    if (found == NULL) return row_error(row, e, "\"%s\" is %.40s, which is not in the file", key, id);
    *number = *found;
    arena_reset(a, mark);
    return STATUS_OK;
}

static enum status read_box(const struct row *row, struct record_object *o, struct err *e)
{
    const json_t *crowd = row_find(row, "iscrowd");
    bool found;
    enum status st = row_numbers(row, "bbox", o->box, 4, &found, e);

    if (st == STATUS_OK && !found) st = row_error(row, e, "\"bbox\" is absent");
    if (st == STATUS_OK) st = need_number(row, "area", 0, &o->area, e);
    if (st != STATUS_OK) return st;
    if (o->box[2] < 0 || o->box[3] < 0)
        return row_error(row, e, "the box is %g by %g pixels", o->box[2], o->box[3]);
    o->box[2] += o->box[0];
    o->box[3] += o->box[1];
    o->crowd = json_integer_value(crowd) != 0;
    return STATUS_OK;
}

static enum status read_joints(const struct row *row, struct record_object *o, struct err *e)
{
    double x[3 * EVAL_JOINTS];
    bool found;
    enum status st = row_numbers(row, "keypoints", x, sizeof x / sizeof *x, &found, e);

    if (st != STATUS_OK || !found) return st;
    for (int i = 0; i < EVAL_JOINTS; i++) {
        memcpy(o->joint[i], x + (size_t)3 * (size_t)i, sizeof o->joint[i]);
        o->posed = o->posed || o->joint[i][2] > 0;
    }
    return STATUS_OK;
}

static enum status take_annotation(void *user, const struct row *row, struct err *e)
{
    struct reading *r = user;
    struct thing thing = { .order = r->n_things };
    void *list = NULL;
    enum status st = refer(r, row, "image_id", &r->image_index, &thing.image, e);

    if (st == STATUS_OK) st = refer(r, row, "category_id", &r->category_index, &thing.category, e);
    if (st == STATUS_OK) st = read_box(row, &thing.object, e);
    if (st == STATUS_OK) st = read_joints(row, &thing.object, e);
    if (st == STATUS_OK && (list = make_room(r->thing, r->n_things, &r->capacity, sizeof *r->thing)) != NULL)
        r->thing = list;
    if (st == STATUS_OK && list == NULL) st = err_no_memory(e, "COCO\'s annotations");
    if (st != STATUS_OK) return st;
    thing.object.category = r->category[thing.category];
    r->thing[r->n_things++] = thing;
    return STATUS_OK;
}

/* ---- questions ------------------------------------------------------------------------------------------------- */

/* Where a box of the image is, as answers say it. */
static const char *region_text(const struct reading *r, const struct image *image, const double *box)
{
    const struct record as_record = { .width = image->width, .height = image->height };
    struct padded_square s = padded_square_of(&as_record);

    return arena_printf(&r->l->dataset->arena, "[%.2f,%.2f,%.2f,%.2f]", (box[0] + s.dx) / s.side,
                        (box[1] + s.dy) / s.side, (box[2] + s.dx) / s.side, (box[3] + s.dy) / s.side);
}

/* A question about things [first, first + n) of one image. */
static enum status add(const struct reading *r, size_t number, size_t first, size_t n, const char *question,
                       struct err *e)
{
    const struct image *image = &r->image[number];
    const char *folder = json_string_value(benchmark_option(r->b, "folder"));
    struct arena *a = &r->l->dataset->arena;
    struct record_object *objects = arena_calloc(a, n, sizeof *objects);
    struct record *record;
    enum status st = record_add(r->l, &record, e);

    if (st != STATUS_OK) return st;
    record->id = image->id;
    record->image = arena_printf(a, "%s/%s", folder, image->file);
    record->question = question;
    record->width = image->width;
    record->height = image->height;
    if (objects == NULL || record->image == NULL || question == NULL)
        return err_no_memory(e, "an annotation");
    for (size_t i = 0; i < n; i++) objects[i] = r->thing[first + i].object;
    record->objects = objects;
    record->n_objects = n;
    return STATUS_OK;
}

/* The questions of one image, whose things are [first, end). */
static enum status ask_image(const struct reading *r, const char *ask, size_t number, size_t first,
                             size_t end, struct err *e)
{
    enum status st = STATUS_OK;

    if (strcmp(ask, "image") == 0) return add(r, number, first, end - first, "", e);
    for (size_t i = first, n; st == STATUS_OK && i < end; i += n) {
        const struct thing *thing = &r->thing[i];

        for (n = 1; strcmp(ask, "category") == 0 && i + n < end && thing[n].category == thing->category;) n++;
        if (strcmp(ask, "category") == 0)
            st = add(r, number, i, n, thing->object.category, e);
        else if (thing->object.posed && !thing->object.crowd)
            st = add(r, number, i, 1, region_text(r, &r->image[number], thing->object.box), e);
    }
    return st;
}

static int compare_things(const void *a, const void *b)
{
    const struct thing *x = a, *y = b;

    if (x->image != y->image) return x->image < y->image ? -1 : 1;
    if (x->category != y->category) return x->category < y->category ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static enum status ask_all(const struct reading *r, struct err *e)
{
    const char *ask = json_string_value(benchmark_option(r->b, "ask"));
    enum status st = STATUS_OK;

    for (size_t i = 0, first = 0, end; st == STATUS_OK && i < r->n_images; i++, first = end) {
        for (end = first; end < r->n_things && r->thing[end].image == i;) end++;
        st = ask_image(r, ask, i, first, end, e);
    }
    return st;
}

/* ---- the reader ------------------------------------------------------------------------------------------------ */

static enum status read_lists(struct reading *r, struct err *e)
{
    enum status st = rows_walk(r->path, "categories", take_category, r, e);

    r->capacity = 0;
    if (st == STATUS_OK) st = rows_walk(r->path, "images", take_image, r, e);
    r->capacity = 0;
    if (st == STATUS_OK) st = rows_walk(r->path, "annotations", take_annotation, r, e);
    if (st != STATUS_OK) return st;
    if (r->n_things > 0) qsort(r->thing, r->n_things, sizeof *r->thing, compare_things);
    return ask_all(r, e);
}

static enum status read_all(struct record_list *l, const struct benchmark *b, struct err *e)
{
    struct reading r = { .l = l, .b = b };
    enum status st = record_list_file(l, "annotation", false, &r.path, NULL, e);

    if (st == STATUS_OK) st = read_lists(&r, e);
    text_map_free(&r.image_index);
    text_map_free(&r.category_index);
    free(r.image);
    free(r.category);
    free(r.thing);
    return st;
}

static enum status check(const struct benchmark *b, struct err *e)
{
    const char *ask = json_string_value(benchmark_option(b, "ask"));

    if (!json_is_string(benchmark_option(b, "folder")))
        return err_set(e, STATUS_BAD_FORMAT, "\"folder\", in which the images lie, is absent or no text");
    if (ask == NULL ||
        (strcmp(ask, "image") != 0 && strcmp(ask, "category") != 0 && strcmp(ask, "person") != 0))
        return err_set(e, STATUS_BAD_FORMAT, "\"ask\" must be \"image\", \"category\" or \"person\"");
    return STATUS_OK;
}

const struct reader reader_coco = {
    .name = "coco",
    .files = "annotation",
    .options = "folder ask",
    .check = check,
    .read = read_all,
};
