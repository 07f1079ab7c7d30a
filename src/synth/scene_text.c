/* scene_text.c - words and numbers in several fonts; small documents: a title and lines of words; pages, full of both. */
#include "synth/scene_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "synth/words.h"

/* Wide enough for nearly all words in nearly all fonts, per letter and unit of font size; the painter shrinks the rest. */
#define LETTER_WIDTH 0.68

enum { LETTERS_SIDE = 8 };

void scene_draw_words(struct scene *s, struct draws *d)
{
    size_t n = 1 + draw_below(d, 3);
    double band = (s->height - 6) / (double)n;

    for (size_t i = 0; i < n; i++) {
        char text[9];
        size_t k;
        bool fresh;
        struct item *t;
        double largest, half;

        do {
            word_any(d, 8, text);
            fresh = true;
            for (k = 0; k < i; k++) fresh = fresh && strcasecmp(s->items[k].text, text) != 0;
        } while (!fresh);
        t = scene_add_text(s, ROLE_WORD, text);
        t->font = draw_below(d, FONT_COUNT);
        t->color = scene_draw_ink(d);
        largest = fmin((s->width - 10) / (LETTER_WIDTH * (double)strlen(text)), fmin(24, band * 0.75));
        t->font_size = draw_between(d, fmin(12, largest), largest);
        t->room = fmin(s->width - 8, LETTER_WIDTH * t->font_size * (double)strlen(text) + 4);
        half = t->room / 2;
        t->x = draw_between(d, half + 3, fmax(half + 3, s->width - half - 3));
        t->y = 3 + band * ((double)i + 0.5) + draw_between(d, -0.5, 0.5) * fmax(0, band - 1.3 * t->font_size);
    }
}

/* Words in a row, at most `longest` characters. */
static void write_line(struct draws *d, char *text, size_t longest)
{
    size_t n = (size_t)snprintf(text, SCENE_TEXT_MAX, "%s", word_common(d, 6));

    for (int i = 0; i < 2; i++) {
        const char *word = word_common(d, 6);

        if (n + 1 + strlen(word) > longest) break;
        n += (size_t)snprintf(text + n, SCENE_TEXT_MAX - n, " %s", word);
    }
}

void scene_draw_document(struct scene *s, struct draws *d)
{
    size_t n = 2 + draw_below(d, 3);
    double left = draw_between(d, 9, 13), y = draw_between(d, 16, 22),
           step = (SCENE_SIDE - 14 - y) / (double)n;
    enum font font = draw_chance(d, 0.5) ? FONT_SANS : FONT_SERIF;
    char text[SCENE_TEXT_MAX];
    struct item *t;

    snprintf(text, sizeof text, "%s", word_common(d, 6));
    text[0] = (char)(text[0] - 'a' + 'A');
    t = scene_add_text(s, ROLE_TITLE, text);
    t->font = font == FONT_SANS ? FONT_SANS_BOLD : FONT_SERIF_BOLD;
    t->font_size = draw_between(d, 14, 17);
    t->room = SCENE_SIDE - 2 * left;
    t->x = SCENE_SIDE / 2;
    t->y = y;
    step = fmin(step, draw_between(d, 16, 20));
    for (size_t i = 0; i < n; i++) {
        write_line(d, text, 15);
        t = scene_add_text(s, ROLE_LINE, text);
        t->font = font;
        t->font_size = 10;
        t->room = SCENE_SIDE - left - 8;
        t->from_left = true;
        t->x = left;
        t->y = y + step * (double)(i + 1) + 3;
    }
}

/* The middle of a grid's line, give or take; what is drawn around it stays within the picture. */
static double near_middle(struct draws *d, int line, double step, double stray)
{
    double middle = step * (line + 0.5) + draw_between(d, -stray, stray);

    return fmax(step / 2, fmin(middle, SCENE_SIDE - step / 2));
}

/* A grid of single letters and digits, one for each patch, near its middle: how near differs from scene to scene, so that there is something
 * easy to begin with. */
void scene_draw_letters(struct scene *s, struct draws *d)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    double step = SCENE_SIDE / LETTERS_SIDE, stray = draw_between(d, 0, step / 2);

    for (int i = 0; i < LETTERS_SIDE * LETTERS_SIDE; i++) {
        char text[2] = { letters[draw_below(d, sizeof letters - 1)], '\0' };
        struct item *t = scene_add_text(s, ROLE_LETTER, text);

        t->font = draw_below(d, FONT_COUNT);
        t->font_size = draw_between(d, 9, 18);
        t->color = scene_draw_ink(d);
        t->room = step;
        t->x = near_middle(d, i % LETTERS_SIDE, step, stray);
        t->y = near_middle(d, i / LETTERS_SIDE, step, stray);
    }
}

/* Words and numbers in a row, nearly `longest` characters. */
static void fill_line(struct draws *d, char *text, size_t longest)
{
    size_t n = 0;

    while (n + 4 <= longest) {
        char word[9];

        word_any(d, longest - n - 1, word);
        n += (size_t)snprintf(text + n, SCENE_TEXT_MAX - n, "%s%s", n > 0 ? " " : "", word);
    }
}

/* Lines down to the bottom, each in a font, a size and a color of its own. */
void scene_draw_page(struct scene *s, struct draws *d)
{
    double y = 3;
    char text[SCENE_TEXT_MAX];

    while (s->n_items < SCENE_ITEMS_MAX) {
        double size = draw_between(d, 9, 22), left = draw_between(d, 2, 9), room = SCENE_SIDE - left - 3;
        size_t longest = (size_t)(room / (LETTER_WIDTH * 0.85 * size));
        struct item *t;

        if (y + size * 1.2 > SCENE_SIDE - 2) break;
        fill_line(d, text, longest < SCENE_TEXT_MAX - 1 ? longest : SCENE_TEXT_MAX - 1);
        t = scene_add_text(s, ROLE_LINE, text);
        t->font = draw_below(d, FONT_COUNT);
        t->font_size = size;
        t->color = scene_draw_ink(d);
        t->room = room;
        t->from_left = true;
        t->x = left;
        t->y = y + size * 0.55;
        y += size * draw_between(d, 1.15, 1.35);
    }
}
