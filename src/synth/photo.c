/* photo.c - see photo.h. */
#include "synth/photo.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/draws.h"
#include "synth/palette.h"

enum { LATTICE = 34, PASSES_MAX = 16 }; /* points of a grain's grid, a side */

/* Between which points of a grain's grid a pixel lies, and how far from the first. */
struct grain_place {
    unsigned first;
    float part;
};

/* What is the same for all pixels of a column. */
struct column {
    struct grain_place coarse, fine;
    float across; /* -1 at the left, 1 at the right */
};

struct photo_scratch {
    uint16_t *pixel;       /* [side, side, 3], 8 of the bits below the point */
    struct column *column; /* [side] */
};

struct photo_scratch *photo_scratch_open(int side)
{
    struct photo_scratch *b = calloc(1, sizeof *b);
    size_t n = (size_t)side;

    if (b == NULL) return NULL;
    b->pixel = malloc(n * n * 3 * sizeof *b->pixel);
    b->column = malloc(n * sizeof *b->column);
    if (b->pixel != NULL && b->column != NULL) return b;
    photo_scratch_close(b);
    return NULL;
}

void photo_scratch_close(struct photo_scratch *b)
{
    if (b == NULL) return;
    free(b->pixel);
    free(b->column);
    free(b);
}

struct photo_point photo_project(const struct camera *c, double x, double y)
{
    const double *m = c->matrix;
    double w = m[6] * x + m[7] * y + m[8], px = (m[0] * x + m[1] * y + m[2]) / w,
           py = (m[3] * x + m[4] * y + m[5]) / w;
    /* derivatives of px and py by x and y */
    double a = (m[0] - m[6] * px) / w, b = (m[1] - m[7] * px) / w, d = (m[3] - m[6] * py) / w,
           f = (m[4] - m[7] * py) / w;

    return (struct photo_point){ px, py, sqrt(fabs(a * f - b * d)) };
}

/* ---- the ground ------------------------------------------------------------------------------------------------ */

/* Soft patches and lines a little darker or lighter than the ground: no shape, no color of a thing. */
static void paint_clutter(cairo_t *c, const struct scene *s, struct draws *d)
{
    for (size_t i = 0; i < s->camera.n_clutter; i++) {
        double x = draw_between(d, 0, s->width), y = draw_between(d, 0, s->height),
               r = draw_between(d, 6, 30);
        double light = draw_chance(d, 0.7) ? 0.2 : 1;

        cairo_set_source_rgba(c, light, light * 0.95, light * 0.9, draw_between(d, 0.03, 0.11));
        cairo_new_path(c);
        cairo_move_to(c, x + draw_between(d, -r, r), y + draw_between(d, -r, r));
        for (int k = 0; k < 3; k++)
            cairo_curve_to(c, x + draw_between(d, -r, r), y + draw_between(d, -r, r),
                           x + draw_between(d, -r, r), y + draw_between(d, -r, r), x + draw_between(d, -r, r),
                           y + draw_between(d, -r, r));
        if (i % 3 == 0) {
            cairo_set_line_width(c, draw_between(d, 0.6, 1.6));
            cairo_stroke(c);
        } else {
            cairo_close_path(c);
            cairo_fill(c);
        }
    }
}

static void paint_ground(cairo_surface_t *ground, const struct scene *s, double scale, struct draws *d)
{
    cairo_t *c = cairo_create(ground);
    struct tone tone = palette_ground(s->ground);

    cairo_set_source_rgb(c, tone.r, tone.g, tone.b);
    cairo_paint(c);
    cairo_scale(c, scale, scale);
    paint_clutter(c, s, d);
    cairo_destroy(c);
    cairo_surface_flush(ground);
}

/* ---- light and grain ------------------------------------------------------------------------------------------- */

struct grain {
    double value[LATTICE][LATTICE]; /* -1 .. 1 */
    double step;                    /* pixels between points */
};

static void draw_grain(struct grain *g, struct draws *d, double step)
{
    g->step = step;
    for (size_t y = 0; y < LATTICE; y++) {
        for (size_t x = 0; x < LATTICE; x++) g->value[y][x] = draw_between(d, -1, 1);
    }
}

static struct grain_place grain_place(const struct grain *g, int pixel)
{
    double at = pixel / g->step;

    return (struct grain_place){ (unsigned)at % (LATTICE - 1), (float)(at - floor(at)) };
}

/* The grid's values at a height, between its two rows. */
static void grain_row(const struct grain *g, int y, float *row)
{
    struct grain_place at = grain_place(g, y);

    for (size_t x = 0; x < LATTICE; x++) {
        float above = (float)g->value[at.first][x], below = (float)g->value[at.first + 1][x];

        row[x] = above + at.part * (below - above);
    }
}

static inline float grain_at(struct grain_place at, const float *row)
{
    return row[at.first] + at.part * (row[at.first + 1] - row[at.first]);
}

/* ---- the view -------------------------------------------------------------------------------------------------- */

/* The adjugate: the inverse up to a factor, which drops out. */
static void invert(double *inverse, const double *m)
{
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++) {
            size_t a = (j + 1) % 3, b = (j + 2) % 3, c = (i + 1) % 3, d = (i + 2) % 3;

            inverse[i * 3 + j] = m[a * 3 + c] * m[b * 3 + d] - m[a * 3 + d] * m[b * 3 + c];
        }
    }
}

/* From pixels of the picture to pixels of what was drawn. */
static void look_back(double *inverse, const struct scene *s, double scale)
{
    invert(inverse, s->camera.matrix);
    for (size_t i = 0; i < 3; i++) { /* units to pixels on both sides */
        inverse[6 + i] /= scale;
        inverse[i * 3 + 2] *= scale;
    }
}

void photo_find(unsigned char *to, const struct scene *s, const unsigned char *from, int width, int height)
{
    double m[9];

    look_back(m, s, width / s->width);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++, to++) {
            double px = x + 0.5, py = y + 0.5, w = 1 / (m[6] * px + m[7] * py + m[8]);
            double u = (m[0] * px + m[1] * py + m[2]) * w, v = (m[3] * px + m[4] * py + m[5]) * w;
            bool inside = u >= 0 && v >= 0 && u < width && v < height;

            *to = inside ? from[(size_t)v * (size_t)width + (size_t)u] : 0;
        }
    }
}

struct layer {
    const unsigned char *data;
    ptrdiff_t stride;
    int width, height;
};

static inline uint32_t layer_pixel(const struct layer *l, ptrdiff_t x, ptrdiff_t y)
{
    uint32_t pixel;

    if (x < 0 || y < 0 || x >= l->width || y >= l->height) return 0;
    memcpy(&pixel, l->data + y * l->stride + 4 * x, 4);
    return pixel;
}

/* Four channels, alpha last, of the point (x, y) between pixels' middles, 0 .. 255. False: nothing is there. */
static inline bool sample(const struct layer *l, double x, double y, float *channel)
{
    ptrdiff_t left, top;
    uint32_t a, b, c, d;
    float u, v;

    if (!(x > -1 && y > -1 && x < l->width + 1 && y < l->height + 1)) return false;
    left = (ptrdiff_t)(x + 1.5) - 2; /* floor(x - 0.5) of what is above -1.5 */
    top = (ptrdiff_t)(y + 1.5) - 2;
    a = layer_pixel(l, left, top);
    b = layer_pixel(l, left + 1, top);
    c = layer_pixel(l, left, top + 1);
    d = layer_pixel(l, left + 1, top + 1);
    if ((a | b | c | d) == 0) return false;
    u = (float)(x - 0.5 - (double)left);
    v = (float)(y - 0.5 - (double)top);
    for (unsigned k = 0; k < 4; k++) {
        unsigned shift = k == 3 ? 24 : 16 - 8 * k;
        float above = (float)(a >> shift & 255) * (1 - u) + (float)(b >> shift & 255) * u;
        float below = (float)(c >> shift & 255) * (1 - u) + (float)(d >> shift & 255) * u;

        channel[k] = above + v * (below - above);
    }
    return true;
}

struct view {
    const struct scene *s;
    struct layer things, ground;
    struct grain coarse, fine;
    const struct column *column; /* [ground.width] */
    double inverse[9];           /* from pixels to pixels */
};

/* 8 bits below the point. */
static inline uint16_t held(float value)
{
    return (uint16_t)(value <= 0 ? 0 : value >= 255 ? 255 * 256 : value * 256);
}

static void expose_row(const struct view *v, int y, uint16_t *out)
{
    const struct camera *c = &v->s->camera;
    const double *m = v->inverse, py = y + 0.5;
    float coarse[LATTICE], fine[LATTICE], grain = (float)c->grain, light = (float)c->light;
    float dx = light * cosf((float)c->light_angle), dy = light * sinf((float)c->light_angle);
    float fy = (2.0F * (float)y - (float)v->ground.height) / (float)v->ground.height;
    float level = (float)c->ambient + dy * fy - 0.25F * light * fy * fy;

    grain_row(&v->coarse, y, coarse);
    grain_row(&v->fine, y, fine);
    for (int x = 0; x < v->ground.width; x++, out += 3) {
        const struct column *at = &v->column[x];
        double px = x + 0.5, w = 1 / (m[6] * px + m[7] * py + m[8]);
        float texture = grain * (0.6F * grain_at(at->coarse, coarse) + 0.4F * grain_at(at->fine, fine));
        float here = level + (dx - 0.25F * light * at->across) * at->across;
        float thing[4] = { 0, 0, 0, 0 }, clear;
        uint32_t ground = layer_pixel(&v->ground, x, y);

        sample(&v->things, (m[0] * px + m[1] * py + m[2]) * w, (m[3] * px + m[4] * py + m[5]) * w, thing);
        clear = 1 - thing[3] * (1 / 255.0F);
        for (unsigned k = 0; k < 3; k++)
            out[k] = held((thing[k] + ((float)(ground >> (16 - 8 * k) & 255) + texture) * clear) * here);
    }
}

/* ---- focus and noise ------------------------------------------------------------------------------------------- */

/* n pixels `step` values apart: each with a part of its neighbours. */
static void blur_run(uint16_t *pixel, size_t n, size_t step, uint32_t part)
{
    uint32_t before = pixel[0];

    for (size_t i = 0; i < n; i++, pixel += step) {
        uint32_t here = pixel[0], after = i + 1 < n ? pixel[step] : here;

        pixel[0] = (uint16_t)((here * (65536 - 2 * part) + (before + after) * part) >> 16);
        before = here;
    }
}

static void blur(uint16_t *pixel, int width, int height, double amount)
{
    uint32_t part = (uint32_t)(amount * 65536);

    if (part == 0) return;
    for (size_t k = 0; k < 3; k++) {
        for (size_t y = 0; y < (size_t)height; y++)
            blur_run(pixel + y * (size_t)width * 3 + k, (size_t)width, 3, part);
        for (size_t x = 0; x < (size_t)width; x++)
            blur_run(pixel + x * 3 + k, (size_t)height, (size_t)width * 3, part);
    }
}

/* Two bytes' sum is a triangle of deviation 104; good enough for the noise of a sensor. */
static void develop(struct image *im, const uint16_t *pixel, double noise, struct draws *d)
{
    size_t n = (size_t)im->width * (size_t)im->height * 3;
    int strength = (int)lrint(noise * 256 / 104);

    for (size_t i = 0; i < n;) {
        uint64_t bits = draw_bits(d);

        for (int k = 0; k < 4 && i < n; k++, i++, bits >>= 16) {
            int value = pixel[i] + strength * ((int)(bits & 255) + (int)(bits >> 8 & 255) - 255) + 128;

            im->rgb[i] = (unsigned char)(value < 0 ? 0 : value > 65535 ? 255 : value >> 8);
        }
    }
}

/* ---- the photo ------------------------------------------------------------------------------------------------- */

static struct layer layer_of(cairo_surface_t *surface, const struct image *im)
{
    return (struct layer){ cairo_image_surface_get_data(surface), cairo_image_surface_get_stride(surface),
                           im->width, im->height };
}

void photo_take(struct image *im, const struct scene *s, cairo_surface_t *things, cairo_surface_t *ground,
                struct photo_scratch *b)
{
    struct draws d = { .key = s->camera.seed };
    double scale = im->width / s->width;
    struct view v = { .s = s };
    int passes = (int)fmin(PASSES_MAX, fmax(1, rint(scale * scale)));

    paint_ground(ground, s, scale, &d);
    v.things = layer_of(things, im);
    v.ground = layer_of(ground, im);
    draw_grain(&v.coarse, &d, 17.3 * scale);
    draw_grain(&v.fine, &d, 3.7 * scale);
    for (int x = 0; x < im->width; x++)
        b->column[x] = (struct column){ grain_place(&v.coarse, x), grain_place(&v.fine, x),
                                        (2.0F * (float)x - (float)im->width) / (float)im->width };
    v.column = b->column;
    look_back(v.inverse, s, scale);
    for (int y = 0; y < im->height; y++) expose_row(&v, y, b->pixel + (size_t)y * (size_t)im->width * 3);
    for (int i = 0; i < passes; i++) blur(b->pixel, im->width, im->height, s->camera.blur);
    develop(im, b->pixel, s->camera.noise, &d);
}

void photo_copy(struct image *im, cairo_surface_t *surface)
{
    struct layer l = layer_of(surface, im);
    unsigned char *rgb = im->rgb;

    for (int y = 0; y < im->height; y++) {
        for (int x = 0; x < im->width; x++, rgb += 3) {
            uint32_t pixel = layer_pixel(&l, x, y);

            rgb[0] = (unsigned char)(pixel >> 16);
            rgb[1] = (unsigned char)(pixel >> 8);
            rgb[2] = (unsigned char)pixel;
        }
    }
}
