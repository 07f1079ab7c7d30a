/* data_config.c - see data_config.h. */
#include "train/data_config.h"

#include <math.h>
#include <string.h>

#include "train/yaml_file.h"

static const char *const preprocess_names[PREPROCESSES] = {
    [PREPROCESS_NONE] = "none",
    [PREPROCESS_LLAVA] = "single_turn_llava",
    [PREPROCESS_CAPTION] = "caption",
};

static const char *const turns_names[TURNS_COUNT] = {
    [TURNS_TOGETHER] = "together",
    [TURNS_APART] = "apart",
};

static enum status ratio_read(struct yaml_file *y, const yaml_node_t *value, const char *text, double *ratio)
{
    if (yaml_number(text, 0, HUGE_VAL, ratio) && *ratio > 0) return STATUS_OK;
    return err_set(y->err, STATUS_BAD_FORMAT, "%s: line %zu: ratio: want a number above 0, not \"%.60s\"",
                   y->path, yaml_line(value), text);
}

/* One key of an entry; a value that means nothing leaves the default. */
static enum status pair_read(struct yaml_file *y, const char *name, const yaml_node_t *key,
                             const yaml_node_t *value, void *user)
{
    struct data_entry *entry = user;
    const char *text = yaml_scalar(value);
    const char **place = NULL;
    enum status st = STATUS_OK;
    int which;

    if (text == NULL && value->type != YAML_SCALAR_NODE)
        return err_set(y->err, STATUS_BAD_FORMAT, "%s: line %zu: %.60s: want a text or a number", y->path,
                       yaml_line(value), name);
    if (strcmp(name, "path") == 0 || strcmp(name, "root") == 0) {
        place = name[0] == 'p' ? &entry->path : &entry->root;
        if (text != NULL) *place = yaml_path_below(y, text);
    } else if (strcmp(name, "type") == 0) {
        place = &entry->type;
        if (text != NULL) *place = arena_strdup(y->arena, text);
    } else if (strcmp(name, "ratio") == 0) {
        if (text != NULL) st = ratio_read(y, value, text, &entry->ratio);
    } else if (strcmp(name, "preprocess") == 0) {
        if (text == NULL) return STATUS_OK;
        st = yaml_choice(y, value, name, text, preprocess_names, PREPROCESSES, &which);
        entry->preprocess = (enum preprocess)which;
    } else if (strcmp(name, "turns") == 0) {
        if (text == NULL) return STATUS_OK;
        st = yaml_choice(y, value, name, text, turns_names, TURNS_COUNT, &which);
        entry->turns = (enum turns)which;
    } else if (strcmp(name, "prompt_type") == 0) {
        if (text == NULL) return STATUS_OK;
        st = yaml_choice(y, value, name, text, prompt_type_names, PROMPT_TYPES, &which);
        entry->prompt = (enum prompt_type)which;
        entry->has_prompt = true;
    } else {
        return err_set(y->err, STATUS_BAD_FORMAT,
                       "%s: line %zu: the key \"%.60s\" is unknown; known are path, type, root, ratio, "
                       "preprocess, prompt_type and turns",
                       y->path, yaml_line(key), name);
    }
    if (place != NULL && text != NULL && *place == NULL) return err_no_memory(y->err, "the configuration");
    return st;
}

static enum status entry_read(struct yaml_file *y, const yaml_node_t *node, struct data_entry *entry)
{
    enum status st;

    *entry = (struct data_entry){ .type = "default", .ratio = 1.0, .root = yaml_path_below(y, "") };
    if (entry->root == NULL) return err_no_memory(y->err, "the configuration");
    if (node->type != YAML_MAPPING_NODE)
        return err_set(y->err, STATUS_BAD_FORMAT, "%s: line %zu: an entry of META must have keys, path first",
                       y->path, yaml_line(node));
    st = yaml_pairs(y, node, pair_read, entry);
    if (st == STATUS_OK && (entry->path == NULL || entry->path[0] == '\0'))
        return err_set(y->err, STATUS_BAD_FORMAT, "%s: line %zu: this entry of META has no path", y->path,
                       yaml_line(node));
    return st;
}

static enum status list_read(struct yaml_file *y, const yaml_node_t *list, struct data_config *c)
{
    const yaml_node_item_t *items;

    if (list->type != YAML_SEQUENCE_NODE || list->data.sequence.items.start == list->data.sequence.items.top)
        return err_set(y->err, STATUS_BAD_FORMAT,
                       "%s: line %zu: META: want a list of files (\"- path: ...\")", y->path,
                       yaml_line(list));
    items = list->data.sequence.items.start;
    c->n = (size_t)(list->data.sequence.items.top - items);
    c->entry = arena_calloc(y->arena, c->n, sizeof *c->entry);
    if (c->entry == NULL) return err_no_memory(y->err, "the configuration");
    for (size_t i = 0; i < c->n; i++) {
        enum status st = entry_read(y, yaml_node(y, items[i]), &c->entry[i]);

        if (st != STATUS_OK) return st;
    }
    return STATUS_OK;
}

/* Of the outermost keys only META is of interest. */
static enum status key_read(struct yaml_file *y, const char *name, const yaml_node_t *key,
                            const yaml_node_t *value, void *user)
{
    (void)key;
    return strcmp(name, "META") == 0 ? list_read(y, value, user) : STATUS_OK;
}

static enum status document_read(struct yaml_file *y, const yaml_node_t *root, void *user)
{
    const struct data_config *c = user;
    enum status st;

    if (root == NULL || root->type != YAML_MAPPING_NODE)
        return err_set(y->err, STATUS_BAD_FORMAT, "%s: want a key META with a list of files", y->path);
    st = yaml_pairs(y, root, key_read, user);
    if (st == STATUS_OK && c->n == 0)
        return err_set(y->err, STATUS_BAD_FORMAT, "%s: there is no key META, which names the files", y->path);
    return st;
}

enum status data_config_read(struct data_config *c, const char *path, struct err *e)
{
    enum status st;

    *c = (struct data_config){ 0 };
    st = yaml_file_read(path, &c->arena, document_read, c, e);
    if (st != STATUS_OK) data_config_free(c);
    return st;
}

void data_config_free(struct data_config *c)
{
    arena_free(&c->arena);
    *c = (struct data_config){ 0 };
}
