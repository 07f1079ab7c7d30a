/* corpus_item.c - see corpus_item.h. */
#include "train/corpus_item.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/file.h"
#include "store/rows.h"

#define IMAGE_MARK "<image>"

/* ---- texts --------------------------------------------------------------------------------------------- */

static size_t characters(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++) n += ((unsigned char)*text & 0xC0) != 0x80; /* not within a character */
    return n;
}

/* Reals as the shortest text that reads back as the same number, but with a point, as Python writes them. */
static const char *real_text(double value, struct arena *a)
{
    char text[40];

    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    return arena_printf(a, "%s%s", text, strpbrk(text, ".e") != NULL ? "" : ".0");
}

/* The textual form of a value: a text as it is; else what Python's str gives, but for lists and objects, which are written as JSON. NULL
 * without memory. */
static const char *value_text(const json_t *value, struct arena *a)
{
    const char *text;
    char *dumped;

    switch (json_typeof(value)) {
    case JSON_STRING: return json_string_value(value);
    case JSON_INTEGER: return arena_printf(a, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    case JSON_REAL: return real_text(json_real_value(value), a);
    case JSON_TRUE: return "True";
    case JSON_FALSE: return "False";
    case JSON_NULL: return "None";
    case JSON_OBJECT:
    case JSON_ARRAY: break;
    }
    dumped = json_dumps(value, 0);
    text = dumped != NULL ? arena_strdup(a, dumped) : NULL;
    free(dumped);
    return text;
}

/* The bytes of the white space that text begins with, one character's, as Unicode and Python have it; 0: it begins with something else. */
static size_t space_size(const char *text)
{
    static const char *const wide[] = {
        "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81",
        "\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86",
        "\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8",
        "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80",
    };

    if (*text == '\0') return 0;
    if ((unsigned char)*text < 0x80) return strchr(" \t\n\r\f\v\x1c\x1d\x1e\x1f", *text) != NULL;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (strncmp(text, wide[i], strlen(wide[i])) == 0) return strlen(wide[i]);
    return 0;
}

/* Where the white space begins that [text, end) ends in. */
static char *spaces_behind(char *text, char *end)
{
    while (end > text) {
        char *last = end - 1; /* becomes the last character's first byte */

        while (last > text && ((unsigned char)*last & 0xC0) == 0x80) last--;
        if (space_size(last) == 0) break;
        end = last;
    }
    return end;
}

/* Without "<image>", then without white space at both ends. */
static const char *text_strip(const char *text, struct arena *a)
{
    char *copy = arena_strdup(a, text), *to = copy;
    const char *from = text;
    size_t size;

    if (copy == NULL) return NULL;
    for (const char *mark; (mark = strstr(from, IMAGE_MARK)) != NULL; from = mark + sizeof IMAGE_MARK - 1) {
        memcpy(to, from, (size_t)(mark - from));
        to += mark - from;
    }
    size = strlen(from);
    memcpy(to, from, size);
    *spaces_behind(copy, to + size) = '\0';
    while ((size = space_size(copy)) > 0) copy += size;
    return copy;
}

/* The text of a key. *text NULL: absent or null, an error where it is wanted. */
static enum status key_text(const json_t *record, const char *key, bool wanted, struct arena *a,
                            const char **text, struct err *e)
{
    const json_t *value = json_object_get(record, key);

    *text = NULL;
    if (value == NULL || json_is_null(value)) {
        return wanted ? err_set(e, STATUS_BAD_FORMAT, "there is no \"%s\"", key) : STATUS_OK;
    }
    *text = value_text(value, a);
    return *text != NULL ? STATUS_OK : err_no_memory(e, "an item");
}

/* ---- images -------------------------------------------------------------------------------------------- */

static const json_t *image_value(const struct item_rule *rule, const json_t *record)
{
    const json_t *value = NULL;

    if (rule->form == CORPUS_TEXT) return NULL;
    if (rule->form == CORPUS_CAPTION) value = json_object_get(record, "url");
    if (value == NULL) value = json_object_get(record, "image");
    return value != NULL && !json_is_null(value) ? value : NULL;
}

bool item_sees(const struct item_rule *rule, const json_t *record)
{
    return image_value(rule, record) != NULL;
}

static enum status image_read(struct item *item, const struct item_rule *rule, const json_t *record,
                              struct arena *a, struct err *e)
{
    const json_t *value = image_value(rule, record);
    const char *path, *slash = "";

    if (value == NULL) return STATUS_OK;
    path = json_string_value(value);
    if (path == NULL || path[0] == '\0')
        return err_set(e, STATUS_BAD_FORMAT, "want the image's path, not %s",
                       path != NULL ? "an empty text" : json_kind(value));
    if (rule->root[0] == '\0' || path[0] == '/') {
        item->image = arena_strdup(a, path);
    } else {
        if (rule->root[strlen(rule->root) - 1] != '/') slash = "/";
        item->image = arena_printf(a, "%s%s%s", rule->root, slash, path);
    }
    return item->image != NULL ? STATUS_OK : err_no_memory(e, "an item");
}

/* "patches": a list of texts, one for each cell of a grid, row by row. */
static enum status patches_read(struct item *item, const json_t *record, struct arena *a, struct err *e)
{
    const json_t *list = json_object_get(record, "patches");
    size_t n = json_array_size(list);
    const char **cells;
    int side = 1;

    if (list == NULL || item->image == NULL) return STATUS_OK;
    while ((size_t)side * (size_t)side < n) side++;
    if (n == 0 || (size_t)side * (size_t)side != n)
        return err_set(e, STATUS_BAD_FORMAT,
                       "\"patches\" must be a list of a square number of texts, not of %zu", n);
    cells = arena_calloc(a, n, sizeof *cells);
    if (cells == NULL) return err_no_memory(e, "an item");
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(list, i));

        if (text == NULL)
            return err_set(e, STATUS_BAD_FORMAT, "\"patches\"[%zu] must be a text, not %s", i,
                           json_kind(json_array_get(list, i)));
        cells[i] = arena_strdup(a, text);
        if (cells[i] == NULL) return err_no_memory(e, "an item");
    }
    item->cells = cells;
    item->side = side;
    return STATUS_OK;
}

/* ---- the forms ----------------------------------------------------------------------------------------- */

enum status item_form(const json_t *record, enum preprocess preprocess, enum corpus_form *form, struct err *e)
{
    if (preprocess == PREPROCESS_LLAVA)
        *form = CORPUS_SINGLE;
    else if (preprocess == PREPROCESS_CAPTION)
        *form = CORPUS_CAPTION;
    else if (json_object_get(record, "conversations") != NULL)
        *form = CORPUS_DIALOGUE;
    else if (json_object_get(record, "instruction") != NULL)
        *form = CORPUS_SINGLE;
    else if (json_object_get(record, "caption") != NULL)
        *form = CORPUS_CAPTION;
    else if (json_object_get(record, "content") != NULL)
        *form = CORPUS_TEXT;
    else
        return err_set(
            e, STATUS_BAD_FORMAT,
            "want \"conversations\", \"instruction\", \"caption\" or \"content\": nothing here can "
            "be learned");
    return STATUS_OK;
}

static enum status turn_read(struct sample_turn *turn, const json_t *value, size_t i, size_t *n_characters,
                             struct arena *a, struct err *e)
{
    const char *from = json_string_value(json_object_get(value, "from"));
    const json_t *said = json_object_get(value, "value");
    const char *text;

    if (from == NULL)
        return err_set(e, STATUS_BAD_FORMAT, "turn %zu does not say whom it is \"from\"", i + 1);
    turn->assistant = strcasecmp(from, "gpt") == 0 || strcasecmp(from, "assistant") == 0;
    if (!turn->assistant && strcasecmp(from, "human") != 0)
        return err_set(e, STATUS_BAD_FORMAT,
                       "turn %zu is from \"%.40s\"; known are \"human\", \"gpt\" and \"assistant\"", i + 1,
                       from);
    if (said == NULL) return err_set(e, STATUS_BAD_FORMAT, "turn %zu has no \"value\"", i + 1);
    text = value_text(said, a);
    if (text == NULL) return err_no_memory(e, "an item");
    *n_characters += characters(text);
    turn->text = text_strip(text, a);
    return turn->text != NULL ? STATUS_OK : err_no_memory(e, "an item");
}

static enum status dialogue_read(struct item *item, const json_t *record, struct arena *a, struct err *e)
{
    const json_t *list = json_object_get(record, "conversations");
    struct sample_turn *turns;
    size_t n = json_array_size(list);
    enum status st = STATUS_OK;

    if (!json_is_array(list) || n == 0)
        return err_set(e, STATUS_BAD_FORMAT, "\"conversations\" must be a list of turns, not %s",
                       json_is_array(list) ? "empty" : json_kind(list));
    turns = arena_calloc(a, n, sizeof *turns);
    if (turns == NULL) return err_no_memory(e, "an item");
    for (size_t i = 0; st == STATUS_OK && i < n; i++)
        st = turn_read(&turns[i], json_array_get(list, i), i, &item->n_characters, a, e);
    item->turns = turns;
    item->n_turns = n;
    return st;
}

static enum status single_read(struct item *item, const struct item_rule *rule, const json_t *record,
                               struct arena *a, struct err *e)
{
    const json_t *list = json_object_get(record, "conversations");
    const char *instruction = NULL, *input = NULL;
    enum status st;

    if (rule->preprocess == PREPROCESS_LLAVA) {
        st = key_text(json_array_get(list, 0), "value", true, a, &instruction, e);
        if (st == STATUS_OK) st = key_text(json_array_get(list, 1), "value", true, a, &item->output, e);
    } else {
        st = key_text(record, "instruction", true, a, &instruction, e);
        if (st == STATUS_OK) st = key_text(record, "input", false, a, &input, e);
        if (st == STATUS_OK) st = key_text(record, "output", true, a, &item->output, e);
    }
    if (st != STATUS_OK) return st;
    item->prompt = sample_prompt(rule->prompt, instruction, input, a);
    if (item->prompt == NULL) return err_no_memory(e, "an item");
    item->n_characters = characters(item->prompt) + characters(item->output);
    return STATUS_OK;
}

static enum status caption_read(struct item *item, const struct item_rule *rule, const json_t *record,
                                uint64_t draw, struct arena *a, struct err *e)
{
    const json_t *value = json_object_get(record, "caption");
    size_t n = json_array_size(value), n_longest = 0;
    enum status st;

    if (json_is_array(value)) {
        if (n == 0) return err_set(e, STATUS_BAD_FORMAT, "the list \"caption\" is empty");
        for (size_t i = 0; i < n; i++) {
            const char *text = value_text(json_array_get(value, i), a);

            if (text == NULL) return err_no_memory(e, "an item");
            if (characters(text) > n_longest) n_longest = characters(text);
            if (i == draw % n) item->output = text;
        }
    } else {
        st = key_text(record, "caption", true, a, &item->output, e);
        if (st != STATUS_OK) return st;
        n_longest = characters(item->output);
    }
    item->prompt = sample_prompt(rule->prompt, "", NULL, a);
    if (item->prompt == NULL) return err_no_memory(e, "an item");
    item->n_characters = characters(item->prompt) + n_longest;
    return STATUS_OK;
}

static enum status text_read(struct item *item, const json_t *record, struct arena *a, struct err *e)
{
    enum status st = key_text(record, "content", true, a, &item->output, e);

    if (st != STATUS_OK) return st;
    item->prompt = "";
    item->n_characters = characters(item->output);
    return STATUS_OK;
}

enum status item_read(struct item *item, const struct item_rule *rule, const json_t *record, uint64_t draw,
                      struct arena *a, struct err *e)
{
    enum status st;

    *item = (struct item){ 0 };
    st = image_read(item, rule, record, a, e);
    if (st == STATUS_OK) st = patches_read(item, record, a, e);
    if (st != STATUS_OK) return st;
    switch (rule->form) {
    case CORPUS_DIALOGUE: return dialogue_read(item, record, a, e);
    case CORPUS_SINGLE: return single_read(item, rule, record, a, e);
    case CORPUS_CAPTION: return caption_read(item, rule, record, draw, a, e);
    case CORPUS_TEXT: break;
    }
    return text_read(item, record, a, e);
}
