/*
 * scene_people.c - stick people with COCO's key points. Left and right are the person's own, so a face that looks at us has its left eye
 * on the picture's right side; seen from behind, left is left and eyes and nose are not there. Short sleeves and short trousers show
 * where elbows and knees are.
 */
#include "synth/scene_parts.h"

#include <math.h>

enum joint {
    NOSE,
    LEFT_EYE,
    RIGHT_EYE,
    LEFT_EAR,
    RIGHT_EAR,
    LEFT_SHOULDER,
    RIGHT_SHOULDER,
    LEFT_ELBOW,
    RIGHT_ELBOW,
    LEFT_WRIST,
    RIGHT_WRIST,
    LEFT_HIP,
    RIGHT_HIP,
    LEFT_KNEE,
    RIGHT_KNEE,
    LEFT_ANKLE,
    RIGHT_ANKLE
};

static struct img_point from(struct img_point p, double side, double length, double angle)
{
    return (struct img_point){ p.x + side * length * sin(angle), p.y + length * cos(angle) };
}

/* One arm and one leg. Angles are from straight down, outwards; side is +1 where the limb is on the picture's right. */
static void draw_limbs(struct item *t, struct draws *d, int left, double side, double reach)
{
    double h = t->height, upper = draw_between(d, 0.15, reach), thigh = draw_between(d, 0.04, 0.4);
    double lower = upper + draw_between(d, -0.3, 1.1), shin = thigh + draw_between(d, -0.25, 0.1);
    struct img_point *joint = t->joint;

    joint[RIGHT_SHOULDER - left] = (struct img_point){ t->x + side * 0.115 * h, joint[NOSE].y + 0.125 * h };
    joint[RIGHT_ELBOW - left] = from(joint[RIGHT_SHOULDER - left], side, 0.17 * h, upper);
    joint[RIGHT_WRIST - left] = from(joint[RIGHT_ELBOW - left], side, 0.16 * h, lower);
    joint[RIGHT_HIP - left] = (struct img_point){ t->x + side * 0.075 * h, joint[NOSE].y + 0.435 * h };
    joint[RIGHT_KNEE - left] = from(joint[RIGHT_HIP - left], side, 0.22 * h, thigh);
    joint[RIGHT_ANKLE - left] = from(joint[RIGHT_KNEE - left], side, 0.2 * h, shin);
}

/* A body whose head's top is at `top`. */
static void draw_body(struct item *t, struct draws *d, double top, double reach)
{
    double h = t->height, side = t->back ? -1 : 1, head = top + 0.09 * h;

    t->joint[NOSE] = (struct img_point){ t->x, head + 0.015 * h };
    t->joint[LEFT_EYE] = (struct img_point){ t->x + side * 0.035 * h, head - 0.02 * h };
    t->joint[RIGHT_EYE] = (struct img_point){ t->x - side * 0.035 * h, head - 0.02 * h };
    t->joint[LEFT_EAR] = (struct img_point){ t->x + side * 0.088 * h, head };
    t->joint[RIGHT_EAR] = (struct img_point){ t->x - side * 0.088 * h, head };
    draw_limbs(t, d, 1, side, reach);
    draw_limbs(t, d, 0, -side, reach);
    t->y = top + h / 2;
}

/* Moves the body so that its hands, too, are between these. */
static void keep_between(struct item *t, double left, double right, double top, double bottom)
{
    double x1 = t->x, x2 = t->x, y1 = t->y - t->height / 2, y2 = t->y + t->height / 2,
           edge = 0.05 * t->height;
    double dx, dy;

    for (int i = 0; i < IMG_JOINTS; i++) {
        x1 = fmin(x1, t->joint[i].x - edge);
        x2 = fmax(x2, t->joint[i].x + edge);
        y1 = fmin(y1, t->joint[i].y - edge);
    }
    dx = fmax(left - x1, 0) + fmin(right - x2, 0);
    dy = fmax(top - y1, 0) + fmin(bottom - y2, 0);
    t->x += dx;
    t->y += dy;
    for (int i = 0; i < IMG_JOINTS; i++) {
        t->joint[i].x += dx;
        t->joint[i].y += dy;
    }
}

static void find_seen(const struct scene *s, struct item *t)
{
    for (int i = 0; i < IMG_JOINTS; i++) {
        struct img_point p = t->joint[i];

        t->seen[i] =
            p.x >= 0 && p.x <= s->width && p.y >= 0 && p.y <= s->height - 1 && !(t->back && i <= RIGHT_EYE);
    }
}

static void add_person(struct scene *s, struct draws *d, double left, double width, bool cropped)
{
    struct item *t = &s->items[s->n_items];
    double tall = (s->height - 5) / 1.15, wide = width / 1.03;

    *t = (struct item){ .kind = ITEM_PERSON, .behind = -1 };
    t->height = cropped ? s->height * draw_between(d, 1.25, 1.6) : draw_between(d, 0.8, 1) * fmin(tall, wide);
    t->x = left + width / 2 + (cropped ? 0 : draw_between(d, -0.5, 0.5) * (width - 0.4 * t->height));
    t->back = draw_chance(d, 0.2);
    do t->color = draw_below(d, COLOR_COUNT);
    while (s->n_items > 0 && t->color == s->items[0].color);
    do t->trousers = draw_below(d, COLOR_COUNT);
    while (t->trousers == t->color);
    draw_body(t, d, cropped ? 3 : draw_between(d, 2.5, fmax(2.5, s->height - 2.5 - t->height)),
              cropped ? 0.5 : 2.6);
    if (!cropped) keep_between(t, left + 1, left + width - 1, 1.5, s->height - 1.5);
    find_seen(s, t);
    s->n_items++;
}

void scene_draw_people(struct scene *s, struct draws *d)
{
    if (draw_chance(d, 0.45)) {
        add_person(s, d, 0, s->width / 2, false);
        add_person(s, d, s->width / 2, s->width / 2, false);
    } else if (s->width == SCENE_SIDE && draw_chance(d, 0.2)) {
        add_person(s, d, 0, s->width, true);
    } else {
        bool alone = draw_chance(d, 0.3), left = draw_chance(d, 0.5);
        double width = alone ? s->width : s->width * 0.58;
        struct item t = { .kind = ITEM_SHAPE, .behind = -1, .shape = draw_below(d, SHAPE_COUNT) };

        add_person(s, d, alone || left ? 0 : s->width - width, width, false);
        t.color = draw_below(d, COLOR_COUNT);
        t.texture = draw_below(d, TEXTURE_COUNT);
        t.large = draw_chance(d, 0.5);
        if (!alone && scene_place_shape(s, d, &t)) s->items[s->n_items++] = t;
    }
}
