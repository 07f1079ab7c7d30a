/* segment.c - see segment.h. Sizes are rounded as the published package rounds them. */
#include "segment/segment.h"

#include "backend/cpu/cpu.h"
#include "image/resample.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* Red, green, blue of 0..255. */
static const float pixel_mean[3] = { 123.675f, 116.28f, 103.53f },
                   pixel_std[3] = { 58.395f, 57.12f, 57.375f };

/* A side of the picture as the square shows it, whose longest is `side`; at least 1, however narrow it is. */
static int shown(int length, int longest, int side)
{
    int n = (int)(length * (side * 1.0 / longest) + 0.5);

    return n < 1 ? 1 : n;
}

static int longest_of(int width, int height)
{
    return width > height ? width : height;
}

static int square_side(const struct segmenter *s)
{
    return s->file.sam.config.patch * s->file.sam.config.grid;
}

enum status segment_pixels(float *pixels, const struct image *im, int side, struct err *e)
{
    int longest = longest_of(im->width, im->height);
    struct image small = { 0 };
    int width = shown(im->width, longest, side), height = shown(im->height, longest, side);
    struct img_resampling r = { .x = { .from = im->width, .to = width, .count = width },
                                .y = { .from = im->height, .to = height, .count = height },
                                .filter = IMG_FILTER_BILINEAR };
    size_t plane = (size_t)side * (size_t)side;
    enum status st = img_resample(&small, im, &r, e);

    if (st != STATUS_OK) return st;
    memset(pixels, 0, 3 * plane * sizeof *pixels);
    for (int y = 0; y < small.height; y++) {
        const unsigned char *from = small.rgb + 3 * (size_t)y * (size_t)small.width;

        for (int x = 0; x < small.width; x++, from += 3) {
            float *to = pixels + (size_t)y * (size_t)side + (size_t)x;

            for (size_t c = 0; c < 3; c++) to[c * plane] = ((float)from[c] - pixel_mean[c]) / pixel_std[c];
        }
    }
    img_free(&small);
    return STATUS_OK;
}

enum status segment_open(struct segmenter *s, const char *path, const char *cpu, int threads,
                         const struct report *report, struct err *e)
{
    const struct backend *b = NULL;
    enum status st;

    memset(s, 0, sizeof *s);
    st = cpu_backend(cpu, &b, e);
    if (st == STATUS_OK) st = sam_open(&s->file, path, report, e);
    if (st == STATUS_OK) st = ctx_init(&s->c, b, &s->arena, threads > 0 ? threads : cpu_threads_default(), e);
    if (st != STATUS_OK) {
        segment_close(s);
        return st;
    }
    s->c.report = report;
    return STATUS_OK;
}

void segment_close(struct segmenter *s)
{
    free(s->embedding.data);
    free(s->code.data);
    ctx_free(&s->c);
    arena_free(&s->arena);
    sam_close(&s->file);
    memset(s, 0, sizeof *s);
}

/* What the context's ops came to; a failure is taken out of it, so that the next call begins anew. */
static enum status outcome(struct segmenter *s, struct err *e)
{
    struct err failed = s->c.err;

    err_clear(&s->c.err);
    return failed.code == STATUS_OK ? STATUS_OK : err_set(e, failed.code, "%s", failed.text);
}

/* A matrix that outlives the call. */
static enum status keep(struct tensor *to, const struct tensor *x, struct err *e)
{
    size_t size = (size_t)tensor_rows(x) * (size_t)tensor_columns(x) * sizeof(float);
    float *data = malloc(size);

    if (data == NULL) return err_no_memory(e, "the picture's embedding");
    memcpy(data, x->data, size);
    free(to->data);
    *to = tensor_matrix(DTYPE_F32, data, tensor_rows(x), tensor_columns(x));
    return STATUS_OK;
}

enum status segment_picture(struct segmenter *s, const struct image *im, struct err *e)
{
    struct arena_mark mark = scope_begin(&s->c);
    int64_t side = square_side(s);
    struct tensor *pixels = tensor_new(&s->c, 1, 3 * side * side, false), *embedding = NULL, *code = NULL;
    enum status st = STATUS_OK;

    s->width = s->height = 0;
    if (pixels != NULL) st = segment_pixels(tensor_f32(pixels), im, (int)side, e);
    if (st == STATUS_OK) {
        embedding = sam_image_encode(&s->c, &s->file.sam, pixels);
        code = sam_image_code(&s->c, &s->file.sam);
        st = outcome(s, e);
    }
    if (st == STATUS_OK) st = keep(&s->embedding, embedding, e);
    if (st == STATUS_OK) st = keep(&s->code, code, e);
    scope_end(&s->c, mark);
    if (st != STATUS_OK) return st;
    s->width = im->width;
    s->height = im->height;
    return STATUS_OK;
}

/* From pixels of the picture to those of the square. */
static float to_square(const struct segmenter *s, float at, int length)
{
    int seen = shown(length, longest_of(s->width, s->height), square_side(s));

    return (float)((double)at * ((double)seen / length));
}

static bool finite_prompt(const struct sam_prompt *p)
{
    for (size_t i = 0; i < p->n_points; i++) {
        if (!isfinite(p->points[i].x) || !isfinite(p->points[i].y)) return false;
    }
    return !p->has_box || (isfinite(p->x1) && isfinite(p->y1) && isfinite(p->x2) && isfinite(p->y2));
}

static enum status enlarge(const struct segmenter *s, const float *low, float *logits, struct err *e)
{
    int side = square_side(s), map = SAM_UPSCALE * s->file.sam.config.grid;
    int longest = longest_of(s->width, s->height);
    float *square = malloc((size_t)side * (size_t)side * sizeof *square);

    if (square == NULL) return err_no_memory(e, "a mask");
    img_bilinear(square, side, side, low, map, map, (size_t)map);
    img_bilinear(logits, s->height, s->width, square, shown(s->height, longest, side),
                 shown(s->width, longest, side), (size_t)side);
    free(square);
    return STATUS_OK;
}

enum status segment_mask(struct segmenter *s, const struct sam_prompt *p, float *logits, float *iou,
                         struct err *e)
{
    struct arena_mark mark = scope_begin(&s->c);
    struct sam_prompt in = *p;
    struct sam_masks masks = { NULL, NULL };
    struct sam_point *points;
    enum status st;

    assert(s->width > 0);
    if ((p->n_points == 0 && !p->has_box) || !finite_prompt(p)) {
        return err_set(e, STATUS_BAD_ARGUMENT, "a mask needs a box or points, of finite numbers");
    }
    points = ctx_alloc(&s->c, p->n_points, sizeof *points);
    for (size_t i = 0; i < p->n_points && points != NULL; i++) {
        points[i] = (struct sam_point){ to_square(s, p->points[i].x, s->width),
                                        to_square(s, p->points[i].y, s->height), p->points[i].foreground };
    }
    in.points = points;
    in.x1 = to_square(s, p->x1, s->width);
    in.x2 = to_square(s, p->x2, s->width);
    in.y1 = to_square(s, p->y1, s->height);
    in.y2 = to_square(s, p->y2, s->height);
    if (points != NULL)
        masks = sam_decode(&s->c, &s->file.sam, &s->embedding, &s->code,
                           sam_prompt_tokens(&s->c, &s->file.sam, &in),
                           sam_prompt_dense(&s->c, &s->file.sam, NULL), false);
    st = outcome(s, e);
    if (st == STATUS_OK) st = enlarge(s, tensor_f32(masks.logits), logits, e);
    if (st == STATUS_OK && iou != NULL) *iou = tensor_f32(masks.iou)[0];
    scope_end(&s->c, mark);
    return st;
}
