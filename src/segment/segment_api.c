/* segment_api.c - the public functions for masks. See sphinx.h; what happens inside stands in segment.h. */
#include "backend/cpu/cpu.h"
#include "image/draw.h"
#include "image/mask_rle.h"
#include "model/public.h"
#include "model/session.h"
#include "segment/segment.h"

#include <math.h>
#include <stdlib.h>

enum { IMAGES_DEFAULT = 8, IMAGES_MAX = 1 << 16 };

struct sphinx_segmenter {
    struct segmenter inner;
    struct report report;
    atomic_bool cancel;
};

/* The public struct is the first member: what a user holds is the start of this. */
struct mask {
    sphinx_mask public;
    unsigned char *pixels;
    char *counts;
};

static enum status open_segmenter(sphinx_segmenter *s, const char *path, const sphinx_segmenter_options *o,
                                  struct err *e)
{
    struct segment_options options = { .cpu = o->cpu,
                                       .threads = o->threads,
                                       .pictures = o->images != 0 ? o->images : IMAGES_DEFAULT,
                                       .precise = o->precise,
                                       .report = &s->report };
    enum status st = public_threads(&options.threads, cpu_threads_default(), e);

    s->report = public_report(&o->report);
    s->report.cancel = &s->cancel;
    if (st == STATUS_OK && (o->images < 0 || o->images > IMAGES_MAX))
        st = err_set(e, STATUS_BAD_ARGUMENT, "images is %d: it may be 1 to %d, or 0 for %d", o->images,
                     (int)IMAGES_MAX, (int)IMAGES_DEFAULT);
    return st == STATUS_OK ? segment_open(&s->inner, path, &options, e) : st;
}

sphinx_status sphinx_segmenter_open(sphinx_segmenter **segmenter, const char *path,
                                    const sphinx_segmenter_options *options, sphinx_error *error)
{
    static const sphinx_segmenter_options defaults;
    struct err e = { 0 };
    enum status st;

    *segmenter = calloc(1, sizeof **segmenter);
    if (*segmenter == NULL) return public_status(err_no_memory(&e, "segmenter"), &e, error);
    st = open_segmenter(*segmenter, path, options != NULL ? options : &defaults, &e);
    if (st != STATUS_OK) {
        sphinx_segmenter_close(*segmenter);
        *segmenter = NULL;
    }
    return public_status(st, &e, error);
}

void sphinx_segmenter_close(sphinx_segmenter *s)
{
    if (s == NULL) return;
    segment_close(&s->inner);
    free(s);
}

void sphinx_segmenter_cancel(sphinx_segmenter *s)
{
    atomic_store(&s->cancel, true);
}

sphinx_status sphinx_segmenter_image(sphinx_segmenter *s, const sphinx_image *image, sphinx_error *error)
{
    struct err e = { 0 };
    enum status st = segment_picture(&s->inner, &image->im, &e);

    atomic_store(&s->cancel, false);
    return public_status(st, &e, error);
}

/* What a user asks for in the segmenter's own words. The points are the caller's to free. */
static enum status translate(struct sam_prompt *to, struct sam_point **points, const sphinx_mask_prompt *p,
                             struct err *e)
{
    *to = (struct sam_prompt){ .n_points = p->n_points, .has_box = p->box != NULL };
    *points = calloc(p->n_points + 1, sizeof **points);
    if (*points == NULL) return err_no_memory(e, "points");
    for (size_t i = 0; i < p->n_points; i++) {
        const sphinx_mask_point *from = &p->points[i];

        (*points)[i] = (struct sam_point){ (float)from->x, (float)from->y, !from->background };
    }
    to->points = *points;
    if (p->box == NULL) return STATUS_OK;
    to->x1 = (float)p->box[0];
    to->y1 = (float)p->box[1];
    to->x2 = (float)p->box[2];
    to->y2 = (float)p->box[3];
    return STATUS_OK;
}

/* Logits [height, width] in every form that users may want. */
static enum status fill_mask(struct mask *m, const float *logits, int width, int height, float iou,
                             struct err *e)
{
    size_t n = (size_t)width * (size_t)height, area;
    enum status st = mask_rle_text(logits, width, height, &m->counts, &area, e);

    if (st != STATUS_OK) return st;
    m->pixels = malloc(n);
    if (m->pixels == NULL) return err_no_memory(e, "a mask");
    for (size_t i = 0; i < n; i++) m->pixels[i] = logits[i] > 0 ? 255 : 0;
    m->public = (sphinx_mask){ .width = width,
                               .height = height,
                               .pixels = m->pixels,
                               .counts = m->counts,
                               .area = area,
                               .predicted_iou = (double)iou };
    return STATUS_OK;
}

static enum status make_mask(struct segmenter *s, const sphinx_mask_prompt *prompt, struct mask *m,
                             struct err *e)
{
    struct sam_point *points = NULL;
    struct sam_prompt in;
    float *logits = NULL, iou = 0;
    enum status st = translate(&in, &points, prompt, e);

    if (s->picture == NULL)
        st = err_set(e, STATUS_BAD_ARGUMENT, "a mask is of an image: sphinx_segmenter_image comes first");
    if (st == STATUS_OK) {
        logits = malloc((size_t)s->picture->width * (size_t)s->picture->height * sizeof *logits);
        st = logits != NULL ? segment_mask(s, &in, logits, &iou, e) : err_no_memory(e, "a mask");
    }
    if (st == STATUS_OK) st = fill_mask(m, logits, s->picture->width, s->picture->height, iou, e);
    free(logits);
    free(points);
    return st;
}

sphinx_status sphinx_segmenter_mask(sphinx_segmenter *s, const sphinx_mask_prompt *prompt, sphinx_mask **mask,
                                    sphinx_error *error)
{
    struct mask *m = calloc(1, sizeof *m);
    struct err e = { 0 };
    enum status st = m != NULL ? make_mask(&s->inner, prompt, m, &e) : err_no_memory(&e, "a mask");

    atomic_store(&s->cancel, false);
    *mask = st == STATUS_OK ? &m->public : NULL;
    if (st != STATUS_OK && m != NULL) sphinx_mask_free(&m->public);
    return public_status(st, &e, error);
}

void sphinx_mask_free(sphinx_mask *mask)
{
    struct mask *m = (struct mask *)mask;

    if (m == NULL) return;
    free(m->pixels);
    free(m->counts);
    free(m);
}

sphinx_status sphinx_mask_write(const sphinx_mask *mask, const char *path, sphinx_error *error)
{
    struct image im = { 0 };
    struct err e = { 0 };
    enum status st = img_init(&im, mask->width, mask->height, &e);

    for (size_t i = 0; st == STATUS_OK && i < (size_t)im.width * (size_t)im.height; i++)
        memset(im.rgb + 3 * i, mask->pixels[i], 3);
    if (st == STATUS_OK) st = img_png_write(&im, path, &e);
    img_free(&im);
    return public_status(st, &e, error);
}

/* Upstream gives SAM the box's corners without their fractions. */
static enum status blend_boxes(struct image *im, struct segmenter *s, const struct answer_box *boxes,
                               size_t n, struct err *e)
{
    enum status st = n > 0 ? segment_picture(s, im, e) : STATUS_OK;

    for (size_t i = 0; i < n && st == STATUS_OK; i++) {
        const struct img_box *b = &boxes[i].box;
        const double corners[4] = { trunc(b->x1), trunc(b->y1), trunc(b->x2), trunc(b->y2) };
        const sphinx_mask_prompt prompt = { .box = corners };
        struct mask m = { .pixels = NULL };

        st = make_mask(s, &prompt, &m, e);
        if (st == STATUS_OK) img_blend_mask(im, m.pixels, boxes[i].color);
        free(m.pixels);
        free(m.counts);
    }
    return st;
}

sphinx_status sphinx_answer_masks(const sphinx_session *session, const sphinx_answer *answer,
                                  sphinx_segmenter *segmenter, const char *path, sphinx_error *error)
{
    struct answer_box *boxes = calloc(answer->n_boxes + 1, sizeof *boxes);
    struct image copy = { 0 };
    struct err e = { 0 };
    enum status st = boxes != NULL ? session_copy_image(&copy, session, &e) : err_no_memory(&e, "boxes");

    if (st == STATUS_OK) st = answer_boxes(boxes, session, answer, &e);
    if (st == STATUS_OK) st = blend_boxes(&copy, &segmenter->inner, boxes, answer->n_boxes, &e);
    if (st == STATUS_OK) st = img_png_write(&copy, path, &e);
    atomic_store(&segmenter->cancel, false);
    img_free(&copy);
    free(boxes);
    return public_status(st, &e, error);
}

/* In the order in which upstream draws: tagged regions from the last to the first, then the others likewise. */
static enum status blend_masks(struct image *im, const sphinx_answer *a, sphinx_mask *const *masks,
                               struct err *e)
{
    for (int bare = 0; bare < 2; bare++) {
        for (size_t i = a->n_regions; i-- > 0;) {
            const sphinx_region *r = &a->regions[i];

            if ((a->text[r->text.begin] == '<') != (bare == 0)) continue;
            for (size_t k = r->box_first; k < r->box_first + r->n_boxes; k++) {
                if (masks[k]->width != im->width || masks[k]->height != im->height)
                    return err_set(e, STATUS_BAD_ARGUMENT, "a mask has %d x %d pixels, the image %d x %d",
                                   masks[k]->width, masks[k]->height, im->width, im->height);
                img_blend_mask(im, masks[k]->pixels, img_colors[r->color]);
            }
        }
    }
    return STATUS_OK;
}

sphinx_status sphinx_masks_png(const sphinx_image *image, const sphinx_answer *answer,
                               sphinx_mask *const *masks, unsigned char **png, size_t *size,
                               sphinx_error *error)
{
    struct image copy = { 0 };
    struct err e = { 0 };
    enum status st = img_copy(&copy, &image->im, &e);

    if (st == STATUS_OK) st = blend_masks(&copy, answer, masks, &e);
    if (st == STATUS_OK) st = img_png_encode_fast(&copy, png, size, &e);
    img_free(&copy);
    return public_status(st, &e, error);
}
