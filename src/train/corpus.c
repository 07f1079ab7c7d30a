/*
 * corpus.c - see corpus.h.
 *
 *   entry of META ── file, mapped ── each record once through jansson: where it stands, how long it is, whether it has an image
 *                                 ── ratio: some of them, or all several times
 *   all files     ── sorted by type, length, file, place
 */
#include "train/corpus.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/file.h"
#include "core/mix64.h"
#include "store/rows_format.h"
#include "train/corpus_item.h"
#include "train/data_config.h"

enum notation { NOTATION_JSON, NOTATION_JSONL, NOTATION_CELLS, NOTATION_LINES };

struct source {
    const char *path;
    struct file_map map;
    const char *begin, *end; /* behind a byte order mark */
    enum notation notation;
    const char *unit;   /* "record" or "line" */
    size_t header_size; /* of a table: the bytes before its first record */
    struct item_rule rule;
    size_t type;
};

struct place {
    uint64_t offset; /* from begin */
    uint32_t size, n_characters;
    uint32_t number; /* in units */
    uint32_t source;
};

struct corpus {
    struct data_config config;
    struct source *sources;    /* [config.n] */
    struct corpus_file *files; /* [config.n] */
    struct corpus_type *types; /* [n_types] */
    size_t n_types;
    struct place *places; /* [n] */
    size_t n, capacity;
};

/* ---- reading a file ------------------------------------------------------------------------------------ */

struct loading {
    struct corpus *c;
    struct source *source;
    const struct data_entry *entry;
    const struct report *report;
    uint64_t bytes_before, bytes_all; /* of the files */
    struct place **first_of_type;     /* [n_types]: to name it where another differs */
    struct place *firsts;             /* [config.n] what these point to */
    struct arena arena;
};

static enum status place_add(struct corpus *c, const struct place *p, struct err *e)
{
    if (c->n == c->capacity) {
        size_t capacity = c->capacity == 0 ? 1024 : 2 * c->capacity;
        struct place *places = realloc(c->places, capacity * sizeof *places);

        if (places == NULL) return err_no_memory(e, "the list of items");
        c->places = places;
        c->capacity = capacity;
    }
    c->places[c->n++] = *p;
    return STATUS_OK;
}

static const char *place_text(const struct corpus *c, const struct place *p, char *text, size_t size)
{
    const struct source *s = &c->sources[p->source];

    snprintf(text, size, "%s, %s %u", s->path, s->unit, p->number);
    return text;
}

/* A type's items have an image or have none: batches of both cannot be formed. */
static enum status sight_check(struct loading *l, const struct place *p, bool sees, struct err *e)
{
    size_t type = l->source->type;
    char here[512], first[512];

    if (l->first_of_type[type] == NULL) {
        l->firsts[type] = *p;
        l->first_of_type[type] = &l->firsts[type];
        l->c->types[type].sees = sees;
        return STATUS_OK;
    }
    if (l->c->types[type].sees == sees) return STATUS_OK;
    return err_set(e, STATUS_BAD_FORMAT,
                   "%s has %s image, but %s, of the same type \"%s\", has %s; give them types of their own",
                   place_text(l->c, p, here, sizeof here), sees ? "an" : "no",
                   place_text(l->c, l->first_of_type[type], first, sizeof first), l->c->types[type].name,
                   sees ? "none" : "one");
}

/* What the first record of a file tells of all. */
static enum status rule_complete(struct loading *l, const json_t *record, struct err *e)
{
    struct item_rule *rule = &l->source->rule;
    enum status st = item_form(record, rule->preprocess, &rule->form, e);

    if (st != STATUS_OK) return st;
    if (l->entry->has_prompt && (rule->form == CORPUS_DIALOGUE || rule->form == CORPUS_TEXT))
        return err_set(e, STATUS_BAD_FORMAT, "prompt_type is for instructions and captions, but this is a %s",
                       rule->form == CORPUS_DIALOGUE ? "dialogue" : "text");
    if (rule->turns == TURNS_APART && rule->form != CORPUS_DIALOGUE)
        return err_set(e, STATUS_BAD_FORMAT, "turns are of dialogues, and this is none");
    rule->prompt = l->entry->has_prompt           ? l->entry->prompt
                   : rule->form == CORPUS_CAPTION ? PROMPT_CAPTION
                                                  : PROMPT_ALPACA;
    return STATUS_OK;
}

static enum status record_take(struct loading *l, const char *text, size_t size, size_t number,
                               const json_t *record, struct err *e)
{
    struct source *s = l->source;
    struct place p = { .offset = (uint64_t)(text - s->begin),
                       .size = (uint32_t)size,
                       .number = (uint32_t)number,
                       .source = (uint32_t)(s - l->c->sources) };
    struct corpus_file *file = &l->c->files[p.source];
    struct arena_mark mark = arena_mark(&l->arena);
    struct err why = { 0 };
    struct item item;
    enum status st = STATUS_OK;

    if (size > UINT32_MAX || number > UINT32_MAX)
        return err_set(e, STATUS_BAD_FORMAT, "%s: %s %zu is too large, or there are too many", s->path,
                       s->unit, number);
    if (file->n_found == 0) {
        s->header_size = (size_t)p.offset;
        st = rule_complete(l, record, &why);
        if (st != STATUS_OK) return err_set(e, st, "%s: %s %zu: %s", s->path, s->unit, number, why.text);
    }
    if (file->n_found % 4096 == 0) {
        if (report_cancelled(l->report)) return err_set(e, STATUS_CANCELLED, "cancelled");
        report_progress(l->report, "data", l->bytes_before + p.offset, l->bytes_all);
    }
    file->n_found++;
    /* What cannot be learned from is found out again, and told, when its turn comes. */
    st = item_read(&item, &s->rule, record, 0, &l->arena, &why);
    p.n_characters = st == STATUS_OK && item.n_characters <= UINT32_MAX ? (uint32_t)item.n_characters : 0;
    arena_reset(&l->arena, mark);
    if (st == STATUS_NO_MEMORY) return err_no_memory(e, "an item");
    st = sight_check(l, &p, item_sees(&s->rule, record), e);
    return st == STATUS_OK ? place_add(l->c, &p, e) : st;
}

static enum status row_taken(void *user, const struct row *row, struct err *e)
{
    return record_take(user, row->text, row->size, row->number, row->json, e);
}

/* A line as the record that a .jsonl file would have. NULL: not UTF-8, or without memory. */
static json_t *line_record(const char *text, size_t size)
{
    return json_pack("{s:o*}", "content", json_stringn(text, size));
}

static size_t line_size(const char *at, const char *end)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));

    return newline != NULL ? (size_t)(newline - at) : (size_t)(end - at);
}

/* Lines of plain text; empty ones are passed over. */
static enum status lines_walk(struct loading *l, struct err *e)
{
    const struct source *s = l->source;
    size_t number = 1;

    for (const char *at = s->begin; at < s->end; number++) {
        size_t size = line_size(at, s->end), kept = size - (size > 0 && at[size - 1] == '\r');

        if (kept > 0) {
            json_t *record = memchr(at, '\0', kept) == NULL ? line_record(at, kept) : NULL;
            enum status st;

            if (record == NULL || json_object_get(record, "content") == NULL) {
                json_decref(record);
                return err_set(e, STATUS_BAD_FORMAT, "%s: line %zu is not UTF-8 text", s->path, number);
            }
            st = record_take(l, at, kept, number, record, e);
            json_decref(record);
            if (st != STATUS_OK) return st;
        }
        at += size < (size_t)(s->end - at) ? size + 1 : size;
    }
    return STATUS_OK;
}

static enum status records_walk(struct loading *l, struct err *e)
{
    const struct source *s = l->source;
    const struct rows_input in = {
        .file = s->path, .begin = s->begin, .end = s->end, .take = row_taken, .user = l
    };

    switch (s->notation) {
    case NOTATION_JSON: return rows_walk_json(&in, "", e);
    case NOTATION_JSONL: return rows_walk_jsonl(&in, e);
    case NOTATION_CELLS: return rows_walk_cells(&in, '\t', e);
    case NOTATION_LINES: break;
    }
    return lines_walk(l, e);
}

/* ---- ratio --------------------------------------------------------------------------------------------- */

/* Keeps k of the items from `first` on, each choice equally likely, in their order (Knuth, algorithm S). */
static void items_draw(struct corpus *c, size_t first, size_t k, uint64_t seed)
{
    size_t to = first, n = c->n;

    for (size_t i = first; i < n && k > 0; i++) {
        if (mix64(seed + (i - first)) % (n - i) >= k) continue;
        c->places[to++] = c->places[i];
        k--;
    }
    c->n = to;
}

static enum status ratio_apply(struct loading *l, size_t first, uint64_t seed, struct err *e)
{
    struct corpus *c = l->c;
    size_t n = c->n - first, index = (size_t)(l->source - c->sources);
    double wanted = l->entry->ratio * (double)n;
    size_t whole, rest, at;
    enum status st = STATUS_OK;

    if (wanted > (double)UINT32_MAX)
        return err_set(e, STATUS_BAD_FORMAT, "%s: ratio: %g of %zu items are too many", l->source->path,
                       l->entry->ratio, n);
    if (n == 0) return STATUS_OK;
    whole = (size_t)wanted / n;
    rest = (size_t)wanted % n;
    /* The copies go behind the items, which then are those drawn: [n whole] ... [rest]. */
    for (size_t copy = 0; st == STATUS_OK && copy < whole; copy++)
        for (size_t i = 0; st == STATUS_OK && i < n; i++) {
            struct place p = c->places[first + i];

            st = place_add(c, &p, e);
        }
    if (st != STATUS_OK) return st;
    at = c->n;
    c->n = first + n;
    items_draw(c, first, rest, mix64(seed + index));
    memmove(c->places + c->n, c->places + first + n, (at - first - n) * sizeof *c->places);
    c->n += at - first - n;
    return STATUS_OK;
}

/* ---- all files ----------------------------------------------------------------------------------------- */

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

static enum status source_open(struct loading *l, struct err *e)
{
    static const struct {
        const char *ending, *unit;
        enum notation notation;
    } known[] = { { ".json", "record", NOTATION_JSON },
                  { ".jsonl", "line", NOTATION_JSONL },
                  { ".csv", "line", NOTATION_CELLS },
                  { ".tsv", "line", NOTATION_CELLS },
                  { ".txt", "line", NOTATION_LINES } };
    struct source *s = l->source;
    size_t i = 0;
    enum status st;

    while (i < sizeof known / sizeof *known && !ends_in(s->path, known[i].ending)) i++;
    if (i == sizeof known / sizeof *known)
        return err_set(e, STATUS_UNSUPPORTED, "%s: the name must end in .json, .jsonl, .csv, .tsv or .txt",
                       s->path);
    s->notation = known[i].notation;
    s->unit = known[i].unit;
    st = file_map_open(&s->map, s->path, e);
    if (st != STATUS_OK) return st;
    s->begin = s->map.data != NULL ? (const char *)s->map.data : "";
    s->end = s->begin + s->map.size;
    if (s->map.size >= 3 && memcmp(s->begin, "\xEF\xBB\xBF", 3) == 0) s->begin += 3;
    return STATUS_OK;
}

static void type_find(struct corpus *c, struct source *s, const char *name)
{
    for (s->type = 0; s->type < c->n_types; s->type++)
        if (strcmp(c->types[s->type].name, name) == 0) return;
    c->types[c->n_types++].name = name;
}

static enum status source_load(struct loading *l, uint64_t seed, struct err *e)
{
    struct corpus *c = l->c;
    struct source *s = l->source;
    struct corpus_file *file = &c->files[s - c->sources];
    size_t first = c->n;
    enum status st;

    s->rule = (struct item_rule){ .preprocess = l->entry->preprocess,
                                  .turns = l->entry->turns,
                                  .root = l->entry->root };
    st = records_walk(l, e);
    if (st != STATUS_OK) return st;
    if (l->entry->ratio != 1.0) st = ratio_apply(l, first, seed, e);
    if (st != STATUS_OK) return st;
    file->n_used = c->n - first;
    if (file->n_used == 0)
        report_warn(l->report, "%s: none of its %zu records is used", s->path, file->n_found);
    file_map_advise(&s->map, FILE_ACCESS_SCATTERED);
    if (s->map.size > 0) file_map_drop(&s->map, s->map.data, s->map.size);
    return STATUS_OK;
}

static enum status sources_load(struct loading *l, uint64_t seed, struct err *e)
{
    struct corpus *c = l->c;
    enum status st = STATUS_OK;

    for (size_t i = 0; st == STATUS_OK && i < c->config.n; i++) {
        l->source = &c->sources[i];
        l->source->path = c->config.entry[i].path;
        c->files[i] = (struct corpus_file){ .path = l->source->path, .type = c->config.entry[i].type };
        type_find(c, l->source, c->config.entry[i].type);
        st = source_open(l, e);
        l->bytes_all += l->source->map.size;
    }
    for (size_t i = 0; st == STATUS_OK && i < c->config.n; i++) {
        l->source = &c->sources[i];
        l->entry = &c->config.entry[i];
        st = source_load(l, seed, e);
        l->bytes_before += l->source->map.size;
    }
    if (st == STATUS_OK) report_progress(l->report, "data", l->bytes_all, l->bytes_all);
    return st;
}

/* ---- sorting ------------------------------------------------------------------------------------------- */

#define ORDER(a, b)                                                                                          \
    if ((a) != (b)) return (a) < (b) ? -1 : 1

/* Type, length, file, place: what remains equal is the same item. */
static int places_compare(const void *left, const void *right, void *corpus)
{
    const struct corpus *c = corpus;
    const struct place *a = left, *b = right;

    ORDER(c->sources[a->source].type, c->sources[b->source].type);
    ORDER(a->n_characters, b->n_characters);
    ORDER(a->source, b->source);
    ORDER(a->offset, b->offset);
    return 0;
}

/* Types without items go. */
static void types_bound(struct corpus *c)
{
    size_t n = 0, at = 0;

    for (size_t i = 0; i < c->n_types; i++) {
        struct corpus_type type = c->types[i];

        type.first = at;
        while (at < c->n && c->sources[c->places[at].source].type == i) at++;
        type.end = at;
        if (type.end > type.first) c->types[n++] = type;
    }
    assert(at == c->n);
    c->n_types = n;
}

/* ---- the corpus ---------------------------------------------------------------------------------------- */

static enum status load(struct corpus *c, const char *path, uint64_t seed, const struct report *report,
                        struct err *e)
{
    struct loading l = { .c = c, .report = report };
    enum status st = data_config_read(&c->config, path, e);

    if (st != STATUS_OK) return st;
    c->sources = calloc(c->config.n, sizeof *c->sources);
    c->files = calloc(c->config.n, sizeof *c->files);
    c->types = calloc(c->config.n, sizeof *c->types);
    l.first_of_type = calloc(c->config.n, sizeof *l.first_of_type);
    l.firsts = calloc(c->config.n, sizeof *l.firsts);
    if (c->sources == NULL || c->files == NULL || c->types == NULL || l.first_of_type == NULL ||
        l.firsts == NULL)
        st = err_no_memory(e, "the list of files");
    else
        st = sources_load(&l, seed, e);
    free(l.first_of_type);
    free(l.firsts);
    arena_free(&l.arena);
    if (st != STATUS_OK) return st;
    if (c->n == 0)
        return err_set(e, STATUS_BAD_FORMAT, "%s: there is nothing to learn from: no item is left", path);
    qsort_r(c->places, c->n, sizeof *c->places, places_compare, c);
    types_bound(c);
    return STATUS_OK;
}

enum status corpus_open(struct corpus **out, const char *path, uint64_t seed, const struct report *report,
                        struct err *e)
{
    struct corpus *c = calloc(1, sizeof *c);
    enum status st;

    *out = NULL;
    if (c == NULL) return err_no_memory(e, "the data");
    st = load(c, path, seed, report, e);
    if (st != STATUS_OK) {
        corpus_close(c);
        return st;
    }
    *out = c;
    return STATUS_OK;
}

void corpus_close(struct corpus *c)
{
    if (c == NULL) return;
    for (size_t i = 0; c->sources != NULL && i < c->config.n; i++) file_map_close(&c->sources[i].map);
    free(c->sources);
    free(c->files);
    free(c->types);
    free(c->places);
    data_config_free(&c->config);
    free(c);
}

size_t corpus_count(const struct corpus *c)
{
    return c->n;
}

size_t corpus_types(const struct corpus *c, const struct corpus_type **types)
{
    *types = c->types;
    return c->n_types;
}

size_t corpus_files(const struct corpus *c, const struct corpus_file **files)
{
    *files = c->files;
    return c->config.n;
}

const char *corpus_place(const struct corpus *c, size_t item, char *text, size_t size)
{
    assert(item < c->n);
    return place_text(c, &c->places[item], text, size);
}

/* ---- one item ------------------------------------------------------------------------------------------ */

static enum status cells_taken(void *user, const struct row *row, struct err *e)
{
    json_t **record = user;

    (void)e;
    *record = json_deep_copy(row->json);
    return STATUS_OK;
}

/* A table's line once more: behind the table's first line. */
static enum status cells_record(const struct source *s, const char *text, size_t size, json_t **record,
                                struct err *e)
{
    struct rows_input in = { .file = s->path, .take = cells_taken, .user = record };
    char *both = malloc(s->header_size + size);
    enum status st;

    if (both == NULL) return err_no_memory(e, "an item");
    memcpy(both, s->begin, s->header_size);
    memcpy(both + s->header_size, text, size);
    in.begin = both;
    in.end = both + s->header_size + size;
    st = rows_walk_cells(&in, '\t', e);
    free(both);
    return st;
}

static enum status record_read(const struct source *s, const struct place *p, json_t **record, struct err *e)
{
    const char *text = s->begin + p->offset;
    json_error_t why;
    enum status st = STATUS_OK;

    *record = NULL;
    switch (s->notation) {
    case NOTATION_JSON:
    case NOTATION_JSONL: *record = json_loadb(text, p->size, 0, &why); break;
    case NOTATION_CELLS: st = cells_record(s, text, p->size, record, e); break;
    case NOTATION_LINES: *record = line_record(text, p->size); break;
    }
    if (st == STATUS_OK && *record == NULL)
        return err_set(e, STATUS_IO, "the record is no longer what it was: did the file change?");
    return st;
}

static enum status item_sample(const struct item *item, const struct item_rule *rule,
                               const struct tokenizer *t, size_t max_tokens, struct sample *s, char **image,
                               struct err *e)
{
    enum status st;

    if (rule->form != CORPUS_DIALOGUE)
        st = sample_single(s, t, item->prompt, item->output, max_tokens, e);
    else if (rule->turns == TURNS_APART)
        st = sample_apart(s, t, item->turns, item->n_turns, max_tokens, e);
    else
        st = sample_dialogue(s, t, item->turns, item->n_turns, max_tokens, e);
    if (st != STATUS_OK || item->image == NULL) return st;
    if (item->cells != NULL) st = sample_show(s, t, item->cells, item->side, e);
    if (st == STATUS_OK && (*image = strdup(item->image)) == NULL) st = err_no_memory(e, "an item");
    if (st != STATUS_OK) sample_free(s);
    return st;
}

enum status corpus_read(const struct corpus *c, size_t item, uint64_t draw, const struct tokenizer *t,
                        size_t max_tokens, struct sample *s, char **image, struct err *e)
{
    const struct place *p = &c->places[item];
    const struct source *source = &c->sources[p->source];
    struct arena arena = { 0 };
    struct err why = { 0 };
    struct item texts;
    json_t *record;
    char place[512];
    enum status st;

    assert(item < c->n);
    *s = (struct sample){ 0 };
    *image = NULL;
    st = record_read(source, p, &record, &why);
    if (st == STATUS_OK)
        st = item_read(&texts, &source->rule, record, mix64(mix64(draw) + p->offset), &arena, &why);
    if (st == STATUS_OK) st = item_sample(&texts, &source->rule, t, max_tokens, s, image, &why);
    json_decref(record);
    arena_free(&arena);
    if (st != STATUS_OK) return err_set(e, st, "%s: %s", place_text(c, p, place, sizeof place), why.text);
    return STATUS_OK;
}
