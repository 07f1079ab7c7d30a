/* mask_step.c - see mask_step.h. */
#include "train/mask_step.h"

#include <math.h>
#include <stdlib.h>

#include "core/draws.h"
#include "image/mask_rle.h"
#include "segment/segment.h"
#include "tensor/tape.h"

/* How far the corners of a box are moved: deviation as a part of its sides, and at most so much of the square. */
static const double jitter = 0.1, jitter_max = 20.0 / 1024;

/* A cell of the decoder's map is looked at in SAMPLES x SAMPLES places. */
enum { SAMPLES = 4 };

/* What a picture's prompts have in common. */
struct look {
    struct ctx *c;
    const struct sam *m;
    const struct mask_picture *picture;
    struct tensor *embedding, *code;
    unsigned char *pixels;   /* [height, width] of the mask whose turn it is */
    float *truth;            /* [4g*4g] the same as shares of the map's cells */
    double scale_x, scale_y; /* from the picture to the square */
};

static int square_side(const struct sam *m)
{
    return m->config.patch * m->config.grid;
}

static int64_t map_side(const struct sam *m)
{
    return (int64_t)SAM_UPSCALE * m->config.grid;
}

/* NULL without memory, or without an embedding. */
static struct tensor *encode(struct ctx *c, const struct sam *m, const struct image *im)
{
    int64_t side = square_side(m);
    struct tensor *pixels = tensor_new(c, 1, 3 * side * side, false);

    if (pixels == NULL || segment_pixels(tensor_f32(pixels), im, (int)side, &c->err) != STATUS_OK)
        return NULL;
    return sam_image_encode(c, m, pixels);
}

static bool look_begin(struct look *l, struct ctx *c, const struct sam *m, const struct mask_example *x)
{
    const struct mask_picture *p = x->picture;
    int longest = p->width > p->height ? p->width : p->height;

    *l = (struct look){ .c = c, .m = m, .picture = p };
    if (x->image->width != p->width || x->image->height != p->height) {
        err_set(&c->err, STATUS_BAD_FORMAT, "%s: has %d x %d pixels, and its masks %d x %d", p->path,
                x->image->width, x->image->height, p->width, p->height);
        return false;
    }
    l->scale_x = segment_scale(p->width, longest, square_side(m));
    l->scale_y = segment_scale(p->height, longest, square_side(m));
    l->pixels = ctx_alloc(c, (size_t)p->width * (size_t)p->height, 1);
    l->truth = ctx_alloc(c, (size_t)(map_side(m) * map_side(m)), sizeof *l->truth);
    l->code = sam_image_code(c, m);
    l->embedding = encode(c, m, x->image);
    return l->pixels != NULL && l->truth != NULL && l->code != NULL && l->embedding != NULL;
}

/* The mask's pixels, and how much of each cell of the map it has. What was padded has nothing. */
static bool look_at_mask(struct look *l, const struct mask *mask)
{
    const struct mask_picture *p = l->picture;
    int64_t side = map_side(l->m);
    double step = (double)square_side(l->m) / (double)(side * SAMPLES);
    struct err why = { 0 };

    if (mask_rle_read(l->pixels, p->width, p->height, mask->counts, &why) != STATUS_OK) {
        err_set(&l->c->err, why.code, "%s: %s", p->path, why.text);
        return false;
    }
    for (int64_t i = 0; i < side * side; i++) {
        int n = 0;

        for (int k = 0; k < SAMPLES * SAMPLES; k++) {
            double x = ((double)(i % side * SAMPLES + k % SAMPLES) + 0.5) * step / l->scale_x;
            double y = ((double)(i / side * SAMPLES + k / SAMPLES) + 0.5) * step / l->scale_y;

            if (x < p->width && y < p->height) n += l->pixels[(size_t)y * (size_t)p->width + (size_t)x];
        }
        l->truth[i] = (float)n / (SAMPLES * SAMPLES);
    }
    return true;
}

/* ---- prompts ----------------------------------------------------------------------------------------------- */

static double draw_normal(struct draws *d)
{
    double u = 1 - draw_unit(d), v = draw_unit(d);

    return sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * v);
}

static float moved(struct draws *d, double at, double length, double most)
{
    return (float)(at + fmax(-most, fmin(most, jitter * length * draw_normal(d))));
}

/* d NULL: the box as it is. */
static struct sam_prompt box_prompt(const struct look *l, const struct mask *mask, struct draws *d)
{
    double most = jitter_max * square_side(l->m);
    double x1 = mask->box[0] * l->scale_x, y1 = mask->box[1] * l->scale_y, x2 = mask->box[2] * l->scale_x,
           y2 = mask->box[3] * l->scale_y;
    struct sam_prompt p = {
        .has_box = true, .x1 = (float)x1, .y1 = (float)y1, .x2 = (float)x2, .y2 = (float)y2
    };

    if (d == NULL) return p;
    p.x1 = moved(d, x1, x2 - x1, most);
    p.y1 = moved(d, y1, y2 - y1, most);
    p.x2 = moved(d, x2, x2 - x1, most);
    p.y2 = moved(d, y2, y2 - y1, most);
    return p;
}

/* Any of the mask's pixels; without one the picture's first. */
static struct sam_point point_on(const struct look *l, struct draws *d)
{
    size_t width = (size_t)l->picture->width, all = width * (size_t)l->picture->height, n = 0, at = 0, k;

    for (size_t i = 0; i < all; i++) n += l->pixels[i];
    k = n > 0 ? draw_below(d, n) + 1 : 0;
    for (; k > 0; at++) k -= l->pixels[at];
    at -= at > 0;
    return (struct sam_point){ (float)((double)(at % width) * l->scale_x),
                               (float)((double)(at / width) * l->scale_y), true };
}

/* ---- one prompt -------------------------------------------------------------------------------------------- */

static struct sam_masks decode(const struct look *l, const struct sam_prompt *p, bool all)
{
    return sam_decode(l->c, l->m, l->embedding, l->code, sam_prompt_tokens(l->c, l->m, p),
                      sam_prompt_dense(l->c, l->m, NULL), all);
}

/* Of the masks `first` .. end - 1 the one with the least loss learns, and of all what they are expected to be worth. */
static void learn_from(const struct look *l, const struct sam_masks *masks, int64_t first, int64_t end,
                       double weight, struct mask_result *r)
{
    struct mask_match best = { INFINITY, 0 };
    double expected = 0;
    int64_t which = first;

    for (int64_t i = first; i < end && l->c->err.code == STATUS_OK; i++) {
        struct mask_match m = mask_loss(l->c, masks->logits, i, l->truth, 0);

        expected += squared_error(l->c, masks->iou, i, m.iou, weight / (double)(end - first));
        if (m.loss >= best.loss) continue;
        best = m;
        which = i;
    }
    if (l->c->err.code != STATUS_OK) return;
    if (weight != 0) mask_loss(l->c, masks->logits, which, l->truth, weight);
    r->loss += best.loss + expected / (double)(end - first);
    r->iou += best.iou;
    r->n++;
    if (!isfinite(best.loss) || !isfinite(expected))
        err_set(&l->c->err, STATUS_NUMERIC, "%s: the loss is not a finite number", l->picture->path);
}

static void learn_mask(struct look *l, const struct mask *mask, struct draws *d, double weight,
                       struct mask_result *r)
{
    int64_t n = l->m->config.masks;
    bool by_point = n > 1 && draw_chance(d, 0.5);
    struct sam_masks masks;
    struct sam_point point;
    struct sam_prompt p;

    if (!look_at_mask(l, mask)) return;
    if (by_point) {
        point = point_on(l, d);
        p = (struct sam_prompt){ .points = &point, .n_points = 1 };
    } else {
        p = box_prompt(l, mask, d);
    }
    masks = decode(l, &p, by_point);
    if (masks.logits == NULL || masks.iou == NULL) return;
    learn_from(l, &masks, by_point ? 1 : 0, by_point ? n : 1, weight, r);
}

void mask_learn(struct ctx *c, const struct sam *m, const struct mask_example *x, double weight,
                struct mask_result *r)
{
    struct arena_mark mark = arena_mark(c->arena);
    struct draws d = { .key = x->key };
    struct tape tape = { NULL };
    size_t all = x->picture->n, n = all < x->prompts ? all : x->prompts;
    unsigned *order = ctx_alloc(c, all, sizeof *order);
    struct look l;

    c->tape = &tape;
    if (order != NULL && look_begin(&l, c, m, x)) {
        draw_order(&d, order, all);
        for (size_t i = 0; i < n && c->err.code == STATUS_OK; i++)
            learn_mask(&l, &x->picture->masks[order[i]], &d, weight / (double)n, r);
        if (c->err.code == STATUS_OK) tape_backward(c);
    }
    c->tape = NULL;
    arena_reset(c->arena, mark);
}

/* ---- measuring --------------------------------------------------------------------------------------------- */

/* Of the picture's pixels. */
static double iou_of(const float *logits, const unsigned char *truth, size_t n)
{
    size_t both = 0, any = 0;

    for (size_t i = 0; i < n; i++) {
        bool in = logits[i] > 0;

        both += in && truth[i] != 0;
        any += in || truth[i] != 0;
    }
    return any > 0 ? (double)both / (double)any : 1;
}

void mask_measure(struct ctx *c, const struct sam *m, const struct mask_example *x, struct mask_result *r)
{
    struct arena_mark mark = arena_mark(c->arena);
    size_t n = (size_t)x->picture->width * (size_t)x->picture->height;
    float *logits = ctx_alloc(c, n, sizeof *logits);
    struct look l;
    bool begun = logits != NULL && look_begin(&l, c, m, x);

    for (size_t i = 0; begun && i < x->picture->n && c->err.code == STATUS_OK; i++) {
        const struct mask *mask = &x->picture->masks[i];
        struct sam_prompt p = box_prompt(&l, mask, NULL);
        struct sam_masks masks;
        struct mask_result of_map = { 0 };

        if (!look_at_mask(&l, mask)) break;
        masks = decode(&l, &p, false);
        if (masks.logits == NULL || masks.iou == NULL) break;
        learn_from(&l, &masks, 0, 1, 0, &of_map);
        if (segment_enlarge(logits, x->picture->width, x->picture->height, tensor_f32(masks.logits),
                            &m->config, &c->err) != STATUS_OK)
            break;
        r->loss += of_map.loss;
        r->iou += iou_of(logits, l.pixels, n);
        r->n++;
    }
    arena_reset(c->arena, mark);
}
