/* tasks_reading.c - ocr, text_detection, chart, and vqa's questions about what is written. */
#include "synth/task_parts.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "synth/words.h"

enum { TEXTS_DETECTED_MAX = 9 };

static const char *const numerals[] = { "0", "1", "2", "3", "4", "5" };
static const char *const ordinals[] = { "first", "second", "third", "fourth" };

static void answer(struct question *q, const char *kind, const char *text)
{
    q->kind = kind;
    prose_add(&q->answer, "%s", text);
}

/* ---- texts ----------------------------------------------------------------------------------------------------- */

/* The only text of its color, or the only text; else by its box. */
bool task_ocr(struct question *q, struct draws *d, unsigned turn)
{
    size_t index[SCENE_ITEMS_MAX], n = scene_items_of(q->s, ITEM_TEXT, index), alike = 0;
    unsigned order[SCENE_ITEMS_MAX];
    const struct item *t;

    draw_order(d, order, n);
    if (turn >= n) return false;
    t = &q->s->items[index[order[turn]]];
    for (size_t i = 0; i < n; i++) alike += q->s->items[index[i]].color == t->color;
    if (n == 1) {
        prose_add(&q->question, "What is written in the image?");
    } else if (q->s->kind == SCENE_WORDS && alike == 1 && draw_chance(d, 0.5)) {
        prose_add(&q->question, "What is written in %s?", color_names[t->color]);
    } else {
        prose_add(&q->question, "What is written in the region [");
        write_box(&q->question, q, index[order[turn]]);
        prose_add(&q->question, "]?");
    }
    answer(q,
           t->role == ROLE_LINE                 ? "line"
           : isdigit((unsigned char)t->text[0]) ? "number"
                                                : "word",
           t->text);
    return true;
}

/* Letters that stand side by side in one word: what is drawn as one, `first` up to before `end`. */
static void draw_run(const struct item *t, struct draws *d, size_t longest, size_t *first, size_t *end)
{
    size_t size = strlen(t->text);

    do {
        *first = draw_below(d, size);
    } while (t->text[*first] == ' ');
    *end = *first + 1;
    for (size_t n = 1 + draw_below(d, longest); *end < *first + n && *end < size && t->text[*end] != ' ';)
        ++*end;
}

bool task_spell(struct question *q, struct draws *d, unsigned turn)
{
    size_t index[SCENE_ITEMS_MAX], n = scene_items_of(q->s, ITEM_TEXT, index), item, first, end;
    double box[4];

    if (n == 0) return false;
    draw_branch(d, turn);
    item = index[draw_below(d, n)];
    draw_run(&q->s->items[item], d, turn % 2 == 0 ? 2 : 8, &first, &end);
    memcpy(box, q->picture->place[item].letter[first], sizeof box);
    for (size_t i = first; i < end; i++) {
        const double *letter = q->picture->place[item].letter[i];

        for (int k = 0; k < 2; k++) {
            box[k] = fmin(box[k], letter[k]);
            box[k + 2] = fmax(box[k + 2], letter[k + 2]);
        }
        prose_add(&q->answer, "%s%c", i > first ? " " : "", q->s->items[item].text[i]);
    }
    prose_add(&q->question, "What is written in the region [");
    write_area(&q->question, q, box);
    prose_add(&q->question, "]?");
    return true;
}

bool task_text_detection(struct question *q, struct draws *d, unsigned turn)
{
    size_t index[SCENE_ITEMS_MAX], n = scene_items_of(q->s, ITEM_TEXT, index);

    (void)d;
    (void)turn;
    if (n == 0 || n > TEXTS_DETECTED_MAX) return false;
    sort_reading(q, index, n);
    for (size_t i = 0; i < n; i++) {
        prose_add(&q->answer, "%s<p>%s</p>[", i > 0 ? " " : "", q->s->items[index[i]].text);
        write_box(&q->answer, q, index[i]);
        prose_add(&q->answer, "]");
    }
    return true;
}

static bool ask_word_color(struct question *q, struct draws *d)
{
    size_t i = draw_below(d, q->s->n_items);
    char phrase[PHRASE_MAX];

    prose_add(&q->question, "What color is the %s?", phrase_item(phrase, &q->s->items[i], 0));
    answer(q, "color", color_names[q->s->items[i].color]);
    q->likely = color_names;
    q->n_likely = COLOR_COUNT;
    return true;
}

static bool ask_text_count(struct question *q, struct draws *d)
{
    (void)d;
    prose_add(&q->question, "How many words and numbers are there?");
    answer(q, "count", numerals[q->s->n_items]);
    q->likely = numerals + 1;
    q->n_likely = 3;
    return true;
}

static bool holds_word(const struct scene *s, const char *word)
{
    for (size_t i = 0; i < s->n_items; i++) {
        const char *found = strcasestr(s->items[i].text, word);

        if (found != NULL) return true; /* a part of a longer word too: nothing is asked about such */
    }
    return false;
}

/* One of the words that are there, or one that is not. */
static bool ask_word_there(struct question *q, struct draws *d)
{
    bool yes = draw_chance(d, 0.5);
    const struct item *t = &q->s->items[draw_below(d, q->s->n_items)];
    char word[SCENE_TEXT_MAX];

    snprintf(word, sizeof word, "%s", t->text);
    word[strcspn(word, " ")] = '\0';
    if (!yes) {
        snprintf(word, sizeof word, "%s", word_common(d, 6));
        if (holds_word(q->s, word)) return false;
    }
    for (char *c = word; *c != '\0'; c++) *c = (char)tolower((unsigned char)*c);
    prose_add(&q->question, "Does the image say \"%s\"?", word);
    answer(q, "reading", yes_no(yes));
    return true;
}

/* ---- documents ------------------------------------------------------------------------------------------------- */

static bool ask_title(struct question *q, struct draws *d)
{
    (void)d;
    prose_add(&q->question, "What is the title?");
    answer(q, "title", q->s->items[0].text);
    return true;
}

static bool ask_line_count(struct question *q, struct draws *d)
{
    (void)d;
    prose_add(&q->question, "How many lines of text are below the title?");
    answer(q, "count", numerals[q->s->n_items - 1]);
    q->likely = numerals + 1;
    q->n_likely = 4;
    return true;
}

static bool ask_first_word(struct question *q, struct draws *d)
{
    size_t i = 1 + draw_below(d, q->s->n_items - 1);
    char word[SCENE_TEXT_MAX];

    snprintf(word, sizeof word, "%s", q->s->items[i].text);
    word[strcspn(word, " ")] = '\0';
    prose_add(&q->question, "What is the first word of the %s line below the title?", ordinals[i - 1]);
    answer(q, "reading", word);
    return true;
}

/* ---- charts ---------------------------------------------------------------------------------------------------- */

static const char *label_of(const struct question *q, size_t i)
{
    return q->s->items[1 + 2 * i].text;
}

bool task_chart(struct question *q, struct draws *d, unsigned turn)
{
    const struct chart *c = &q->s->chart;

    (void)d;
    (void)turn;
    if (q->s->kind != SCENE_CHART) return false;
    prose_add(&q->answer, "%s", q->s->items[0].text);
    for (size_t i = 0; i < c->n; i++) prose_add(&q->answer, "\n%s | %d", label_of(q, i), c->value[i]);
    return true;
}

static bool ask_chart_kind(struct question *q, struct draws *d)
{
    (void)d;
    prose_add(&q->question, "Is this a bar, line or pie chart?");
    answer(q, "chart", chart_names[q->s->chart.kind]);
    q->likely = chart_names;
    q->n_likely = CHART_KIND_COUNT;
    return true;
}

static bool ask_value(struct question *q, struct draws *d)
{
    size_t i = draw_below(d, q->s->chart.n);

    prose_add(&q->question, "What is the value of %s?", label_of(q, i));
    answer(q, "value", q->s->items[2 + 2 * i].text);
    return true;
}

static bool ask_extreme(struct question *q, struct draws *d)
{
    const struct chart *c = &q->s->chart;
    bool high = draw_chance(d, 0.5);
    size_t best = 0;

    for (size_t i = 1; i < c->n; i++) {
        if ((c->value[i] > c->value[best]) == high) best = i;
    }
    prose_add(&q->question, "Which has the %s value?", high ? "highest" : "lowest");
    answer(q, "extreme", label_of(q, best));
    return true;
}

static bool ask_greater(struct question *q, struct draws *d)
{
    const struct chart *c = &q->s->chart;
    size_t a = draw_below(d, c->n), b = (a + 1 + draw_below(d, c->n - 1)) % c->n;

    prose_add(&q->question, "Is the value of %s greater than that of %s?", label_of(q, a), label_of(q, b));
    answer(q, "greater", yes_no(c->value[a] > c->value[b]));
    return true;
}

static bool ask_chart_count(struct question *q, struct draws *d)
{
    (void)d;
    prose_add(&q->question, "How many values are there?");
    answer(q, "count", numerals[q->s->chart.n]);
    q->likely = numerals + 3;
    q->n_likely = 3;
    return true;
}

/* ---- all of them ----------------------------------------------------------------------------------------------- */

enum { READING_KINDS = 6 };

bool question_about_reading(struct question *q, struct draws *d, unsigned turn)
{
    typedef bool asker(struct question *, struct draws *);
    static asker *const words[] = { ask_word_color, ask_text_count, ask_word_there };
    static asker *const document[] = { ask_title, ask_line_count, ask_first_word, ask_word_there };
    static asker *const chart[] = { ask_title,   ask_chart_kind, ask_value,
                                    ask_extreme, ask_greater,    ask_chart_count };
    asker *const *list = q->s->kind == SCENE_WORDS ? words : q->s->kind == SCENE_DOCUMENT ? document : chart;
    size_t n = q->s->kind == SCENE_WORDS ? 3 : q->s->kind == SCENE_DOCUMENT ? 4 : READING_KINDS;
    unsigned order[READING_KINDS];

    draw_order(d, order, n);
    draw_branch(d, turn);
    return turn < n && list[order[turn]](q, d);
}
