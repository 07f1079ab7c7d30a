/*
 * run_plot.c - see run_plot.h.
 *
 *   lines of the log ── series ── columns: mean, least and greatest of the steps that share one ── SVG
 */
#include "train/run_plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/file.h"
#include "text/journal.h"

enum {
    WIDTH = 860,
    HEIGHT = 420,
    LEFT = 64,
    RIGHT = 20,
    TOP = 36,
    BOTTOM = 44,
    COLUMNS = 400, /* at most so many points are drawn */
    TICKS = 6,     /* about */
};

struct point {
    double step, loss;
};

struct series {
    struct point *point; /* [n] */
    size_t n, capacity;
};

struct column {
    double step, mean, least, greatest;
    size_t n;
};

struct plot {
    struct series steps, validations;
    struct column column[COLUMNS];
    size_t n_columns;
    double step_max, low, high; /* of the axes */
    FILE *out;
};

/* ---- the log ----------------------------------------------------------------------------------------------- */

static bool add(struct series *s, double step, double loss)
{
    if (s->n == s->capacity) {
        size_t capacity = s->capacity == 0 ? 1024 : 2 * s->capacity;
        struct point *more = realloc(s->point, capacity * sizeof *more);

        if (more == NULL) return false;
        s->point = more;
        s->capacity = capacity;
    }
    s->point[s->n++] = (struct point){ step, loss };
    return true;
}

static enum status take(void *user, const struct journal_line *line, struct err *e)
{
    struct plot *p = user;
    const json_t *step = json_object_get(line->object, "step"),
                 *validation = json_object_get(line->object, "validation");
    const json_t *loss = json_object_get(validation != NULL ? validation : line->object, "loss");
    double x = json_number_value(step), y = json_number_value(loss);

    if (!json_is_number(step) || !json_is_number(loss) || !(x >= 0) || !isfinite(y)) return STATUS_OK;
    return add(validation != NULL ? &p->validations : &p->steps, x, y) ? STATUS_OK
                                                                       : err_no_memory(e, line->file);
}

/* ---- the axes ---------------------------------------------------------------------------------------------- */

static void columns_make(struct plot *p)
{
    size_t n = p->steps.n < COLUMNS ? p->steps.n : COLUMNS;

    p->n_columns = n;
    for (size_t i = 0; i < p->steps.n; i++) {
        const struct point *q = &p->steps.point[i];
        struct column *c = &p->column[i * n / p->steps.n];

        c->least = c->n == 0 ? q->loss : fmin(c->least, q->loss);
        c->greatest = c->n == 0 ? q->loss : fmax(c->greatest, q->loss);
        c->mean += q->loss;
        c->step += q->step;
        c->n++;
    }
    for (size_t i = 0; i < n; i++) {
        p->column[i].mean /= (double)p->column[i].n;
        p->column[i].step /= (double)p->column[i].n;
    }
}

/* The distance of ticks: 1, 2 or 5 times a power of ten. */
static double tick_of(double span)
{
    double raw = span / TICKS, power = pow(10, floor(log10(raw)));
    double factor = raw / power;

    return power * (factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10);
}

static void axes_make(struct plot *p)
{
    double tick;

    p->low = p->high = p->column[0].mean;
    for (size_t i = 0; i < p->n_columns; i++) {
        p->low = fmin(p->low, p->column[i].least);
        p->high = fmax(p->high, p->column[i].greatest);
        p->step_max = fmax(p->step_max, p->column[i].step);
    }
    for (size_t i = 0; i < p->validations.n; i++) {
        p->low = fmin(p->low, p->validations.point[i].loss);
        p->high = fmax(p->high, p->validations.point[i].loss);
        p->step_max = fmax(p->step_max, p->validations.point[i].step);
    }
    if (p->step_max <= 0) p->step_max = 1;
    if (p->high <= p->low) p->high = p->low + fmax(fabs(p->low), 1) * 1e-3;
    tick = tick_of(p->high - p->low);
    p->low = floor(p->low / tick) * tick;
    p->high = ceil(p->high / tick) * tick;
}

static double x_of(const struct plot *p, double step)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * step / p->step_max;
}

static double y_of(const struct plot *p, double loss)
{
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (loss - p->low) / (p->high - p->low);
}

/* ---- drawing ----------------------------------------------------------------------------------------------- */

static void draw_axes(const struct plot *p)
{
    double tick = tick_of(p->high - p->low);

    for (int i = 0; i <= 2 * TICKS + 1 && p->low + i * tick <= p->high + tick / 2; i++) {
        double y = y_of(p, p->low + i * tick);

        fprintf(p->out, "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' stroke='#ddd'/>", LEFT, WIDTH - RIGHT, y,
                y);
        fprintf(p->out, "<text x='%d' y='%.1f' text-anchor='end'>%.6g</text>\n", LEFT - 8, y + 4,
                p->low + i * tick);
    }
    tick = fmax(tick_of(p->step_max), 1);
    for (int i = 0; i <= 2 * TICKS + 1 && i * tick <= p->step_max; i++)
        fprintf(p->out, "<text x='%.1f' y='%d' text-anchor='middle'>%.10g</text>\n", x_of(p, i * tick),
                HEIGHT - BOTTOM + 20, i * tick);
}

static void draw_steps(const struct plot *p)
{
    fputs("<polygon fill='#9bc4ea' fill-opacity='0.45' points='", p->out);
    for (size_t i = 0; i < p->n_columns; i++)
        fprintf(p->out, "%.1f,%.1f ", x_of(p, p->column[i].step), y_of(p, p->column[i].greatest));
    for (size_t i = p->n_columns; i-- > 0;)
        fprintf(p->out, "%.1f,%.1f ", x_of(p, p->column[i].step), y_of(p, p->column[i].least));
    fputs("'/>\n<polyline fill='none' stroke='#1f6fb8' stroke-width='1.6' points='", p->out);
    for (size_t i = 0; i < p->n_columns; i++)
        fprintf(p->out, "%.1f,%.1f ", x_of(p, p->column[i].step), y_of(p, p->column[i].mean));
    fputs("'/>\n", p->out);
}

static void draw_validations(const struct plot *p)
{
    for (size_t i = 0; i < p->validations.n; i++) {
        const struct point *q = &p->validations.point[i];

        fprintf(
            p->out,
            "<circle cx='%.1f' cy='%.1f' r='3.5' fill='#c8501e'><title>step %.0f: %.6g</title></circle>\n",
            x_of(p, q->step), y_of(p, q->loss), q->step, q->loss);
    }
    if (p->validations.n == 0) return;
    fprintf(p->out, "<circle cx='%d' cy='18' r='3.5' fill='#c8501e'/><text x='%d' y='22'>validation</text>\n",
            LEFT + 90, LEFT + 99);
}

static void draw(const struct plot *p)
{
    fprintf(
        p->out,
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' width='%d' height='%d' "
        "font-family='sans-serif' font-size='12' fill='#333'>\n<rect width='%d' height='%d' fill='#fff'/>\n",
        WIDTH, HEIGHT, WIDTH, HEIGHT, WIDTH, HEIGHT);
    fprintf(p->out,
            "<line x1='%d' x2='%d' y1='18' y2='18' stroke='#1f6fb8' stroke-width='1.6'/><text x='%d' "
            "y='22'>loss</text>\n",
            LEFT, LEFT + 24, LEFT + 30);
    draw_axes(p);
    draw_steps(p);
    draw_validations(p);
    fprintf(p->out, "<text x='%d' y='%d' text-anchor='middle'>step</text>\n</svg>\n",
            (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8);
}

static enum status write_svg(struct plot *p, const char *path, struct err *e)
{
    struct file_writer w = { 0 };
    char *text = NULL;
    size_t size = 0;
    enum status st;

    columns_make(p);
    axes_make(p);
    p->out = open_memstream(&text, &size);
    if (p->out == NULL) return err_no_memory(e, path);
    draw(p);
    if (fclose(p->out) != 0) {
        free(text);
        return err_no_memory(e, path);
    }
    st = file_writer_open(&w, path, e);
    if (st == STATUS_OK) st = file_writer_put(&w, text, size, e);
    if (st == STATUS_OK) st = file_writer_commit(&w, e);
    file_writer_abort(&w);
    free(text);
    return st;
}

enum status run_plot_write(const char *log, const char *svg, struct err *e)
{
    struct plot *p = calloc(1, sizeof *p);
    enum status st = p != NULL ? journal_read(log, take, p, e) : err_no_memory(e, svg);

    if (st == STATUS_OK && p->steps.n > 0) st = write_svg(p, svg, e);
    if (p != NULL) {
        free(p->steps.point);
        free(p->validations.point);
    }
    free(p);
    return st;
}
