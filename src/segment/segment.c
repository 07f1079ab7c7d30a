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

/* ---- pictures ---------------------------------------------------------------------------------------------- */

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

enum status segment_open(struct segmenter *s, const char *path, const struct segment_options *o,
                         struct err *e)
{
    const struct backend *b = NULL;
    enum status st;

    memset(s, 0, sizeof *s);
    assert(o->threads >= 1 && o->pictures >= 1);
    st = cpu_backend(o->cpu, &b, e);
    if (st == STATUS_OK) st = sam_open(&s->file, path, o->report, e);
    if (st == STATUS_OK) st = ctx_init(&s->c, b, &s->arena, o->threads, e);
    if (st == STATUS_OK) {
        s->c.report = o->report;
        s->c.exec.precise = o->precise;
        s->n_pictures = o->pictures;
        s->pictures = calloc((size_t)o->pictures, sizeof *s->pictures);
        if (s->pictures == NULL) st = err_no_memory(e, "pictures");
    }
    if (st != STATUS_OK) segment_close(s);
    return st;
}

void segment_close(struct segmenter *s)
{
    for (int i = 0; i < s->n_pictures && s->pictures != NULL; i++) free(s->pictures[i].embedding.data);
    free(s->pictures);
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

/* Where the picture of that key is, or may be put: in a free place, else that of the one that was not wanted for longest. */
static struct looked_at *place_of(struct segmenter *s, const struct digest *key)
{
    struct looked_at *oldest = &s->pictures[0];

    for (int i = 0; i < s->n_pictures; i++) {
        struct looked_at *p = &s->pictures[i];

        if (p->embedding.data != NULL && digest_equal(&p->key, key)) return p;
        if (p->turn < oldest->turn) oldest = p;
    }
    free(oldest->embedding.data);
    *oldest = (struct looked_at){ .key = *key };
    return oldest;
}

static void picture_key(struct digest *key, const struct image *im)
{
    struct digest_maker m;

    digest_begin(&m);
    digest_number(&m, im->width);
    digest_number(&m, im->height);
    digest_add(&m, im->rgb, 3 * (size_t)im->width * (size_t)im->height);
    digest_end(&m, key);
}

static enum status look(struct segmenter *s, const struct image *im, struct looked_at *to, struct err *e)
{
    int64_t side = square_side(s);
    struct tensor *pixels = tensor_new(&s->c, 1, 3 * side * side, false), *embedding = NULL, *code = NULL;
    enum status st = STATUS_OK;

    if (pixels != NULL) st = segment_pixels(tensor_f32(pixels), im, (int)side, e);
    if (st != STATUS_OK) return st;
    embedding = sam_image_encode(&s->c, &s->file.sam, pixels);
    if (s->code.data == NULL) code = sam_image_code(&s->c, &s->file.sam);
    st = outcome(s, e);
    if (st == STATUS_OK && code != NULL) st = keep(&s->code, code, e);
    if (st == STATUS_OK) st = keep(&to->embedding, embedding, e);
    to->width = im->width;
    to->height = im->height;
    return st;
}

enum status segment_picture(struct segmenter *s, const struct image *im, struct err *e)
{
    struct arena_mark mark = scope_begin(&s->c);
    enum status st = STATUS_OK;
    struct looked_at *p;
    struct digest key;

    picture_key(&key, im);
    s->picture = NULL;
    p = place_of(s, &key);
    if (p->embedding.data == NULL) st = look(s, im, p, e);
    scope_end(&s->c, mark);
    if (st != STATUS_OK) return st;
    p->turn = ++s->turn;
    s->picture = p;
    return STATUS_OK;
}

/* ---- masks ------------------------------------------------------------------------------------------------- */

double segment_scale(int length, int longest, int side)
{
    return (double)shown(length, longest, side) / length;
}

/* From pixels of the picture to those of the square. */
static float to_square(const struct segmenter *s, float at, int length)
{
    int longest = longest_of(s->picture->width, s->picture->height);

    return (float)((double)at * segment_scale(length, longest, square_side(s)));
}

/* Not so far away that its code would be no number. */
static bool is_near(float x, float y)
{
    return fabsf(x) <= 16.0f * IMG_SIDE_MAX && fabsf(y) <= 16.0f * IMG_SIDE_MAX;
}

static enum status check_prompt(const struct sam_prompt *p, struct err *e)
{
    bool near = !p->has_box || (is_near(p->x1, p->y1) && is_near(p->x2, p->y2));

    if (p->n_points == 0 && !p->has_box)
        return err_set(e, STATUS_BAD_ARGUMENT, "a mask needs a box or points");
    for (size_t i = 0; i < p->n_points; i++) near = near && is_near(p->points[i].x, p->points[i].y);
    if (near) return STATUS_OK;
    return err_set(e, STATUS_BAD_ARGUMENT, "a mask's box and points are numbers of pixels, up to a million");
}

/* The prompt in pixels of the square; false: no memory. */
static bool move_prompt(struct segmenter *s, struct sam_prompt *to, const struct sam_prompt *p)
{
    int width = s->picture->width, height = s->picture->height;
    struct sam_point *points = ctx_alloc(&s->c, p->n_points, sizeof *points);

    *to = *p;
    to->points = points;
    if (points == NULL) return false;
    for (size_t i = 0; i < p->n_points; i++) {
        points[i] = (struct sam_point){ to_square(s, p->points[i].x, width),
                                        to_square(s, p->points[i].y, height), p->points[i].foreground };
    }
    to->x1 = to_square(s, p->x1, width);
    to->x2 = to_square(s, p->x2, width);
    to->y1 = to_square(s, p->y1, height);
    to->y2 = to_square(s, p->y2, height);
    return true;
}

static enum status check_finite(const struct sam_masks *m, struct err *e)
{
    bool finite = isfinite(tensor_f32(m->iou)[0]);

    for (int64_t i = 0; i < tensor_columns(m->logits); i++)
        finite = finite && isfinite(tensor_f32(m->logits)[i]);
    return finite ? STATUS_OK
                  : err_set(e, STATUS_NUMERIC, "the mask is not of finite numbers: are SAM's weights?");
}

enum status segment_enlarge(float *logits, int width, int height, const float *low,
                            const struct sam_config *k, struct err *e)
{
    int side = k->patch * k->grid, map = SAM_UPSCALE * k->grid, longest = longest_of(width, height);
    float *square = malloc((size_t)side * (size_t)side * sizeof *square);

    if (square == NULL) return err_no_memory(e, "a mask");
    img_bilinear(square, side, side, low, map, map, (size_t)map);
    img_bilinear(logits, height, width, square, shown(height, longest, side), shown(width, longest, side),
                 (size_t)side);
    free(square);
    return STATUS_OK;
}

enum status segment_mask(struct segmenter *s, const struct sam_prompt *p, float *logits, float *iou,
                         struct err *e)
{
    const struct sam *sam = &s->file.sam;
    struct arena_mark mark;
    struct sam_masks masks = { NULL, NULL };
    struct sam_prompt in;
    enum status st = check_prompt(p, e);

    assert(s->picture != NULL);
    if (st != STATUS_OK) return st;
    mark = scope_begin(&s->c);
    if (move_prompt(s, &in, p)) {
        /* Read only; the decoder's first op copies. */
        struct tensor *embedding = (struct tensor *)(uintptr_t)&s->picture->embedding;

        masks = sam_decode(&s->c, sam, embedding, &s->code, sam_prompt_tokens(&s->c, sam, &in),
                           sam_prompt_dense(&s->c, sam, NULL), false);
    }
    st = outcome(s, e);
    if (st == STATUS_OK) st = check_finite(&masks, e);
    if (st == STATUS_OK)
        st = segment_enlarge(logits, s->picture->width, s->picture->height, tensor_f32(masks.logits),
                             &sam->config, e);
    if (st == STATUS_OK && iou != NULL) *iou = tensor_f32(masks.iou)[0];
    scope_end(&s->c, mark);
    return st;
}
