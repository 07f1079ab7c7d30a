/*
 * grammar_json.c - see grammar_json.h. Every schema within the schema becomes a rule: s0, s1, ... The members of an object that s3 describes
 * become rules that are as many as they are, whichever of them may be left out:
 *
 *     s3 ::= "{" s3-first-0 "}"
 *     s3-first-0 ::= s3-member-0 s3-next-1 | s3-first-1        nothing stands before; the | only if member 0 may be left out
 *     s3-next-1  ::= "," " "? s3-member-1 s3-next-2 | s3-next-2
 *     s3-member-0 ::= "\"name\"" ":" " "? s4
 */
#include "text/grammar_json.h"

#include <assert.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCHEMA_SIZE_MAX = 1 << 20,
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
    json_t
        *members; /* properties of the schema that is being written, whose rules are to follow; NULL: none */
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
    assert(n >= 0 && (size_t)n < sizeof line);
    put_bytes(w, line, (size_t)n);
}

/* A JSON value on one line, numbers with as many digits as it takes to read the same again; malloc'ed, NULL: no memory. */
static char *value_text(const json_t *value)
{
    for (size_t digits = 15;; digits++) {
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
        json_t *again = text != NULL ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
        bool same = json_equal(value, again);

        json_decref(again);
        if (text == NULL || same || digits == 17) return text;
        free(text);
    }
}

/* A JSON value as it is to be written, quoted for the grammar. */
static void put_literal(struct schema_writer *w, const json_t *value)
{
    char *text = value_text(value);

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

/* What a keyword is about. */
enum about {
    ABOUT_NOTHING, /* the answer may be anything, as far as this goes */
    ABOUT_WHOLE,   /* says all that there is to say: nothing else may stand beside it */
    ABOUT_TYPE,
    ABOUT_OBJECTS,
    ABOUT_ARRAYS,
    ABOUT_STRINGS,
    ABOUT_UNKNOWN,
};

static enum about what_about(const char *key)
{
    static const struct keyword {
        const char *key;
        enum about about;
    } keywords[] = {
        { "title", ABOUT_NOTHING },      { "description", ABOUT_NOTHING },
        { "default", ABOUT_NOTHING },    { "examples", ABOUT_NOTHING },
        { "deprecated", ABOUT_NOTHING }, { "$schema", ABOUT_NOTHING },
        { "$id", ABOUT_NOTHING },        { "$comment", ABOUT_NOTHING },
        { "$defs", ABOUT_NOTHING },      { "definitions", ABOUT_NOTHING },
        { "$ref", ABOUT_WHOLE },         { "const", ABOUT_WHOLE },
        { "enum", ABOUT_WHOLE },         { "anyOf", ABOUT_WHOLE },
        { "oneOf", ABOUT_WHOLE },        { "allOf", ABOUT_WHOLE },
        { "type", ABOUT_TYPE },          { "properties", ABOUT_OBJECTS },
        { "required", ABOUT_OBJECTS },   { "additionalProperties", ABOUT_OBJECTS },
        { "items", ABOUT_ARRAYS },       { "minItems", ABOUT_ARRAYS },
        { "maxItems", ABOUT_ARRAYS },    { "minLength", ABOUT_STRINGS },
        { "maxLength", ABOUT_STRINGS },
    };

    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (strcmp(keywords[i].key, key) == 0) return keywords[i].about;
    return ABOUT_UNKNOWN;
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

/* A set of the names that must be there: an object with a member for each. NULL: *st says why. */
static json_t *required_names(const struct schema_writer *w, json_t *schema, json_t *properties,
                              enum status *st)
{
    json_t *required = json_object_get(schema, "required"), *names = json_object(), *item;
    size_t i;

    *st = names != NULL ? STATUS_OK : err_no_memory(w->e, "the JSON schema");
    if (*st == STATUS_OK && required != NULL && !json_is_array(required))
        *st = refuse(w, "required is no list");
    json_array_foreach(required, i, item)
    {
        const char *name = json_string_value(item);

        if (*st != STATUS_OK) break;
        if (name == NULL)
            *st = refuse(w, "required holds something that is no name");
        else if (json_object_get(properties, name) == NULL)
            *st = refuse(w, "'%.100s' is required, but properties do not describe it", name);
        else if (json_object_set_new(names, name, json_true()) != 0)
            *st = err_no_memory(w->e, "the JSON schema");
    }
    if (*st == STATUS_OK) return names;
    json_decref(names);
    return NULL;
}

static enum status put_member(struct schema_writer *w, const char *name, json_t *schema)
{
    json_t *key = json_string(name);

    if (key == NULL) return err_no_memory(w->e, "the JSON schema");
    put_literal(w, key);
    json_decref(key);
    put(w, " \":\" \" \"? ");
    return put_schema(w, schema);
}

/* The rules of the members of rule s<number>. */
static enum status put_members(struct schema_writer *w, size_t number, json_t *schema)
{
    json_t *properties = w->members, *names, *item;
    const char *name;
    size_t i = 0;
    bool first = true; /* nothing need stand before */
    enum status st;

    w->members = NULL;
    names = required_names(w, schema, properties, &st);
    json_object_foreach(properties, name, item)
    {
        bool optional = json_object_get(names, name) == NULL;

        if (st != STATUS_OK) break;
        put(w, "\ns%zu-member-%zu ::= ", number, i);
        st = put_member(w, name, item);
        put(w, "\ns%zu-next-%zu ::= \",\" \" \"? s%zu-member-%zu s%zu-next-%zu", number, i, number, i, number,
            i + 1);
        if (optional) put(w, " | s%zu-next-%zu", number, i + 1);
        if (first)
            put(w, "\ns%zu-first-%zu ::= s%zu-member-%zu s%zu-next-%zu", number, i, number, i, number, i + 1);
        if (first && optional) put(w, " | s%zu-first-%zu", number, i + 1);
        first = first && optional;
        i++;
    }
    put(w, "\ns%zu-next-%zu ::= \"\"", number, i);
    if (first) put(w, "\ns%zu-first-%zu ::= \"\"", number, i);
    json_decref(names);
    return st;
}

/* Any members, whose values are of one schema. */
static enum status put_map(struct schema_writer *w, json_t *values)
{
    enum status st;

    put(w, "(string \":\" \" \"? ");
    st = put_schema(w, values);
    put(w, " (\",\" \" \"? string \":\" \" \"? ");
    if (st == STATUS_OK) st = put_schema(w, values);
    put(w, ")*)?");
    return st;
}

static enum status put_object(struct schema_writer *w, json_t *schema)
{
    json_t *properties = json_object_get(schema, "properties"),
           *others = json_object_get(schema, "additionalProperties");
    enum status st = STATUS_OK;

    if (properties != NULL && !json_is_object(properties)) return refuse(w, "properties is no object");
    put(w, "\"{\" ");
    if (json_object_size(properties) > 0) {
        if (others != NULL && !json_is_boolean(others))
            return refuse(w, "additionalProperties beside properties may only be true or false");
        put(w, "s%zu-first-0", w->n_written - 1);
        w->members = properties;
    } else {
        json_decref(required_names(w, schema, properties, &st)); /* of which there may be none */
        if (st == STATUS_OK && !json_is_false(others)) st = put_map(w, others != NULL ? others : json_true());
    }
    put(w, " \"}\"");
    return st;
}

/* ---- types ---------------------------------------------------------------------------------------------- */

static bool is_of_type(const json_t *value, const char *type)
{
    if (strcmp(type, "number") == 0) return json_is_number(value);
    if (strcmp(type, "integer") == 0) return json_is_integer(value);
    if (strcmp(type, "string") == 0) return json_is_string(value);
    if (strcmp(type, "boolean") == 0) return json_is_boolean(value);
    if (strcmp(type, "null") == 0) return json_is_null(value);
    if (strcmp(type, "array") == 0) return json_is_array(value);
    return strcmp(type, "object") == 0 && json_is_object(value);
}

/* types: the value of "type", a name or a list of names; NULL: any. */
static bool is_of_types(const json_t *value, json_t *types)
{
    json_t *item;
    size_t i;

    if (types == NULL) return true;
    if (json_is_string(types)) return is_of_type(value, json_string_value(types));
    json_array_foreach(types, i, item) if (json_is_string(item) &&
                                           is_of_type(value, json_string_value(item))) return true;
    return false;
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

static enum status put_value(struct schema_writer *w, json_t *value, json_t *types)
{
    if (!is_of_types(value, types)) return refuse(w, "const or enum holds a value that is not of its type");
    put_literal(w, value);
    return STATUS_OK;
}

/* Alternatives: values of an enum, or schemas. */
static enum status put_choice(struct schema_writer *w, json_t *schema, const char *key)
{
    json_t *list = json_object_get(schema, key), *item;
    bool values = strcmp(key, "enum") == 0;
    size_t i;
    enum status st = STATUS_OK;

    if (json_array_size(list) == 0) return refuse(w, "%s is no list of one or more", key);
    if (strcmp(key, "allOf") == 0 && json_array_size(list) > 1)
        return refuse(w, "allOf of more than one schema cannot be kept to");
    json_array_foreach(list, i, item)
    {
        if (i > 0) put(w, " | ");
        if (st == STATUS_OK)
            st = values ? put_value(w, item, json_object_get(schema, "type")) : put_schema(w, item);
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

/* What a schema without "type" is about; the type is narrower than it asks for, which is as well. NULL: anything. */
static const char *implied_type(json_t *schema)
{
    const char *key;
    json_t *value;

    json_object_foreach(schema, key, value)
    {
        if (what_about(key) == ABOUT_OBJECTS) return "object";
        if (what_about(key) == ABOUT_ARRAYS) return "array";
        if (what_about(key) == ABOUT_STRINGS) return "string";
    }
    return NULL;
}

/* The keyword that says all, if there is one; then nothing may stand beside it but the type of values. */
static enum status find_whole(const struct schema_writer *w, json_t *schema, const char **whole)
{
    const char *key;
    json_t *value;

    *whole = NULL;
    json_object_foreach(schema, key, value)
    {
        if (what_about(key) == ABOUT_UNKNOWN) return refuse(w, "'%.100s' cannot be kept to", key);
        if (what_about(key) == ABOUT_WHOLE && *whole == NULL) *whole = key;
    }
    if (*whole == NULL) return STATUS_OK;
    json_object_foreach(schema, key, value)
    {
        bool is_value = strcmp(*whole, "const") == 0 || strcmp(*whole, "enum") == 0;

        if (what_about(key) == ABOUT_NOTHING || strcmp(key, *whole) == 0) continue;
        if (what_about(key) == ABOUT_TYPE && is_value) continue;
        return refuse(w, "'%.100s' beside %s cannot be kept to", key, *whole);
    }
    return STATUS_OK;
}

/* What stands behind s1 ::= */
static enum status put_body(struct schema_writer *w, json_t *schema)
{
    json_t *types = json_object_get(schema, "type");
    const char *whole, *type = implied_type(schema);
    enum status st = find_whole(w, schema, &whole);

    if (st != STATUS_OK) return st;
    if (whole == NULL && types != NULL) return put_types(w, schema, types);
    if (whole == NULL && type != NULL) return put_type(w, schema, type);
    if (whole == NULL) {
        put(w, "value");
        return STATUS_OK;
    }
    if (strcmp(whole, "$ref") == 0) return put_reference(w, json_object_get(schema, whole));
    if (strcmp(whole, "const") == 0) return put_value(w, json_object_get(schema, whole), types);
    return put_choice(w, schema, whole);
}

static enum status write_all(struct schema_writer *w)
{
    enum status st;

    put(w, "root ::= ");
    st = put_schema(w, w->root);
    while (st == STATUS_OK && w->n_written < w->n) {
        size_t number = w->n_written++;
        json_t *schema = w->known[number];

        put(w, "\ns%zu ::= ", number);
        st = put_body(w, schema);
        if (st == STATUS_OK && w->members != NULL) st = put_members(w, number, schema);
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
    if (size > SCHEMA_SIZE_MAX)
        return err_set(e, STATUS_BAD_ARGUMENT, "the JSON schema has %zu bytes, it may have %d", size,
                       SCHEMA_SIZE_MAX);
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
