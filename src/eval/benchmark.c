/*
 * benchmark.c - see benchmark.h. Entries are checked as far as can be without the files they name: a slip in one is told when the table is
 * read, not after a night of answering.
 */
#include "core/file.h"
#include "eval/metric.h"
#include "eval/reader.h"
#include "store/rows.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* benchmarks.json, which the build puts here (cmake/embed.cmake). */
extern const unsigned char benchmarks_json[];
extern const size_t benchmarks_json_size;

enum { TABLE_BYTES_MAX = 16 << 20, NAME_MAX_LETTERS = 64, MAX_TOKENS_MAX = 4096, PLACES_MAX = 3 };

/* One entry being read. */
struct entry {
    struct benchmark_table *table;
    const char *file; /* for messages */
    const json_t *json;
    struct benchmark *b;
    struct err *err;
};

static enum status entry_error(const struct entry *x, const char *fmt, ...) PRINTF_LIKE(2, 3);

static enum status entry_error(const struct entry *x, const char *fmt, ...)
{
    char text[700];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return err_set(x->err, STATUS_BAD_FORMAT, "%s: \"%.64s\": %s", x->file, x->b->name, text);
}

/* ---- the simple keys ------------------------------------------------------------------------------------------- */

/* `otherwise` NULL: the key must be there. */
static enum status read_text(const struct entry *x, const char *key, const char *otherwise, const char **text)
{
    const json_t *value = json_object_get(x->json, key);

    *text = json_string_value(value);
    if (*text != NULL) return STATUS_OK;
    if (value != NULL) return entry_error(x, "\"%s\" must be a text, not %s", key, json_kind(value));
    if (otherwise == NULL) return entry_error(x, "\"%s\" is absent", key);
    *text = otherwise;
    return STATUS_OK;
}

static enum status read_max_tokens(const struct entry *x)
{
    const json_t *value = json_object_get(x->json, "max_tokens");
    json_int_t n = json_integer_value(value);

    if (!json_is_integer(value) || n < 1 || n > MAX_TOKENS_MAX)
        return entry_error(x, "\"max_tokens\" must be a whole number from 1 to %d, not %s", MAX_TOKENS_MAX,
                           json_is_number(value) ? "another" : json_kind(value));
    x->b->max_tokens = (int)n;
    return STATUS_OK;
}

static enum status read_prompt(const struct entry *x)
{
    enum status st = read_text(x, "prompt", NULL, &x->b->prompt);
    int n = 0;

    if (st != STATUS_OK) return st;
    for (const char *p = x->b->prompt; (p = strstr(p, "{}")) != NULL; p += 2) n++;
    if (n > PLACES_MAX)
        return entry_error(x, "\"prompt\" has %d places {}; there are only hint, question and choices", n);
    return read_text(x, "answer_prefix", "", &x->b->answer_prefix);
}

/* Known keys only: a misspelt one would be without effect. */
static enum status check_keys(const struct entry *x)
{
    static const char keys[] = "title reader files prompt answer_prefix max_tokens metric options published";
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)x->json, key, value)
    {
        if (!words_hold(keys, key)) return entry_error(x, "\"%.60s\" is unknown; an entry has %s", key, keys);
    }
    return STATUS_OK;
}

/* ---- reader, metric, files, options ---------------------------------------------------------------------------- */

static enum status read_reader(const struct entry *x)
{
    const char *name;
    enum status st = read_text(x, "reader", NULL, &name);

    if (st != STATUS_OK) return st;
    x->b->reader = reader_find(name);
    if (x->b->reader == NULL) return entry_error(x, "there is no reader \"%.60s\"", name);
    st = read_text(x, "metric", NULL, &name);
    if (st != STATUS_OK) return st;
    x->b->metric = metric_find(name);
    if (x->b->metric == NULL) return entry_error(x, "there is no metric \"%.60s\"", name);
    return STATUS_OK;
}

static enum status check_file(const struct entry *x, const char *key, const json_t *value)
{
    bool fine = json_is_string(value) || json_array_size(value) > 0;

    for (size_t i = 0; i < json_array_size(value); i++)
        fine = fine && json_is_string(json_array_get(value, i));
    if (!fine)
        return entry_error(x, "\"files\": \"%.60s\" must be a file's name or a list of names, not %s", key,
                           json_kind(value));
    if (strcmp(x->b->reader->files, "*") != 0 && !words_hold(x->b->reader->files, key))
        return entry_error(x, "\"files\": \"%.60s\" is unknown; the reader \"%s\" wants %s", key,
                           x->b->reader->name, x->b->reader->files);
    return STATUS_OK;
}

/* Those that the reader has without brackets must be there. */
static enum status check_wanted_files(const struct entry *x)
{
    const char *wanted = x->b->reader->files;

    if (strcmp(wanted, "*") == 0)
        return json_object_size(x->b->files) > 0 ? STATUS_OK : entry_error(x, "\"files\" names none");
    while (*wanted != '\0') {
        size_t n = strcspn(wanted, " ");

        if (wanted[0] != '[' && json_object_getn(x->b->files, wanted, n) == NULL)
            return entry_error(x, "\"files\": \"%.*s\" is absent; the reader \"%s\" wants %s", (int)n, wanted,
                               x->b->reader->name, x->b->reader->files);
        wanted += n + (wanted[n] == ' ');
    }
    return STATUS_OK;
}

static enum status read_files(const struct entry *x)
{
    json_t *files = json_object_get(x->json, "files"), *value;
    enum status st = STATUS_OK;
    const char *key;

    if (!json_is_object(files))
        return entry_error(x, "\"files\" must be an object, not %s", json_kind(files));
    x->b->files = files;
    json_object_foreach(files, key, value)
    {
        if (st == STATUS_OK) st = check_file(x, key, value);
    }
    return st == STATUS_OK ? check_wanted_files(x) : st;
}

/* What the reader does not know of the options is for the metric (metric.h lists them), or a slip. */
static enum status check_metric_options(const struct entry *x)
{
    static const char of_metrics[] = "upstream_quirks mean_of_categories judgements judge";
    const struct benchmark *b = x->b;
    struct err why = { 0 };
    const char *key;
    json_t *value;

    json_object_foreach(b->options, key, value)
    {
        if (!words_hold(b->reader->options, key) && !words_hold(of_metrics, key))
            return entry_error(x,
                               "\"options\": \"%.60s\" is unknown; the reader \"%s\" has %s, metrics have %s",
                               key, b->reader->name, b->reader->options, of_metrics);
    }
    if (b->metric->check != NULL && b->metric->check(b->options, &why) != STATUS_OK)
        return entry_error(x, "\"options\": %.600s", why.text);
    return STATUS_OK;
}

static enum status read_options(const struct entry *x)
{
    json_t *options = json_object_get(x->json, "options");
    struct err why = { 0 };

    if (options != NULL && !json_is_object(options))
        return entry_error(x, "\"options\" must be an object, not %s", json_kind(options));
    x->b->options = options;
    if (x->b->reader->check != NULL && x->b->reader->check(x->b, &why) != STATUS_OK)
        return entry_error(x, "\"options\": %.600s", why.text);
    return check_metric_options(x);
}

/* ---- published scores ------------------------------------------------------------------------------------------ */

/* {"SPHINX": 62.08} or {"SPHINX": {"perception": 1476.1, "cognition": 322.2}} */
static enum status add_published(const struct entry *x, struct published *to, const char *model,
                                 const char *part, const json_t *value)
{
    if (!json_is_number(value) || !isfinite(json_number_value(value)))
        return entry_error(x, "\"published\": \"%.60s\" must be a number, or an object of numbers, not %s",
                           model, json_kind(value));
    *to = (struct published){ .model = model, .part = part, .value = json_number_value(value) };
    return STATUS_OK;
}

static enum status read_published(const struct entry *x)
{
    json_t *models = json_object_get(x->json, "published"), *value, *number;
    enum status st = STATUS_OK;
    struct published *list;
    const char *model, *part;
    size_t n = 0;

    if (models != NULL && !json_is_object(models))
        return entry_error(x, "\"published\" must be an object, not %s", json_kind(models));
    json_object_foreach(models, model, value)
    {
        n += json_is_object(value) ? json_object_size(value) : 1;
    }
    list = arena_calloc(&x->table->arena, n, sizeof *list);
    if (list == NULL) return err_no_memory(x->err, "published scores");
    x->b->published = list;
    json_object_foreach(models, model, value)
    {
        if (st == STATUS_OK && !json_is_object(value))
            st = add_published(x, &list[x->b->n_published++], model, "", value);
        json_object_foreach(value, part, number)
        {
            if (st == STATUS_OK) st = add_published(x, &list[x->b->n_published++], model, part, number);
        }
    }
    return st;
}

/* ---- the table ------------------------------------------------------------------------------------------------- */

/* Also the name of the folder of its answers. */
static bool is_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";
    size_t n = strlen(name);

    return n > 0 && n <= NAME_MAX_LETTERS && name[0] != '.' && strspn(name, letters) == n;
}

static enum status read_entry(const struct entry *x)
{
    enum status st;

    if (!is_name(x->b->name))
        return entry_error(x, "a name has 1 to %d letters, digits and _+-. only", NAME_MAX_LETTERS);
    if (!json_is_object(x->json)) return entry_error(x, "want an object, not %s", json_kind(x->json));
    st = check_keys(x);
    if (st == STATUS_OK) st = read_text(x, "title", x->b->name, &x->b->title);
    if (st == STATUS_OK) st = read_reader(x);
    if (st == STATUS_OK) st = read_prompt(x);
    if (st == STATUS_OK) st = read_max_tokens(x);
    if (st == STATUS_OK) st = read_files(x);
    if (st == STATUS_OK) st = read_options(x);
    if (st == STATUS_OK) st = read_published(x);
    return st;
}

static enum status parse(struct benchmark_table *t, const char *text, size_t size, const char *file,
                         struct err *e)
{
    enum status st = STATUS_OK;
    json_error_t why;
    const char *name;
    json_t *value;

    *t = (struct benchmark_table){ .json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why) };
    if (t->json == NULL)
        return err_set(e, STATUS_BAD_FORMAT, "%s: line %d: %.200s", file, why.line, why.text);
    if (!json_is_object(t->json))
        return err_set(e, STATUS_BAD_FORMAT, "%s: want an object of benchmarks, not %s", file,
                       json_kind(t->json));
    t->rows = arena_calloc(&t->arena, json_object_size(t->json), sizeof *t->rows);
    if (t->rows == NULL) return err_no_memory(e, "a table of benchmarks");
    json_object_foreach(t->json, name, value)
    {
        struct entry x = { .table = t, .file = file, .json = value, .b = &t->rows[t->n], .err = e };

        x.b->name = name;
        if (st == STATUS_OK) st = read_entry(&x);
        t->n++;
    }
    return st;
}

enum status benchmark_table_builtin(struct benchmark_table *t, struct err *e)
{
    enum status st = parse(t, (const char *)benchmarks_json, benchmarks_json_size, "benchmarks.json", e);

    if (st != STATUS_OK) benchmark_table_free(t);
    return st;
}

enum status benchmark_table_read(struct benchmark_table *t, const char *path, struct err *e)
{
    unsigned char *text = NULL;
    size_t size = 0;
    enum status st = file_read(path, TABLE_BYTES_MAX, &text, &size, e);

    *t = (struct benchmark_table){ 0 };
    if (st != STATUS_OK) return st;
    st = parse(t, (const char *)text, size, path, e);
    free(text);
    if (st != STATUS_OK) benchmark_table_free(t);
    return st;
}

void benchmark_table_free(struct benchmark_table *t)
{
    json_decref(t->json);
    arena_free(&t->arena);
    *t = (struct benchmark_table){ 0 };
}

const struct benchmark *benchmark_find(const struct benchmark_table *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->rows[i].name, name) == 0) return &t->rows[i];
    return NULL;
}
