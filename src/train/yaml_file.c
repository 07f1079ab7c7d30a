/* yaml_file.c - see yaml_file.h. libyaml reads the whole document into nodes, which know their lines. */
#include "train/yaml_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"

enum { YAML_SIZE_MAX = 16 << 20 };

size_t yaml_line(const yaml_node_t *node)
{
    return node->start_mark.line + 1;
}

yaml_node_t *yaml_node(struct yaml_file *y, int id)
{
    return yaml_document_get_node(&y->document, id);
}

const char *yaml_scalar(const yaml_node_t *node)
{
    const char *text = node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;

    if (text == NULL || strlen(text) != node->data.scalar.length) return NULL;
    if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
        (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0))
        return NULL;
    return text;
}

enum status yaml_pairs(struct yaml_file *y, const yaml_node_t *mapping, yaml_take_pair take, void *user)
{
    const yaml_node_pair_t *from = mapping->data.mapping.pairs.start, *to = mapping->data.mapping.pairs.top;

    for (const yaml_node_pair_t *pair = from; pair < to; pair++) {
        const yaml_node_t *key = yaml_node(y, pair->key);
        const char *name = yaml_scalar(key);
        enum status st;

        if (name == NULL)
            return err_set(y->err, STATUS_BAD_FORMAT, "%s: line %zu: want a key", y->path, yaml_line(key));
        for (const yaml_node_pair_t *other = from; other < pair; other++) {
            const char *before = yaml_scalar(yaml_node(y, other->key));

            if (before != NULL && strcmp(name, before) == 0)
                return err_set(y->err, STATUS_BAD_FORMAT, "%s: line %zu: the key \"%.60s\" is there twice",
                               y->path, yaml_line(key), name);
        }
        st = take(y, name, key, yaml_node(y, pair->value), user);
        if (st != STATUS_OK) return st;
    }
    return STATUS_OK;
}

const char *yaml_path_below(struct yaml_file *y, const char *path)
{
    const char *base = path_base(y->path);

    if (path[0] == '/' || base == y->path) return arena_strdup(y->arena, path);
    return arena_printf(y->arena, "%.*s%s", (int)(base - y->path), y->path, path);
}

enum status yaml_choice(struct yaml_file *y, const yaml_node_t *value, const char *key, const char *text,
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
    return err_set(y->err, STATUS_BAD_FORMAT, "%s: line %zu: %s: \"%.60s\" is unknown; known are %s", y->path,
                   yaml_line(value), key, text, known);
}

bool yaml_number(const char *text, double min, double max, double *number)
{
    char *end;

    *number = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*number) && *number >= min && *number <= max;
}

enum status yaml_text_read(const char *path, const void *text, size_t size, struct arena *a, yaml_take take,
                           void *user, struct err *e)
{
    struct yaml_file y = { .path = path, .arena = a, .err = e };
    yaml_parser_t parser;
    enum status st;

    if (!yaml_parser_initialize(&parser)) return err_no_memory(e, path);
    yaml_parser_set_input_string(&parser, text, size);
    if (yaml_parser_load(&parser, &y.document)) {
        st = take(&y, yaml_document_get_root_node(&y.document), user);
        yaml_document_delete(&y.document);
    } else if (parser.error == YAML_MEMORY_ERROR) {
        st = err_no_memory(e, path);
    } else {
        st = err_set(e, STATUS_BAD_FORMAT, "%s: line %zu: %s", path, parser.problem_mark.line + 1,
                     parser.problem != NULL ? parser.problem : "this is no YAML");
    }
    yaml_parser_delete(&parser);
    return st;
}

enum status yaml_file_read(const char *path, struct arena *a, yaml_take take, void *user, struct err *e)
{
    unsigned char *text;
    size_t size;
    enum status st = file_read(path, YAML_SIZE_MAX, &text, &size, e);

    if (st != STATUS_OK) return st;
    st = yaml_text_read(path, text, size, a, take, user, e);
    free(text);
    return st;
}
