/*
 * world_files.c - see world_files.h.
 *
 * All files are lists that grow. COCO's file is three lists in one: its images and annotations go to files of their own, the names of its
 * categories into a tree, and at the end they are put together.
 */
#include "synth/world_files.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "synth/world_masks.h"

/* Conversations; records of the unified form, or COCO's annotations; COCO's images. */
enum { LIST_RECORDS, LIST_TRUTH, LIST_IMAGES, LISTS };

#define MIX "mix" /* the file of conversations about several tasks */

#define MASKS "annotations/masks"

static const char *const mask_lists[2] = { MASKS ".images", MASKS ".objects" };

struct list {
    struct file_writer w;
    bool begun;
};

struct world_files {
    const struct world_options *o;
    char *folder;
    struct list list[TASK_COUNT][LISTS];
    struct list conversations; /* of several turns */
    struct list masks[2];      /* COCO's images and annotations of masks.json */
    size_t n_masks;
    void *names[TASK_COUNT]; /* trees of malloc'ed texts */
    size_t n[TASK_COUNT];
};

static bool is_coco(enum task task)
{
    return task_rows[task].scoring == SCORING_OBJECTS || task_rows[task].scoring == SCORING_POSE;
}

static bool is_wanted(const struct world_options *o, enum task task, int kind)
{
    if (kind == LIST_RECORDS) return o->task[task] && o->turns == 1;
    return o->task[task] && o->split != SPLIT_TRAIN && (kind != LIST_IMAGES || is_coco(task));
}

/* "FOLDER/eval/det.images", malloc'ed; NULL: no memory. */
static char *file_path(const struct world_files *f, const char *below, enum task task, const char *ending)
{
    struct prose path = { 0 };

    prose_add(&path, "%s/%s/%s%s", f->folder, below, task_rows[task].name, ending);
    if (path.failed) prose_free(&path);
    return path.text;
}

static char *list_path(const struct world_files *f, enum task task, int kind)
{
    if (kind == LIST_RECORDS) return file_path(f, "annotations", task, ".json");
    if (kind == LIST_IMAGES) return file_path(f, "eval", task, ".images");
    return file_path(f, "eval", task, is_coco(task) ? ".objects" : ".json");
}

/* ---- lists ----------------------------------------------------------------------------------------------------- */

static enum status list_open(struct world_files *f, enum task task, int kind, struct err *e)
{
    char *path = list_path(f, task, kind);
    enum status st =
        path != NULL ? file_writer_open(&f->list[task][kind].w, path, e) : err_no_memory(e, "a file's name");

    free(path);
    return st;
}

static enum status open_named(struct world_files *f, struct list *l, const char *name, struct err *e)
{
    char *path = path_join(f->folder, name);
    enum status st = path != NULL ? file_writer_open(&l->w, path, e) : err_no_memory(e, "a file's name");

    free(path);
    return st;
}

/* Elements, each with ",\n" behind, of which the last is held back until more comes. */
static enum status list_put(struct list *l, const struct prose *elements, struct err *e)
{
    enum status st;

    if (elements->n == 0) return STATUS_OK;
    st = file_writer_put(&l->w, l->begun ? ",\n" : "[\n", 2, e);
    l->begun = true;
    return st == STATUS_OK ? file_writer_put(&l->w, elements->text, elements->n - 2, e) : st;
}

static enum status list_end(struct list *l, struct err *e)
{
    const char *end = l->begun ? "\n]\n" : "[]\n";
    enum status st = file_writer_put(&l->w, end, strlen(end), e);

    return st == STATUS_OK ? file_writer_commit(&l->w, e) : st;
}

/* ---- names of categories --------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Names, a line each. */
static enum status add_names(void **tree, const struct prose *names, struct err *e)
{
    for (const char *line = prose_text(names); *line != '\0';) {
        size_t n = strcspn(line, "\n");
        char *name = strndup(line, n), **found = name != NULL ? tsearch(name, tree, compare_names) : NULL;

        if (found == NULL || *found != name) free(name);
        if (found == NULL) return err_no_memory(e, "the names of categories");
        line += n + 1;
    }
    return STATUS_OK;
}

static void write_name(const void *node, VISIT visit, void *user)
{
    struct prose *out = user;

    if (visit != postorder && visit != leaf) return;
    prose_add(out, "%s{\"id\": ", out->n > 0 ? ",\n" : "");
    prose_add_json(out, *(char *const *)node);
    prose_add(out, ", \"name\": ");
    prose_add_json(out, *(char *const *)node);
    prose_add(out, "}");
}

/* ---- COCO ------------------------------------------------------------------------------------------------------ */

static enum status put_text(struct file_writer *w, const char *text, struct err *e)
{
    return file_writer_put(w, text, strlen(text), e);
}

/* Appends a list's file, and removes it. path NULL: no memory. */
static enum status move_list(const char *path, struct file_writer *w, struct err *e)
{
    struct file_map map = { 0 };
    enum status st = path != NULL ? file_map_open(&map, path, e) : err_no_memory(e, "a file's name");

    if (st == STATUS_OK) st = file_writer_put(w, map.data, map.size, e);
    file_map_close(&map);
    if (path != NULL) unlink(path);
    return st;
}

/* COCO's file: three lists in one. `path` is freed; a path that is NULL: no memory. */
static enum status join_lists(char *path, const char *images, const struct prose *categories,
                              const char *objects, struct err *e)
{
    struct file_writer w = { 0 };
    enum status st = path != NULL ? file_writer_open(&w, path, e) : err_no_memory(e, "a file's name");

    if (st == STATUS_OK && categories->failed) st = err_no_memory(e, "the names of categories");
    if (st == STATUS_OK) st = put_text(&w, "{\"images\": ", e);
    if (st == STATUS_OK) st = move_list(images, &w, e);
    if (st == STATUS_OK) st = put_text(&w, ", \"categories\": [\n", e);
    if (st == STATUS_OK) st = put_text(&w, prose_text(categories), e);
    if (st == STATUS_OK) st = put_text(&w, "\n], \"annotations\": ", e);
    if (st == STATUS_OK) st = move_list(objects, &w, e);
    if (st == STATUS_OK) st = put_text(&w, "}\n", e);
    if (st == STATUS_OK) st = file_writer_commit(&w, e);
    file_writer_abort(&w);
    free(path);
    return st;
}

static enum status join_coco(const struct world_files *f, enum task task, struct err *e)
{
    struct prose names = { 0 };
    char *images = list_path(f, task, LIST_IMAGES), *objects = list_path(f, task, LIST_TRUTH);
    enum status st;

    twalk_r(f->names[task], write_name, &names);
    st = join_lists(file_path(f, "eval", task, ".json"), images, &names, objects, e);
    free(images);
    free(objects);
    prose_free(&names);
    return st;
}

static enum status join_masks(struct world_files *f, struct err *e)
{
    struct prose names = { 0 };
    char *lists[2] = { path_join(f->folder, mask_lists[0]), path_join(f->folder, mask_lists[1]) };
    enum status st = list_end(&f->masks[0], e);

    masks_categories_write(&names);
    if (st == STATUS_OK) st = list_end(&f->masks[1], e);
    if (st == STATUS_OK) st = join_lists(path_join(f->folder, MASKS ".json"), lists[0], &names, lists[1], e);
    free(lists[0]);
    free(lists[1]);
    prose_free(&names);
    return st;
}

/* ---- what stands in them --------------------------------------------------------------------------------------- */

static enum status write_file(const struct world_files *f, const char *name, const struct prose *text,
                              struct err *e)
{
    struct file_writer w = { 0 };
    char *path = path_join(f->folder, name);
    enum status st = path != NULL && !text->failed ? file_writer_open(&w, path, e) : err_no_memory(e, name);

    if (st == STATUS_OK) st = put_text(&w, prose_text(text), e);
    if (st == STATUS_OK) st = file_writer_commit(&w, e);
    file_writer_abort(&w);
    free(path);
    return st;
}

static void write_entry(struct prose *out, const char *name)
{
    prose_add(
        out, "  - path: 'annotations/%s.json'\n    type: 'image_text'\n    root: 'images/'\n    ratio: 1.0\n",
        name);
}

static enum status write_meta(const struct world_files *f, struct err *e)
{
    struct prose text = { 0 };
    enum status st;

    prose_add(&text, "# %zu scenes of the split %s, seed %llu, drawn by sphinx synth\nMETA:\n", f->o->count,
              split_names[f->o->split], (unsigned long long)f->o->seed);
    if (f->conversations.begun) write_entry(&text, MIX);
    for (enum task t = 0; t < TASK_COUNT && f->o->turns == 1; t++) {
        if (f->n[t] > 0) write_entry(&text, task_rows[t].name);
    }
    st = write_file(f, "meta.yaml", &text, e);
    prose_free(&text);
    return st;
}

/* The metric's options; and for COCO's form, what is asked. */
static void write_options(struct prose *out, enum task task)
{
    if (is_coco(task))
        prose_add(out, "{\"folder\": \"images\", \"ask\": \"%s\"}",
                  task == TASK_DET    ? "category"
                  : task == TASK_POSE ? "person"
                                      : "image");
    else if (task_rows[task].scoring == SCORING_BOX)
        prose_add(out, "{\"box\": \"gt_answers\"}");
    else
        prose_add(out, "{\"category\": \"{type}\"}");
}

static enum status write_benchmarks(const struct world_files *f, struct err *e)
{
    struct prose text = { 0 };
    const char *separator = "{\n";
    enum status st;

    for (enum task t = 0; t < TASK_COUNT; t++) {
        const struct task_row *row = &task_rows[t];

        if (f->n[t] == 0) continue;
        prose_add(&text, "%s  \"synth_%s\": {\n    \"title\": \"Synth %s\",\n    \"reader\": \"%s\",\n",
                  separator, row->name, row->title, is_coco(t) ? "coco" : "unified");
        prose_add(&text, "    \"files\": {\"annotation\": \"eval/%s.json\"},\n    \"prompt\": ", row->name);
        prose_add_json(&text, row->prompt);
        if (row->answer_prefix[0] != '\0') {
            prose_add(&text, ",\n    \"answer_prefix\": ");
            prose_add_json(&text, row->answer_prefix);
        }
        prose_add(&text,
                  ",\n    \"max_tokens\": %d,\n    \"metric\": \"%s\",\n    \"options\": ", row->max_tokens,
                  row->metric);
        write_options(&text, t);
        prose_add(&text, "\n  }");
        separator = ",\n";
    }
    prose_add(&text, "\n}\n");
    st = write_file(f, "benchmarks.json", &text, e);
    prose_free(&text);
    return st;
}

/* ---- all files ------------------------------------------------------------------------------------------------- */

enum status world_files_open(struct world_files **files, const char *folder, const struct world_options *o,
                             struct err *e)
{
    struct world_files *f = calloc(1, sizeof *f);
    enum status st = STATUS_OK;

    *files = f;
    if (f == NULL) return err_no_memory(e, "a data set's files");
    f->o = o;
    f->folder = strdup(folder);
    if (f->folder == NULL) return err_no_memory(e, "a data set's files");
    for (enum task t = 0; t < TASK_COUNT; t++) {
        for (int kind = 0; kind < LISTS && st == STATUS_OK; kind++) {
            if (is_wanted(o, t, kind)) st = list_open(f, t, kind, e);
        }
    }
    if (st == STATUS_OK && o->turns > 1) st = open_named(f, &f->conversations, "annotations/" MIX ".json", e);
    for (int i = 0; i < 2 && st == STATUS_OK && o->masks; i++)
        st = open_named(f, &f->masks[i], mask_lists[i], e);
    return st;
}

enum status world_files_put(struct world_files *f, const struct scene_texts *texts, struct err *e)
{
    enum status st = STATUS_OK;

    for (enum task t = 0; t < TASK_COUNT && st == STATUS_OK; t++) {
        f->n[t] += texts->n[t];
        st = list_put(&f->list[t][LIST_RECORDS], &texts->record[t], e);
        if (st == STATUS_OK) st = list_put(&f->list[t][LIST_TRUTH], &texts->truth[t], e);
        if (st == STATUS_OK) st = list_put(&f->list[t][LIST_IMAGES], &texts->image[t], e);
        if (st == STATUS_OK) st = add_names(&f->names[t], &texts->names[t], e);
    }
    if (st == STATUS_OK) st = list_put(&f->conversations, &texts->conversations, e);
    if (st != STATUS_OK || !f->o->masks) return st;
    f->n_masks += texts->n_masks;
    st = list_put(&f->masks[0], &texts->masks_image, e);
    return st == STATUS_OK ? list_put(&f->masks[1], &texts->masks, e) : st;
}

/* A task of which no scene had a question has no files. */
static enum status end_task(struct world_files *f, enum task task, struct err *e)
{
    enum status st = STATUS_OK;

    for (int kind = 0; kind < LISTS && st == STATUS_OK; kind++) {
        if (f->n[task] == 0)
            file_writer_abort(&f->list[task][kind].w);
        else if (is_wanted(f->o, task, kind))
            st = list_end(&f->list[task][kind], e);
    }
    if (st == STATUS_OK && f->n[task] > 0 && is_wanted(f->o, task, LIST_IMAGES)) st = join_coco(f, task, e);
    return st;
}

enum status world_files_finish(struct world_files *f, struct world_result *result, struct err *e)
{
    enum status st = STATUS_OK;

    for (enum task t = 0; t < TASK_COUNT && st == STATUS_OK; t++) st = end_task(f, t, e);
    if (st == STATUS_OK && f->o->turns > 1) st = list_end(&f->conversations, e);
    if (st == STATUS_OK && f->o->masks) st = join_masks(f, e);
    if (st == STATUS_OK) st = write_meta(f, e);
    if (st == STATUS_OK && f->o->split != SPLIT_TRAIN) st = write_benchmarks(f, e);
    memcpy(result->n_questions, f->n, sizeof f->n);
    result->n_masks = f->n_masks;
    return st;
}

void world_files_close(struct world_files *f)
{
    if (f == NULL) return;
    for (enum task t = 0; t < TASK_COUNT; t++) {
        for (int kind = 0; kind < LISTS; kind++) file_writer_abort(&f->list[t][kind].w);
        tdestroy(f->names[t], free);
    }
    file_writer_abort(&f->conversations.w);
    for (int i = 0; i < 2; i++) file_writer_abort(&f->masks[i].w);
    free(f->folder);
    free(f);
}
