/* patches.c - see patches.h. */
#include "synth/patches.h"

#include <string.h>

#include "image/transform.h"
#include "synth/task_parts.h"

enum { LEFT_HIP = 11, RIGHT_HIP = 12 /* of img_joint_names */, EDGES = 4 };

/* A box or a cell in pixels. */
struct area {
    double x1, y1, x2, y2;
};

static bool contains(const struct area *a, double x, double y)
{
    return x >= a->x1 && x < a->x2 && y >= a->y1 && y < a->y2;
}

static double shared(const struct area *a, const double *box)
{
    double width = (a->x2 < box[2] ? a->x2 : box[2]) - (a->x1 > box[0] ? a->x1 : box[0]);
    double height = (a->y2 < box[3] ? a->y2 : box[3]) - (a->y1 > box[1] ? a->y1 : box[1]);

    return width > 0 && height > 0 ? width * height : 0;
}

static struct area cell_area(const struct question *q, int row, int column)
{
    const struct image *im = &q->picture->im;
    struct img_square square = img_square_of(IMG_TRANSFORM_PADDED_RESIZE, im->width, im->height);
    struct img_point a = img_square_to_pixels(
        &square, (struct img_point){ (double)column / PATCHES_SIDE, (double)row / PATCHES_SIDE });
    struct img_point b = img_square_to_pixels(
        &square, (struct img_point){ (column + 1.0) / PATCHES_SIDE, (row + 1.0) / PATCHES_SIDE });

    return (struct area){ a.x, a.y, b.x, b.y };
}

/* The item that fills most of a cell, if it fills a quarter of it or has its middle there. n_items: none. */
static size_t item_in(const struct question *q, const struct area *cell)
{
    double whole = (cell->x2 - cell->x1) * (cell->y2 - cell->y1), most = 0;
    size_t found = q->s->n_items;

    for (size_t i = 0; i < q->s->n_items; i++) {
        const double *box = q->picture->place[i].box;
        double part = shared(cell, box) / whole;

        if (part < 0.25 && !contains(cell, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2)) continue;
        if (part < most) continue;
        most = part;
        found = i;
    }
    return found;
}

/* Of a person: the shirt's above the hips, the trousers' below. */
static const char *color_in(const struct item *t, const struct place *place, const struct area *cell)
{
    double hips = (place->joint[LEFT_HIP].y + place->joint[RIGHT_HIP].y) / 2;

    if (t->kind == ITEM_PERSON && (cell->y1 + cell->y2) / 2 > hips) return color_names[t->trousers];
    return color_names[t->color];
}

/* "left_eye" is two words. */
static void write_joints(struct prose *out, const struct item *t, const struct place *place,
                         const struct area *cell)
{
    for (int i = 0; i < IMG_JOINTS; i++) {
        const char *name = img_joint_names[i], *second = strchr(name, '_');

        if (!t->seen[i] || !contains(cell, place->joint[i].x, place->joint[i].y)) continue;
        if (second != NULL)
            prose_add(out, " %.*s %s", (int)(second - name), name, second + 1);
        else
            prose_add(out, " %s", name);
    }
}

/* Those that have their middle in the cell: each letter is in one. Returns how many. */
static size_t write_letters(struct prose *out, const struct item *t, const struct place *place,
                            const struct area *cell)
{
    size_t n = 0;

    for (size_t i = 0; t->text[i] != '\0'; i++) {
        const double *box = place->letter[i];

        if (box[2] <= box[0] || !contains(cell, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2)) continue;
        prose_add(out, " %c", t->text[i]);
        n++;
    }
    return n;
}

/* Nothing but letters is seen there. */
static void write_all_letters(struct prose *out, const struct question *q, const struct area *cell)
{
    size_t n = 0;

    for (size_t i = 0; i < q->s->n_items; i++)
        n += write_letters(out, &q->s->items[i], &q->picture->place[i], cell);
    if (n == 0) prose_add(out, "none");
}

static void write_item(struct prose *out, const struct question *q, size_t i, const struct area *cell)
{
    const struct item *t = &q->s->items[i];
    const struct place *place = &q->picture->place[i];

    prose_add(out, "%s %s",
              t->kind == ITEM_PERSON ? "person"
              : t->kind == ITEM_TEXT ? "text"
                                     : shape_names[t->shape],
              color_in(t, place, cell));
    if (t->kind == ITEM_SHAPE)
        prose_add(out, " %s",
                  t->texture != TEXTURE_PLAIN ? texture_names[t->texture]
                  : t->large                  ? "large"
                                              : "small");
    if (t->kind == ITEM_PERSON) write_joints(out, t, place, cell);
    if (t->kind == ITEM_TEXT) write_letters(out, t, place, cell);
    for (unsigned edge = 0; edge < EDGES; edge++) {
        prose_add(out, " ");
        write_edge(out, q, i, edge);
    }
}

void patches_write(struct prose *out, const struct scene *s, const struct picture *picture)
{
    struct question q = { .s = s, .picture = picture };

    prose_add(out, "[");
    for (int i = 0; i < PATCHES_SIDE * PATCHES_SIDE; i++) {
        struct area cell = cell_area(&q, i / PATCHES_SIDE, i % PATCHES_SIDE);
        size_t found = item_in(&q, &cell);

        prose_add(out, i > 0 ? ", \"" : "\"");
        if (s->kind == SCENE_PAGE || s->kind == SCENE_LETTERS)
            write_all_letters(out, &q, &cell);
        else if (found < s->n_items)
            write_item(out, &q, found, &cell);
        else if (s->kind != SCENE_CHART)
            prose_add(out, "none");
        prose_add(out, "\"");
    }
    prose_add(out, "]");
}
