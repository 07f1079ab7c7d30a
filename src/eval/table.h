/*
 * table.h - columns of text for a terminal: aligned by what is seen, not by bytes, and never wider than asked for.
 */
#ifndef SPHINX_EVAL_TABLE_H
#define SPHINX_EVAL_TABLE_H

#include "core/arena.h"
#include "core/status.h"

#include <stdio.h>

/* What every terminal shows. */
enum { TABLE_WIDTH = 80 };

struct table_column {
    const char *head[2]; /* two lines; "" or NULL: nothing */
    bool right;          /* aligned to the right: numbers */
};

/* Texts are borrowed: usually they are of the same arena. The first column gives way when all together are too wide: its texts are cut,
 * with "…" at the end. */
struct table {
    const struct table_column *columns; /* [n_columns] */
    int n_columns;
    const char **cells; /* [n_rows, n_columns]; NULL: empty */
    size_t n_rows, capacity;
    struct arena *arena;
};

/* Adds a row of empty cells and returns them, for as long as no further row is added; NULL: no memory. A row of which only the first cell
 * is filled may be as wide as the table. */
const char **table_row(struct table *t);

/* Two lines of heads, a rule, the rows. IO: the stream says so. */
enum status table_print(FILE *f, const struct table *t, int width, struct err *e);

/* Columns of a terminal that a text takes: 0 for what combines, 2 for East Asian characters and pictographs. */
int text_width(const char *text);

/* Prints a text cut to `width` columns, control characters as '?', broken UTF-8 repaired; returns the columns that it took. */
int text_print(FILE *f, const char *text, int width);

/* A figure with as many decimals as papers print, 62.08 and 1476.1, or `fewer` of them; "-" for NaN. From arena a, NULL: no memory. */
const char *figure_text(double value, const char *unit, int fewer, struct arena *a);
/* "60.8–63.4"; "" where there is none. */
const char *interval_text(double low, double high, const char *unit, struct arena *a);

#endif
