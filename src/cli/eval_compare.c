/*
 * eval_compare.c - see eval_views.h: two folders of answers, or two folders of such folders as a run of several benchmarks leaves them.
 */
#include "cli/eval_views.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/message.h"
#include "cli/output.h"
#include "core/file.h"
#include "eval/compare.h"
#include "eval/task_list.h"

/* One benchmark of both. */
struct both {
    struct evaluation a, b;
    struct comparison comparison;
};

struct comparing {
    const struct settings *settings;
    const char *a, *b; /* the folders */
    struct task_list tasks;
    struct both *pairs; /* [n] */
    size_t n, capacity;
};

static bool has_answers(const char *folder)
{
    char *path = path_join(folder, "answers.jsonl");
    bool has = path != NULL && file_exists(path);

    free(path);
    return has;
}

static int open_pair(struct comparing *c, const char *a, const char *b)
{
    const struct settings *s = c->settings;
    const char *data = s->data != NULL ? s->data : "";
    struct both *p;
    struct err e = { 0 };
    enum status st;

    if (c->n == c->capacity) return fail("more than %zu benchmarks in %s", c->capacity, c->a);
    p = &c->pairs[c->n];
    st = evaluation_open_any(&p->a, c->tasks.tables, c->tasks.n_tables, a, data, s->dedup, &e);
    if (st == STATUS_OK)
        st = evaluation_open_any(&p->b, c->tasks.tables, c->tasks.n_tables, b, data, s->dedup, &e);
    if (st == STATUS_OK) st = comparison_make(&p->comparison, &p->a, c->a, &p->b, c->b, &e);
    c->n++;
    return st == STATUS_OK ? CODE_OK : fail("%s", e.text);
}

/* A folder of the same name in both. */
static int open_below(struct comparing *c, const char *name)
{
    char *a = path_join(c->a, name), *b = path_join(c->b, name);
    int code = a != NULL && b != NULL ? CODE_OK : fail("out of memory");

    if (code == CODE_OK && name[0] != '.' && has_answers(a) && has_answers(b)) code = open_pair(c, a, b);
    free(a);
    free(b);
    return code;
}

static int open_all(struct comparing *c)
{
    enum { PAIRS_MAX = 256 };
    struct dirent **entries = NULL;
    int n, code = CODE_OK;

    c->capacity = PAIRS_MAX;
    c->pairs = calloc(c->capacity, sizeof *c->pairs);
    if (c->pairs == NULL) return fail("out of memory");
    if (has_answers(c->a) || has_answers(c->b)) return open_pair(c, c->a, c->b);
    n = scandir(c->a, &entries, NULL, alphasort);
    if (n < 0) return fail("%s: cannot be read as a folder", c->a);
    for (int i = 0; i < n; i++) {
        if (code == CODE_OK) code = open_below(c, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (code == CODE_OK && c->n == 0)
        return fail("%s and %s hold no answers to the same benchmark", c->a, c->b);
    return code;
}

struct comparisons {
    struct comparison *items;
    size_t n;
};

static enum status write_comparisons(FILE *f, const void *what, struct err *e)
{
    const struct comparisons *c = what;

    return comparison_text(f, c->items, c->n, e);
}

static int tell(const struct comparing *c)
{
    const struct settings *s = c->settings;
    struct comparisons all = { calloc(c->n, sizeof *all.items), c->n };
    struct err e = { 0 };
    int code;

    if (all.items == NULL) return fail("out of memory");
    for (size_t i = 0; i < c->n; i++) all.items[i] = c->pairs[i].comparison;
    code = s->json ? eval_print_json(comparison_json(all.items, all.n)) : eval_print(write_comparisons, &all);
    if (code == CODE_OK && s->report_page != NULL &&
        comparison_html(s->report_page, all.items, all.n, s->data != NULL ? s->data : "", &e) != STATUS_OK)
        code = fail("%s", e.text);
    free(all.items);
    return code;
}

static int check(const struct settings *s)
{
    if (s->operands.count != 2)
        return usage_error(s->command, "--compare wants two folders of answers, %zu given",
                           s->operands.count);
    return s->report_page != NULL ? arguments_check_output("--report", s->report_page) : CODE_OK;
}

int eval_compare(const struct settings *s)
{
    static const char *const all[] = { "all" };
    struct comparing c = { .settings = s };
    struct task_changes changes = { .quirks = s->quirks, .template = s->template };
    bool named = s->tasks.count > 0;
    struct err e = { 0 };
    int code = check(s);

    if (code != CODE_OK) return code;
    c.a = s->operands.item[0];
    c.b = s->operands.item[1];
    if (task_list_open(&c.tasks, named ? s->tasks.item : all, named ? s->tasks.count : 1, &changes, &e) !=
        STATUS_OK)
        code = fail("%s", e.text);
    if (code == CODE_OK) code = open_all(&c);
    if (code == CODE_OK) code = tell(&c);
    for (size_t i = 0; i < c.n; i++) {
        comparison_free(&c.pairs[i].comparison);
        evaluation_close(&c.pairs[i].a);
        evaluation_close(&c.pairs[i].b);
    }
    free(c.pairs);
    task_list_close(&c.tasks);
    return code;
}
