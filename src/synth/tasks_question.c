/*
 * tasks_question.c - vqa, choice and statement: short questions about shapes and people with one right answer. What is yes or no is drawn
 * before the question is sought, so that both are right equally often.
 */
#include "synth/task_parts.h"

#include <stdio.h>
#include <string.h>

enum { COUNTS = 7, KINDS = 12 };

static const char *const counts[COUNTS] = { "0", "1", "2", "3", "4", "5", "6" };
static const char *const sizes[] = { "large", "small" };

const char *yes_no(bool yes)
{
    return yes ? "yes" : "no";
}

static void ask_for(struct question *q, const char *kind, const char *answer, const char *const *likely,
                    size_t n_likely)
{
    q->kind = kind;
    prose_add(&q->answer, "%s", answer);
    q->likely = likely;
    q->n_likely = n_likely;
}

bool question_draw_unique(const struct question *q, struct draws *d, unsigned never, size_t *item,
                          unsigned *told)
{
    size_t index[SCENE_ITEMS_MAX], n = scene_things(q->s, index);
    unsigned order[SCENE_ITEMS_MAX];

    draw_order(d, order, n);
    for (size_t i = 0; i < n; i++) {
        *item = index[order[i]];
        if (phrase_draw_unique(q->s, &q->s->items[*item], never, d, told)) return true;
    }
    return false;
}

size_t question_shapes_alike(const struct question *q, const struct item *t, unsigned told)
{
    size_t index[SCENE_ITEMS_MAX], n = scene_items_of(q->s, ITEM_SHAPE, index), alike = 0;

    for (size_t i = 0; i < n; i++) {
        const struct item *o = &q->s->items[index[i]];

        alike += ((told & TOLD_COLOR) == 0 || o->color == t->color) &&
                 ((told & TOLD_SIZE) == 0 || o->large == t->large);
    }
    return alike;
}

static const struct item *draw_thing(const struct question *q, struct draws *d)
{
    size_t index[SCENE_ITEMS_MAX], n = scene_things(q->s, index);

    return n > 0 ? &q->s->items[index[draw_below(d, n)]] : NULL;
}

/* ---- is there, how many ---------------------------------------------------------------------------------------- */

/* What is not there differs in one word from what is. */
static bool ask_exists(struct question *q, struct draws *d)
{
    bool yes = draw_chance(d, 0.5);
    const struct item *t = draw_thing(q, d);
    struct item other;
    char phrase[PHRASE_MAX];

    if (t == NULL) return false;
    other = *t;
    for (int i = 0; !yes && phrase_count(q->s, &other, TOLD_COLOR) > 0; i++) {
        if (i > 20) return false;
        other = *t;
        if (t->kind == ITEM_SHAPE && draw_chance(d, 0.5))
            other.shape = draw_below(d, SHAPE_COUNT);
        else
            other.color = draw_below(d, COLOR_COUNT);
    }
    phrase_item(phrase, &other, TOLD_COLOR);
    prose_add(&q->question, "Is there %s %s?", phrase_article(phrase), phrase);
    ask_for(q, "exists", yes_no(yes), NULL, 0);
    return true;
}

static bool ask_count(struct question *q, struct draws *d)
{
    const struct item *t = draw_thing(q, d);
    unsigned told = draw_chance(d, 0.5) ? TOLD_COLOR : 0;
    struct item counted;
    char phrase[PHRASE_MAX];

    if (t == NULL) return false;
    counted = *t;
    if (t->kind == ITEM_SHAPE && draw_chance(d, 0.15)) counted.shape = draw_below(d, SHAPE_COUNT);
    phrase_items(phrase, &counted, told);
    prose_add(&q->question, "How many %s are there?", phrase);
    ask_for(q, "count", counts[phrase_count(q->s, &counted, told)], counts, COUNTS);
    return true;
}

/* All shapes of a color, or all shapes. */
static bool ask_count_any(struct question *q, struct draws *d)
{
    size_t index[SCENE_ITEMS_MAX], n = scene_items_of(q->s, ITEM_SHAPE, index), count = 0;
    enum color color;

    if (n == 0 || q->s->kind != SCENE_OBJECTS) return false;
    if (draw_chance(d, 0.4)) {
        prose_add(&q->question, "How many objects are there?");
        ask_for(q, "count", counts[n], counts, COUNTS);
        return true;
    }
    color = draw_chance(d, 0.85) ? q->s->items[index[draw_below(d, n)]].color : draw_below(d, COLOR_COUNT);
    for (size_t i = 0; i < n; i++) count += q->s->items[index[i]].color == color;
    prose_add(&q->question, "How many %s objects are there?", color_names[color]);
    ask_for(q, "count", counts[count], counts, COUNTS);
    return true;
}

/* ---- what is it like ------------------------------------------------------------------------------------------- */

static bool ask_color(struct question *q, struct draws *d)
{
    size_t i;
    unsigned told;
    char phrase[PHRASE_MAX];
    const struct item *t;

    if (!question_draw_unique(q, d, TOLD_COLOR, &i, &told)) return false;
    t = &q->s->items[i];
    phrase_item(phrase, t, told);
    prose_add(&q->question,
              t->kind == ITEM_PERSON ? "What color is the shirt of the %s?" : "What color is the %s?",
              phrase);
    ask_for(q, "color", color_names[t->color], color_names, COLOR_COUNT);
    return true;
}

/* The only shape of its color, or the only large or small one. */
static bool ask_shape(struct question *q, struct draws *d)
{
    size_t index[SCENE_ITEMS_MAX], n = scene_items_of(q->s, ITEM_SHAPE, index);
    bool sized = draw_chance(d, 0.4);
    unsigned order[SCENE_ITEMS_MAX];

    draw_order(d, order, n);
    for (size_t i = 0; i < n; i++) {
        const struct item *t = &q->s->items[index[order[i]]];

        if (question_shapes_alike(q, t, sized ? TOLD_COLOR | TOLD_SIZE : TOLD_COLOR) != 1) continue;
        prose_add(&q->question, "What shape is the %s%s object?",
                  !sized     ? ""
                  : t->large ? "large "
                             : "small ",
                  color_names[t->color]);
        ask_for(q, "shape", shape_names[t->shape], shape_names, SHAPE_COUNT);
        return true;
    }
    return false;
}

/* Three times of four the answer is not "plain". */
static bool ask_texture(struct question *q, struct draws *d)
{
    bool plain = draw_chance(d, 0.25);
    size_t i;
    unsigned told;
    char phrase[PHRASE_MAX];
    const struct item *t;

    if (!question_draw_unique(q, d, TOLD_TEXTURE, &i, &told)) return false;
    t = &q->s->items[i];
    if (t->kind != ITEM_SHAPE || !t->large || (t->texture == TEXTURE_PLAIN) != plain) return false;
    phrase_item(phrase, t, told);
    prose_add(&q->question, "Is the %s plain, striped, dotted or checked?", phrase);
    ask_for(q, "texture", texture_names[t->texture], texture_names, TEXTURE_COUNT);
    return true;
}

static bool ask_size(struct question *q, struct draws *d)
{
    size_t i;
    unsigned told;
    char phrase[PHRASE_MAX];

    if (!question_draw_unique(q, d, TOLD_SIZE, &i, &told) || q->s->items[i].kind != ITEM_SHAPE) return false;
    phrase_item(phrase, &q->s->items[i], told);
    prose_add(&q->question, "Is the %s large or small?", phrase);
    ask_for(q, "size", q->s->items[i].large ? "large" : "small", sizes, 2);
    return true;
}

/* ---- how do two lie -------------------------------------------------------------------------------------------- */

struct pair {
    size_t a, b;
    enum relation relation; /* of a to b */
    char first[PHRASE_MAX], second[PHRASE_MAX];
};

/* Two things that words can single out, and a relation that holds. */
static bool draw_pair(const struct question *q, struct draws *d, struct pair *p)
{
    size_t index[SCENE_ITEMS_MAX], n = scene_things(q->s, index);
    unsigned order[SCENE_ITEMS_MAX], relations[RELATION_COUNT], told_a, told_b;

    draw_order(d, order, n);
    for (size_t i = 0; i + 1 < n; i++) {
        p->a = index[order[i]];
        p->b = index[order[i + 1]];
        if (!phrase_draw_unique(q->s, &q->s->items[p->a], 0, d, &told_a) ||
            !phrase_draw_unique(q->s, &q->s->items[p->b], 0, d, &told_b))
            continue;
        phrase_item(p->first, &q->s->items[p->a], told_a);
        phrase_item(p->second, &q->s->items[p->b], told_b);
        draw_order(d, relations, RELATION_COUNT);
        /* A pair of which one covers the other is rare, and asked about when it is there. */
        for (int front = 1; front >= 0; front--) {
            for (size_t k = 0; k < RELATION_COUNT; k++) {
                p->relation = relations[k];
                if ((p->relation >= RELATION_FRONT) == front && relation_holds(q->s, p->a, p->b, p->relation))
                    return true;
            }
        }
    }
    return false;
}

static bool ask_relation(struct question *q, struct draws *d)
{
    bool yes = draw_chance(d, 0.5);
    struct pair p;

    if (!draw_pair(q, d, &p)) return false;
    prose_add(&q->question, "Is the %s %s the %s?", p.first,
              relation_names[yes ? p.relation : relation_reversed(p.relation)], p.second);
    ask_for(q, "relation", yes_no(yes), NULL, 0);
    return true;
}

static bool ask_side(struct question *q, struct draws *d)
{
    static const char *const sides[RELATION_COUNT] = {
        "left", "right", "above", "below", "in front", "behind"
    };
    struct pair p;

    if (!draw_pair(q, d, &p)) return false;
    switch (p.relation / 2) {
    case 0:
        prose_add(&q->question, "Is the %s to the left or to the right of the %s?", p.first, p.second);
        break;
    case 1: prose_add(&q->question, "Is the %s above or below the %s?", p.first, p.second); break;
    default: prose_add(&q->question, "Is the %s in front of or behind the %s?", p.first, p.second); break;
    }
    ask_for(q, "side", sides[p.relation], sides + p.relation / 2 * 2, 2);
    return true;
}

bool task_statement(struct question *q, struct draws *d, unsigned turn)
{
    bool yes = draw_chance(d, 0.5);
    struct pair p;

    (void)turn;
    if (!draw_pair(q, d, &p)) return false;
    prose_add(&q->question, "The %s is %s the %s.", p.first,
              relation_names[yes ? p.relation : relation_reversed(p.relation)], p.second);
    prose_add(&q->answer, yes ? "true" : "false");
    return true;
}

/* ---- people ---------------------------------------------------------------------------------------------------- */

/* One person alone, the only one the question can mean. */
static const struct item *only_person(const struct question *q)
{
    size_t index[SCENE_ITEMS_MAX];

    return scene_items_of(q->s, ITEM_PERSON, index) == 1 ? &q->s->items[index[0]] : NULL;
}

static bool ask_back(struct question *q, struct draws *d)
{
    bool back = draw_chance(d, 0.5);
    const struct item *t = only_person(q);

    if (t == NULL || t->back != back) return false;
    prose_add(&q->question, "Can the face of the person be seen?");
    ask_for(q, "face", yes_no(!back), NULL, 0);
    return true;
}

/* Hands above the nose are raised, hands below the shoulders are not; of others nothing is asked. */
static bool ask_raised(struct question *q, struct draws *d)
{
    const struct item *t = only_person(q);
    size_t raised = 0;

    (void)d;
    if (t == NULL || !t->seen[9] || !t->seen[10]) return false;
    for (int i = 0; i < 2; i++) {
        double hand = t->joint[9 + i].y;

        if (hand < t->joint[0].y)
            raised++;
        else if (hand < t->joint[5 + i].y + 0.05 * t->height)
            return false;
    }
    prose_add(&q->question, "How many hands are raised?");
    ask_for(q, "hands", counts[raised], counts, 3);
    return true;
}

/* ---- the tasks ------------------------------------------------------------------------------------------------- */

static bool ask_kind(struct question *q, struct draws *d, unsigned turn)
{
    static bool (*const kinds[KINDS])(struct question *, struct draws *) = {
        ask_exists,  ask_exists, ask_count,    ask_count_any, ask_color, ask_shape,
        ask_texture, ask_size,   ask_relation, ask_side,      ask_back,  ask_raised,
    };
    unsigned order[KINDS];

    draw_order(d, order, KINDS);
    draw_branch(d, turn);
    return kinds[order[turn % KINDS]](q, d);
}

bool task_vqa(struct question *q, struct draws *d, unsigned turn)
{
    if (q->s->kind != SCENE_OBJECTS && q->s->kind != SCENE_PEOPLE) return question_about_reading(q, d, turn);
    return ask_kind(q, d, turn);
}

bool question_offer_choices(struct question *q, struct draws *d)
{
    unsigned order[16];
    size_t n = 0, right;
    char answer[64];

    if (q->n_likely < 3 || q->n_likely > 16) return false;
    snprintf(answer, sizeof answer, "%s", prose_text(&q->answer));
    draw_order(d, order, q->n_likely);
    for (size_t i = 0; i < q->n_likely && n < CHOICES; i++) {
        const char *likely = q->likely[order[i]];

        if (strcmp(likely, answer) != 0) q->choice[n++] = likely;
    }
    if (n == CHOICES) n--;
    right = draw_below(d, n + 1);
    if (right < n) q->choice[n] = q->choice[right];
    for (size_t i = 0; i < q->n_likely; i++) {
        if (strcmp(q->likely[i], answer) == 0) q->choice[right] = q->likely[i];
    }
    prose_clear(&q->answer);
    prose_add(&q->answer, "%c", (char)('A' + right));
    return true;
}

bool task_choice(struct question *q, struct draws *d, unsigned turn)
{
    return task_vqa(q, d, turn) && question_offer_choices(q, d);
}
