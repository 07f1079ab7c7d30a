/* mask_data.c - see mask_data.h. */
#include "train/mask_data.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "image/image.h"
#include "train/data_config.h"

/* One file while it is read. */
struct reading {
    struct mask_data *d;
    const struct data_entry *entry;
    json_t *images, *annotations; /* lists, borrowed */
    struct found {
        json_int_t id;
        size_t picture;            /* of the file */
    } * found;                     /* [n_images] sorted by id */
    struct mask_picture *pictures; /* [n_images] */
    struct mask *masks;            /* [n_annotations] each picture's side by side */
    size_t *of;                    /* [n_annotations] which picture; SIZE_MAX: a crowd, left out */
    struct err *e;
};

static enum status refuse(const struct reading *r, const char *list, size_t record, const char *why)
{
    return err_set(r->e, STATUS_BAD_FORMAT, "%s: %s, record %zu: %s", r->entry->path, list, record, why);
}

/* ---- pictures ---------------------------------------------------------------------------------------------- */

static int compare_found(const void *a, const void *b)
{
    const struct found *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static enum status read_picture(struct reading *r, size_t i)
{
    struct mask_picture *p = &r->pictures[i];
    json_int_t width, height;
    const char *name;
    char *path;

    if (json_unpack(json_array_get(r->images, i), "{s:I, s:s, s:I, s:I}", "id", &r->found[i].id, "file_name",
                    &name, "width", &width, "height", &height) != 0)
        return refuse(r, "images", i, "want \"id\", \"file_name\", \"width\" and \"height\"");
    if (width < 1 || height < 1 || width > IMG_SIDE_MAX || height > IMG_SIDE_MAX ||
        (size_t)width * (size_t)height > IMG_PIXELS_MAX)
        return refuse(r, "images", i, "\"width\" and \"height\" are not those of a picture");
    path = path_join(r->entry->root, name);
    *p = (struct mask_picture){ .width = (int)width, .height = (int)height };
    if (path != NULL) p->path = arena_strdup(&r->d->arena, path);
    free(path);
    r->found[i].picture = i;
    return p->path != NULL ? STATUS_OK : err_no_memory(r->e, "a picture's name");
}

static enum status read_pictures(struct reading *r)
{
    size_t n = json_array_size(r->images);
    enum status st = STATUS_OK;

    for (size_t i = 0; i < n && st == STATUS_OK; i++) st = read_picture(r, i);
    if (st != STATUS_OK || n == 0) return st;
    qsort(r->found, n, sizeof *r->found, compare_found);
    for (size_t i = 1; i < n; i++) {
        if (r->found[i].id == r->found[i - 1].id)
            return refuse(r, "images", r->found[i].picture, "its \"id\" is another one's, too");
    }
    return STATUS_OK;
}

/* ---- masks ------------------------------------------------------------------------------------------------- */

static enum status find_picture(struct reading *r, size_t i)
{
    const json_t *record = json_array_get(r->annotations, i), *id = json_object_get(record, "image_id");
    struct found key = { .id = json_integer_value(id) }, *found = NULL;

    r->of[i] = SIZE_MAX;
    if (json_integer_value(json_object_get(record, "iscrowd")) != 0) return STATUS_OK;
    if (json_is_integer(id))
        found = bsearch(&key, r->found, json_array_size(r->images), sizeof key, compare_found);
    if (found == NULL) return refuse(r, "annotations", i, "want the \"id\" of an image as \"image_id\"");
    r->of[i] = found->picture;
    r->pictures[found->picture].n++;
    return STATUS_OK;
}

static enum status read_mask(struct reading *r, size_t i, struct mask *m)
{
    const struct mask_picture *p = &r->pictures[r->of[i]];
    json_int_t height, width;
    const char *counts;
    double *b = m->box;

    if (json_unpack(json_array_get(r->annotations, i), "{s:[F, F, F, F], s:{s:[I, I], s:s}}", "bbox", &b[0],
                    &b[1], &b[2], &b[3], "segmentation", "size", &height, &width, "counts", &counts) != 0)
        return refuse(r, "annotations", i,
                      "want \"bbox\" of 4 numbers and \"segmentation\" with \"size\" and \"counts\" as text");
    if (height != p->height || width != p->width)
        return refuse(r, "annotations", i, "its mask is not of its picture's size");
    if (!(b[0] >= 0 && b[1] >= 0 && b[2] > 0 && b[3] > 0 && b[0] + b[2] <= (double)p->width &&
          b[1] + b[3] <= (double)p->height))
        return refuse(r, "annotations", i, "its \"bbox\" is not a box within its picture");
    b[2] += b[0];
    b[3] += b[1];
    m->counts = arena_strdup(&r->d->arena, counts);
    return m->counts != NULL ? STATUS_OK : err_no_memory(r->e, "a mask");
}

/* The masks of a picture stand side by side, in the order of the file. */
static enum status read_masks(struct reading *r)
{
    size_t n = json_array_size(r->annotations), n_images = json_array_size(r->images), at = 0;
    enum status st = STATUS_OK;

    for (size_t i = 0; i < n && st == STATUS_OK; i++) st = find_picture(r, i);
    for (size_t i = 0; i < n_images; i++) {
        r->pictures[i].masks = r->masks + at;
        at += r->pictures[i].n;
        r->pictures[i].n = 0;
    }
    for (size_t i = 0; i < n && st == STATUS_OK; i++) {
        struct mask_picture *p = r->of[i] != SIZE_MAX ? &r->pictures[r->of[i]] : NULL;

        if (p != NULL) st = read_mask(r, i, &r->masks[(size_t)(p->masks - r->masks) + p->n++]);
    }
    return st;
}

/* ---- files ------------------------------------------------------------------------------------------------- */

static enum status read_lists(struct reading *r)
{
    size_t n_images = json_array_size(r->images), n = json_array_size(r->annotations);
    struct mask_data *d = r->d;
    struct mask_picture *all;
    enum status st;

    r->found = calloc(n_images + 1, sizeof *r->found);
    r->of = calloc(n + 1, sizeof *r->of);
    r->pictures = calloc(n_images + 1, sizeof *r->pictures);
    r->masks = arena_calloc(&d->arena, n + 1, sizeof *r->masks);
    if (r->found == NULL || r->of == NULL || r->pictures == NULL || r->masks == NULL)
        return err_no_memory(r->e, r->entry->path);
    st = read_pictures(r);
    if (st == STATUS_OK) st = read_masks(r);
    if (st != STATUS_OK) return st;
    all = realloc(d->pictures, (d->n + n_images + 1) * sizeof *all);
    if (all == NULL) return err_no_memory(r->e, r->entry->path);
    d->pictures = all;
    for (size_t i = 0; i < n_images; i++) {
        if (r->pictures[i].n == 0) continue;
        d->pictures[d->n++] = r->pictures[i];
        d->n_masks += r->pictures[i].n;
    }
    return STATUS_OK;
}

static enum status read_file(struct mask_data *d, const struct data_entry *entry, struct err *e)
{
    struct reading r = { .d = d, .entry = entry, .e = e };
    struct file_map map = { 0 };
    json_error_t problem;
    json_t *root;
    enum status st = file_map_open(&map, entry->path, e);

    if (st != STATUS_OK) return st;
    root = json_loadb((const char *)map.data, map.size, JSON_REJECT_DUPLICATES, &problem);
    file_map_close(&map);
    r.images = json_object_get(root, "images");
    r.annotations = json_object_get(root, "annotations");
    if (root == NULL)
        st = err_set(e, STATUS_BAD_FORMAT, "%s: line %d: %s", entry->path, problem.line, problem.text);
    else if (!json_is_array(r.images) || !json_is_array(r.annotations))
        st = err_set(e, STATUS_BAD_FORMAT,
                     "%s: a segmenter learns from COCO's instances: want the lists \"images\" and "
                     "\"annotations\"",
                     entry->path);
    else
        st = read_lists(&r);
    free(r.found);
    free(r.of);
    free(r.pictures);
    json_decref(root);
    return st;
}

static void take_digest(struct mask_data *d)
{
    struct digest_maker m;

    digest_begin(&m);
    for (size_t i = 0; i < d->n; i++) {
        const struct mask_picture *p = &d->pictures[i];

        digest_text(&m, path_base(p->path));
        digest_number(&m, (int64_t)p->n);
        for (size_t k = 0; k < p->n; k++) digest_text(&m, p->masks[k].counts);
    }
    digest_end(&m, &d->digest);
}

enum status mask_data_open(struct mask_data *d, const char *path, struct err *e)
{
    struct data_config config;
    enum status st = data_config_read(&config, path, e);

    *d = (struct mask_data){ .pictures = NULL };
    if (st != STATUS_OK) return st;
    for (size_t i = 0; i < config.n && st == STATUS_OK; i++) st = read_file(d, &config.entry[i], e);
    data_config_free(&config);
    if (st == STATUS_OK && d->n == 0)
        st = err_set(e, STATUS_BAD_FORMAT, "%s: no picture has a mask to learn from", path);
    if (st == STATUS_OK)
        take_digest(d);
    else
        mask_data_close(d);
    return st;
}

void mask_data_close(struct mask_data *d)
{
    free(d->pictures);
    arena_free(&d->arena);
    *d = (struct mask_data){ .pictures = NULL };
}
