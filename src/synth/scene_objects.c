/*
 * scene_objects.c - shapes that lie apart, but for a pair of which one may cover a part of the other.
 *
 * A scene draws from a few shapes and colors, so that a question about one of several alike has to look at what tells them apart. Sizes
 * are large or small with a wide gap between, and small things have no texture: nobody could see it.
 */
#include "synth/scene_parts.h"

#include <math.h>

enum { OBJECTS_MAX = 6, TRIES = 40 };

#define EDGE 2.5 /* of the picture stays free */

static double radius(const struct item *t)
{
    return t->kind == ITEM_PERSON ? t->height / 2 : t->size / 2;
}

/* People take a column of the picture, shapes the circle around them. */
static bool apart(const struct item *a, const struct item *b, double gap)
{
    double dx = a->x - b->x, dy = a->y - b->y;

    if (b->kind == ITEM_PERSON) return fabs(dx) > radius(a) + b->height * 0.42 + gap;
    return hypot(dx, dy) > radius(a) + radius(b) + gap;
}

static bool fits(const struct scene *s, const struct item *t, double gap, int except)
{
    double edge = radius(t) + EDGE;

    if (t->x < edge || t->x > s->width - edge || t->y < edge || t->y > s->height - edge) return false;
    for (size_t i = 0; i < s->n_items; i++) {
        if ((int)i != except && !apart(t, &s->items[i], gap)) return false;
    }
    return true;
}

static void draw_looks(struct draws *d, struct item *t)
{
    t->size = t->large ? draw_between(d, 28, 38) : draw_between(d, 12, 15);
    t->angle = draw_between(d, -0.12, 0.12);
    if (!t->large || t->shape == SHAPE_RING || t->shape == SHAPE_MOON) t->texture = TEXTURE_PLAIN;
}

bool scene_place_shape(struct scene *s, struct draws *d, struct item *t)
{
    draw_looks(d, t);
    for (int i = 0; i < TRIES; i++) {
        t->x = draw_between(d, 0, s->width);
        t->y = draw_between(d, 0, s->height);
        if (fits(s, t, 2.5, -1)) return true;
    }
    return false;
}

/* A shape in front of the last one, covering some of it; their colors differ. */
static void cover_last(struct scene *s, struct draws *d, struct item *t)
{
    struct item *back = &s->items[s->n_items - 1];

    if (back->shape == SHAPE_MOON || back->shape == SHAPE_RING) return; /* too little would be left of it */
    while (t->shape == SHAPE_MOON || t->shape == SHAPE_RING) t->shape = draw_below(d, SHAPE_COUNT);
    t->large = true;
    draw_looks(d, t);
    while (t->color == back->color) t->color = draw_below(d, COLOR_COUNT);
    for (int i = 0; i < TRIES; i++) {
        double angle = draw_between(d, 0, 6.2831853);
        double far = draw_between(d, 0.62, 0.75) * (radius(t) + radius(back));

        t->x = back->x + far * cos(angle);
        t->y = back->y + far * sin(angle);
        if (!fits(s, t, 2.5, (int)s->n_items - 1)) continue;
        back->behind = (int)s->n_items;
        s->items[s->n_items++] = *t;
        return;
    }
}

/* Some of the n names, m of them. */
static void choose(struct draws *d, unsigned *chosen, size_t m, size_t n)
{
    unsigned order[SHAPE_COUNT + COLOR_COUNT];

    draw_order(d, order, n);
    for (size_t i = 0; i < m; i++) chosen[i] = order[i];
}

void scene_draw_objects(struct scene *s, struct draws *d)
{
    static const double count_weight[OBJECTS_MAX] = { 1, 2, 3, 3, 2.5, 2.5 };
    unsigned shapes[4], colors[4];
    size_t n = draw_weighted(d, count_weight, OBJECTS_MAX) + 1, n_shapes = 1 + draw_below(d, 4),
           n_colors = 2 + draw_below(d, 3);
    bool covers = n > 1 && draw_chance(d, 0.25);
    double large = draw_between(d, 0.25, 0.8);

    choose(d, shapes, n_shapes, SHAPE_COUNT);
    choose(d, colors, n_colors, COLOR_COUNT);
    for (size_t i = 0; i < n; i++) {
        struct item t = { .kind = ITEM_SHAPE, .behind = -1 };

        t.shape = shapes[draw_below(d, n_shapes)];
        t.color = colors[draw_below(d, n_colors)];
        t.texture = draw_chance(d, 0.5) ? TEXTURE_PLAIN : draw_below(d, TEXTURE_COUNT);
        t.large = draw_chance(d, large) || (covers && i == 0);
        if (covers && i == 1 && s->n_items == 1)
            cover_last(s, d, &t);
        else if (scene_place_shape(s, d, &t))
            s->items[s->n_items++] = t;
    }
    if (s->n_items == 0) { /* a covering pair whose first found no place */
        struct item t = { .kind = ITEM_SHAPE, .behind = -1, .x = s->width / 2, .y = s->height / 2 };

        draw_looks(d, &t);
        s->items[s->n_items++] = t;
    }
}
