/* options.c - see options.h. */
#include "cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cli/message.h"
#include "core/nearest.h"

/* ---- words and names ---------------------------------------------------------------------------------------- */

bool word_next(const char **words, char *word)
{
    size_t n;

    *words += strspn(*words, " ");
    n = strcspn(*words, " ");
    if (n == 0) return false;
    snprintf(word, WORD_SIZE, "%.*s", (int)n, *words);
    *words += n;
    return true;
}

bool words_have(const char *words, const char *wanted)
{
    char word[WORD_SIZE];

    while (word_next(&words, word)) {
        if (strcmp(word, wanted) == 0) return true;
    }
    return false;
}

enum command command_find(const char *name)
{
    enum command c = 0;

    while (c < COMMAND_COUNT && strcmp(command_rows[c].name, name) != 0) c++;
    return c;
}

int command_unknown(const char *name)
{
    struct nearest n = { .wanted = name };

    for (enum command c = 0; c < COMMAND_COUNT; c++) nearest_offer(&n, command_rows[c].name);
    if (n.word[0] != '\0')
        message("unknown command '%s'; did you mean '%s'? (see: sphinx help)", name, n.word);
    else
        message("unknown command '%s' (see: sphinx help)", name);
    return CODE_USAGE;
}

static bool option_is_of(const struct option *o, enum command command)
{
    return (o->commands >> command & 1u) != 0;
}

static const struct option *option_find(enum command command, const char *name)
{
    for (size_t i = 0; i < option_count; i++) {
        const struct option *o = &option_rows[i];

        if (option_is_of(o, command) && (words_have(o->names, name) || words_have(o->aliases, name)))
            return o;
    }
    return NULL;
}

int usage_error(enum command command, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    message("%s: %s (see: sphinx help %s)", command_rows[command].name, text, command_rows[command].name);
    return CODE_USAGE;
}

static int unknown_option(enum command command, const char *name)
{
    struct nearest n = { .wanted = name };
    char word[WORD_SIZE];

    for (size_t i = 0; i < option_count; i++) {
        const struct option *o = &option_rows[i];
        const char *lists[2] = { o->names, o->aliases };

        for (int k = 0; k < 2 && option_is_of(o, command); k++) {
            while (word_next(&lists[k], word)) nearest_offer(&n, word);
        }
    }
    if (n.word[0] != '\0')
        return usage_error(command, "unknown option '%s'; did you mean '%s'?", name, n.word);
    return usage_error(command, "unknown option '%s'", name);
}

/* ---- values ------------------------------------------------------------------------------------------------- */

static int out_of_memory(enum command command)
{
    return usage_error(command, "out of memory while reading the command line");
}

static bool list_add(struct text_list *list, const char *text)
{
    const char **larger = realloc(list->item, (list->count + 1) * sizeof *larger);

    if (larger == NULL) return false;
    list->item = larger;
    list->item[list->count++] = text;
    return true;
}

/* A whole text as a number in [min, max]; false also for NaN. */
static bool number_parse(const char *text, bool whole, double min, double max, double *value)
{
    char *end;

    errno = 0;
    *value = whole ? (double)strtoll(text, &end, 10) : strtod(text, &end);
    return end != text && *end == '\0' && errno == 0 && *value >= min && *value <= max;
}

static bool seed_parse(const char *text, uint64_t *seed)
{
    char *end;

    if (strcmp(text, "-1") == 0) return getrandom(seed, sizeof *seed, 0) == (ssize_t)sizeof *seed;
    errno = 0;
    *seed = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
}

/* Adds the bits of a comma list; false at a word that is no choice. */
static bool set_parse(const char *text, const char *choices, unsigned *set)
{
    while (*text != '\0') {
        size_t n = strcspn(text, ",");
        const char *c = choices;
        char word[WORD_SIZE];
        unsigned bit = 1;

        while (word_next(&c, word) && (strlen(word) != n || strncmp(word, text, n) != 0)) bit <<= 1;
        if (strlen(word) != n || strncmp(word, text, n) != 0) return false;
        *set |= bit;
        text += n;
        if (*text == ',') text++;
    }
    return true;
}

static int number_error(enum command command, const struct option *o, const char *name, const char *text)
{
    bool whole = o->kind != OPTION_FLOAT;

    if (o->kind == OPTION_SEED)
        return usage_error(command, "%s: '%s' is not a whole number from 0 to 18446744073709551615, or -1",
                           name, text);
    return usage_error(command, "%s: '%s' is not a %snumber from %.12g to %.12g", name, text,
                       whole ? "whole " : "", o->min, o->max);
}

static int number_set(enum command command, const struct option *o, const char *name, const char *text,
                      void *field)
{
    double number = 0;

    if (!number_parse(text, o->kind != OPTION_FLOAT, o->min, o->max, &number))
        return number_error(command, o, name, text);
    if (o->kind == OPTION_INT) *(int *)field = (int)number;
    if (o->kind == OPTION_SIZE) *(size_t *)field = (size_t)number;
    if (o->kind == OPTION_FLOAT) *(float *)field = (float)number;
    return CODE_OK;
}

/* Two images or questions are a misunderstanding that must not pass in silence: one of them would not be looked at. */
static int text_set(enum command command, const char *name, const char *text, const char **field)
{
    if (*field != NULL)
        return usage_error(command, "%s is given twice, as '%s' and '%s'", name, *field, text);
    *field = text;
    return CODE_OK;
}

/* Puts a value, NULL for flags, into its field. */
static int option_set(struct settings *s, const struct option *o, const char *name, const char *text)
{
    void *field = (char *)s + o->offset;

    switch (o->kind) {
    case OPTION_ON: *(bool *)field = true; return CODE_OK;
    case OPTION_OFF: *(bool *)field = false; return CODE_OK;
    case OPTION_INT:
    case OPTION_SIZE:
    case OPTION_FLOAT: return number_set(s->command, o, name, text, field);
    case OPTION_SEED: return seed_parse(text, field) ? CODE_OK : number_error(s->command, o, name, text);
    case OPTION_TEXT: return text_set(s->command, name, text, field);
    case OPTION_CHOICE:
        if (!words_have(o->choices, text))
            return usage_error(s->command, "%s: '%s' is none of: %s", name, text, o->choices);
        *(const char **)field = text;
        return CODE_OK;
    case OPTION_SET:
        if (!set_parse(text, o->choices, field))
            return usage_error(s->command, "%s: '%s' is not a comma list of: %s", name, text, o->choices);
        return CODE_OK;
    case OPTION_LIST: return list_add(field, text) ? CODE_OK : out_of_memory(s->command);
    }
    return CODE_OK;
}

/* ---- the command line --------------------------------------------------------------------------------------- */

/* One option, argv[0], and its value, which may be argv[1]. *used: how many of them it took. */
static int option_parse(struct settings *s, int argc, char **argv, int *used)
{
    size_t n_name = strcspn(argv[0], "=");
    const char *value = argv[0][n_name] == '=' ? argv[0] + n_name + 1 : NULL;
    const struct option *o;
    char name[WORD_SIZE];

    snprintf(name, sizeof name, "%.*s", (int)n_name, argv[0]);
    *used = 1;
    o = option_find(s->command, name);
    if (o == NULL) return unknown_option(s->command, name);
    if (o->value == NULL) {
        if (value != NULL) return usage_error(s->command, "%s takes no value ('%s' given)", name, value);
        return option_set(s, o, name, NULL);
    }
    if (value == NULL) {
        if (argc < 2) return usage_error(s->command, "%s needs a value, %s", name, o->value);
        value = argv[1];
        *used = 2;
        if (value[0] == '-' && option_find(s->command, value) != NULL)
            return usage_error(
                s->command,
                "%s needs a value, %s, but the option '%s' follows (if that is the value, write %s=%s)", name,
                o->value, value, name, value);
    }
    return option_set(s, o, name, value);
}

static int operands_check(const struct settings *s)
{
    const struct command_row *row = &command_rows[s->command];

    if (s->help || s->version) return CODE_OK;
    if (s->operands.count < (size_t)row->operands_min)
        return usage_error(s->command, "%s is missing", row->operands);
    if (s->operands.count > (size_t)row->operands_max)
        return usage_error(s->command, "'%s' is one argument too many%s", s->operands.item[row->operands_max],
                           s->command == COMMAND_RUN ? "; the question is given with --prompt" : "");
    return CODE_OK;
}

int options_parse(struct settings *s, int argc, char **argv)
{
    bool only_operands = false;
    int used = 1, code;

    for (int i = 0; i < argc; i += used) {
        used = 1;
        if (!only_operands && strcmp(argv[i], "--") == 0) {
            only_operands = true;
        } else if (!only_operands && argv[i][0] == '-' && argv[i][1] != '\0') {
            code = option_parse(s, argc - i, argv + i, &used);
            if (code != CODE_OK) return code;
        } else if (!list_add(&s->operands, argv[i])) {
            return out_of_memory(s->command);
        }
    }
    return operands_check(s);
}

/* ---- the environment ---------------------------------------------------------------------------------------- */

static bool is_named(const struct settings *s, const struct option *o, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        char name[WORD_SIZE];

        snprintf(name, sizeof name, "%.*s", (int)strcspn(argv[i], "="), argv[i]);
        if (option_find(s->command, name) == o) return true;
    }
    return false;
}

/* The last of the names, --api-key-file, as SPHINX_ARG_API_KEY_FILE. */
static const char *environment_value(const struct option *o, char *variable, size_t size)
{
    const char *names = o->names;
    char name[WORD_SIZE];

    while (word_next(&names, name)) continue;
    snprintf(variable, size, "SPHINX_ARG_%s", name + strspn(name, "-"));
    for (char *c = variable; *c != '\0'; c++) *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    return getenv(variable);
}

int options_environment(struct settings *s, int argc, char **argv)
{
    static const char on[] = "1 true on enabled", off[] = "0 false off disabled";
    int code = CODE_OK;

    for (size_t i = 0; i < option_count && code == CODE_OK; i++) {
        const struct option *o = &option_rows[i];
        char variable[WORD_SIZE + 16];
        const char *value;

        if (!option_is_of(o, s->command) || is_named(s, o, argc, argv)) continue;
        value = environment_value(o, variable, sizeof variable);
        if (value == NULL) continue;
        if (o->value == NULL && !words_have(on, value) && !words_have(off, value))
            code = usage_error(s->command, "%s: '%s' is neither %s nor %s", variable, value, on, off);
        else if (o->value != NULL || words_have(on, value))
            code = option_set(s, o, variable, value);
    }
    return code;
}

static void forget(struct settings *s, const struct option *o)
{
    void *field = (char *)s + o->offset;

    if (o->kind == OPTION_LIST) ((struct text_list *)field)->count = 0;
    if (o->kind == OPTION_TEXT) *(const char **)field = NULL;
    if (o->kind == OPTION_SET) *(unsigned *)field = 0;
}

int options_apply(struct settings *s, const char *name, const char *const *values, size_t n)
{
    char dashed[WORD_SIZE];
    const struct option *o;
    int code = CODE_OK;

    snprintf(dashed, sizeof dashed, "--%s", name);
    o = option_find(s->command, dashed);
    if (o == NULL) return unknown_option(s->command, dashed);
    if (o->value == NULL && n > 0) return usage_error(s->command, "%s takes no value", dashed);
    if (o->value != NULL && (n == 0 || (n > 1 && o->kind != OPTION_LIST)))
        return usage_error(s->command, "%s needs one value, %s", dashed, o->value);
    forget(s, o);
    if (n == 0) return option_set(s, o, dashed, NULL);
    for (size_t i = 0; i < n && code == CODE_OK; i++) code = option_set(s, o, dashed, values[i]);
    return code;
}

/* ---- settings ------------------------------------------------------------------------------------------------ */

void settings_init(struct settings *s, enum command command)
{
    memset(s, 0, sizeof *s);
    s->command = command;
    s->ask = sphinx_ask_options_default();
    if (command == COMMAND_EVAL || command == COMMAND_BATCH) s->ask.temperature = 0;
    s->batch_size = 8;
    s->model.cpu = "auto";
    s->weight_type = "bf16";
    s->shards = 1;
    s->tokens = 32;
    s->sequences = 8;
    s->runs = 3;
    s->labels = true;
    s->domain = "both";
    s->split = "train";
    s->count = 1000;
    s->side = 112;
    s->turns = 1;
    s->prefix_cache = SIZE_MAX;
    s->port = 8080;
    s->parallel = 4;
    s->queue = 64;
    s->connections = 256;
    s->timeout = 600;
    s->timeout_read = 60;
    s->timeout_drain = 30;
    s->body_max = 32 << 20;
    s->log_format = "text";
    if (command == COMMAND_SERVE) s->ask.max_tokens = 1024; /* upstream's demo: a quarter of its context */
}

/* All lists, at most LISTS of them. */
enum { LISTS = 16 };

static size_t lists_of(struct settings *s, struct text_list **lists)
{
    size_t n = 0;

    lists[n++] = &s->operands;
    for (size_t i = 0; i < option_count; i++) {
        struct text_list *list = (struct text_list *)(void *)((char *)s + option_rows[i].offset);
        size_t k = 0;

        if (option_rows[i].kind != OPTION_LIST) continue;
        while (k < n && lists[k] != list) k++;
        if (k == n && n < LISTS) lists[n++] = list;
    }
    return n;
}

bool settings_copy(struct settings *to, const struct settings *from)
{
    struct text_list *lists[LISTS];
    bool ok = true;
    size_t n;

    *to = *from;
    n = lists_of(to, lists);
    for (size_t i = 0; i < n; i++) {
        const char **item = lists[i]->item;

        lists[i]->item = malloc((lists[i]->count + 1) * sizeof *item);
        if (lists[i]->item != NULL && item != NULL)
            memcpy(lists[i]->item, item, lists[i]->count * sizeof *item);
        ok = ok && lists[i]->item != NULL;
    }
    if (!ok) settings_free(to);
    return ok;
}

void settings_free(struct settings *s)
{
    struct text_list *lists[LISTS];
    size_t n = lists_of(s, lists);

    for (size_t i = 0; i < n; i++) {
        free(lists[i]->item);
        *lists[i] = (struct text_list){ 0 };
    }
}
