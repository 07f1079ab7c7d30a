/* table.c - see table.h. Widths are measured first, then everything is printed. */
#include "eval/table.h"

#include "text/utf8.h"

#include <math.h>
#include <string.h>

/* ---- widths of characters -------------------------------------------------------------------------------------- */

struct range {
    uint32_t first, last;
};

/* Unicode's combining marks and format characters, and its wide blocks (East Asian Width W and F), in the blocks that texts about
 * pictures use: enough for columns to stand, whatever the locale. */
static const struct range narrow_ranges[] = { { 0x300, 0x36f },   { 0x483, 0x489 },   { 0x591, 0x5bd },
                                              { 0x610, 0x61a },   { 0x64b, 0x65f },   { 0x900, 0x902 },
                                              { 0xe31, 0xe31 },   { 0xe34, 0xe3a },   { 0xe47, 0xe4e },
                                              { 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x200b, 0x200f },
                                              { 0x202a, 0x202e }, { 0x2060, 0x206f }, { 0x20d0, 0x20ff },
                                              { 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f }, { 0xfeff, 0xfeff } };
static const struct range wide_ranges[] = {
    { 0x1100, 0x115f }, { 0x2e80, 0x303e },   { 0x3041, 0x33ff },   { 0x3400, 0x4dbf },   { 0x4e00, 0xa4cf },
    { 0xa960, 0xa97c }, { 0xac00, 0xd7a3 },   { 0xf900, 0xfaff },   { 0xfe30, 0xfe6f },   { 0xff00, 0xff60 },
    { 0xffe0, 0xffe6 }, { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd }
};

static bool is_in(uint32_t code, const struct range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (code >= ranges[i].first && code <= ranges[i].last) return true;
    return false;
}

static int code_width(uint32_t code)
{
    if (is_in(code, narrow_ranges, sizeof narrow_ranges / sizeof *narrow_ranges)) return 0;
    return is_in(code, wide_ranges, sizeof wide_ranges / sizeof *wide_ranges) ? 2 : 1;
}

/* The next character: its bytes as they are to be shown, how many of text's it took, and its width. */
static const char *next(const char *text, size_t size, size_t *taken, size_t *shown, int *width)
{
    uint32_t code = 0;

    *width = 1;
    if (utf8_next(text, size, taken, &code) != UTF8_WHOLE) {
        *taken = 1;
        *shown = UTF8_REPLACEMENT_SIZE;
        return UTF8_REPLACEMENT;
    }
    *shown = 1;
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return "?";
    *shown = *taken;
    *width = code_width(code);
    return text;
}

int text_width(const char *text)
{
    size_t size = strlen(text), taken, shown;
    int sum = 0, width;

    for (size_t i = 0; i < size; i += taken) {
        next(text + i, size - i, &taken, &shown, &width);
        sum += width;
    }
    return sum;
}

int text_print(FILE *f, const char *text, int width)
{
    size_t size = strlen(text), taken, shown;
    bool cut = text_width(text) > width;
    int sum = 0, w;

    for (size_t i = 0; i < size; i += taken) {
        const char *s = next(text + i, size - i, &taken, &shown, &w);

        if (sum + w > width - (cut ? 1 : 0)) break;
        fwrite(s, 1, shown, f);
        sum += w;
    }
    if (!cut || width < 1) return sum;
    fputs("…", f);
    return sum + 1;
}

/* ---- the table ------------------------------------------------------------------------------------------------- */

const char **table_row(struct table *t)
{
    size_t n = (size_t)t->n_columns;
    const char **row;

    if (t->n_rows == t->capacity) {
        size_t capacity = t->capacity > 0 ? 2 * t->capacity : 16;
        const char **cells = arena_alloc(t->arena, capacity * n * sizeof *cells);

        if (cells == NULL) return NULL;
        if (t->n_rows > 0) memcpy(cells, t->cells, t->n_rows * n * sizeof *cells);
        t->cells = cells;
        t->capacity = capacity;
    }
    row = t->cells + n * t->n_rows++;
    for (size_t i = 0; i < n; i++) row[i] = NULL;
    return row;
}

/* Only the first cell is filled. */
static bool is_heading(const struct table *t, const char *const *row)
{
    for (int i = 1; i < t->n_columns; i++)
        if (row[i] != NULL && row[i][0] != '\0') return false;
    return true;
}

static int cell_width(const char *text)
{
    return text != NULL ? text_width(text) : 0;
}

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

enum { GAP = 2, FIRST_MIN = 8 };

/* widths [n_columns]; returns that of the table. */
static int measure(const struct table *t, int width, int *widths)
{
    int sum = 0;

    for (int c = 0; c < t->n_columns; c++) {
        widths[c] = max_int(cell_width(t->columns[c].head[0]), cell_width(t->columns[c].head[1]));
        for (size_t r = 0; r < t->n_rows; r++) {
            const char *const *row = t->cells + r * (size_t)t->n_columns;

            if (c > 0 || !is_heading(t, row)) widths[c] = max_int(widths[c], cell_width(row[c]));
        }
        sum += widths[c] + (c > 0 ? GAP : 0);
    }
    if (sum > width) {
        int first = max_int(FIRST_MIN, widths[0] - (sum - width));

        if (first < widths[0]) {
            sum -= widths[0] - first;
            widths[0] = first;
        }
    }
    return sum;
}

static void spaces(FILE *f, int n)
{
    for (int i = 0; i < n; i++) fputc(' ', f);
}

/* Spaces that would end a line are not printed: they wait in *owed for something behind them. */
static void cell_print(FILE *f, const char *text, bool right, int width, int *owed)
{
    int used = text != NULL ? text_width(text) : 0, room;

    if (used > width) used = width;
    room = width - used;
    if (used == 0) {
        *owed += width;
        return;
    }
    spaces(f, *owed + (right ? room : 0));
    *owed = (right ? 0 : room) + used - text_print(f, text, width);
}

static void row_print(FILE *f, const struct table *t, const char *const *row, const int *widths)
{
    int owed = 0;

    for (int c = 0; c < t->n_columns; c++) {
        cell_print(f, row[c], t->columns[c].right, widths[c], &owed);
        owed += GAP;
    }
    fputc('\n', f);
}

enum status table_print(FILE *f, const struct table *t, int width, struct err *e)
{
    enum { COLUMNS_MAX = 32 };
    int widths[COLUMNS_MAX], sum;
    const char *head[COLUMNS_MAX];

    if (t->n_columns > COLUMNS_MAX)
        return err_set(e, STATUS_UNSUPPORTED, "a table of %d columns, where at most %d fit", t->n_columns,
                       COLUMNS_MAX);
    sum = measure(t, width, widths);
    for (int line = 0; line < 2; line++) {
        int seen = 0;

        for (int c = 0; c < t->n_columns; c++) {
            head[c] = t->columns[c].head[line];
            seen += cell_width(head[c]);
        }
        if (seen > 0) row_print(f, t, head, widths);
    }
    for (int i = 0; i < sum; i++) fputs("─", f);
    fputc('\n', f);
    for (size_t r = 0; r < t->n_rows; r++) {
        const char *const *row = t->cells + r * (size_t)t->n_columns;

        if (row[0] != NULL && is_heading(t, row)) {
            text_print(f, row[0], width);
            fputc('\n', f);
        } else {
            row_print(f, t, row, widths);
        }
    }
    return ferror(f) ? err_set(e, STATUS_IO, "the table cannot be written") : STATUS_OK;
}

/* ---- numbers --------------------------------------------------------------------------------------------------- */

static int decimals(const char *unit, int fewer)
{
    return max_int(0, (strcmp(unit, "%") == 0 ? 2 : 1) - fewer);
}

const char *figure_text(double value, const char *unit, int fewer, struct arena *a)
{
    if (isnan(value)) return "-";
    return arena_printf(a, "%.*f", decimals(unit, fewer), value);
}

const char *interval_text(double low, double high, const char *unit, struct arena *a)
{
    const char *from = figure_text(low, unit, 1, a), *to = figure_text(high, unit, 1, a);

    if (isnan(low) || isnan(high)) return "";
    return from != NULL && to != NULL ? arena_printf(a, "%s–%s", from, to) : NULL;
}
