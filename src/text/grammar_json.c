/* grammar_json.c - see grammar_json.h. A schema within a schema becomes a rule of its own: root, s1, s2, ... */
#include "text/grammar_json.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCHEMA_RULES_MAX = 4096,
    COUNT_MAX = 4096, /* what grammar_parse repeats at most */
};

static const char common[] = "value ::= object | array | string | number | boolean | null\n"
                             "object ::= \"{\" (member (\",\" \" \"? member)*)? \"}\"\n"
                             "member ::= string \":\" \" \"? value\n"
                             "array ::= \"[\" (value (\",\" \" \"? value)*)? \"]\"\n"
                             "string ::= \"\\\"\" char* \"\\\"\"\n"
                             /* escapes of surrogates, which only count in pairs, are not needed */
                             "char ::= [^\"\\\\\\x00-\\x1f\\x7f] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" "
                             "([1-9A-CE-Fa-ce-f] hex hex hex | [dD] [0-7] hex hex | \"0\" hex "
                             "hex [1-9A-Fa-f]))\n"
                             "hex ::= [0-9a-fA-F]\n"
                             "number ::= integer (\".\" [0-9]{1,16})? ([eE] [-+]? [0-9]{1,2})?\n"
                             "integer ::= \"-\"? (\"0\" | [1-9] [0-9]{0,15})\n"
                             "boolean ::= \"true\" | \"false\"\n"
                             "null ::= \"null\"\n";

struct schema_writer {
    json_t *root;
    char *text;
    size_t size, capacity;
    json_t **known; /* [n] schemas that have a rule: s0, s1, ...; borrowed from root */
    size_t n, n_written;
    bool no_memory;
    struct err *e;
};

/* ---- text ----------------------------------------------------------------------------------------------- */

static void put_bytes(struct schema_writer *w, const char *text, size_t size)
{
    if (w->size + size + 1 > w->capacity) {
        size_t capacity = 2 * (w->size + size + 1);
        char *grown = realloc(w->text, capacity);

        if (grown == NULL) {
            w->no_memory = true;
            return;
        }
        w->text = grown;
        w->capacity = capacity;
    }
    memcpy(w->text + w->size, text, size);
    w->size += size;
    w->text[w->size] = '\0';
}

static void put(struct schema_writer *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void put(struct schema_writer *w, const char *fmt, ...)
{
    char line[256];
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    put_bytes(w, line, (size_t)n);
}

/* A JSON value as it is to be written, quoted for the grammar. */
static void put_literal(struct schema_writer *w, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    if (text == NULL) {
        w->no_memory = true;
        return;
    }
    put(w, "\"");
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') put_bytes(w, "\\", 1);
        if (*c == '\x7f')
            put(w, "\\x7f");
        else
            put_bytes(w, c, 1);
    }
    put(w, "\"");
    free(text);
}

static enum status refuse(const struct schema_writer *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
static enum status refuse(const struct schema_writer *w, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return err_set(w->e, STATUS_BAD_ARGUMENT, "the JSON schema: %s", text);
}

/* ---- schemas -------------------------------------------------------------------------------------------- */

/* The name of the rule of a schema, which is written later if it is new. */
static enum status put_schema(struct schema_writer *w, json_t *schema)
{
    size_t i = 0;

    if (!json_is_object(schema) && !json_is_true(schema))
        return refuse(w, "a schema is neither an object nor true");
    if (json_is_true(schema)) {
        put(w, "value");
        return STATUS_OK;
    }
    while (i < w->n && w->known[i] != schema) i++;
    if (i == SCHEMA_RULES_MAX) return refuse(w, "more than %d schemas within each other", SCHEMA_RULES_MAX);
    if (i == w->n) w->known[w->n++] = schema;
    put(w, "s%zu", i);
    return STATUS_OK;
}

/* true of a keyword that says nothing about the answer, or that is read below. */
static bool is_known(const char *key)
{
    static const char *const keys[] = { "type",      "properties",  "required", "additionalProperties",
                                        "items",     "minItems",    "maxItems", "minLength",
                                        "maxLength", "enum",        "const",    "anyOf",
                                        "oneOf",     "$ref",        "$defs",    "definitions",
                                        "title",     "description", "default",  "examples",
                                        "$schema",   "$id",         "$comment", "deprecated" };

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i], key) == 0) return true;
    return false;
}

/* A count; least or most where there is none. */
static enum status read_count(const struct schema_writer *w, json_t *schema, const char *key, int absent,
                              int *count)
{
    json_t *value = json_object_get(schema, key);

    *count = absent;
    if (value == NULL) return STATUS_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > COUNT_MAX)
        return refuse(w, "%s is no number of 0 to %d", key, COUNT_MAX);
    *count = (int)json_integer_value(value);
    return STATUS_OK;
}

static enum status read_counts(const struct schema_writer *w, json_t *schema, const char *least_key,
                               const char *most_key, int *least, int *most)
{
    enum status st = read_count(w, schema, least_key, 0, least);

    if (st == STATUS_OK) st = read_count(w, schema, most_key, -1, most);
    if (st == STATUS_OK && *most >= 0 && *most < *least)
        st = refuse(w, "%s is below %s", most_key, least_key);
    return st;
}

/* {least,most} */
static void put_counts(struct schema_writer *w, int least, int most)
{
    if (most < 0)
        put(w, "{%d,}", least);
    else
        put(w, "{%d,%d}", least, most);
}

static enum status put_string(struct schema_writer *w, json_t *schema)
{
    int least, most;
    enum status st = read_counts(w, schema, "minLength", "maxLength", &least, &most);

    if (st != STATUS_OK) return st;
    put(w, "\"\\\"\" char");
    put_counts(w, least, most);
    put(w, " \"\\\"\"");
    return STATUS_OK;
}

static enum status put_array(struct schema_writer *w, json_t *schema)
{
    json_t *items = json_object_get(schema, "items"), *any = json_true();
    int least, most;
    enum status st = read_counts(w, schema, "minItems", "maxItems", &least, &most);

    if (items == NULL) items = any;
    if (st != STATUS_OK || most == 0) {
        if (st == STATUS_OK) put(w, "\"[]\"");
        return st;
    }
    put(w, "\"[\" (");
    st = put_schema(w, items);
    put(w, " (\",\" \" \"? ");
    if (st == STATUS_OK) st = put_schema(w, items);
    put(w, ")");
    put_counts(w, least > 0 ? least - 1 : 0, most < 0 ? -1 : most - 1);
    put(w, ")%s \"]\"", least == 0 ? "?" : "");
    return st;
}

static bool is_required(json_t *schema, const char *name)
{
    json_t *required = json_object_get(schema, "required"), *item;
    size_t i;

    json_array_foreach(required, i, item) if (strcmp(json_string_value(item), name) == 0) return true;
    return false;
}

static enum status check_required(const struct schema_writer *w, json_t *schema, json_t *properties)
{
    json_t *required = json_object_get(schema, "required"), *item;
    size_t i;

    if (required != NULL && !json_is_array(required)) return refuse(w, "required is no list");
    json_array_foreach(required, i, item)
    {
        if (!json_is_string(item)) return refuse(w, "required holds something that is no name");
        if (json_object_get(properties, json_string_value(item)) == NULL)
            return refuse(w, "'%.100s' is required, but properties do not describe it",
                          json_string_value(item));
    }
    return STATUS_OK;
}

static enum status put_member(struct schema_writer *w, const char *name, json_t *schema)
{
    json_t *key = json_string(name);
    enum status st;

    if (key == NULL) return err_no_memory(w->e, "the JSON schema");
    put_literal(w, key);
    json_decref(key);
    put(w, " \":\" \" \"? ");
    st = put_schema(w, schema);
    return st;
}

/* Members in their order, each as a group that may be left out, nested to the end of the list:
 *     first == true: nothing stands before; then the first one that is there has no comma. */
static enum status put_members(struct schema_writer *w, json_t *schema, json_t *properties)
{
    const char *name;
    json_t *item;
    size_t n = 0, i = 0;
    enum status st = STATUS_OK;

    /* behind another member: ("," member)? or "," member, one after the other; the first that is there begins one of as many alternatives */
    put(w, "(");
    json_object_foreach(properties, name, item)
    {
        const char *later;
        json_t *other;
        bool behind = false;

        if (i++ > 0) put(w, " | ");
        st = put_member(w, name, item);
        if (st != STATUS_OK) return st;
        json_object_foreach(properties, later, other)
        {
            if (behind) {
                put(w, is_required(schema, later) ? " \",\" \" \"? " : " (\",\" \" \"? ");
                st = put_member(w, later, other);
                if (st != STATUS_OK) return st;
                if (!is_required(schema, later)) put(w, ")?");
            }
            behind = behind || strcmp(later, name) == 0;
        }
        n += is_required(schema, name);
        if (n > 0) break; /* what stands before the first must be there */
    }
    put(w, n > 0 ? ")" : ")?");
    return st;
}

static enum status put_object(struct schema_writer *w, json_t *schema)
{
    json_t *properties = json_object_get(schema, "properties"),
           *others = json_object_get(schema, "additionalProperties");
    enum status st;

    if (properties != NULL && !json_is_object(properties)) return refuse(w, "properties is no object");
    st = check_required(w, schema, properties);
    if (st != STATUS_OK) return st;
    put(w, "\"{\" ");
    if (json_object_size(properties) > 0) {
        if (others != NULL && !json_is_false(others))
            return refuse(w, "additionalProperties beside properties may only be false");
        st = put_members(w, schema, properties);
    } else if (others == NULL || !json_is_false(others)) {
        put(w, "(string \":\" \" \"? ");
        st = others != NULL ? put_schema(w, others) : put_schema(w, json_true());
        put(w, " (\",\" \" \"? string \":\" \" \"? ");
        if (st == STATUS_OK) st = others != NULL ? put_schema(w, others) : put_schema(w, json_true());
        put(w, ")*)?");
    }
    put(w, " \"}\"");
    return st;
}

static enum status put_type(struct schema_writer *w, json_t *schema, const char *type)
{
    static const char *const plain[] = { "number", "integer", "boolean", "null" };

    if (strcmp(type, "string") == 0) return put_string(w, schema);
    if (strcmp(type, "array") == 0) return put_array(w, schema);
    if (strcmp(type, "object") == 0) return put_object(w, schema);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (strcmp(type, plain[i]) != 0) continue;
        put(w, "%s", plain[i]);
        return STATUS_OK;
    }
    return refuse(w, "there is no type '%.100s'", type);
}

static enum status put_types(struct schema_writer *w, json_t *schema, json_t *types)
{
    json_t *item;
    size_t i;
    enum status st = STATUS_OK;

    if (json_is_string(types)) return put_type(w, schema, json_string_value(types));
    if (json_array_size(types) == 0) return refuse(w, "type is neither a name nor a list of names");
    json_array_foreach(types, i, item)
    {
        if (!json_is_string(item)) return refuse(w, "type is neither a name nor a list of names");
        if (i > 0) put(w, " | ");
        if (st == STATUS_OK) st = put_type(w, schema, json_string_value(item));
    }
    return st;
}

/* Alternatives: values of an enum, or schemas. */
static enum status put_choice(struct schema_writer *w, json_t *list, const char *key)
{
    bool schemas = strcmp(key, "enum") != 0;
    json_t *item;
    size_t i;
    enum status st = STATUS_OK;

    if (json_array_size(list) == 0) return refuse(w, "%s is no list of one or more", key);
    json_array_foreach(list, i, item)
    {
        if (i > 0) put(w, " | ");
        if (!schemas)
            put_literal(w, item);
        else if (st == STATUS_OK)
            st = put_schema(w, item);
    }
    return st;
}

static enum status put_reference(struct schema_writer *w, json_t *ref)
{
    const char *to = json_string_value(ref), *name = NULL, *table = "$defs";
    json_t *schema = NULL;

    if (to != NULL && strncmp(to, "#/$defs/", 8) == 0) name = to + 8;
    if (to != NULL && strncmp(to, "#/definitions/", 14) == 0) {
        name = to + 14;
        table = "definitions";
    }
    if (name != NULL) schema = json_object_get(json_object_get(w->root, table), name);
    if (to != NULL && strcmp(to, "#") == 0) schema = w->root;
    if (schema == NULL)
        return refuse(w, "$ref '%.100s' leads nowhere: it may be #, #/$defs/name or #/definitions/name",
                      to != NULL ? to : "");
    return put_schema(w, schema);
}

/* What stands behind s1 ::= */
static enum status put_body(struct schema_writer *w, json_t *schema)
{
    static const char *const kinds[] = { "$ref", "const", "enum", "anyOf", "oneOf", "type" };
    const char *key, *kind = NULL;
    json_t *value;

    json_object_foreach(schema, key, value) if (!is_known(key)) return refuse(w, "'%.100s' cannot be kept to",
                                                                              key);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && kind == NULL; i++)
        if (json_object_get(schema, kinds[i]) != NULL) kind = kinds[i];
    if (kind == NULL) {
        if (json_object_get(schema, "properties") != NULL) return put_object(w, schema);
        put(w, "value");
        return STATUS_OK;
    }
    if (strcmp(kind, "type") != 0 && json_object_get(schema, "properties") != NULL)
        return refuse(w, "properties beside %s cannot be kept to", kind);
    value = json_object_get(schema, kind);
    if (strcmp(kind, "$ref") == 0) return put_reference(w, value);
    if (strcmp(kind, "type") == 0) return put_types(w, schema, value);
    if (strcmp(kind, "const") != 0) return put_choice(w, value, kind);
    put_literal(w, value);
    return STATUS_OK;
}

static enum status write_all(struct schema_writer *w)
{
    enum status st;

    put(w, "root ::= ");
    st = put_schema(w, w->root);
    while (st == STATUS_OK && w->n_written < w->n) {
        put(w, "\ns%zu ::= ", w->n_written);
        st = put_body(w, w->known[w->n_written++]);
    }
    put(w, "\n");
    put_bytes(w, common, sizeof common - 1);
    return st == STATUS_OK && w->no_memory ? err_no_memory(w->e, "the JSON schema") : st;
}

enum status grammar_from_schema(const char *schema, size_t size, char **grammar, struct err *e)
{
    struct schema_writer w = { .e = e };
    json_error_t error;
    enum status st;

    *grammar = NULL;
    w.root = json_loadb(schema, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (w.root == NULL)
        return err_set(e, STATUS_BAD_ARGUMENT, "the JSON schema is not JSON: line %d: %s", error.line,
                       error.text);
    w.known = malloc(SCHEMA_RULES_MAX * sizeof(json_t *));
    st = w.known != NULL ? write_all(&w) : err_no_memory(e, "the JSON schema");
    if (st == STATUS_OK)
        *grammar = w.text;
    else
        free(w.text);
    free(w.known);
    json_decref(w.root);
    return st;
}
