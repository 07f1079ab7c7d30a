/* phrase.c - see phrase.h. */
#include "synth/phrase.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define CLEAR 12.0 /* units between the middles of things of which one is left of or above the other */

const char *const relation_names[RELATION_COUNT] = { "to the left of", "to the right of", "above",
                                                     "below",          "in front of",     "behind" };

static const char *text_noun(const struct item *t)
{
    if (t->role == ROLE_TITLE) return "title";
    if (t->role == ROLE_LINE) return "line";
    return isdigit((unsigned char)t->text[0]) ? "number" : "word";
}

static void write_phrase(char *text, const struct item *t, unsigned told, bool several)
{
    bool textured = (told & TOLD_TEXTURE) != 0 && t->texture != TEXTURE_PLAIN,
         colored = (told & TOLD_COLOR) != 0;

    if (t->kind == ITEM_TEXT)
        snprintf(text, PHRASE_MAX, "%s \"%s\"", text_noun(t), t->text);
    else if (t->kind == ITEM_PERSON)
        snprintf(text, PHRASE_MAX, "%s%s%s", several ? "people" : "person", colored ? " in " : "",
                 colored ? color_names[t->color] : "");
    else
        snprintf(text, PHRASE_MAX, "%s%s%s%s%s%s",
                 (told & TOLD_SIZE) == 0 ? ""
                 : t->large              ? "large "
                                         : "small ",
                 textured ? texture_names[t->texture] : "", textured ? " " : "",
                 colored ? color_names[t->color] : "", colored ? " " : "",
                 several ? shape_plurals[t->shape] : shape_names[t->shape]);
}

const char *phrase_item(char *text, const struct item *t, unsigned told)
{
    write_phrase(text, t, told, false);
    return text;
}

const char *phrase_items(char *text, const struct item *t, unsigned told)
{
    write_phrase(text, t, told, true);
    return text;
}

const char *phrase_article(const char *phrase)
{
    return strchr("aeiou", phrase[0]) != NULL ? "an" : "a";
}

/* Texture counts as told where it is a word of the phrase: "red circle" fits a striped one too. */
bool phrase_fits(const struct item *t, unsigned told, const struct item *other)
{
    if (t->kind != other->kind) return false;
    if (t->kind == ITEM_TEXT) return strcasecmp(t->text, other->text) == 0;
    if ((told & TOLD_COLOR) != 0 && t->color != other->color) return false;
    if (t->kind == ITEM_PERSON) return true;
    if ((told & TOLD_SIZE) != 0 && t->large != other->large) return false;
    if ((told & TOLD_TEXTURE) != 0 && t->texture != TEXTURE_PLAIN && t->texture != other->texture)
        return false;
    return t->shape == other->shape;
}

size_t phrase_count(const struct scene *s, const struct item *t, unsigned told)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_items; i++) n += phrase_fits(t, told, &s->items[i]);
    return n;
}

bool phrase_draw_unique(const struct scene *s, const struct item *t, unsigned never, struct draws *d,
                        unsigned *told)
{
    unsigned order[TOLD_ALL + 1];

    draw_order(d, order, TOLD_ALL + 1);
    for (size_t i = 0; i <= TOLD_ALL; i++) {
        if ((order[i] & never) != 0 || phrase_count(s, t, order[i]) != 1) continue;
        *told = order[i];
        return true;
    }
    return false;
}

bool relation_holds(const struct scene *s, size_t a, size_t b, enum relation r)
{
    const struct item *x = &s->items[a], *y = &s->items[b];

    switch (r) {
    case RELATION_LEFT: return y->x - x->x > CLEAR;
    case RELATION_RIGHT: return x->x - y->x > CLEAR;
    case RELATION_ABOVE: return y->y - x->y > CLEAR;
    case RELATION_BELOW: return x->y - y->y > CLEAR;
    case RELATION_FRONT: return y->behind == (int)a;
    case RELATION_BEHIND: return x->behind == (int)b;
    case RELATION_COUNT: break;
    }
    return false;
}

enum relation relation_reversed(enum relation r)
{
    return r ^ 1; /* they stand in pairs */
}

size_t scene_items_of(const struct scene *s, enum item_kind kind, size_t *index)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_items; i++) {
        if (s->items[i].kind == kind) index[n++] = i;
    }
    return n;
}

size_t scene_things(const struct scene *s, size_t *index)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_items; i++) {
        if (s->items[i].kind != ITEM_TEXT) index[n++] = i;
    }
    return n;
}
