/*
 * scene.h - a scene as data: what there is, where, and how it looks. Drawn from a seed, turned into pixels by painter.h and into
 * questions by task.h.
 *
 *   (seed, split, index) ── scene_draw ── struct scene ─┬─ painter ── picture, boxes, key points
 *                                                        └─ tasks ── questions with answers
 *
 * Lengths are in units: the longer side of a picture is SCENE_SIDE of them, whatever its size in pixels. x to the right, y down.
 * A scene knows nothing of fonts: where a text ends is the painter's to say, within the room that the scene gives it.
 */
#ifndef SPHINX_SYNTH_SCENE_H
#define SPHINX_SYNTH_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/draws.h"
#include "image/draw.h"

#define SCENE_SIDE 112.0

enum { SCENE_ITEMS_MAX = 64, SCENE_TEXT_MAX = 32, SCENE_BARS_MAX = 5, SCENE_CLUTTER_MAX = 12 };

enum split { SPLIT_TRAIN, SPLIT_VAL, SPLIT_TEST, SPLIT_COUNT };
enum shape {
    SHAPE_CIRCLE,
    SHAPE_SQUARE,
    SHAPE_TRIANGLE,
    SHAPE_STAR,
    SHAPE_DIAMOND,
    SHAPE_HEART,
    SHAPE_CROSS,
    SHAPE_MOON,
    SHAPE_RING,
    SHAPE_COUNT
};
enum color {
    COLOR_RED,
    COLOR_ORANGE,
    COLOR_YELLOW,
    COLOR_GREEN,
    COLOR_BLUE,
    COLOR_PURPLE,
    COLOR_PINK,
    COLOR_BLACK,
    COLOR_WHITE,
    COLOR_COUNT
};
enum texture { TEXTURE_PLAIN, TEXTURE_STRIPED, TEXTURE_DOTTED, TEXTURE_CHECKED, TEXTURE_COUNT };
enum ground { GROUND_GRAY, GROUND_CREAM, GROUND_SKY, GROUND_MINT, GROUND_COUNT };
enum font {
    FONT_SANS,
    FONT_SANS_BOLD,
    FONT_SERIF,
    FONT_SERIF_ITALIC,
    FONT_SERIF_BOLD,
    FONT_MONO,
    FONT_COUNT
};

extern const char *const split_names[SPLIT_COUNT], *const shape_names[SHAPE_COUNT],
                                                       *const shape_plurals[SHAPE_COUNT],
                                                           *const color_names[COLOR_COUNT],
                                                               *const texture_names[TEXTURE_COUNT],
                                                                   *const ground_names[GROUND_COUNT];

enum item_kind { ITEM_SHAPE, ITEM_PERSON, ITEM_TEXT };
/* What a text is in its scene. */
enum text_role { ROLE_WORD, ROLE_TITLE, ROLE_LINE, ROLE_LABEL, ROLE_VALUE, ROLE_LETTER };

struct item {
    enum item_kind kind;
    enum color color; /* of a shape; of a person's shirt; of letters */
    double x, y;      /* the middle; of a text that begins at the left, the middle of its left end */

    /* ITEM_SHAPE */
    enum shape shape;
    enum texture texture; /* small shapes are plain */
    bool large;
    double size, angle; /* of the circle around it: its diameter; radians */
    int behind;         /* index of the item that covers a part of it, -1: none */

    /* ITEM_PERSON */
    enum color trousers;
    bool back;     /* seen from behind: no face */
    double height; /* from head to foot, also where the foot is outside of the picture */
    struct img_point joint[IMG_JOINTS];
    bool seen[IMG_JOINTS]; /* neither outside nor on the far side of the head */

    /* ITEM_TEXT */
    char text[SCENE_TEXT_MAX];
    enum text_role role;
    enum font font;
    double font_size, room; /* letters shrink where the text would be wider than its room */
    bool from_left;
};

/* A page is full of words of all kinds, and of letters there is one for each patch: to learn reading from. They are only drawn where they are
 * asked for. */
enum scene_kind {
    SCENE_OBJECTS,
    SCENE_PEOPLE,
    SCENE_WORDS,
    SCENE_CHART,
    SCENE_DOCUMENT,
    SCENE_PAGE,
    SCENE_LETTERS,
    SCENE_KIND_COUNT
};
enum chart_kind { CHART_BAR, CHART_LINE, CHART_PIE, CHART_KIND_COUNT };

extern const char *const chart_names[CHART_KIND_COUNT];

/* Its texts are items: the title, then label and value of each. */
struct chart {
    enum chart_kind kind;
    size_t n;
    int value[SCENE_BARS_MAX];
    enum color color[SCENE_BARS_MAX];
    double left, bottom, width; /* of the plot; of a pie: its middle and its radius */
    double floor, unit;         /* heights of a value of 0, and of 1 more; not of a pie */
};

/* How a photo was taken. All zero but the matrix, which is then the unit matrix: a drawing. */
struct camera {
    double matrix[9];                   /* from units of the scene to units of the picture, up to a factor */
    double light, light_angle, ambient; /* brightness is ambient ± light across the picture */
    double blur;                        /* 0 .. 0.25: weight of each neighbour */
    double noise;                       /* standard deviation, of 255 */
    double shadow;                      /* how dark the shadows of things are, 0 .. 1 */
    double grain;                       /* contrast of the ground's texture, of 255 */
    int quality;                        /* of the JPEG */
    size_t n_clutter;
    uint64_t seed; /* of texture, clutter and noise */
};

struct scene {
    enum scene_kind kind;
    bool photo;
    double width, height; /* the longer one is SCENE_SIDE */
    enum ground ground;
    struct item items[SCENE_ITEMS_MAX]; /* drawn in this order */
    size_t n_items;
    struct chart chart;
    struct camera camera;
};

/* Scene `index` of a split. Scenes of different splits differ whatever their seeds: which split a scene may be in is decided by what it
 * holds (scene.c). */
void scene_draw(struct scene *s, uint64_t seed, enum split split, uint64_t index, bool photo);
/* Only of the kinds whose bits, 1 << enum scene_kind, are set; 0: all but pages. */
void scene_draw_of(struct scene *s, unsigned kinds, uint64_t seed, enum split split, uint64_t index,
                   bool photo);

/* What is the same for two scenes that a person would call the same: places count in steps of 4 units, the domain does not. */
uint64_t scene_content(const struct scene *s);

#endif
