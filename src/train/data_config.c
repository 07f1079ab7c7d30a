/* data_config.c - see data_config.h. libyaml reads the whole document into nodes, which know their lines. */
#include "train/data_config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/file.h"

enum { CONFIG_SIZE_MAX = 16 << 20 };

static const char *const preprocess_names[PREPROCESSES] = {
    [PREPROCESS_NONE] = "none",
    [PREPROCESS_LLAVA] = "single_turn_llava",
    [PREPROCESS_CAPTION] = "caption",
};

struct reading {
    struct data_config *config;
    yaml_document_t document;
    const char *path;
    struct err *err;
};

static size_t line_of(const yaml_node_t *node)
{
    return node->start_mark.line + 1;
}

static yaml_node_t *node_of(struct reading *r, int id)
{
    return yaml_document_get_node(&r->document, id);
}

/* NULL for what is no scalar, holds a zero byte, or means nothing: null, ~ or empty without quotes. */
static const char *scalar_of(const yaml_node_t *node)
{
    const char *text = node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;

    if (text == NULL || strlen(text) != node->data.scalar.length) return NULL;
    if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
        (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0))
        return NULL;
    return text;
}

/* ---- keys ---------------------------------------------------------------------------------------------- */

/* A path that is relative begins at the folder of the YAML file. */
static const char *path_below(struct reading *r, const char *path)
{
    const char *base = path_base(r->path);

    if (path[0] == '/' || base == r->path) return arena_strdup(&r->config->arena, path);
    return arena_printf(&r->config->arena, "%.*s%s", (int)(base - r->path), r->path, path);
}

static enum status name_read(struct reading *r, const yaml_node_t *value, const char *key, const char *text,
                             const char *const *names, int n, int *which)
{
    char known[256] = "";
    size_t size = 0;

    for (*which = 0; *which < n; (*which)++)
        if (strcmp(text, names[*which]) == 0) return STATUS_OK;
    for (int i = 0; i < n; i++) {
        size += (size_t)snprintf(known + size, sizeof known - size, "%s%s", i > 0 ? ", " : "", names[i]);
        if (size >= sizeof known) break;
    }
    return err_set(r->err, STATUS_BAD_FORMAT, "%s: line %zu: %s: \"%.60s\" is unknown; known are %s", r->path,
                   line_of(value), key, text, known);
}

static enum status ratio_read(struct reading *r, const yaml_node_t *value, const char *text, double *ratio)
{
    char *end;

    *ratio = strtod(text, &end);
    if (end != text && *end == '\0' && isfinite(*ratio) && *ratio > 0) return STATUS_OK;
    return err_set(r->err, STATUS_BAD_FORMAT, "%s: line %zu: ratio: want a number above 0, not \"%.60s\"",
                   r->path, line_of(value), text);
}

/* One key of an entry; a value that means nothing leaves the default. */
static enum status pair_read(struct reading *r, struct data_entry *entry, const yaml_node_t *key,
                             const yaml_node_t *value)
{
    const char *name = scalar_of(key), *text = scalar_of(value);
    const char **place = NULL;
    enum status st = STATUS_OK;
    int which;

    if (name == NULL)
        return err_set(r->err, STATUS_BAD_FORMAT, "%s: line %zu: want a key", r->path, line_of(key));
    if (text == NULL && value->type != YAML_SCALAR_NODE)
        return err_set(r->err, STATUS_BAD_FORMAT, "%s: line %zu: %.60s: want a text or a number", r->path,
                       line_of(value), name);
    if (strcmp(name, "path") == 0 || strcmp(name, "root") == 0) {
        place = name[0] == 'p' ? &entry->path : &entry->root;
        if (text != NULL) *place = path_below(r, text);
    } else if (strcmp(name, "type") == 0) {
        place = &entry->type;
        if (text != NULL) *place = arena_strdup(&r->config->arena, text);
    } else if (strcmp(name, "ratio") == 0) {
        if (text != NULL) st = ratio_read(r, value, text, &entry->ratio);
    } else if (strcmp(name, "preprocess") == 0) {
        if (text == NULL) return STATUS_OK;
        st = name_read(r, value, name, text, preprocess_names, PREPROCESSES, &which);
        entry->preprocess = (enum preprocess)which;
    } else if (strcmp(name, "prompt_type") == 0) {
        if (text == NULL) return STATUS_OK;
        st = name_read(r, value, name, text, prompt_type_names, PROMPT_TYPES, &which);
        entry->prompt = (enum prompt_type)which;
        entry->has_prompt = true;
    } else {
        return err_set(r->err, STATUS_BAD_FORMAT,
                       "%s: line %zu: the key \"%.60s\" is unknown; known are path, type, root, ratio, "
                       "preprocess and prompt_type",
                       r->path, line_of(key), name);
    }
    if (place != NULL && text != NULL && *place == NULL) return err_no_memory(r->err, "the configuration");
    return st;
}

static enum status entry_read(struct reading *r, const yaml_node_t *node, struct data_entry *entry)
{
    const yaml_node_pair_t *from, *to;

    *entry = (struct data_entry){ .type = "default", .ratio = 1.0, .root = path_below(r, "") };
    if (entry->root == NULL) return err_no_memory(r->err, "the configuration");
    if (node->type != YAML_MAPPING_NODE)
        return err_set(r->err, STATUS_BAD_FORMAT, "%s: line %zu: an entry of META must have keys, path first",
                       r->path, line_of(node));
    from = node->data.mapping.pairs.start;
    to = node->data.mapping.pairs.top;
    for (const yaml_node_pair_t *pair = from; pair < to; pair++) {
        const yaml_node_t *key = node_of(r, pair->key);
        enum status st;

        for (const yaml_node_pair_t *other = from; other < pair; other++) {
            const char *a = scalar_of(key), *b = scalar_of(node_of(r, other->key));

            if (a != NULL && b != NULL && strcmp(a, b) == 0)
                return err_set(r->err, STATUS_BAD_FORMAT, "%s: line %zu: the key \"%.60s\" is there twice",
                               r->path, line_of(key), a);
        }
        st = pair_read(r, entry, key, node_of(r, pair->value));
        if (st != STATUS_OK) return st;
    }
    if (entry->path == NULL || entry->path[0] == '\0')
        return err_set(r->err, STATUS_BAD_FORMAT, "%s: line %zu: this entry of META has no path", r->path,
                       line_of(node));
    return STATUS_OK;
}

/* ---- the document -------------------------------------------------------------------------------------- */

static enum status list_read(struct reading *r, const yaml_node_t *list)
{
    const yaml_node_item_t *items;

    if (list->type != YAML_SEQUENCE_NODE || list->data.sequence.items.start == list->data.sequence.items.top)
        return err_set(r->err, STATUS_BAD_FORMAT,
                       "%s: line %zu: META: want a list of files (\"- path: ...\")", r->path, line_of(list));
    items = list->data.sequence.items.start;
    r->config->n = (size_t)(list->data.sequence.items.top - items);
    r->config->entry = arena_calloc(&r->config->arena, r->config->n, sizeof *r->config->entry);
    if (r->config->entry == NULL) return err_no_memory(r->err, "the configuration");
    for (size_t i = 0; i < r->config->n; i++) {
        enum status st = entry_read(r, node_of(r, items[i]), &r->config->entry[i]);

        if (st != STATUS_OK) return st;
    }
    return STATUS_OK;
}

static enum status document_read(struct reading *r)
{
    const yaml_node_t *root = yaml_document_get_root_node(&r->document), *list = NULL;

    if (root == NULL || root->type != YAML_MAPPING_NODE)
        return err_set(r->err, STATUS_BAD_FORMAT, "%s: want a key META with a list of files", r->path);
    for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start; pair < root->data.mapping.pairs.top;
         pair++) {
        const yaml_node_t *key = node_of(r, pair->key);
        const char *name = scalar_of(key);

        if (name == NULL || strcmp(name, "META") != 0) continue;
        if (list != NULL)
            return err_set(r->err, STATUS_BAD_FORMAT, "%s: line %zu: META is there twice", r->path,
                           line_of(key));
        list = node_of(r, pair->value);
    }
    if (list == NULL)
        return err_set(r->err, STATUS_BAD_FORMAT, "%s: there is no key META, which names the files", r->path);
    return list_read(r, list);
}

static enum status text_read(struct reading *r, const unsigned char *text, size_t size)
{
    yaml_parser_t parser;
    enum status st;

    if (!yaml_parser_initialize(&parser)) return err_no_memory(r->err, "the configuration");
    yaml_parser_set_input_string(&parser, text, size);
    if (yaml_parser_load(&parser, &r->document)) {
        st = document_read(r);
        yaml_document_delete(&r->document);
    } else if (parser.error == YAML_MEMORY_ERROR) {
        st = err_no_memory(r->err, "the configuration");
    } else {
        st = err_set(r->err, STATUS_BAD_FORMAT, "%s: line %zu: %s", r->path, parser.problem_mark.line + 1,
                     parser.problem != NULL ? parser.problem : "this is no YAML");
    }
    yaml_parser_delete(&parser);
    return st;
}

enum status data_config_read(struct data_config *c, const char *path, struct err *e)
{
    struct reading r = { .config = c, .path = path, .err = e };
    unsigned char *text;
    size_t size;
    enum status st;

    *c = (struct data_config){ 0 };
    st = file_read(path, CONFIG_SIZE_MAX, &text, &size, e);
    if (st != STATUS_OK) return st;
    st = text_read(&r, text, size);
    free(text);
    if (st != STATUS_OK) data_config_free(c);
    return st;
}

void data_config_free(struct data_config *c)
{
    arena_free(&c->arena);
    *c = (struct data_config){ 0 };
}
