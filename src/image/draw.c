/*
 * draw.c - drawing with cairo: picture -> surface -> shapes -> picture.
 *
 * Shapes that must match Pillow's pixels are filled as rows of whole pixels without antialiasing.
 */
#include "image/draw.h"

#include <cairo.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

const struct img_color img_colors[IMG_COLORS] = {
    { 255, 0, 0 }, { 0, 0, 255 }, { 0, 128, 0 }, { 128, 0, 128 }, { 255, 165, 0 }
};
const char *const img_color_names[IMG_COLORS] = { "red", "blue", "green", "purple", "orange" };

const char *const img_joint_names[IMG_JOINTS] = {
    "nose",           "left_eye",   "right_eye",   "left_ear",   "right_ear",   "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
    "right_hip",      "left_knee",  "right_knee",  "left_ankle", "right_ankle",
};

/* Pairs of joints, numbered from 1 as COCO numbers them. */
const unsigned char img_skeleton[IMG_EDGES][2] = {
    { 16, 14 }, { 14, 12 }, { 17, 15 }, { 15, 13 }, { 12, 13 }, { 6, 12 }, { 7, 13 },
    { 6, 7 },   { 6, 8 },   { 7, 9 },   { 8, 10 },  { 9, 11 },  { 2, 3 },  { 1, 2 },
    { 1, 3 },   { 2, 4 },   { 3, 5 },   { 4, 6 },   { 5, 7 },
};

enum {
    CAIRO_SIDE_MAX = 32767,
    BOX_WIDTH = 2,
    DISC_RADIUS = 5,
    LINE_WIDTH = 3,
    FONT_SIZE = 14,
    LABEL_SIZE_MAX = 200,
    SCALE_MAX = 64
};
static const struct img_color skeleton_color = { 0, 128, 0 };

double img_style_scale(int width, int height)
{
    double side = width > height ? width : height;

    return side <= 1200 ? 1 : side / 1200;
}

/* Truncated toward zero as Pillow does, and kept where cairo can count. */
static int to_int(double v)
{
    const double limit = 1e6;

    return (int)(v < -limit ? -limit : v > limit ? limit : v);
}

static bool is_number(struct img_point p)
{
    return isfinite(p.x) && isfinite(p.y);
}

static void color_set(cairo_t *c, struct img_color color)
{
    cairo_set_source_rgb(c, color.r / 255.0, color.g / 255.0, color.b / 255.0);
}

/* Adds the pixels x1..x2, y1..y2, both ends included and in either order. */
static void pixels_add(cairo_t *c, int x1, int y1, int x2, int y2)
{
    int left = x1 < x2 ? x1 : x2, right = x1 < x2 ? x2 : x1, top = y1 < y2 ? y1 : y2,
        bottom = y1 < y2 ? y2 : y1;

    cairo_rectangle(c, left, top, right - left + 1, bottom - top + 1);
}

static void box_draw(cairo_t *c, const struct img_box *box, struct img_color color, double scale)
{
    int width = to_int(BOX_WIDTH * scale + 0.5);
    int x1 = to_int(fmin(box->x1, box->x2)), x2 = to_int(fmax(box->x1, box->x2));
    int y1 = to_int(fmin(box->y1, box->y2)), y2 = to_int(fmax(box->y1, box->y2));

    color_set(c, color);
    pixels_add(c, x1, y1, x2, y1 + width - 1);
    pixels_add(c, x1, y2 - width + 1, x2, y2);
    pixels_add(c, x1, y1 + width, x1 + width - 1, y2 - width + 1);
    pixels_add(c, x2 - width + 1, y1 + width, x2, y2 - width + 1);
    cairo_fill(c);
}

/* How far the point (x, y) is from the ellipse with axes a and b, up to a factor. */
static int64_t ellipse_distance(int64_t a, int64_t b, int64_t x, int64_t y)
{
    return llabs(a * a * y * y + b * b * x * x - a * a * b * b);
}

/* The ellipse inside the pixel box, as Pillow rasterises it. In doubled coordinates around the centre a walk
 * goes from the rightmost pixel to the topmost, at each step to that neighbour (up, up and left, left) which
 * is nearest to the curve; each row is filled as far out as the walk enters it. */
static void ellipse_add(cairo_t *c, int x1, int y1, int x2, int y2)
{
    int a = x2 - x1, b = y2 - y1, x = a, y = b % 2, row_last = -1;

    while (y <= b) {
        int next_x = x, next_y = y + 2;

        if (y != row_last) {
            pixels_add(c, x1 + (a - x) / 2, y1 + (b - y) / 2, x1 + (a + x) / 2, y1 + (b - y) / 2);
            if (y > 0) pixels_add(c, x1 + (a - x) / 2, y1 + (b + y) / 2, x1 + (a + x) / 2, y1 + (b + y) / 2);
            row_last = y;
        }
        if (x > 1) {
            int64_t up = ellipse_distance(a, b, x, y + 2), diagonal = ellipse_distance(a, b, x - 2, y + 2);
            int64_t left = ellipse_distance(a, b, x - 2, y);

            if (diagonal < up || left < up) next_x = x - 2;
            if (left < up && left < diagonal) next_y = y;
        }
        x = next_x;
        y = next_y;
    }
}

static void disc_draw(cairo_t *c, struct img_point p, struct img_color color, double scale)
{
    double radius = floor(DISC_RADIUS * scale + 0.5);

    color_set(c, color);
    ellipse_add(c, to_int(p.x - radius), to_int(p.y - radius), to_int(p.x + radius), to_int(p.y + radius));
    cairo_fill(c);
}

static bool box_is_number(const struct img_box *b)
{
    return is_number((struct img_point){ b->x1, b->y1 }) && is_number((struct img_point){ b->x2, b->y2 });
}

static void region_draw(cairo_t *c, const struct img_region *r, double scale)
{
    for (size_t i = 0; i < r->n_boxes; i++) {
        if (box_is_number(&r->boxes[i])) box_draw(c, &r->boxes[i], r->color, scale);
    }
    for (size_t i = 0; i < r->n_points; i++) {
        if (is_number(r->points[i])) disc_draw(c, r->points[i], r->color, scale);
    }
}

static void skeleton_draw(cairo_t *c, const struct img_person *p, double scale)
{
    color_set(c, skeleton_color);
    cairo_set_line_width(c, LINE_WIDTH * scale);
    for (size_t i = 0; i < IMG_EDGES; i++) {
        int from = img_skeleton[i][0] - 1, to = img_skeleton[i][1] - 1;

        if (!p->present[from] || !p->present[to] || !is_number(p->joints[from]) || !is_number(p->joints[to]))
            continue;
        cairo_move_to(c, to_int(p->joints[from].x) + 0.5, to_int(p->joints[from].y) + 0.5);
        cairo_line_to(c, to_int(p->joints[to].x) + 0.5, to_int(p->joints[to].y) + 0.5);
        cairo_stroke(c);
    }
}

/* ---- labels ------------------------------------------------------------------------------------------- */

/* Bytes of the UTF-8 sequence that starts at s, or 0 if it is none; a NUL ends it like any wrong byte. */
static size_t utf8_length(const unsigned char *s)
{
    size_t n = s[0] < 0x80                   ? 1
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
               : (s[0] & 0xf0) == 0xe0       ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                             : 0;

    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
    }
    if (n == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)))
        return 0; /* long form, surrogate */
    if (n == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))) return 0;
    return n;
}

/* A label as one line that cairo accepts: control characters become spaces, broken UTF-8 question marks, and
 * what is too long is cut. */
static void label_clean(char out[LABEL_SIZE_MAX], const char *label)
{
    const unsigned char *s = (const unsigned char *)label;
    size_t used = 0;

    while (*s != 0) {
        size_t n = utf8_length(s);

        if (used + (n > 0 ? n : 1) >= LABEL_SIZE_MAX) break;
        if (n == 0) {
            out[used++] = '?';
        } else if (n == 1 && (*s < 0x20 || *s == 0x7f)) {
            out[used++] = ' ';
        } else {
            memcpy(out + used, s, n);
            used += n;
        }
        s += n > 0 ? n : 1;
    }
    out[used] = 0;
}

/* Writes text with its lower left corner at p, moved inside where the picture ends. With a gap it stands that
 * far to the right of p, or to the left where there is more room. */
static void label_draw(cairo_t *c, const struct image *im, const char *text, struct img_point p, double gap,
                       struct img_color color, double scale)
{
    double pad = 3 * scale, width, height, x, y;
    bool is_dark = color.r * 299 + color.g * 587 + color.b * 114 < 128 * 1000;
    cairo_font_extents_t font;
    cairo_text_extents_t extents;

    cairo_font_extents(c, &font);
    cairo_text_extents(c, text, &extents);
    width = extents.x_advance + 2 * pad;
    height = font.ascent + font.descent;
    x = gap > 0 && p.x + gap + width > im->width ? p.x - gap - width : p.x + gap;
    x = fmax(0, fmin(x, im->width - width));
    y = fmax(0, fmin(p.y - height, im->height - height));
    color_set(c, color);
    cairo_rectangle(c, x, y, width, height);
    cairo_fill(c);
    color_set(c, is_dark ? (struct img_color){ 255, 255, 255 } : (struct img_color){ 0, 0, 0 });
    cairo_move_to(c, x + pad, y + font.ascent);
    cairo_show_text(c, text);
}

static void region_label(cairo_t *c, const struct image *im, const struct img_region *r, double scale)
{
    double gap = (DISC_RADIUS + 2) * scale;
    char text[LABEL_SIZE_MAX];

    if (r->label == NULL || r->label[0] == 0) return;
    label_clean(text, r->label);
    for (size_t i = 0; i < r->n_boxes; i++) {
        const struct img_box *b = &r->boxes[i];
        struct img_point corner = { fmin(b->x1, b->x2), fmin(b->y1, b->y2) };

        if (box_is_number(b)) label_draw(c, im, text, corner, 0, r->color, scale);
    }
    for (size_t i = 0; i < r->n_points; i++) {
        struct img_point p = { r->points[i].x, r->points[i].y + gap };

        if (is_number(p)) label_draw(c, im, text, p, gap, r->color, scale);
    }
}

/* cairo and fontconfig keep what they looked up about fonts until the process ends. */
static void labels_draw(cairo_t *c, const struct image *im, const struct img_region *regions,
                        size_t n_regions, double scale)
{
    cairo_select_font_face(c, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_BOLD);
    cairo_set_font_size(c, FONT_SIZE * scale);
    for (size_t i = 0; i < n_regions; i++) region_label(c, im, &regions[i], scale);
}

/* ---- picture <-> surface ------------------------------------------------------------------------------ */

/* cairo keeps a pixel as 0x00rrggbb in a machine word. */
static void surface_fill(cairo_surface_t *surface, const struct image *im)
{
    unsigned char *data = cairo_image_surface_get_data(surface);
    size_t stride = (size_t)cairo_image_surface_get_stride(surface), width = (size_t)im->width;

    for (size_t y = 0; y < (size_t)im->height; y++) {
        for (size_t x = 0; x < width; x++) {
            const unsigned char *rgb = im->rgb + (y * width + x) * 3;
            uint32_t pixel = (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];

            memcpy(data + y * stride + 4 * x, &pixel, 4);
        }
    }
    cairo_surface_mark_dirty(surface);
}

static void surface_read(cairo_surface_t *surface, struct image *im)
{
    const unsigned char *data = cairo_image_surface_get_data(surface);
    size_t stride = (size_t)cairo_image_surface_get_stride(surface), width = (size_t)im->width;

    for (size_t y = 0; y < (size_t)im->height; y++) {
        for (size_t x = 0; x < width; x++) {
            unsigned char *rgb = im->rgb + (y * width + x) * 3;
            uint32_t pixel;

            memcpy(&pixel, data + y * stride + 4 * x, 4);
            rgb[0] = (unsigned char)(pixel >> 16);
            rgb[1] = (unsigned char)(pixel >> 8);
            rgb[2] = (unsigned char)pixel;
        }
    }
}

enum status img_draw(struct image *im, const struct img_region *regions, size_t n_regions,
                     const struct img_person *people, size_t n_people, const struct img_style *style,
                     struct err *e)
{
    double scale = style != NULL && style->scale > 0 ? fmin(style->scale, SCALE_MAX) : 1;
    cairo_surface_t *surface;
    enum status st = STATUS_OK;
    cairo_t *c;

    if (im->width > CAIRO_SIDE_MAX || im->height > CAIRO_SIDE_MAX) {
        return err_set(e, STATUS_UNSUPPORTED,
                       "a picture of %d x %d pixels is too large to draw on, which ends at %d a side",
                       im->width, im->height, CAIRO_SIDE_MAX);
    }
    surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, im->width, im->height);
    if (cairo_surface_status(surface) != CAIRO_STATUS_SUCCESS) {
        cairo_surface_destroy(surface);
        return err_no_memory(e, "drawing on a picture");
    }
    surface_fill(surface, im);
    c = cairo_create(surface);
    cairo_set_antialias(c, CAIRO_ANTIALIAS_NONE);
    for (size_t i = 0; i < n_regions; i++) region_draw(c, &regions[i], scale);
    cairo_set_antialias(c, CAIRO_ANTIALIAS_DEFAULT);
    for (size_t i = 0; i < n_people; i++) skeleton_draw(c, &people[i], scale);
    if (style != NULL && style->labels) labels_draw(c, im, regions, n_regions, scale);
    cairo_surface_flush(surface);
    if (cairo_status(c) == CAIRO_STATUS_SUCCESS)
        surface_read(surface, im);
    else
        st = err_set(e, STATUS_NO_MEMORY, "drawing on a picture failed: %s",
                     cairo_status_to_string(cairo_status(c)));
    cairo_destroy(c);
    cairo_surface_destroy(surface);
    return st;
}

void img_blend_mask(struct image *im, const unsigned char *mask, struct img_color color)
{
    enum { OPACITY = 127, WHOLE = 255 };
    const unsigned char over[3] = { color.r, color.g, color.b };

    for (size_t i = 0; i < (size_t)im->width * (size_t)im->height; i++) {
        unsigned char *pixel = im->rgb + 3 * i;

        for (size_t c = 0; c < 3 && mask[i] != 0; c++)
            pixel[c] =
                (unsigned char)((OPACITY * over[c] + (WHOLE - OPACITY) * pixel[c] + WHOLE / 2) / WHOLE);
    }
}
