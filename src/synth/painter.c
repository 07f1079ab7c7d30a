/*
 * painter.c - see painter.h.
 *
 * Fonts are what costs: a scaled font is made once for each face and size (in half units) and kept, with its glyphs, as long as the
 * painter. Glyphs stand on whole pixels, as cairo's image surfaces draw them anyway, so that a text's box is its glyphs' boxes together.
 */
#include "synth/painter.h"

#include <cairo.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "synth/outline.h"
#include "synth/palette.h"
#include "synth/photo.h"

#define PI 3.14159265358979323846

enum { SIZES = 64, GLYPHS_MAX = SCENE_TEXT_MAX }; /* font sizes, in half units */

struct painter {
    int side;     /* pixels */
    double scale; /* pixels of a unit */
    cairo_surface_t *things, *ground;
    cairo_font_face_t *face[FONT_COUNT];
    cairo_scaled_font_t *font[FONT_COUNT][SIZES];
    unsigned char *rgb;      /* [side, side, 3] */
    unsigned char *owner[2]; /* [side, side] before and behind the camera's view */
    struct photo_scratch *scratch;
};

/* What one picture is painted with. */
struct painting {
    struct painter *p;
    const struct scene *s;
    struct picture *picture;
    cairo_t *c; /* on the things, in units */
    struct err *e;
};

static void use(cairo_t *c, struct tone t)
{
    cairo_set_source_rgb(c, t.r, t.g, t.b);
}

static const struct tone dark = { 0.17, 0.17, 0.17 }, skin = { 0.93, 0.74, 0.58 }, hair = { 0.3, 0.19, 0.1 },
                         paper = { 0.98, 0.98, 0.97 };

/* ---- places ---------------------------------------------------------------------------------------------------- */

/* A box that holds nothing yet. */
static void begin_box(double *box)
{
    box[0] = box[1] = INFINITY;
    box[2] = box[3] = -INFINITY;
}

static void reach(struct painting *q, double *box, struct disc disc)
{
    struct photo_point at = photo_project(&q->s->camera, disc.x, disc.y);
    double k = q->p->scale, r = disc.r * at.scale;

    box[0] = fmin(box[0], (at.x - r) * k);
    box[1] = fmin(box[1], (at.y - r) * k);
    box[2] = fmax(box[2], (at.x + r) * k);
    box[3] = fmax(box[3], (at.y + r) * k);
}

static void place_joints(struct painting *q, const struct item *t, struct place *place)
{
    for (int i = 0; i < IMG_JOINTS; i++) {
        struct photo_point at = photo_project(&q->s->camera, t->joint[i].x, t->joint[i].y);

        place->joint[i] = (struct img_point){ at.x * q->p->scale, at.y * q->p->scale };
    }
}

static void clip_box(double *box, const struct image *im)
{
    for (int i = 0; i < 4; i++) box[i] = fmin(fmax(box[i], 0), i % 2 == 0 ? im->width : im->height);
}

static void clip_place(struct place *place, const struct image *im)
{
    clip_box(place->box, im);
    for (int i = 0; i < SCENE_TEXT_MAX; i++) clip_box(place->letter[i], im);
}

/* ---- shapes ---------------------------------------------------------------------------------------------------- */

static void polygon_path(cairo_t *c, const struct img_point *point, size_t n)
{
    cairo_new_path(c);
    for (size_t i = 0; i < n; i++) cairo_line_to(c, point[i].x, point[i].y);
    cairo_close_path(c);
}

static void shape_path(cairo_t *c, const struct item *t)
{
    struct img_point point[OUTLINE_MAX];
    size_t n = outline_shape(t, point);

    polygon_path(c, point, n);
    if (t->shape != SHAPE_RING) return;
    cairo_new_sub_path(c);
    cairo_arc_negative(c, t->x, t->y, t->size / 2 * RING_HOLE, 2 * PI, 0);
    cairo_close_path(c);
}

static void stripes(cairo_t *c, double r)
{
    cairo_set_line_width(c, 3);
    for (double y = -ceil(r / 6.5) * 6.5; y < r; y += 6.5) {
        cairo_move_to(c, -r, y);
        cairo_line_to(c, r, y);
    }
    cairo_stroke(c);
}

static void dots(cairo_t *c, double r)
{
    int n = (int)ceil(r / 6.5);

    for (int y = -n; y <= n; y++) {
        for (int x = -n; x <= n; x++) {
            cairo_new_sub_path(c);
            cairo_arc(c, 6.5 * x, 6.5 * y, 1.75, 0, 2 * PI);
        }
    }
    cairo_fill(c);
}

static void checks(cairo_t *c, double r)
{
    int n = (int)ceil(r / 5);

    for (int y = -n; y < n; y++) {
        for (int x = -n; x < n; x++) {
            if ((x + y) % 2 == 0) cairo_rectangle(c, 5 * x, 5 * y, 5, 5);
        }
    }
    cairo_fill(c);
}

static void paint_texture(cairo_t *c, const struct item *t)
{
    static void (*const pattern[TEXTURE_COUNT])(cairo_t *, double) = {
        [TEXTURE_STRIPED] = stripes, [TEXTURE_DOTTED] = dots, [TEXTURE_CHECKED] = checks
    };

    if (t->texture == TEXTURE_PLAIN) return;
    cairo_save(c);
    cairo_clip_preserve(c);
    cairo_new_path(c);
    cairo_translate(c, t->x, t->y);
    cairo_rotate(c, t->angle);
    use(c, palette_second(t->color));
    pattern[t->texture](c, t->size / 2);
    cairo_restore(c);
}

static void paint_shape(struct painting *q, const struct item *t)
{
    cairo_t *c = q->c;

    if (q->s->camera.shadow > 0) {
        cairo_save(c);
        cairo_translate(c, 1.3, 1.6);
        shape_path(c, t);
        cairo_set_source_rgba(c, 0, 0, 0, q->s->camera.shadow);
        cairo_fill(c);
        cairo_restore(c);
    }
    shape_path(c, t);
    use(c, palette_color(t->color));
    cairo_fill_preserve(c);
    paint_texture(c, t);
    shape_path(c, t);
    use(c, dark);
    cairo_set_line_width(c, OUTLINE_STROKE);
    cairo_stroke(c);
}

/* ---- people ---------------------------------------------------------------------------------------------------- */

static void disc_path(cairo_t *c, struct img_point p, double r)
{
    cairo_new_path(c);
    cairo_arc(c, p.x, p.y, r, 0, 2 * PI);
}

/* Filled, in a dark line. */
static void paint_disc(cairo_t *c, struct img_point p, double r, struct tone tone)
{
    disc_path(c, p, r);
    use(c, tone);
    cairo_fill_preserve(c);
    use(c, dark);
    cairo_set_line_width(c, OUTLINE_STROKE);
    cairo_stroke(c);
}

/* A limb: a line on a wider dark one, so that the dark shows at its sides. */
static void paint_limb(cairo_t *c, struct img_point a, struct img_point b, double r, struct tone tone)
{
    cairo_new_path(c);
    cairo_move_to(c, a.x, a.y);
    cairo_line_to(c, b.x, b.y);
    use(c, dark);
    cairo_set_line_width(c, 2 * r + OUTLINE_STROKE);
    cairo_stroke_preserve(c);
    use(c, tone);
    cairo_set_line_width(c, 2 * r - OUTLINE_STROKE);
    cairo_stroke(c);
}

static void paint_torso(cairo_t *c, const struct item *t, double r)
{
    struct img_point corner[4] = { t->joint[5], t->joint[6], t->joint[12], t->joint[11] };

    polygon_path(c, corner, 4);
    use(c, dark);
    cairo_set_line_width(c, 2 * r + OUTLINE_STROKE);
    cairo_stroke_preserve(c);
    use(c, palette_color(t->color));
    cairo_set_line_width(c, 2 * r - OUTLINE_STROKE);
    cairo_stroke_preserve(c);
    cairo_fill(c);
}

static void paint_head(cairo_t *c, const struct item *t, const struct body *b)
{
    struct img_point head = outline_head(t);

    paint_disc(c, t->joint[3], b->ear, skin);
    paint_disc(c, t->joint[4], b->ear, skin);
    paint_disc(c, head, b->head, t->back ? hair : skin);
    if (t->back) return;
    cairo_new_path(c);
    cairo_arc(c, head.x, head.y, b->head, PI * 1.1, PI * 1.9);
    cairo_close_path(c);
    use(c, hair);
    cairo_fill(c);
    use(c, (struct tone){ 0.05, 0.05, 0.05 });
    for (int i = 1; i < 3; i++) {
        disc_path(c, t->joint[i], b->face);
        cairo_fill(c);
    }
    disc_path(c, t->joint[0], b->face);
    use(c, (struct tone){ 0.75, 0.35, 0.25 });
    cairo_fill(c);
}

static void paint_person(struct painting *q, const struct item *t)
{
    struct body b = outline_body(t);
    const struct img_point *j = t->joint;
    struct tone shirt = palette_color(t->color), trousers = palette_color(t->trousers);
    struct img_point neck = { (j[5].x + j[6].x) / 2, (j[5].y + j[6].y) / 2 };

    for (int i = 0; i < 2; i++) {
        paint_limb(q->c, j[13 + i], j[15 + i], b.limb * 0.8, skin);
        paint_disc(q->c, j[15 + i], b.foot, dark);
        paint_limb(q->c, j[11 + i], j[13 + i], b.limb, trousers);
    }
    paint_limb(q->c, outline_head(t), neck, b.limb, skin);
    paint_torso(q->c, t, b.limb);
    for (int i = 0; i < 2; i++) {
        paint_limb(q->c, j[7 + i], j[9 + i], b.limb * 0.8, skin);
        paint_disc(q->c, j[9 + i], b.hand, skin);
        paint_limb(q->c, j[5 + i], j[7 + i], b.limb, shirt);
    }
    paint_head(q->c, t, &b);
}

/* ---- charts and paper ------------------------------------------------------------------------------------------ */

static void paint_paper(struct painting *q)
{
    cairo_rectangle(q->c, 0, 0, q->s->width, q->s->height);
    use(q->c, paper);
    cairo_fill(q->c);
}

static void paint_pie(struct painting *q, const struct chart *chart)
{
    double begin = -PI / 2;

    for (size_t i = 0; i < chart->n; i++) {
        double end = begin + 2 * PI * chart->value[i] / 100;

        cairo_new_path(q->c);
        cairo_move_to(q->c, chart->left, chart->bottom);
        cairo_arc(q->c, chart->left, chart->bottom, chart->width, begin, end);
        cairo_close_path(q->c);
        use(q->c, palette_color(chart->color[i]));
        cairo_fill_preserve(q->c);
        use(q->c, dark);
        cairo_set_line_width(q->c, 0.8);
        cairo_stroke(q->c);
        begin = end;
    }
}

static void paint_bars(struct painting *q, const struct chart *chart)
{
    double step = chart->width / (double)chart->n;

    for (size_t i = 0; i < chart->n; i++) {
        double height = chart->unit * chart->value[i];

        cairo_rectangle(q->c, chart->left + step * ((double)i + 0.2), chart->bottom - height, step * 0.6,
                        height);
        use(q->c, palette_color(chart->color[i]));
        cairo_fill_preserve(q->c);
        use(q->c, dark);
        cairo_set_line_width(q->c, 0.8);
        cairo_stroke(q->c);
    }
}

static void paint_line(struct painting *q, const struct chart *chart)
{
    double step = chart->width / (double)chart->n;

    cairo_new_path(q->c);
    for (size_t i = 0; i < chart->n; i++)
        cairo_line_to(q->c, chart->left + step * ((double)i + 0.5),
                      chart->bottom - chart->floor - chart->unit * chart->value[i]);
    use(q->c, palette_color(chart->color[0]));
    cairo_set_line_width(q->c, 1.8);
    cairo_stroke(q->c);
    for (size_t i = 0; i < chart->n; i++) {
        struct img_point p = { chart->left + step * ((double)i + 0.5),
                               chart->bottom - chart->floor - chart->unit * chart->value[i] };

        paint_disc(q->c, p, 2, palette_color(chart->color[0]));
    }
}

static void paint_chart(struct painting *q)
{
    const struct chart *chart = &q->s->chart;

    if (chart->kind == CHART_PIE) {
        paint_pie(q, chart);
        return;
    }
    use(q->c, dark);
    cairo_set_line_width(q->c, 1);
    cairo_move_to(q->c, chart->left - 2, chart->bottom - 66);
    cairo_line_to(q->c, chart->left - 2, chart->bottom);
    cairo_line_to(q->c, chart->left + chart->width + 2, chart->bottom);
    cairo_stroke(q->c);
    (chart->kind == CHART_BAR ? paint_bars : paint_line)(q, chart);
}

/* ---- text ------------------------------------------------------------------------------------------------------ */

static cairo_scaled_font_t *font_of(struct painter *p, enum font font, double size)
{
    int i = (int)lrint(2 * size);
    cairo_font_options_t *options;
    cairo_matrix_t matrix, unit;

    i = i < 1 ? 1 : i >= SIZES ? SIZES - 1 : i;
    if (p->font[font][i] != NULL) return p->font[font][i];
    options = cairo_font_options_create();
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_SLIGHT);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_ON);
    cairo_matrix_init_scale(&matrix, i * p->scale / 2,
                            i * p->scale / 2); /* in pixels: texts are set in pixels */
    cairo_matrix_init_identity(&unit);
    p->font[font][i] = cairo_scaled_font_create(p->face[font], &matrix, &unit, options);
    cairo_font_options_destroy(options);
    return p->font[font][i];
}

/* The widest size at which the text is within its room, in units. */
static cairo_scaled_font_t *fitting_font(struct painter *p, const struct item *t,
                                         cairo_text_extents_t *extents)
{
    cairo_scaled_font_t *font;
    double size = t->font_size;

    for (;; size -= 0.5) {
        font = font_of(p, t->font, size);
        cairo_scaled_font_text_extents(font, t->text, extents);
        if (extents->width <= t->room * p->scale || size <= 5) return font;
    }
}

static void place_glyphs(struct painting *q, struct place *place, cairo_scaled_font_t *font,
                         const cairo_glyph_t *glyph, int n)
{
    double k = q->p->scale;

    for (int i = 0; i < n; i++) {
        cairo_text_extents_t ink;

        cairo_scaled_font_glyph_extents(font, &glyph[i], 1, &ink);
        if (ink.width <= 0) continue; /* a space */
        if (i < SCENE_TEXT_MAX) begin_box(place->letter[i]);
        for (int corner = 0; corner < 4; corner++) {
            double x = glyph[i].x + ink.x_bearing + (corner % 2 == 1 ? ink.width : 0);
            double y = glyph[i].y + ink.y_bearing + (corner > 1 ? ink.height : 0);

            reach(q, place->box, (struct disc){ x / k, y / k, 0 });
            if (i < SCENE_TEXT_MAX) reach(q, place->letter[i], (struct disc){ x / k, y / k, 0 });
        }
    }
}

static void paint_text(struct painting *q, const struct item *t, struct place *place)
{
    cairo_glyph_t stack[GLYPHS_MAX], *glyph = stack;
    double k = q->p->scale;
    cairo_text_extents_t extents;
    cairo_scaled_font_t *font = fitting_font(q->p, t, &extents);
    double x = rint(t->x * k - (t->from_left ? 0 : extents.width / 2) - extents.x_bearing);
    double y = rint(t->y * k - extents.height / 2 - extents.y_bearing);
    int n = GLYPHS_MAX;

    if (t->role == ROLE_LINE)
        y = rint(t->y * k + t->font_size * k * 0.35); /* one base line, whatever the letters */
    if (cairo_scaled_font_text_to_glyphs(font, x, y, t->text, -1, &glyph, &n, NULL, NULL, NULL) !=
        CAIRO_STATUS_SUCCESS)
        return; /* the font is in error: painter_paint finds out */
    place_glyphs(q, place, font, glyph, n);
    cairo_save(q->c);
    cairo_identity_matrix(q->c);
    if (t->role == ROLE_VALUE && q->s->chart.kind == CHART_LINE) { /* the line does not cross it */
        cairo_rectangle(q->c, x + extents.x_bearing - 1, y + extents.y_bearing - 1, extents.width + 2,
                        extents.height + 2);
        use(q->c, paper);
        cairo_fill(q->c);
    }
    cairo_set_scaled_font(q->c, font);
    use(q->c, palette_color(t->color));
    cairo_show_glyphs(q->c, glyph, n);
    cairo_restore(q->c);
    if (glyph != stack) cairo_glyph_free(glyph);
}

/* ---- a picture ------------------------------------------------------------------------------------------------- */

static void paint_item(struct painting *q, const struct item *t, struct place *place)
{
    struct disc disc[OUTLINE_MAX];
    size_t n = 0;

    *place = (struct place){ 0 };
    begin_box(place->box);
    if (t->kind == ITEM_TEXT) {
        paint_text(q, t, place);
    } else {
        n = outline_discs(t, disc);
        (t->kind == ITEM_SHAPE ? paint_shape : paint_person)(q, t);
    }
    for (size_t i = 0; i < n; i++) reach(q, place->box, disc[i]);
    if (t->kind == ITEM_PERSON) place_joints(q, t, place);
    clip_place(place, &q->picture->im);
}

static void clear(cairo_t *c)
{
    cairo_set_operator(c, CAIRO_OPERATOR_CLEAR);
    cairo_paint(c);
    cairo_set_operator(c, CAIRO_OPERATOR_OVER);
}

/* From here on lengths are units. */
static void use_units(struct painting *q)
{
    cairo_scale(q->c, q->p->scale, q->p->scale);
    cairo_set_line_join(q->c, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_cap(q->c, CAIRO_LINE_CAP_ROUND);
}

/* All of an earlier picture is wiped, or covered by an opaque ground. */
static void begin_layer(cairo_t *c, const struct scene *s)
{
    if (s->photo) {
        clear(c);
    } else {
        use(c, palette_ground(s->ground));
        cairo_paint(c);
    }
}

static void paint_things(struct painting *q)
{
    begin_layer(q->c, q->s);
    use_units(q);
    if (q->s->kind == SCENE_CHART || q->s->kind == SCENE_DOCUMENT) paint_paper(q);
    if (q->s->kind == SCENE_CHART) paint_chart(q);
    for (size_t i = 0; i < q->s->n_items; i++) paint_item(q, &q->s->items[i], &q->picture->place[i]);
    cairo_surface_flush(q->p->things);
}

static enum status end_painting(struct painting *q)
{
    cairo_status_t found = cairo_status(q->c);

    cairo_destroy(q->c);
    if (found == CAIRO_STATUS_SUCCESS) return STATUS_OK;
    return err_set(q->e, STATUS_NO_MEMORY, "drawing a scene failed: %s", cairo_status_to_string(found));
}

enum status painter_paint(struct painter *p, const struct scene *s, struct picture *picture, struct err *e)
{
    struct painting q = { .p = p, .s = s, .picture = picture, .c = cairo_create(p->things), .e = e };
    struct image *im = &picture->im;
    enum status st;

    *im = (struct image){ (int)lrint(s->width * p->scale), (int)lrint(s->height * p->scale), p->rgb };
    paint_things(&q);
    st = end_painting(&q);
    if (st != STATUS_OK) return st;
    if (s->photo)
        photo_take(im, s, p->things, p->ground, p->scratch);
    else
        photo_copy(im, p->things);
    return STATUS_OK;
}

/* ---- what each pixel shows ------------------------------------------------------------------------------------- */

/* The pixels that the things' surface shows half or more of something in become the owner's. */
static void take_pixels(cairo_surface_t *things, unsigned char *owner, int width, int height,
                        unsigned char number)
{
    const unsigned char *data;
    ptrdiff_t stride = cairo_image_surface_get_stride(things);

    cairo_surface_flush(things);
    data = cairo_image_surface_get_data(things);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++, owner++) {
            uint32_t pixel;

            memcpy(&pixel, data + y * stride + 4 * (ptrdiff_t)x, 4);
            if (pixel >> 24 >= 128) *owner = number;
        }
    }
}

enum status painter_owners(struct painter *p, const struct scene *scene, const unsigned char **owner,
                           struct err *e)
{
    int width = (int)lrint(scene->width * p->scale), height = (int)lrint(scene->height * p->scale);
    struct painting q = { .p = p, .e = e };
    struct scene s = *scene;
    enum status st;

    s.camera.shadow = 0;
    q.s = &s;
    for (int i = 0; i < 2; i++) {
        if (p->owner[i] == NULL) p->owner[i] = malloc((size_t)p->side * (size_t)p->side);
        if (p->owner[i] == NULL) return err_no_memory(e, "what a picture's pixels show");
    }
    memset(p->owner[0], 0, (size_t)width * (size_t)height);
    q.c = cairo_create(p->things);
    use_units(&q);
    for (size_t i = 0; i < s.n_items; i++) {
        if (s.items[i].kind == ITEM_TEXT) continue;
        clear(q.c);
        (s.items[i].kind == ITEM_SHAPE ? paint_shape : paint_person)(&q, &s.items[i]);
        take_pixels(p->things, p->owner[0], width, height, (unsigned char)(i + 1));
    }
    st = end_painting(&q);
    photo_find(p->owner[1], &s, p->owner[0], width, height);
    *owner = p->owner[1];
    return st;
}

/* ---- open and close -------------------------------------------------------------------------------------------- */

/* Without any font installed cairo draws with one of its own, of lines: nobody's letters. */
static enum status open_fonts(struct painter *p, struct err *e)
{
    static const struct {
        const char *family;
        cairo_font_slant_t slant;
        cairo_font_weight_t weight;
    } rows[FONT_COUNT] = {
        [FONT_SANS] = { "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL },
        [FONT_SANS_BOLD] = { "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_BOLD },
        [FONT_SERIF] = { "DejaVu Serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL },
        [FONT_SERIF_ITALIC] = { "DejaVu Serif", CAIRO_FONT_SLANT_ITALIC, CAIRO_FONT_WEIGHT_NORMAL },
        [FONT_SERIF_BOLD] = { "DejaVu Serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_BOLD },
        [FONT_MONO] = { "DejaVu Sans Mono", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL },
    };

    for (int i = 0; i < FONT_COUNT; i++) {
        cairo_scaled_font_t *font;

        p->face[i] = cairo_toy_font_face_create(rows[i].family, rows[i].slant, rows[i].weight);
        font = font_of(p, (enum font)i, 10);
        if (cairo_scaled_font_status(font) != CAIRO_STATUS_SUCCESS ||
            cairo_scaled_font_get_type(font) == CAIRO_FONT_TYPE_USER)
            return err_set(
                e, STATUS_NOT_FOUND,
                "there are no fonts to write with: install some, such as the package fonts-dejavu-core");
    }
    return STATUS_OK;
}

enum status painter_open(struct painter **painter, int side, struct err *e)
{
    struct painter *p = calloc(1, sizeof *p);
    enum status st;

    *painter = NULL;
    if (p == NULL) return err_no_memory(e, "a painter");
    p->side = side;
    p->scale = side / SCENE_SIDE;
    p->things = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, side, side);
    p->ground = cairo_image_surface_create(CAIRO_FORMAT_RGB24, side, side);
    p->rgb = malloc((size_t)side * (size_t)side * 3);
    p->scratch = photo_scratch_open(side);
    st = open_fonts(p, e);
    if (p->rgb == NULL || p->scratch == NULL || cairo_surface_status(p->things) != CAIRO_STATUS_SUCCESS ||
        cairo_surface_status(p->ground) != CAIRO_STATUS_SUCCESS)
        st = err_no_memory(e, "a painter's pictures");
    if (st == STATUS_OK)
        *painter = p;
    else
        painter_close(p);
    return st;
}

void painter_close(struct painter *p)
{
    if (p == NULL) return;
    for (int i = 0; i < FONT_COUNT; i++) {
        for (int k = 0; k < SIZES; k++) cairo_scaled_font_destroy(p->font[i][k]);
        cairo_font_face_destroy(p->face[i]);
    }
    cairo_surface_destroy(p->things);
    cairo_surface_destroy(p->ground);
    photo_scratch_close(p->scratch);
    free(p->owner[0]);
    free(p->owner[1]);
    free(p->rgb);
    free(p);
}
