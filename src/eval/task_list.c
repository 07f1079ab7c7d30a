/* task_list.c - see task_list.h. */
#include "eval/task_list.h"

#include <stdlib.h>
#include <string.h>

static enum status add_task(struct task_list *l, const struct benchmark *b, const struct benchmark_table *t,
                            bool optional, struct err *e)
{
    struct task *items;

    for (size_t i = 0; i < l->n; i++) {
        if (l->items[i].benchmark != b) continue;
        l->items[i].optional = l->items[i].optional && optional; /* asked for by name as well */
        return STATUS_OK;
    }
    items = realloc(l->items, (l->n + 1) * sizeof *items);
    if (items == NULL) return err_no_memory(e, "list of benchmarks");
    l->items = items;
    l->items[l->n++] = (struct task){ b, t, optional };
    return STATUS_OK;
}

static enum status add_table(struct task_list *l, const struct benchmark_table *t, bool optional,
                             struct err *e)
{
    enum status st = STATUS_OK;

    for (size_t i = 0; i < t->n && st == STATUS_OK; i++) st = add_task(l, &t->rows[i], t, optional, e);
    return st;
}

static bool is_file(const char *name)
{
    size_t n = strlen(name);

    return n > 5 && strcmp(name + n - 5, ".json") == 0;
}

/* tables has room. */
static enum status add_file(struct task_list *l, const char *path, struct err *e)
{
    struct benchmark_table *t = &l->tables[l->n_tables];
    enum status st = benchmark_table_read(t, path, e);

    if (st != STATUS_OK) return st;
    l->n_tables++;
    if (t->n == 0) return err_set(e, STATUS_BAD_FORMAT, "%s: holds no benchmark", path);
    return add_table(l, t, false, e);
}

static enum status add_name(struct task_list *l, const char *name, struct err *e)
{
    const struct benchmark *b;

    if (is_file(name)) return add_file(l, name, e);
    if (strcmp(name, "all") == 0) return add_table(l, &l->tables[0], true, e);
    b = benchmark_find(&l->tables[0], name);
    if (b == NULL)
        return err_set(e, STATUS_NOT_FOUND, "there is no benchmark '%s' (see: sphinx eval --list)", name);
    return add_task(l, b, &l->tables[0], false, e);
}

static enum status add_names(struct task_list *l, const char *names, struct err *e)
{
    char *copy = strdup(names), *rest = copy, *name;
    enum status st = copy != NULL ? STATUS_OK : err_no_memory(e, "list of benchmarks");

    while (st == STATUS_OK && (name = strsep(&rest, ",")) != NULL) st = add_name(l, name, e);
    free(copy);
    return st;
}

static int count_places(const char *template)
{
    int n = 0;

    for (const char *at = template; (at = strstr(at, "{}")) != NULL; at += 2) n++;
    return n;
}

/* Options go into the table's own JSON, which the entries borrow. */
static enum status change(struct benchmark_table *t, const struct task_changes *changes, struct err *e)
{
    if (changes->template != NULL && count_places(changes->template) > 3)
        return err_set(e, STATUS_BAD_ARGUMENT, "the template '%.100s' has more than three places {}",
                       changes->template);
    for (size_t i = 0; i < t->n; i++) {
        struct benchmark *b = &t->rows[i];

        if (changes->template != NULL) b->prompt = changes->template;
        if (!changes->quirks) continue;

        if (b->options == NULL) {
            b->options = json_object();
            if (json_object_set_new(json_object_get(t->json, b->name), "options", b->options) != 0)
                return err_no_memory(e, "options of a benchmark");
        }
        if (json_object_set_new(b->options, "upstream_quirks", json_true()) != 0)
            return err_no_memory(e, "options of a benchmark");
    }
    return STATUS_OK;
}

static size_t count_names(const char *names)
{
    size_t n = 1;

    for (; *names != '\0'; names++) n += *names == ',';
    return n;
}

enum status task_list_open(struct task_list *l, const char *const *names, size_t n_names,
                           const struct task_changes *changes, struct err *e)
{
    size_t room = 1;
    enum status st;

    memset(l, 0, sizeof *l);
    for (size_t i = 0; i < n_names; i++) room += count_names(names[i]);
    l->tables = calloc(room, sizeof *l->tables); /* not moved any more: tasks point into it */
    if (l->tables == NULL) return err_no_memory(e, "list of benchmarks");
    st = benchmark_table_builtin(&l->tables[0], e);
    if (st == STATUS_OK) l->n_tables = 1;
    for (size_t i = 0; i < n_names && st == STATUS_OK; i++) st = add_names(l, names[i], e);
    for (size_t i = 0; i < l->n_tables && st == STATUS_OK; i++) st = change(&l->tables[i], changes, e);
    if (st != STATUS_OK) task_list_close(l);
    return st;
}

void task_list_close(struct task_list *l)
{
    for (size_t i = 0; i < l->n_tables; i++) benchmark_table_free(&l->tables[i]);
    free(l->tables);
    free(l->items);
    memset(l, 0, sizeof *l);
}
