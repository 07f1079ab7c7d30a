/* tasks_region.c - rec, reg, relation, det, det_all, pose: from words to places and back. */
#include "synth/task_parts.h"

#include <stdlib.h>
#include <string.h>

#include "image/transform.h"

/* ---- coordinates ----------------------------------------------------------------------------------------------- */

static double held(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static struct img_point fraction(const struct question *q, double x, double y)
{
    const struct image *im = &q->picture->im;
    struct img_square square = img_square_of(IMG_TRANSFORM_PADDED_RESIZE, im->width, im->height);
    struct img_point f = img_square_from_pixels(&square, (struct img_point){ x, y });

    return (struct img_point){ held(f.x), held(f.y) };
}

void write_box(struct prose *out, const struct question *q, size_t item)
{
    write_area(out, q, q->picture->place[item].box);
}

void write_area(struct prose *out, const struct question *q, const double *box)
{
    struct img_point a = fraction(q, box[0], box[1]), b = fraction(q, box[2], box[3]);

    prose_add(out, "%.2f,%.2f,%.2f,%.2f", a.x, a.y, b.x, b.y);
}

void write_edge(struct prose *out, const struct question *q, size_t item, unsigned edge)
{
    const double *box = q->picture->place[item].box;
    struct img_point p = fraction(q, box[edge & 2u], box[(edge & 2u) + 1]);

    prose_add(out, "%.2f", edge % 2 == 0 ? p.x : p.y);
}

void write_point(struct prose *out, const struct question *q, struct img_point p)
{
    struct img_point f = fraction(q, p.x, p.y);

    prose_add(out, "%.2f,%.2f", f.x, f.y);
}

/* By insertion: there are few. */
static void sort_by(size_t *item, size_t n, const double *key)
{
    for (size_t i = 1; i < n; i++) {
        size_t moved = item[i], k = i;

        for (; k > 0 && key[item[k - 1]] > key[moved]; k--) item[k] = item[k - 1];
        item[k] = moved;
    }
}

void sort_from_left(const struct question *q, size_t *item, size_t n)
{
    double key[SCENE_ITEMS_MAX];

    for (size_t i = 0; i < q->s->n_items; i++) key[i] = q->picture->place[i].box[0];
    sort_by(item, n, key);
}

/* Lines are where the scene has them: the camera's slant does not count. */
void sort_reading(const struct question *q, size_t *item, size_t n)
{
    double key[SCENE_ITEMS_MAX];

    for (size_t i = 0; i < q->s->n_items; i++)
        key[i] = (double)(int)(q->s->items[i].y / 4) * 1000 + q->s->items[i].x;
    sort_by(item, n, key);
}

/* ---- one thing ------------------------------------------------------------------------------------------------- */

void answer_with_box(struct question *q, size_t item)
{
    q->subject = item;
    prose_add(&q->answer, "[");
    write_box(&q->answer, q, item);
    prose_add(&q->answer, "]");
}

bool task_rec(struct question *q, struct draws *d, unsigned turn)
{
    unsigned order[SCENE_ITEMS_MAX], told;
    char phrase[PHRASE_MAX];
    const struct item *t;

    draw_order(d, order, q->s->n_items);
    if (turn >= q->s->n_items) return false;
    draw_branch(d, turn);
    t = &q->s->items[order[turn]];
    if (!phrase_draw_unique(q->s, t, 0, d, &told)) return false;
    prose_add(&q->question, "%s", phrase_item(phrase, t, told));
    answer_with_box(q, order[turn]);
    return true;
}

bool task_reg(struct question *q, struct draws *d, unsigned turn)
{
    unsigned order[SCENE_ITEMS_MAX];
    char phrase[PHRASE_MAX];

    draw_order(d, order, q->s->n_items);
    if (turn >= q->s->n_items) return false;
    prose_add(&q->question, "[");
    write_box(&q->question, q, order[turn]);
    prose_add(&q->question, "]");
    prose_add(&q->answer, "%s", phrase_item(phrase, &q->s->items[order[turn]], TOLD_ALL));
    return true;
}

/* ---- two things ------------------------------------------------------------------------------------------------ */

/* Whether what a and b are called fits only this pair. */
static bool only_pair(const struct scene *s, size_t a, size_t b, enum relation r, unsigned told_a,
                      unsigned told_b)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_items; i++) {
        for (size_t k = 0; k < s->n_items; k++) {
            /* What is nearly so may be taken for so: the things must not be told apart by that. */
            bool holds = r >= RELATION_FRONT ? relation_holds(s, i, k, r) : !relation_holds(s, k, i, r);

            n += i != k && holds && phrase_fits(&s->items[a], told_a, &s->items[i]) &&
                 phrase_fits(&s->items[b], told_b, &s->items[k]);
        }
    }
    return n == 1;
}

bool task_relation(struct question *q, struct draws *d, unsigned turn)
{
    size_t index[SCENE_ITEMS_MAX], n = scene_things(q->s, index);

    (void)turn;
    for (int i = 0; i < 12 && n > 1; i++) {
        size_t a = index[draw_below(d, n)], b = index[draw_below(d, n)];
        unsigned told_a = draw_below(d, TOLD_ALL + 1), told_b = draw_below(d, TOLD_ALL + 1);
        enum relation r = draw_below(d, RELATION_COUNT);
        char first[PHRASE_MAX], second[PHRASE_MAX];

        if (a == b || !relation_holds(q->s, a, b, r) || !only_pair(q->s, a, b, r, told_a, told_b)) continue;
        phrase_item(first, &q->s->items[a], told_a);
        phrase_item(second, &q->s->items[b], told_b);
        prose_add(&q->question, "%s %s %s", first, relation_names[r], second);
        q->subject = a;
        prose_add(&q->answer, "<p>%s</p>[", first);
        write_box(&q->answer, q, a);
        prose_add(&q->answer, "] <p>%s</p>[", second);
        write_box(&q->answer, q, b);
        prose_add(&q->answer, "]");
        return true;
    }
    return false;
}

/* ---- all things ------------------------------------------------------------------------------------------------ */

/* Those of the n items that are of the first one's category come to the front, in their order; returns how many. */
static size_t gather_alike(const struct scene *s, size_t *item, size_t n)
{
    size_t alike = 0;

    for (size_t i = 0; i < n; i++) {
        size_t moved = item[i];

        if (!phrase_fits(&s->items[item[0]], 0, &s->items[moved])) continue;
        memmove(item + alike + 1, item + alike, (i - alike) * sizeof *item);
        item[alike++] = moved;
    }
    return alike;
}

void answer_with_boxes(struct question *q, const size_t *item, size_t n)
{
    prose_add(&q->answer, "[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0) prose_add(&q->answer, ";");
        write_box(&q->answer, q, item[i]);
    }
    prose_add(&q->answer, "]");
}

bool task_det(struct question *q, struct draws *d, unsigned turn)
{
    size_t index[SCENE_ITEMS_MAX], n = scene_things(q->s, index), first, alike;
    char phrase[PHRASE_MAX];

    (void)turn;
    if (n == 0) return false;
    sort_from_left(q, index, n);
    first = draw_below(d, n);
    for (size_t i = 0; i < n; i++) { /* the category's first one from the left */
        if (phrase_fits(&q->s->items[index[first]], 0, &q->s->items[index[i]])) {
            alike = gather_alike(q->s, index + i, n - i);
            prose_add(&q->question, "%s", phrase_items(phrase, &q->s->items[index[i]], 0));
            answer_with_boxes(q, index + i, alike);
            return true;
        }
    }
    return false;
}

bool task_det_all(struct question *q, struct draws *d, unsigned turn)
{
    size_t index[SCENE_ITEMS_MAX], n = scene_things(q->s, index);
    char phrase[PHRASE_MAX];

    (void)d;
    (void)turn;
    if (n == 0) return false;
    sort_from_left(q, index, n);
    for (size_t i = 0, alike; i < n; i += alike) {
        alike = gather_alike(q->s, index + i, n - i);
        prose_add(&q->answer, "%s<p>%s</p>", i > 0 ? " " : "",
                  phrase_item(phrase, &q->s->items[index[i]], 0));
        answer_with_boxes(q, index + i, alike);
    }
    return true;
}

bool task_pose(struct question *q, struct draws *d, unsigned turn)
{
    size_t index[SCENE_ITEMS_MAX], n = scene_items_of(q->s, ITEM_PERSON, index), written = 0;

    (void)d;
    if (turn >= n) return false;
    q->subject = index[turn];
    prose_add(&q->question, "[");
    write_box(&q->question, q, q->subject);
    prose_add(&q->question, "]");
    for (int i = 0; i < IMG_JOINTS; i++) {
        char name[32];

        if (!q->s->items[q->subject].seen[i]) continue;
        strncpy(name, img_joint_names[i], sizeof name - 1);
        name[sizeof name - 1] = '\0';
        for (char *c = name; *c != '\0'; c++)
            if (*c == '_') *c = ' ';
        prose_add(&q->answer, "%s<p>%s</p>[", written++ > 0 ? " " : "", name);
        write_point(&q->answer, q, q->picture->place[q->subject].joint[i]);
        prose_add(&q->answer, "]");
    }
    return true;
}
