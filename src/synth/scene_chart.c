/*
 * scene_chart.c - bar, line and pie charts. Each value is written beside what stands for it, so that the table can be read exactly.
 */
#include "synth/scene_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "synth/words.h"

#define PLOT_LEFT   10.0
#define PLOT_BOTTOM 94.0
#define PLOT_WIDTH  92.0
#define PLOT_HEIGHT 60.0

static struct item *add_label(struct scene *s, enum text_role role, const char *text, double x, double y,
                              double size)
{
    struct item *t = scene_add_text(s, role, text);

    t->font = FONT_SANS;
    t->font_size = size;
    t->room = 26;
    t->x = x;
    t->y = y;
    return t;
}

static void add_value(struct scene *s, int value, double x, double y, double size)
{
    char text[8];

    snprintf(text, sizeof text, "%d", value);
    add_label(s, ROLE_VALUE, text, x, y, size);
}

/* Different values: which is the largest has one answer. */
static void draw_values(struct chart *c, struct draws *d)
{
    for (size_t i = 0; i < c->n; i++) {
        bool fresh;

        do {
            c->value[i] = 2 + (int)draw_below(d, 29);
            fresh = true;
            for (size_t k = 0; k < i; k++) fresh = fresh && c->value[k] != c->value[i];
        } while (!fresh);
    }
}

/* Parts of 100 in steps of 5, none below 15, all different. */
static void draw_parts(struct chart *c, struct draws *d)
{
    bool fresh;

    do {
        int rest = 100;

        for (size_t i = 0; i + 1 < c->n; i++) {
            c->value[i] = 15 + 5 * (int)draw_below(d, 9);
            rest -= c->value[i];
        }
        c->value[c->n - 1] = rest;
        fresh = rest >= 15;
        for (size_t i = 0; i < c->n; i++) {
            for (size_t k = 0; k < i; k++) fresh = fresh && c->value[k] != c->value[i];
        }
    } while (!fresh);
}

static bool is_valley(const struct chart *c, size_t i)
{
    return c->kind == CHART_LINE && (i == 0 || c->value[i - 1] > c->value[i]) &&
           (i + 1 == c->n || c->value[i + 1] > c->value[i]);
}

static void lay_out_plot(struct scene *s, const char *const *label)
{
    struct chart *c = &s->chart;
    double step = PLOT_WIDTH / (double)c->n, size = c->n > 4 ? 8.5 : 10;
    int most = 1;

    c->left = PLOT_LEFT;
    c->bottom = PLOT_BOTTOM;
    c->width = PLOT_WIDTH;
    for (size_t i = 0; i < c->n; i++) most = c->value[i] > most ? c->value[i] : most;
    c->floor = c->kind == CHART_LINE ? 14 : 0; /* room for values below a line's valleys */
    c->unit = (PLOT_HEIGHT - c->floor) / most;
    for (size_t i = 0; i < c->n; i++) {
        double x = c->left + step * ((double)i + 0.5);

        add_label(s, ROLE_LABEL, label[i], x, c->bottom + 8, size)->room = step - 1;
        add_value(s, c->value[i], x,
                  c->bottom - c->floor - c->unit * c->value[i] + (is_valley(c, i) ? 7.5 : -7), size);
    }
}

static void lay_out_pie(struct scene *s, const char *const *label)
{
    struct chart *c = &s->chart;
    double begin = -1.5707963;

    c->left = SCENE_SIDE / 2;
    c->bottom = 64;
    c->width = 29;
    for (size_t i = 0; i < c->n; i++) {
        double end = begin + 6.2831853 * c->value[i] / 100, middle = (begin + end) / 2;
        double co = cos(middle), si = sin(middle);

        add_label(s, ROLE_LABEL, label[i], c->left + (c->width + 12.5) * co,
                  c->bottom + (c->width + 8.5) * si, 10);
        add_value(s, c->value[i], c->left + c->width * 0.62 * co, c->bottom + c->width * 0.62 * si, 10);
        s->items[s->n_items - 1].room = 15;
        if (c->color[i] == COLOR_BLUE || c->color[i] == COLOR_PURPLE || c->color[i] == COLOR_RED ||
            c->color[i] == COLOR_GREEN)
            s->items[s->n_items - 1].color = COLOR_WHITE;
        begin = end;
    }
}

void scene_draw_chart(struct scene *s, struct draws *d)
{
    static const enum color colors[] = { COLOR_RED,  COLOR_ORANGE, COLOR_YELLOW, COLOR_GREEN,
                                         COLOR_BLUE, COLOR_PURPLE, COLOR_PINK };
    struct chart *c = &s->chart;
    const char *label[SCENE_BARS_MAX];
    unsigned order[sizeof colors / sizeof *colors];
    bool same = draw_chance(d, 0.5);

    c->kind = draw_below(d, CHART_KIND_COUNT);
    c->n = c->kind == CHART_PIE ? 3 + draw_below(d, 2) : 3 + draw_below(d, 3);
    draw_order(d, order, sizeof colors / sizeof *colors);
    for (size_t i = 0; i < c->n; i++) c->color[i] = colors[order[same && c->kind != CHART_PIE ? 0 : i]];
    word_labels(d, label, c->n);
    for (size_t i = 0; i < c->n; i++) {
        if (c->n == SCENE_BARS_MAX && strlen(label[i]) > 3) c->n--; /* there is no room for five such */
    }
    add_label(s, ROLE_TITLE, word_title(d), SCENE_SIDE / 2, 11, 12.5)->font = FONT_SANS_BOLD;
    s->items[0].room = 80;
    if (c->kind == CHART_PIE) {
        draw_parts(c, d);
        lay_out_pie(s, label);
    } else {
        draw_values(c, d);
        lay_out_plot(s, label);
    }
}
