/*
 * reader_unified.c - the one form into which upstream has brought all its benchmarks:
 *
 *     [{"image_path": "data/coco/val2014/x.jpg", "question": "...", "question_id": 17, "dataset_name": "okvqa", "gt_answers": "legal"}, ...]
 *
 * The answer is a text; for referring expressions, which say so with "box": "gt_answers" in their options, it is x1, y1, x2, y2 in pixels, and
 * the id is the image's size: "height500_width333". "hint" and "choices" may be there, though no file of upstream's has them.
 */
#include "eval/reader_rows.h"

#include "eval/reader_list.h"

#include <stdlib.h>
#include <string.h>

/* What a file of this form holds, unless the entry says otherwise. */
static json_t *merged_options(const struct benchmark *b)
{
    json_t *options = json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", "{question_id}", "image", "{image_path}",
                                "question", "{question}", "hint", "{hint}", "choices", "choices");

    if (options == NULL) return NULL;
    if ((benchmark_option(b, "box") == NULL &&
         json_object_set_new(options, "answers", json_string("gt_answers")) != 0) ||
        (b->options != NULL && json_object_update(options, b->options) != 0)) {
        json_decref(options);
        return NULL;
    }
    return options;
}

/* A number of pixels behind `mark`, and where it ends. */
static const char *read_side(const char *text, const char *mark, double *side)
{
    size_t n = strlen(mark);
    unsigned long value;
    char *end;

    if (text == NULL || strncmp(text, mark, n) != 0 || text[n] < '1' || text[n] > '9') return NULL;
    value = strtoul(text + n, &end, 10);
    if (value > 1000000) return NULL;
    *side = (double)value;
    return end;
}

static enum status take_sizes(struct dataset *d, struct err *e)
{
    for (size_t i = 0; i < d->n; i++) {
        struct record *r = &d->records[i];
        const char *end = read_side(read_side(r->id, "height", &r->height), "_width", &r->width);

        if (end == NULL || *end != '\0')
            return err_set(e, STATUS_BAD_FORMAT,
                           "%s: record %zu: \"question_id\" must hold the image's size, as "
                           "\"height500_width333\", not \"%.60s\"",
                           d->benchmark->name, i, r->id);
    }
    return STATUS_OK;
}

static enum status read_all(struct record_list *l, const struct benchmark *b, struct err *e)
{
    json_t *options = merged_options(b);
    enum status st;

    if (options == NULL) return err_no_memory(e, "an entry's options");
    st = reader_rows_read(l, options, e);
    json_decref(options);
    if (st == STATUS_OK && benchmark_option(b, "box") != NULL) st = take_sizes(l->dataset, e);
    return st;
}

const struct reader reader_unified = {
    .name = "unified",
    .files = "*",
    .options = reader_rows_options,
    .check = reader_rows_check,
    .read = read_all,
};
