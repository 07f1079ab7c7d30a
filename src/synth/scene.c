/*
 * scene.c - see scene.h. What kind of scene it is, on what ground, how it was photographed; and which split it may be in.
 *
 * Two streams of numbers that never meet are not enough to keep splits apart: a scene of one word has few forms, and sooner or later both
 * would draw the same. So a scene's content decides: of 16 classes of content hashes, 14 are training's and one each the others'. A scene
 * of the wrong class is drawn again.
 */
#include "synth/scene.h"

#include <math.h>
#include <string.h>

#include "synth/scene_parts.h"

const char *const split_names[SPLIT_COUNT] = { "train", "val", "test" };
const char *const shape_names[SHAPE_COUNT] = { "circle", "square", "triangle", "star", "diamond",
                                               "heart",  "cross",  "moon",     "ring" };
const char *const shape_plurals[SHAPE_COUNT] = { "circles", "squares", "triangles", "stars", "diamonds",
                                                 "hearts",  "crosses", "moons",     "rings" };
const char *const color_names[COLOR_COUNT] = { "red",    "orange", "yellow", "green", "blue",
                                               "purple", "pink",   "black",  "white" };
const char *const texture_names[TEXTURE_COUNT] = { "plain", "striped", "dotted", "checked" };
const char *const ground_names[GROUND_COUNT] = { "gray", "cream", "light blue", "light green" };
const char *const chart_names[CHART_KIND_COUNT] = { "bar", "line", "pie" };

enum { CLASSES = 16 };
enum purpose { PURPOSE_CAMERA, PURPOSE_SCENE }; /* attempts to draw the scene are PURPOSE_SCENE and up */

/* ---- which split ----------------------------------------------------------------------------------------------- */

static uint64_t mixed(uint64_t hash, double x)
{
    return mix64(hash ^ (uint64_t)(int64_t)lrint(x));
}

static uint64_t item_content(uint64_t hash, const struct item *t)
{
    hash = mixed(hash, t->kind);
    hash = mixed(hash, t->color);
    hash = mixed(hash, t->x / 4);
    hash = mixed(hash, t->y / 4);
    if (t->kind == ITEM_SHAPE) {
        hash = mixed(hash, t->shape);
        hash = mixed(hash, t->texture);
        hash = mixed(hash, t->large);
    } else if (t->kind == ITEM_PERSON) {
        hash = mixed(hash, t->trousers);
        hash = mixed(hash, t->back);
        for (int i = 0; i < IMG_JOINTS; i++) hash = mixed(mixed(hash, t->joint[i].x / 4), t->joint[i].y / 4);
    } else {
        hash = mixed(hash, t->font);
        for (const char *c = t->text; *c != '\0'; c++) hash = mixed(hash, *c);
    }
    return hash;
}

uint64_t scene_content(const struct scene *s)
{
    uint64_t hash = mixed(mixed(mixed(0, s->kind), s->width / 4), s->height / 4);

    for (size_t i = 0; i < s->n_items; i++) hash = item_content(hash, &s->items[i]);
    hash = mixed(hash, s->chart.kind);
    for (size_t i = 0; i < s->chart.n; i++) hash = mixed(hash, s->chart.value[i]);
    return hash;
}

static enum split split_of(uint64_t content)
{
    unsigned class = (unsigned)(content >> 32) % CLASSES;

    return class == CLASSES - 1 ? SPLIT_TEST : class == CLASSES - 2 ? SPLIT_VAL : SPLIT_TRAIN;
}

/* ---- what is seen ---------------------------------------------------------------------------------------------- */

static void draw_content(struct scene *s, unsigned kinds, struct draws *d)
{
    static const double weight[SCENE_KIND_COUNT] = {
        [SCENE_OBJECTS] = 0.5,   [SCENE_PEOPLE] = 0.16, [SCENE_WORDS] = 0.14,  [SCENE_CHART] = 0.12,
        [SCENE_DOCUMENT] = 0.08, [SCENE_PAGE] = 0.08,   [SCENE_LETTERS] = 0.08
    };
    static void (*const part[SCENE_KIND_COUNT])(struct scene *, struct draws *) = {
        [SCENE_OBJECTS] = scene_draw_objects,   [SCENE_PEOPLE] = scene_draw_people,
        [SCENE_WORDS] = scene_draw_words,       [SCENE_CHART] = scene_draw_chart,
        [SCENE_DOCUMENT] = scene_draw_document, [SCENE_PAGE] = scene_draw_page,
        [SCENE_LETTERS] = scene_draw_letters,
    };
    double chance[SCENE_KIND_COUNT], all = 0;

    if (kinds == 0) kinds = ~(1u << SCENE_PAGE | 1u << SCENE_LETTERS);
    for (int i = 0; i < SCENE_KIND_COUNT; i++) all += chance[i] = (kinds >> i & 1) != 0 ? weight[i] : 0;
    for (int i = 0; i < SCENE_KIND_COUNT; i++) chance[i] /= all;
    s->kind = draw_weighted(d, chance, SCENE_KIND_COUNT);
    s->width = s->height = SCENE_SIDE;
    if (s->kind < SCENE_CHART && draw_chance(d, 0.25))
        *(draw_chance(d, 0.5) ? &s->width : &s->height) = SCENE_SIDE * 0.75;
    s->ground = draw_below(d, GROUND_COUNT);
    part[s->kind](s, d);
}

/* ---- the camera ------------------------------------------------------------------------------------------------ */

static const double unit_matrix[9] = { 1, 0, 0, 0, 1, 0, 0, 0, 1 };

static void multiply(double *c, const double *a, const double *b)
{
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++)
            c[i * 3 + j] = a[i * 3] * b[j] + a[i * 3 + 1] * b[3 + j] + a[i * 3 + 2] * b[6 + j];
    }
}

/* Turned by a few degrees and tilted about the picture's middle, and small enough that nothing leaves it. */
static void draw_matrix(struct camera *c, struct draws *d, double width, double height)
{
    double angle = draw_between(d, -0.09, 0.09), scale = draw_between(d, 0.84, 0.9);
    double co = scale * cos(angle), si = scale * sin(angle);
    double x = width / 2, y = height / 2;
    double to_middle[9] = { 1, 0, -x, 0, 1, -y, 0, 0, 1 };
    double turn[9] = { co, -si, 0, si, co, 0, draw_between(d, -7e-4, 7e-4), draw_between(d, -7e-4, 7e-4), 1 };
    double back[9] = { 1, 0, x + draw_between(d, -2, 2), 0, 1, y + draw_between(d, -2, 2), 0, 0, 1 };
    double turned[9];

    multiply(turned, turn, to_middle);
    multiply(c->matrix, back, turned);
}

static bool is_cut(const struct scene *s)
{
    for (size_t i = 0; i < s->n_items; i++) {
        if (s->items[i].kind == ITEM_PERSON && s->items[i].height > s->height) return true;
    }
    return false;
}

static void draw_camera(struct camera *c, struct draws *d, const struct scene *s)
{
    /* What the picture's edge cuts must stay at the edge. */
    if (!is_cut(s)) draw_matrix(c, d, s->width, s->height);
    c->light = draw_between(d, 0.04, 0.2);
    c->light_angle = draw_between(d, 0, 6.2831853);
    c->ambient = draw_between(d, 0.84, 1.02);
    c->blur = draw_between(d, 0, 0.2);
    c->noise = draw_between(d, 1, 7);
    c->shadow = draw_between(d, 0.1, 0.4);
    c->grain = draw_between(d, 6, 26);
    c->quality = 88 + (int)draw_below(d, 9);
    c->n_clutter = draw_below(d, SCENE_CLUTTER_MAX + 1);
    c->seed = draw_bits(d);
}

/* ---- the scene ------------------------------------------------------------------------------------------------- */

void scene_draw(struct scene *s, uint64_t seed, enum split split, uint64_t index, bool photo)
{
    scene_draw_of(s, 0, seed, split, index, photo);
}

void scene_draw_of(struct scene *s, unsigned kinds, uint64_t seed, enum split split, uint64_t index,
                   bool photo)
{
    struct draws d = draws_begin(seed, split, index, PURPOSE_CAMERA);

    for (uint64_t attempt = 0;; attempt++) {
        struct draws content = draws_begin(seed, split, index, PURPOSE_SCENE + attempt);

        memset(s, 0, sizeof *s);
        draw_content(s, kinds, &content);
        if (split_of(scene_content(s)) == split) break;
    }
    s->photo = photo;
    memcpy(s->camera.matrix, unit_matrix, sizeof unit_matrix);
    if (photo) draw_camera(&s->camera, &d, s);
}

struct item *scene_add_text(struct scene *s, enum text_role role, const char *text)
{
    struct item *t = &s->items[s->n_items++];

    *t = (struct item){ .kind = ITEM_TEXT, .role = role, .color = COLOR_BLACK, .behind = -1 };
    strncpy(t->text, text, SCENE_TEXT_MAX - 1);
    return t;
}

enum color scene_draw_ink(struct draws *d)
{
    static const enum color inks[] = { COLOR_BLACK, COLOR_BLACK, COLOR_RED,
                                       COLOR_BLUE,  COLOR_GREEN, COLOR_PURPLE };

    return inks[draw_below(d, sizeof inks / sizeof *inks)];
}
