/* compare_report.c - see compare.h: a comparison as text, JSON and page. */
#include "eval/compare.h"

#include "eval/page.h"
#include "eval/table.h"

#include <math.h>
#include <string.h>

enum { LISTED = 10 }; /* questions of each kind in the text */

static double gain(const struct comparison_pair *p)
{
    return evaluation_credit(p->b) - evaluation_credit(p->a);
}

/* ---- text ------------------------------------------------------------------------------------------------------ */

static const char *signed_text(double value, int decimals, struct arena *a)
{
    return isnan(value) ? "-" : arena_printf(a, "%+.*f", decimals, value);
}

static const char *p_text(double p, struct arena *a)
{
    return p < 1e-4 ? "<0.0001" : arena_printf(a, "%.4f", p);
}

static enum status print_table(FILE *f, const struct comparison *c, size_t n, struct arena *a, struct err *e)
{
    static const struct table_column columns[] = {
        { { "", "benchmark" }, false },
        { { "", "A" }, true },
        { { "", "B" }, true },
        { { "", "B - A" }, true },
        { { "95 %", "interval" }, true },
        { { "B", "better" }, true },
        { { "B", "worse" }, true },
        { { "", "p" }, true },
    };
    struct table t = { .columns = columns, .n_columns = sizeof columns / sizeof *columns, .arena = a };

    for (size_t i = 0; i < n; i++) {
        const struct paired_test *p = &c[i].test;
        const char *unit = c[i].a->dataset.benchmark->metric->unit, **row = table_row(&t);

        if (row == NULL) return err_no_memory(e, "a comparison");
        row[0] = evaluation_name(c[i].a);
        row[1] = c[i].n_figures > 0 ? figure_text(c[i].figures[0].a, unit, 0, a) : "-";
        row[2] = c[i].n_figures > 0 ? figure_text(c[i].figures[0].b, unit, 0, a) : "-";
        row[3] = signed_text(100 * p->difference, 2, a);
        row[4] = isnan(p->interval.low)
                     ? ""
                     : arena_printf(a, "%+.1f to %+.1f", 100 * p->interval.low, 100 * p->interval.high);
        row[5] = arena_printf(a, "%zu", p->n_better);
        row[6] = arena_printf(a, "%zu", p->n_worse);
        row[7] = p_text(p->p, a);
    }
    return table_print(f, &t, TABLE_WIDTH, e);
}

/* "  #12  What is it? / A: a cat / B: a dog", a line each, as wide as a terminal. */
static void print_pair(FILE *f, const struct comparison_pair *p, struct arena *a)
{
    const struct record *r = p->a->record;
    const char *line[] = { arena_printf(a, "  #%lld  %s", (long long)r->index, r->question),
                           arena_printf(a, "      A: %s", p->a->answer),
                           arena_printf(a, "      B: %s", p->b->answer) };

    for (size_t i = 0; i < sizeof line / sizeof *line; i++) {
        if (line[i] != NULL) text_print(f, line[i], TABLE_WIDTH);
        fputc('\n', f);
    }
}

static void print_pairs(FILE *f, const struct comparison *c, bool won, struct arena *a)
{
    size_t count = 0;

    for (size_t i = 0; i < c->n; i++) count += won ? gain(&c->pairs[i]) > 0 : gain(&c->pairs[i]) < 0;
    if (count == 0) return;
    fprintf(f, "\n%s: %zu question%s where %s", evaluation_name(c->a), count, count == 1 ? "" : "s",
            won ? "B is better" : "A is better");
    fprintf(f, count > LISTED ? ", the first %d:\n" : ":\n", LISTED);
    count = 0;
    for (size_t i = 0; i < c->n && count < LISTED; i++) {
        if (won ? gain(&c->pairs[i]) <= 0 : gain(&c->pairs[i]) >= 0) continue;
        print_pair(f, &c->pairs[i], a);
        count++;
    }
}

static void print_notes(FILE *f, const struct comparison *c)
{
    if (c->n_only_a + c->n_only_b > 0)
        fprintf(f, "%s: compared are the %zu questions of both; %zu of A alone, %zu of B alone.\n",
                evaluation_name(c->a), c->n, c->n_only_a, c->n_only_b);
    fprintf(f, "%s: p by %s.\n", evaluation_name(c->a), c->test.method);
}

enum status comparison_text(FILE *f, const struct comparison *c, size_t n, struct err *e)
{
    struct arena a = { 0 };
    enum status st;

    if (n > 0) fprintf(f, "A: %s\nB: %s\n\n", c[0].name_a, c[0].name_b);
    st = print_table(f, c, n, &a, e);
    fputs("B - A: of the mean per question that both were asked, per cent.\n", f);
    for (size_t i = 0; i < n && st == STATUS_OK; i++) print_notes(f, &c[i]);
    for (size_t i = 0; i < n && st == STATUS_OK; i++) {
        print_pairs(f, &c[i], false, &a);
        print_pairs(f, &c[i], true, &a);
    }
    arena_free(&a);
    if (st == STATUS_OK && ferror(f)) return err_set(e, STATUS_IO, "the comparison cannot be written");
    return st;
}

/* ---- JSON ------------------------------------------------------------------------------------------------------ */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *figures_json(const struct comparison *c)
{
    json_t *list = json_array();

    for (size_t i = 0; i < c->n_figures; i++) {
        const struct comparison_figure *f = &c->figures[i];

        if (json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "name", f->name, "a", number(f->a), "b",
                                                  number(f->b))) != 0)
            goto fail;
    }
    return list;

fail:
    json_decref(list);
    return NULL;
}

static json_t *pairs_json(const struct comparison *c, bool won)
{
    json_t *list = json_array();

    for (size_t i = 0; i < c->n; i++) {
        const struct comparison_pair *p = &c->pairs[i];
        const struct record *r = p->a->record;

        if (won ? gain(p) <= 0 : gain(p) >= 0) continue;
        if (json_array_append_new(
                list, json_pack("{s:I, s:s, s:s, s:s, s:f, s:f}", "index", (json_int_t)r->index, "question",
                                r->question, "a", p->a->answer, "b", p->b->answer, "credit_a",
                                evaluation_credit(p->a), "credit_b", evaluation_credit(p->b))) != 0)
            goto fail;
    }
    return list;

fail:
    json_decref(list);
    return NULL;
}

/* Without the lists. */
static json_t *head_json(const struct comparison *c)
{
    const struct benchmark *b = c->a->dataset.benchmark;
    const struct paired_test *p = &c->test;
    json_t *test = json_pack(
        "{s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "method", p->method, "n", (json_int_t)p->n, "better",
        (json_int_t)p->n_better, "worse", (json_int_t)p->n_worse, "difference", number(100 * p->difference),
        "low", number(100 * p->interval.low), "high", number(100 * p->interval.high), "p", number(p->p));

    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:o}", "name", b->name, "title", b->title,
                     "unit", b->metric->unit, "a", c->name_a, "b", c->name_b, "figures", figures_json(c),
                     "questions", (json_int_t)c->n, "only_a", (json_int_t)c->n_only_a, "only_b",
                     (json_int_t)c->n_only_b, "test", test);
}

json_t *comparison_json(const struct comparison *c, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *o = head_json(&c[i]);

        if (json_array_append_new(list, o) != 0 ||
            json_object_set_new(o, "lost", pairs_json(&c[i], false)) != 0 ||
            json_object_set_new(o, "won", pairs_json(&c[i], true)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return json_pack("{s:o}", "comparisons", list);
}

/* ---- page ------------------------------------------------------------------------------------------------------ */

static enum status add_heads(json_t *content, const struct comparison *c, size_t n, struct err *e)
{
    json_t *list = json_object_get(content, "evaluations");
    bool ok = true;

    ok = json_object_set_new(content, "title",
                             json_sprintf("sphinx eval: %s and %s", c->name_a, c->name_b)) == 0;
    ok = ok &&
         json_object_set_new(
             content, "about",
             json_string("Two runs on the same questions. The scores, charts and answers are those of B; "
                         "beside each stands the answer of A.")) == 0;
    for (size_t i = 0; i < n && ok; i++)
        ok = json_object_set_new(json_array_get(list, i), "comparison", head_json(&c[i])) == 0;
    return ok ? STATUS_OK : err_no_memory(e, "a comparison");
}

enum status comparison_html(const char *path, const struct comparison *c, size_t n, const char *data,
                            struct err *e)
{
    struct arena arena = { 0 };
    struct evaluation *a = arena_calloc(&arena, n + 1, sizeof *a),
                      *b = arena_calloc(&arena, n + 1, sizeof *b);
    json_t *content = NULL;
    enum status st = STATUS_OK;

    if (a == NULL || b == NULL) st = err_no_memory(e, "a comparison");
    for (size_t i = 0; i < n && st == STATUS_OK; i++) {
        a[i] = *c[i].a;
        b[i] = *c[i].b;
    }
    if (st == STATUS_OK) st = page_content(&content, b, a, n, data, e);
    if (st == STATUS_OK && n > 0) st = add_heads(content, c, n, e);
    if (st == STATUS_OK) st = page_write(path, content, e);
    json_decref(content);
    arena_free(&arena);
    return st;
}
