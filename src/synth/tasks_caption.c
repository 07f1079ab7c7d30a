/*
 * tasks_caption.c - caption, long_caption, grounded_caption, t2i: a scene in words.
 *
 * Things alike in kind and color are told together, groups from the left; texts in the order in which they are read.
 */
#include "synth/task_parts.h"

#include <string.h>

static const char *const number_words[] = { "no", "one", "two", "three", "four", "five", "six", "seven" };

struct group {
    size_t item[SCENE_ITEMS_MAX], n;
};

static void sort_items(const struct question *q, size_t *item, size_t n)
{
    (q->s->kind == SCENE_WORDS ? sort_reading : sort_from_left)(q, item, n);
}

/* Shapes and people of the same kind and color; each text is one of its own. Returns how many groups. */
static size_t group_items(const struct question *q, struct group *group)
{
    size_t index[SCENE_ITEMS_MAX], n_groups = 0;

    for (size_t i = 0; i < q->s->n_items; i++) index[i] = i;
    sort_items(q, index, q->s->n_items);
    for (size_t i = 0; i < q->s->n_items; i++) {
        size_t k = 0;

        while (k < n_groups &&
               !phrase_fits(&q->s->items[group[k].item[0]], TOLD_COLOR, &q->s->items[index[i]]))
            k++;
        if (k == n_groups) group[n_groups++].n = 0;
        group[k].item[group[k].n++] = index[i];
    }
    return n_groups;
}

static void write_group(struct prose *out, const struct question *q, const struct group *g, bool boxes)
{
    const struct item *t = &q->s->items[g->item[0]];
    char phrase[PHRASE_MAX];

    if (g->n == 1)
        phrase_item(phrase, t, TOLD_COLOR);
    else
        phrase_items(phrase, t, TOLD_COLOR);
    prose_add(out, "%s ",
              t->kind == ITEM_TEXT ? "the"
              : g->n == 1          ? phrase_article(phrase)
                                   : number_words[g->n]);
    prose_add(out, boxes ? "<p>%s</p>" : "%s", phrase);
    for (size_t i = 0; boxes && i < g->n; i++) {
        prose_add(out, i > 0 ? ";" : "[");
        write_box(out, q, g->item[i]);
    }
    if (boxes) prose_add(out, "]");
}

/* "a red circle, two people in blue and the word "cat"" */
static void write_groups(struct prose *out, const struct question *q, bool boxes)
{
    struct group group[SCENE_ITEMS_MAX];
    size_t n = group_items(q, group);

    for (size_t i = 0; i < n; i++) {
        prose_add(out, "%s", i == 0 ? "" : i + 1 < n ? ", " : " and ");
        write_group(out, q, &group[i], boxes);
    }
}

static void write_chart(struct prose *out, const struct scene *s)
{
    const char *title = s->items[0].text;

    prose_add(out, "a %s chart titled %s with %s values", chart_names[s->chart.kind], title,
              number_words[s->chart.n]);
}

static void write_document(struct prose *out, const struct scene *s)
{
    prose_add(out, "a document titled %s with %s lines of text", s->items[0].text,
              number_words[s->n_items - 1]);
}

static void write_short(struct prose *out, const struct question *q)
{
    if (q->s->kind == SCENE_CHART)
        write_chart(out, q->s);
    else if (q->s->kind == SCENE_DOCUMENT)
        write_document(out, q->s);
    else
        write_groups(out, q, false);
}

/* The first letter behind `start` as a capital. */
static void begin_sentence(struct prose *out, size_t start)
{
    if (out->failed || out->n <= start) return;
    if (out->text[start] >= 'a' && out->text[start] <= 'z')
        out->text[start] = (char)(out->text[start] - 'a' + 'A');
}

bool task_caption(struct question *q, struct draws *d, unsigned turn)
{
    (void)d;
    (void)turn;
    write_short(&q->answer, q);
    begin_sentence(&q->answer, 0);
    prose_add(&q->answer, ".");
    return true;
}

bool task_grounded_caption(struct question *q, struct draws *d, unsigned turn)
{
    (void)d;
    (void)turn;
    if (q->s->kind == SCENE_CHART || q->s->kind == SCENE_DOCUMENT) return false;
    write_groups(&q->answer, q, true);
    begin_sentence(&q->answer, 0);
    prose_add(&q->answer, ".");
    return true;
}

/* ---- at length ------------------------------------------------------------------------------------------------- */

/* The third of the picture that the middle of a thing is in. */
static const char *where(const struct question *q, size_t item)
{
    static const char *const names[3][3] = { { "At the top left", "At the top", "At the top right" },
                                             { "At the left", "In the middle", "At the right" },
                                             { "At the bottom left", "At the bottom",
                                               "At the bottom right" } };
    const double *box = q->picture->place[item].box;
    size_t x = (size_t)(1.5 * (box[0] + box[2]) / q->picture->im.width);
    size_t y = (size_t)(1.5 * (box[1] + box[3]) / q->picture->im.height);

    return names[y < 2 ? y : 2][x < 2 ? x : 2];
}

static void write_thing(struct prose *out, const struct question *q, size_t item)
{
    const struct item *t = &q->s->items[item];
    char phrase[PHRASE_MAX];

    phrase_item(phrase, t, TOLD_ALL);
    prose_add(out, " %s there is %s %s", where(q, item),
              t->kind == ITEM_TEXT ? "the" : phrase_article(phrase), phrase);
    if (t->kind == ITEM_TEXT) prose_add(out, " in %s", color_names[t->color]);
    if (t->kind == ITEM_PERSON)
        prose_add(out, " and %s trousers%s", color_names[t->trousers], t->back ? ", seen from behind" : "");
    if (t->kind == ITEM_SHAPE && t->behind >= 0) {
        phrase_item(phrase, &q->s->items[t->behind], TOLD_COLOR);
        prose_add(out, ", behind the %s", phrase);
    }
    prose_add(out, ".");
}

static void write_contents(struct prose *out, const struct scene *s)
{
    if (s->kind == SCENE_CHART) {
        for (size_t i = 0; i < s->chart.n; i++)
            prose_add(out, " The value of %s is %d.", s->items[1 + 2 * i].text, s->chart.value[i]);
    } else {
        for (size_t i = 1; i < s->n_items; i++)
            prose_add(out, " %s line: \"%s\".", i == 1 ? "First" : "Next", s->items[i].text);
    }
}

bool task_long_caption(struct question *q, struct draws *d, unsigned turn)
{
    size_t index[SCENE_ITEMS_MAX], n = q->s->n_items;

    (void)d;
    (void)turn;
    if (q->s->kind == SCENE_CHART || q->s->kind == SCENE_DOCUMENT) {
        prose_add(&q->answer, "The image shows ");
        write_short(&q->answer, q);
        prose_add(&q->answer, ".");
        write_contents(&q->answer, q->s);
        return true;
    }
    prose_add(&q->answer, "The image shows %s %s on a %s background.", number_words[n],
              q->s->kind == SCENE_WORDS ? n == 1 ? "text" : "texts"
              : n == 1                  ? "thing"
                                        : "things",
              ground_names[q->s->ground]);
    for (size_t i = 0; i < n; i++) index[i] = i;
    sort_items(q, index, n);
    for (size_t i = 0; i < n; i++) write_thing(&q->answer, q, index[i]);
    return true;
}

/* What a picture of this kind would be asked for with: the things, the ground, the style. */
bool task_t2i(struct question *q, struct draws *d, unsigned turn)
{
    (void)d;
    (void)turn;
    write_short(&q->answer, q);
    if (q->s->kind != SCENE_CHART && q->s->kind != SCENE_DOCUMENT)
        prose_add(&q->answer, ", %s background", ground_names[q->s->ground]);
    prose_add(&q->answer,
              q->s->photo ? ", photo, textured, soft light" : ", flat vector drawing, clean lines");
    return true;
}
