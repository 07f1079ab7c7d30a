/*
 * tasks_lesson.c - lesson, find, pick and relate: questions that lead up to those of vqa, statement, rec and choice, and are easier. To compare a phrase with a picture
 * is not learned from vqa's questions alone, where what is absent differs in one word from what is there (docs/findings.md): here it differs in
 * all. Nor is finding from rec's two questions a picture, whose phrases mostly need two words to be compared: here it is many, of one word as well. And
 * choice asks for two things at once, to see the answer and to find its letter: here it is told, and only its letter asked.
 */
#include "synth/task_parts.h"

#include <math.h>

#define APART                                                                                                \
    24.0 /* units between the middles of two things that plainly lie beside each other; half of it, from the picture's middle */

enum { WORDS_MAX = (int)SHAPE_COUNT > (int)COLOR_COUNT ? (int)SHAPE_COUNT : (int)COLOR_COUNT };

static void answer_yes(struct question *q, bool yes)
{
    q->kind = "exists";
    prose_add(&q->answer, "%s", yes_no(yes));
}

/* One of the first n <= WORDS_MAX bits that is set, or not set; n: there is none. */
static unsigned draw_bit(struct draws *d, unsigned bits, unsigned n, bool set)
{
    unsigned order[WORDS_MAX];

    draw_order(d, order, n);
    for (unsigned i = 0; i < n; i++) {
        if (((bits >> order[i] & 1u) != 0) == set) return order[i];
    }
    return n;
}

/* Shapes and colors of the scene's shapes, as bits. False: there is no shape. */
static bool look_around(const struct question *q, unsigned *shapes, unsigned *colors)
{
    size_t index[SCENE_ITEMS_MAX], n = scene_items_of(q->s, ITEM_SHAPE, index);

    *shapes = *colors = 0;
    for (size_t i = 0; i < n; i++) {
        *shapes |= 1u << q->s->items[index[i]].shape;
        *colors |= 1u << q->s->items[index[i]].color;
    }
    return n > 0;
}

/* Whether one of n names is there, as the bits say. */
static bool ask_name(struct question *q, struct draws *d, unsigned there, const char *const *names,
                     unsigned n, const char *noun)
{
    bool yes = draw_chance(d, 0.5);
    unsigned i = draw_bit(d, there, n, yes);

    if (i == n) return false;
    prose_add(&q->question, "Is there %s %s%s?", phrase_article(names[i]), names[i], noun);
    answer_yes(q, yes);
    return true;
}

static bool ask_shape_there(struct question *q, struct draws *d)
{
    unsigned shapes, colors;

    return look_around(q, &shapes, &colors) && ask_name(q, d, shapes, shape_names, SHAPE_COUNT, "");
}

static bool ask_color_there(struct question *q, struct draws *d)
{
    unsigned shapes, colors;

    return look_around(q, &shapes, &colors) && ask_name(q, d, colors, color_names, COLOR_COUNT, " object");
}

/* What is not there has neither a color nor a shape of what is. */
static bool ask_thing_there(struct question *q, struct draws *d)
{
    bool yes = draw_chance(d, 0.5);
    size_t index[SCENE_ITEMS_MAX], n = scene_items_of(q->s, ITEM_SHAPE, index);
    unsigned shapes, colors, shape, color;
    char phrase[PHRASE_MAX];
    struct item t;

    if (!look_around(q, &shapes, &colors)) return false;
    t = q->s->items[index[draw_below(d, n)]];
    shape = draw_bit(d, shapes, SHAPE_COUNT, false);
    color = draw_bit(d, colors, COLOR_COUNT, false);
    if (shape == SHAPE_COUNT || color == COLOR_COUNT) return false;
    if (!yes) {
        t.shape = shape;
        t.color = color;
    }
    phrase_item(phrase, &t, TOLD_COLOR);
    prose_add(&q->question, "Is there %s %s?", phrase_article(phrase), phrase);
    answer_yes(q, yes);
    return true;
}

/* Where one thing is, that words can single out. */
static bool ask_half(struct question *q, struct draws *d)
{
    bool across = draw_chance(d, 0.5);
    size_t i;
    unsigned told;
    char phrase[PHRASE_MAX];
    const struct item *t;
    double off;

    if (!question_draw_unique(q, d, 0, &i, &told)) return false;
    t = &q->s->items[i];
    off = across ? t->x - q->s->width / 2 : t->y - q->s->height / 2;
    if (fabs(off) < APART / 2) return false;
    phrase_item(phrase, t, told);
    prose_add(&q->question, "Is the %s in the %s half of the image?", phrase,
              across ? "left or in the right" : "upper or in the lower");
    q->kind = "half";
    prose_add(&q->answer, "%s", across ? off < 0 ? "left" : "right" : off < 0 ? "upper" : "lower");
    return true;
}

/* Two things that lie far apart in one direction, in words. */
struct far_pair {
    bool across, before; /* rather than down; the first lies left of the second, or above it */
    char first[PHRASE_MAX], second[PHRASE_MAX];
};

static bool draw_far_pair(const struct question *q, struct draws *d, struct far_pair *p)
{
    size_t a, b;
    unsigned told_a, told_b;
    double off;

    p->across = draw_chance(d, 0.5);
    if (!question_draw_unique(q, d, 0, &a, &told_a) || !question_draw_unique(q, d, 0, &b, &told_b))
        return false;
    off = p->across ? q->s->items[a].x - q->s->items[b].x : q->s->items[a].y - q->s->items[b].y;
    if (fabs(off) < APART) return false;
    p->before = off < 0;
    phrase_item(p->first, &q->s->items[a], told_a);
    phrase_item(p->second, &q->s->items[b], told_b);
    return true;
}

static bool ask_far_side(struct question *q, struct draws *d)
{
    struct far_pair p;

    if (!draw_far_pair(q, d, &p)) return false;
    prose_add(&q->question,
              p.across ? "Is the %s to the left or to the right of the %s?"
                       : "Is the %s above or below the %s?",
              p.first, p.second);
    q->kind = "side";
    prose_add(&q->answer, "%s", p.across ? p.before ? "left" : "right" : p.before ? "above" : "below");
    return true;
}

bool task_lesson(struct question *q, struct draws *d, unsigned turn)
{
    static bool (*const kinds[])(struct question *, struct draws *) = { ask_shape_there, ask_color_there,
                                                                        ask_thing_there, ask_half,
                                                                        ask_far_side };

    if (q->s->kind != SCENE_OBJECTS && q->s->kind != SCENE_PEOPLE) return false;
    draw_branch(d, turn);
    return kinds[turn % (sizeof kinds / sizeof *kinds)](q, d);
}

/* ---- finding --------------------------------------------------------------------------------------------------- */

/* Each thing in turn, by one word ("red object", "small object", its name) and then by as many as it takes. */
bool task_find_thing(struct question *q, struct draws *d, unsigned turn)
{
    enum { BY_COLOR, BY_SIZE, BY_NAME, BY_ALL, WAYS };
    unsigned order[SCENE_ITEMS_MAX], way = turn % WAYS, told = 0;
    size_t index[SCENE_ITEMS_MAX], n = scene_things(q->s, index), item;
    char phrase[PHRASE_MAX];
    const struct item *t;

    draw_order(d, order, n);
    if (turn / WAYS >= n) return false;
    draw_branch(d, turn);
    item = index[order[turn / WAYS]];
    t = &q->s->items[item];
    if (way == BY_COLOR || way == BY_SIZE) {
        if (t->kind != ITEM_SHAPE ||
            question_shapes_alike(q, t, way == BY_COLOR ? TOLD_COLOR : TOLD_SIZE) != 1)
            return false;
        prose_add(&q->question, "%s object",
                  way == BY_COLOR ? color_names[t->color]
                  : t->large      ? "large"
                                  : "small");
    } else {
        if (way == BY_NAME ? phrase_count(q->s, t, 0) != 1 : !phrase_draw_unique(q->s, t, 0, d, &told))
            return false;
        prose_add(&q->question, "%s", phrase_item(phrase, t, told));
    }
    answer_with_box(q, item);
    return true;
}

/* ---- listing --------------------------------------------------------------------------------------------------- */

/* What a list's things have in common. */
enum common { COMMON_NAME, COMMON_COLOR, COMMON_BOTH, COMMON_COUNT };

static bool has_in_common(enum common c, const struct item *a, const struct item *b)
{
    if (c == COMMON_COLOR) return a->kind == ITEM_SHAPE && b->kind == ITEM_SHAPE && a->color == b->color;
    return phrase_fits(a, c == COMMON_BOTH ? TOLD_COLOR : 0, b);
}

/* All circles, all red objects, all red circles: each list once, from the left. */
bool task_list(struct question *q, struct draws *d, unsigned turn)
{
    enum common c = turn % COMMON_COUNT;
    unsigned order[SCENE_ITEMS_MAX];
    size_t index[SCENE_ITEMS_MAX], listed[SCENE_ITEMS_MAX], n = scene_things(q->s, index), n_listed = 0;
    char phrase[PHRASE_MAX];
    const struct item *t;

    sort_from_left(q, index, n);
    draw_order(d, order, n);
    if (turn / COMMON_COUNT >= n) return false;
    t = &q->s->items[index[order[turn / COMMON_COUNT]]];
    for (size_t i = 0; i < turn / COMMON_COUNT; i++) {
        if (has_in_common(c, t, &q->s->items[index[order[i]]])) return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (has_in_common(c, t, &q->s->items[index[i]])) listed[n_listed++] = index[i];
    }
    if (n_listed == 0) return false; /* a person's color is not that of an object */
    if (c == COMMON_COLOR)
        prose_add(&q->question, "%s objects", color_names[t->color]);
    else
        prose_add(&q->question, "%s", phrase_items(phrase, t, c == COMMON_BOTH ? TOLD_COLOR : 0));
    answer_with_boxes(q, listed, n_listed);
    return true;
}

/* ---- choices --------------------------------------------------------------------------------------------------- */

/* A word, and which choice it is: nothing has to be seen. */
bool task_pick(struct question *q, struct draws *d, unsigned turn)
{
    static const struct {
        const char *const *names;
        size_t n;
    } kinds[] = { { color_names, COLOR_COUNT },
                  { shape_names, SHAPE_COUNT },
                  { texture_names, TEXTURE_COUNT } };
    const char *word;
    size_t k;

    draw_branch(d, turn);
    k = draw_below(d, sizeof kinds / sizeof *kinds);
    q->likely = kinds[k].names;
    q->n_likely = kinds[k].n;
    word = q->likely[draw_below(d, q->n_likely)];
    prose_add(&q->question, "Which choice says %s?", word);
    prose_add(&q->answer, "%s", word);
    return question_offer_choices(q, d);
}

/* ---- relations ------------------------------------------------------------------------------------------------- */

/* Which of two sides one thing lies on, and whether it lies on one: the first is the easier to learn, and leads to the second. */
bool task_relate(struct question *q, struct draws *d, unsigned turn)
{
    bool yes;
    struct far_pair p;

    draw_branch(d, turn);
    if (turn % 2 == 0) return ask_far_side(q, d);
    yes = draw_chance(d, 0.5);
    if (!draw_far_pair(q, d, &p)) return false;
    prose_add(&q->question, "Is the %s %s the %s?", p.first,
              relation_names[(p.across ? RELATION_LEFT : RELATION_ABOVE) + (p.before != yes)], p.second);
    q->kind = "relation";
    prose_add(&q->answer, "%s", yes_no(yes));
    return true;
}
