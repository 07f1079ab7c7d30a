/*
 * cmd_segment.c - masks of what boxes and points of a picture mean, by Segment Anything: as PNG, and as COCO's text.
 *
 * Each --box has a mask. Points belong to the one box there is or, without a box, together mean one thing.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "segment/mask_rle.h"
#include "segment/segment.h"

struct masks {
    struct settings *s;
    struct progress_bar bar;
    struct segmenter segmenter;
    struct image picture;
    struct sam_point *points;
    struct sam_prompt *prompts; /* [n] */
    size_t n;
    json_t *list;
};

static void on_warning(void *user, const char *text)
{
    progress_bar_clear(user);
    message("%s", text);
}

/* Numbers between commas; how many there were, or 0 where the text is none or has more than `most`. */
static int numbers_parse(const char *text, float *x, int most)
{
    int n = 0;

    for (const char *p = text;; p++) {
        char *end;

        if (n == most) return 0;
        x[n++] = strtof(p, &end);
        if (end == p || (*end != ',' && *end != '\0')) return 0;
        if (*end == '\0') return n;
        p = end;
    }
}

static int read_points(struct masks *m)
{
    struct settings *s = m->s;

    m->points = calloc(s->points.count + 1, sizeof *m->points);
    if (m->points == NULL) return fail("out of memory");
    for (size_t i = 0; i < s->points.count; i++) {
        float x[3] = { 0, 0, 1 };
        int n = numbers_parse(s->points.item[i], x, 3);

        if (n < 2 || (x[2] != 0 && x[2] != 1))
            return usage_error(s->command, "--point '%s': X,Y in pixels, or X,Y,0 for what is not meant",
                               s->points.item[i]);
        m->points[i] = (struct sam_point){ x[0], x[1], x[2] != 0 };
    }
    return CODE_OK;
}

static int read_prompts(struct masks *m)
{
    struct settings *s = m->s;
    int code;

    m->n = s->boxes.count > 0 ? s->boxes.count : 1;
    if (s->sam == NULL) return usage_error(s->command, "--sam FILE is missing");
    if (s->image == NULL) return usage_error(s->command, "--image FILE is missing");
    if (s->boxes.count + s->points.count == 0) return usage_error(s->command, "--box or --point is missing");
    if (s->boxes.count > 1 && s->points.count > 0)
        return usage_error(s->command, "--point goes with one --box, or with none");
    code = read_points(m);
    if (code != CODE_OK) return code;
    m->prompts = calloc(m->n, sizeof *m->prompts);
    if (m->prompts == NULL) return fail("out of memory");
    for (size_t i = 0; i < m->n; i++) {
        float x[4] = { 0 };

        m->prompts[i] = (struct sam_prompt){ .points = m->points, .n_points = s->points.count };
        if (s->boxes.count == 0) continue;
        if (numbers_parse(s->boxes.item[i], x, 4) != 4)
            return usage_error(s->command, "--box '%s': X1,Y1,X2,Y2 in pixels", s->boxes.item[i]);
        m->prompts[i].has_box = true;
        m->prompts[i].x1 = x[0];
        m->prompts[i].y1 = x[1];
        m->prompts[i].x2 = x[2];
        m->prompts[i].y2 = x[3];
    }
    return CODE_OK;
}

/* The file of mask i: as it was named or, of several, masks.png as masks-1.png, masks-2.png ... The caller frees; NULL: no memory. */
static char *mask_path(const struct masks *m, size_t i)
{
    const char *name = m->s->mask_out, *dot = strrchr(name, '.');
    size_t size = strlen(name) + 32;
    char *path = malloc(size);

    if (path == NULL) return NULL;
    if (dot == NULL || strchr(dot, '/') != NULL) dot = name + strlen(name);
    if (m->n == 1)
        snprintf(path, size, "%s", name);
    else
        snprintf(path, size, "%.*s-%zu%s", (int)(dot - name), name, i + 1, dot);
    return path;
}

/* White where the mask is. */
static enum status write_mask(const struct masks *m, const float *logits, const char *path, struct err *e)
{
    struct image im = { 0 };
    enum status st = img_init(&im, m->picture.width, m->picture.height, e);

    for (size_t i = 0; st == STATUS_OK && i < (size_t)im.width * (size_t)im.height; i++) {
        if (logits[i] > 0) memset(im.rgb + 3 * i, 255, 3);
    }
    if (st == STATUS_OK) st = img_png_write(&im, path, e);
    img_free(&im);
    return st;
}

static enum status add_mask(struct masks *m, size_t i, float *logits, struct err *e)
{
    const struct sam_prompt *p = &m->prompts[i];
    char *counts = NULL, *path = NULL;
    enum status st;
    json_t *mask = NULL;
    size_t area = 0;
    float iou = 0;

    st = segment_mask(&m->segmenter, p, logits, &iou, e);
    if (st == STATUS_OK) st = mask_rle_text(logits, m->picture.width, m->picture.height, &counts, &area, e);
    if (st == STATUS_OK && m->s->mask_out != NULL) {
        path = mask_path(m, i);
        st = path != NULL ? write_mask(m, logits, path, e) : err_no_memory(e, "a mask");
    }
    if (st == STATUS_OK) {
        mask = json_pack("{s:I, s:f, s:{s:[i,i], s:s}, s:s*}", "area", (json_int_t)area, "predicted_iou",
                         (double)iou, "segmentation", "size", m->picture.height, m->picture.width, "counts",
                         counts, "file", path);
        if (p->has_box && mask != NULL)
            json_object_set_new(
                mask, "box",
                json_pack("[f,f,f,f]", (double)p->x1, (double)p->y1, (double)p->x2, (double)p->y2));
        if (mask == NULL || json_array_append_new(m->list, mask) != 0) st = err_no_memory(e, "a mask");
    }
    free(counts);
    free(path);
    return st;
}

static enum status make_masks(struct masks *m, struct err *e)
{
    struct report report = { progress_bar_update, on_warning, &m->bar, interrupt_flag() };
    float *logits = NULL;
    enum status st = img_read(&m->picture, m->s->image, NULL, e);

    if (st == STATUS_OK)
        st = segment_open(&m->segmenter, m->s->sam, m->s->model.cpu, m->s->model.threads, &report, e);
    if (st == STATUS_OK) st = segment_picture(&m->segmenter, &m->picture, e);
    if (st == STATUS_OK) {
        logits = malloc((size_t)m->picture.width * (size_t)m->picture.height * sizeof *logits);
        m->list = json_array();
        if (logits == NULL || m->list == NULL) st = err_no_memory(e, "masks");
    }
    for (size_t i = 0; i < m->n && st == STATUS_OK; i++) st = add_mask(m, i, logits, e);
    free(logits);
    segment_close(&m->segmenter);
    progress_bar_clear(&m->bar);
    return st;
}

static int print_masks(const struct masks *m)
{
    size_t i;
    json_t *mask;

    if (m->s->json) {
        json_t *all = json_pack("{s:i, s:i, s:O}", "width", m->picture.width, "height", m->picture.height,
                                "masks", m->list);
        char *text = all != NULL ? json_dumps(all, JSON_REAL_PRECISION(7)) : NULL;

        if (text != NULL) output_printf("%s\n", text);
        json_decref(all);
        free(text);
        return text != NULL ? CODE_OK : fail("out of memory");
    }
    json_array_foreach(m->list, i, mask)
    {
        const char *path = json_string_value(json_object_get(mask, "file"));

        output_printf("mask %zu: %lld pixels, expected IoU %.3f%s%s\n", i + 1,
                      (long long)json_integer_value(json_object_get(mask, "area")),
                      json_real_value(json_object_get(mask, "predicted_iou")), path != NULL ? ", " : "",
                      path != NULL ? path : "");
    }
    return CODE_OK;
}

int cmd_segment(struct settings *s)
{
    struct masks m = { .s = s };
    struct err e = { 0 };
    enum status st;
    int code = read_prompts(&m);

    if (code == CODE_OK && s->mask_out != NULL) code = arguments_check_output("--mask-out", s->mask_out);
    if (code == CODE_OK) {
        progress_bar_init(&m.bar, s->quiet);
        interrupt_begin(NULL);
        st = make_masks(&m, &e);
        interrupt_end();
        code = st == STATUS_OK          ? print_masks(&m)
               : st == STATUS_CANCELLED ? CODE_INTERRUPTED
                                        : fail("%s", e.text);
    }
    json_decref(m.list);
    img_free(&m.picture);
    free(m.points);
    free(m.prompts);
    return code;
}
