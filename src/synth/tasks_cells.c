/*
 * tasks_cells.c - cells: what is in each cell of a grid of 8 x 8 over the padded square, row by row, a word each: the shapes, the colors, or
 * the letters, or where the thing that is there begins and ends. Nobody asks such questions: they are for encoders that learn from
 * scratch. Every word stands in the same distance behind the patch that it tells, so that what patches show is learned before the way to
 * find them.
 */
#include <stdio.h>
#include <string.h>

#include "image/transform.h"
#include "synth/task_parts.h"

enum { CELLS = 8, LEFT_HIP = 11, RIGHT_HIP = 12 /* of img_joint_names */ };

/* The edges in the order of a box. */
enum kind { KIND_SHAPE, KIND_COLOR, KIND_LETTER, KIND_LEFT, KIND_TOP, KIND_RIGHT, KIND_BOTTOM, KINDS };

static const char *const questions[KINDS] = {
    [KIND_SHAPE] = "Name the shape in each cell of an 8 x 8 grid.",
    [KIND_COLOR] = "Name the color in each cell of an 8 x 8 grid.",
    [KIND_LETTER] = "Name the letter in each cell of an 8 x 8 grid.",
    [KIND_LEFT] = "Name the left edge in each cell of an 8 x 8 grid.",
    [KIND_TOP] = "Name the top edge in each cell of an 8 x 8 grid.",
    [KIND_RIGHT] = "Name the right edge in each cell of an 8 x 8 grid.",
    [KIND_BOTTOM] = "Name the bottom edge in each cell of an 8 x 8 grid.",
};

/* A box or a cell in pixels. */
struct area {
    double x1, y1, x2, y2;
};

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
    struct img_point a =
        img_square_to_pixels(&square, (struct img_point){ (double)column / CELLS, (double)row / CELLS });
    struct img_point b =
        img_square_to_pixels(&square, (struct img_point){ (column + 1.0) / CELLS, (row + 1.0) / CELLS });

    return (struct area){ a.x, a.y, b.x, b.y };
}

/* The item that fills most of a cell, if it fills a quarter of it or has its middle there; for letters of texts, less will do.
 * n_items: none. */
static size_t item_in(const struct question *q, const struct area *cell, enum kind kind)
{
    double whole = (cell->x2 - cell->x1) * (cell->y2 - cell->y1), most = 0;
    size_t found = q->s->n_items;

    for (size_t i = 0; i < q->s->n_items; i++) {
        const double *box = q->picture->place[i].box;
        double x = (box[0] + box[2]) / 2, y = (box[1] + box[3]) / 2, part = shared(cell, box) / whole;
        bool holds_middle = x >= cell->x1 && x < cell->x2 && y >= cell->y1 && y < cell->y2;
        bool text = q->s->items[i].kind == ITEM_TEXT;

        if (kind == KIND_LETTER && !text) continue;
        if (part < (kind == KIND_LETTER ? 0.1 : 0.25) && !holds_middle) continue;
        if (part < most) continue;
        most = part;
        found = i;
    }
    return found;
}

static const char *shape_of(const struct item *t)
{
    return t->kind == ITEM_PERSON ? "person" : t->kind == ITEM_TEXT ? "text" : shape_names[t->shape];
}

/* Of a person: the shirt's above the hips, the trousers' below. */
static const char *color_of(const struct item *t, const struct place *place, const struct area *cell)
{
    double hips = (place->joint[LEFT_HIP].y + place->joint[RIGHT_HIP].y) / 2;

    if (t->kind == ITEM_PERSON && (cell->y1 + cell->y2) / 2 > hips) return color_names[t->trousers];
    return color_names[t->color];
}

/* As if all letters of a text were of one width. '\0': between words. */
static char letter_of(const struct item *t, const struct place *place, const struct area *cell)
{
    double x = (cell->x1 + cell->x2) / 2, at = (x - place->box[0]) / (place->box[2] - place->box[0]);
    size_t n = strlen(t->text), i = at <= 0 ? 0 : (size_t)(at * (double)n);

    if (i >= n) i = n - 1;
    return t->text[i] == ' ' ? '\0' : t->text[i];
}

/* Letters and edges without spaces between them: "(J)", "0.35", "()" where there is none. */
static void write_cell(struct question *q, enum kind kind, int row, int column)
{
    struct area cell = cell_area(q, row, column);
    size_t i = item_in(q, &cell, kind);
    const struct item *t = i < q->s->n_items ? &q->s->items[i] : NULL;
    const struct place *place = t != NULL ? &q->picture->place[i] : NULL;
    char letter = kind == KIND_LETTER && t != NULL ? letter_of(t, place, &cell) : '\0';

    if (kind == KIND_LETTER)
        prose_add(&q->answer, letter != '\0' ? "(%c)" : "()", letter);
    else if (kind >= KIND_LEFT && t == NULL)
        prose_add(&q->answer, "()");
    else if (kind >= KIND_LEFT)
        write_edge(&q->answer, q, i, kind - KIND_LEFT);
    else
        prose_add(&q->answer, "%s%s", row + column > 0 ? " " : "",
                  t == NULL            ? "none"
                  : kind == KIND_SHAPE ? shape_of(t)
                                       : color_of(t, place, &cell));
}

/* Charts have colors that are nobody's, so only their letters are asked for. */
bool task_cells(struct question *q, struct draws *d, unsigned turn)
{
    bool texts = false, others = false;

    (void)d;
    for (size_t i = 0; i < q->s->n_items; i++) {
        texts = texts || q->s->items[i].kind == ITEM_TEXT;
        others = others || q->s->items[i].kind != ITEM_TEXT;
    }
    if (turn >= KINDS) return false;
    if (turn == KIND_LETTER ? !texts : turn < KIND_LETTER && !others && q->s->kind != SCENE_WORDS)
        return false;
    prose_add(&q->question, "%s", questions[turn]);
    for (int row = 0; row < CELLS; row++)
        for (int column = 0; column < CELLS; column++) write_cell(q, turn, row, column);
    return true;
}
