/*
 * cmd_segment.c - masks of what boxes and points of a picture mean, by Segment Anything: as PNG, and as COCO's text.
 *
 * Each --box has a mask. Points belong to the one box there is or, without a box, together mean one thing.
 */
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/setup.h"
#include "core/file.h"
#include "image/image.h"

struct masks {
    struct settings *s;
    struct progress_bar bar;
    sphinx_segmenter *segmenter;
    sphinx_mask_point *points;
    double (*boxes)[4];
    sphinx_mask_prompt *prompts; /* [n] */
    size_t n;
    json_t *list;
};

static void on_progress(void *user, const char *stage, uint64_t done, uint64_t total)
{
    progress_bar_update(&((struct masks *)user)->bar, stage, done, total);
}

static void on_warning(void *user, const char *text)
{
    struct masks *m = user;

    if (m->s->quiet) return;
    progress_bar_clear(&m->bar);
    message("warning: %s", text);
}

/* ---- what is asked for ------------------------------------------------------------------------------------- */

/* Numbers between commas; how many there were, or 0 where the text is none or has more than `most`. */
static int numbers_parse(const char *text, double *x, int most)
{
    int n = 0;

    for (const char *p = text;; p++) {
        char *end;

        if (n == most) return 0;
        x[n++] = strtod(p, &end);
        if (end == p || (*end != ',' && *end != '\0')) return 0;
        if (*end == '\0') return n;
        p = end;
    }
}

static int read_points(struct masks *m)
{
    struct settings *s = m->s;

    for (size_t i = 0; i < s->points.count; i++) {
        double x[3] = { 0, 0, 1 };
        int n = numbers_parse(s->points.item[i], x, 3);

        if (n < 2 || (x[2] != 0 && x[2] != 1))
            return usage_error(s->command, "--point '%s': X,Y in pixels, or X,Y,0 for what is not meant",
                               s->points.item[i]);
        m->points[i] = (sphinx_mask_point){ x[0], x[1], x[2] == 0 };
    }
    return CODE_OK;
}

static int read_prompts(struct masks *m)
{
    struct settings *s = m->s;
    int code;

    m->n = s->boxes.count > 0 ? s->boxes.count : 1;
    m->points = calloc(s->points.count + 1, sizeof *m->points);
    m->boxes = calloc(m->n, sizeof *m->boxes);
    m->prompts = calloc(m->n, sizeof *m->prompts);
    if (m->points == NULL || m->boxes == NULL || m->prompts == NULL) return fail("out of memory");
    code = read_points(m);
    if (code != CODE_OK) return code;
    for (size_t i = 0; i < m->n; i++) {
        m->prompts[i] = (sphinx_mask_prompt){ .points = m->points, .n_points = s->points.count };
        if (s->boxes.count == 0) continue;
        if (numbers_parse(s->boxes.item[i], m->boxes[i], 4) != 4)
            return usage_error(s->command, "--box '%s': X1,Y1,X2,Y2 in pixels", s->boxes.item[i]);
        m->prompts[i].box = m->boxes[i];
    }
    return CODE_OK;
}

static int check(const struct settings *s)
{
    if (s->image == NULL) return usage_error(s->command, "--image FILE is missing");
    if (s->boxes.count + s->points.count == 0) return usage_error(s->command, "--box or --point is missing");
    if (s->boxes.count > 1 && s->points.count > 0)
        return usage_error(s->command, "--point goes with one --box, or with none");
    return s->mask_out != NULL ? arguments_check_output("--mask-out", s->mask_out) : CODE_OK;
}

/* ---- masks ------------------------------------------------------------------------------------------------- */

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

static json_t *mask_json(const sphinx_mask *mask, const double *box, const char *path)
{
    json_t *o = json_pack("{s:I, s:f, s:{s:[i,i], s:s}, s:s*}", "area", (json_int_t)mask->area,
                          "predicted_iou", mask->predicted_iou, "segmentation", "size", mask->height,
                          mask->width, "counts", mask->counts, "file", path);

    if (o != NULL && box != NULL)
        json_object_set_new(o, "box", json_pack("[f,f,f,f]", box[0], box[1], box[2], box[3]));
    return o;
}

static int keep_mask(struct masks *m, size_t i, const sphinx_mask *mask)
{
    char *path = m->s->mask_out != NULL ? mask_path(m, i) : NULL;
    sphinx_error error = { 0 };
    int code = CODE_OK;

    if (m->s->mask_out != NULL && path == NULL) code = fail("out of memory");
    if (path != NULL && sphinx_mask_write(mask, path, &error) != SPHINX_OK) code = fail("%s", error.text);
    if (code == CODE_OK && json_array_append_new(m->list, mask_json(mask, m->prompts[i].box, path)) != 0)
        code = fail("out of memory");
    free(path);
    return code;
}

static int failed(struct masks *m, const sphinx_error *error)
{
    progress_bar_clear(&m->bar);
    return error->code == SPHINX_CANCELLED ? CODE_INTERRUPTED : fail("%s", error->text);
}

static int look(struct masks *m)
{
    const char *path = m->s->image;
    unsigned char *data = NULL;
    sphinx_image *image = NULL;
    sphinx_error error = { 0 };
    struct err e = { 0 };
    sphinx_status status;
    size_t size = 0;

    if (file_read(path, IMG_FILE_SIZE_MAX, &data, &size, &e) != STATUS_OK) return fail("%s", e.text);
    status = sphinx_image_open(&image, data, size, strcmp(path, "-") == 0 ? "standard input" : path,
                               &m->s->session, &error);
    free(data);
    if (status == SPHINX_OK) status = sphinx_segmenter_image(m->segmenter, image, &error);
    sphinx_image_close(image);
    progress_bar_clear(&m->bar);
    return status == SPHINX_OK ? CODE_OK : failed(m, &error);
}

static int make_masks(struct masks *m)
{
    int code = look(m);

    for (size_t i = 0; i < m->n && code == CODE_OK; i++) {
        sphinx_mask *mask = NULL;
        sphinx_error error = { 0 };

        if (sphinx_segmenter_mask(m->segmenter, &m->prompts[i], &mask, &error) == SPHINX_OK)
            code = keep_mask(m, i, mask);
        else
            code = failed(m, &error);
        sphinx_mask_free(mask);
    }
    return code;
}

static int print_masks(const struct masks *m)
{
    size_t i;
    json_t *mask;

    if (m->s->json) {
        json_t *all = json_pack("{s:O}", "masks", m->list);
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

static int open_segmenter(struct masks *m)
{
    const struct settings *s = m->s;
    sphinx_segmenter_options options = { .cpu = s->model.cpu,
                                         .threads = s->model.threads,
                                         .images = 1,
                                         .precise = s->model.precise,
                                         .report = { on_progress, on_warning, m } };
    sphinx_error error = { 0 };
    char path[PATH_MAX];

    if (!segmenter_path(s->sam, path, sizeof path)) return usage_error(s->command, "--sam FILE is missing");
    if (s->sam == NULL && !s->quiet)
        message("no --sam named: sphinx-sam-nano cuts out, which knows drawn scenes only");
    progress_bar_init(&m->bar, s->quiet);
    m->list = json_array();
    if (m->list == NULL) return fail("out of memory");
    if (sphinx_segmenter_open(&m->segmenter, path, &options, &error) == SPHINX_OK) return CODE_OK;
    return failed(m, &error);
}

int cmd_segment(struct settings *s)
{
    struct masks m = { .s = s };
    int code = check(s);

    if (code == CODE_OK) code = read_prompts(&m);
    if (code == CODE_OK) code = open_segmenter(&m);
    if (code == CODE_OK) {
        interrupt_begin_masks(m.segmenter);
        code = make_masks(&m);
        interrupt_end();
    }
    if (code == CODE_OK) code = print_masks(&m);
    sphinx_segmenter_close(m.segmenter);
    json_decref(m.list);
    free(m.points);
    free(m.boxes);
    free(m.prompts);
    return code;
}
