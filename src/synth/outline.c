/* outline.c - see outline.h. */
#include "synth/outline.h"

#include <math.h>

#define PI 3.14159265358979323846

enum { ROUND = 60 }; /* points of a circle */

struct polygon {
    struct img_point *point;
    size_t n;
};

/* Points are given in parts of the shape's radius. */
static void add(struct polygon *p, double x, double y)
{
    p->point[p->n++] = (struct img_point){ x, y };
}

static void add_corners(struct polygon *p, const double (*corner)[2], size_t n)
{
    for (size_t i = 0; i < n; i++) add(p, corner[i][0], corner[i][1]);
}

/* From angle a to angle b, both included, n points. */
static void add_arc(struct polygon *p, double x, double r, double a, double b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double angle = a + (b - a) * (double)i / (double)(n - 1);

        add(p, x + r * cos(angle), r * sin(angle));
    }
}

static void add_star(struct polygon *p)
{
    for (int i = 0; i < 10; i++) {
        double r = i % 2 == 0 ? 1 : 0.42, angle = PI * (i / 5.0 - 0.5);

        add(p, r * cos(angle), r * sin(angle));
    }
}

static void add_heart(struct polygon *p)
{
    for (int i = 0; i < ROUND; i++) {
        double a = 2 * PI * i / ROUND, s = sin(a);

        add(p, 16 * s * s * s / 17.5,
            -(13 * cos(a) - 5 * cos(2 * a) - 2 * cos(3 * a) - cos(4 * a)) / 17.5 - 0.12);
    }
}

/* A circle with a bite of another one that goes through the two tips. */
static void add_moon(struct polygon *p)
{
    const double tip = 0.96, bite = 0.45;
    double x = cos(tip), y = sin(tip), r = hypot(x - bite, y), a = atan2(y, x - bite);

    add_arc(p, 0, 1, tip, 2 * PI - tip, ROUND / 2);
    add_arc(p, bite, r, 2 * PI - a, a, ROUND / 2);
}

size_t outline_shape(const struct item *t, struct img_point *point)
{
    static const double square[][2] = { { -0.7, -0.7 }, { 0.7, -0.7 }, { 0.7, 0.7 }, { -0.7, 0.7 } };
    static const double diamond[][2] = { { 0, -1 }, { 0.68, 0 }, { 0, 1 }, { -0.68, 0 } };
    static const double triangle[][2] = { { 0, -0.9 }, { 0.87, 0.62 }, { -0.87, 0.62 } };
    static const double cross[][2] = {
        { -0.32, -0.94 }, { 0.32, -0.94 }, { 0.32, -0.32 },  { 0.94, -0.32 },
        { 0.94, 0.32 },   { 0.32, 0.32 },  { 0.32, 0.94 },   { -0.32, 0.94 },
        { -0.32, 0.32 },  { -0.94, 0.32 }, { -0.94, -0.32 }, { -0.32, -0.32 }
    };
    struct polygon p = { .point = point };
    double r = t->size / 2, co = cos(t->angle), si = sin(t->angle);

    switch (t->shape) {
    case SHAPE_SQUARE: add_corners(&p, square, 4); break;
    case SHAPE_TRIANGLE: add_corners(&p, triangle, 3); break;
    case SHAPE_STAR: add_star(&p); break;
    case SHAPE_DIAMOND: add_corners(&p, diamond, 4); break;
    case SHAPE_HEART: add_heart(&p); break;
    case SHAPE_CROSS: add_corners(&p, cross, 12); break;
    case SHAPE_MOON: add_moon(&p); break;
    case SHAPE_CIRCLE:
    case SHAPE_RING:
    case SHAPE_COUNT: add_arc(&p, 0, 0.92, 0, 2 * PI * (ROUND - 1) / ROUND, ROUND); break;
    }
    for (size_t i = 0; i < p.n; i++) {
        double x = r * point[i].x, y = r * point[i].y;

        point[i] = (struct img_point){ t->x + co * x - si * y, t->y + si * x + co * y };
    }
    return p.n;
}

struct body outline_body(const struct item *t)
{
    double h = t->height;

    return (struct body){ .limb = 0.032 * h,
                          .head = 0.085 * h,
                          .ear = 0.022 * h,
                          .hand = 0.034 * h,
                          .foot = 0.038 * h,
                          .face = fmax(0.013 * h, 0.7) };
}

struct img_point outline_head(const struct item *t)
{
    return (struct img_point){ t->joint[0].x, t->joint[0].y - 0.015 * t->height };
}

static size_t person_discs(const struct item *t, struct disc *disc)
{
    struct body b = outline_body(t);
    struct img_point head = outline_head(t);
    size_t n = 0;

    disc[n++] = (struct disc){ head.x, head.y, b.head + OUTLINE_STROKE / 2 };
    for (int i = 3; i < IMG_JOINTS; i++) { /* eyes and nose lie inside of the head */
        double r = i < 5 ? b.ear : i == 9 || i == 10 ? b.hand : i > 14 ? b.foot : b.limb;

        disc[n++] = (struct disc){ t->joint[i].x, t->joint[i].y, r + OUTLINE_STROKE / 2 };
    }
    return n;
}

size_t outline_discs(const struct item *t, struct disc *disc)
{
    struct img_point point[OUTLINE_MAX];
    size_t n;

    if (t->kind == ITEM_PERSON) return person_discs(t, disc);
    n = outline_shape(t, point);
    for (size_t i = 0; i < n; i++) disc[i] = (struct disc){ point[i].x, point[i].y, OUTLINE_STROKE / 2 };
    return n;
}
