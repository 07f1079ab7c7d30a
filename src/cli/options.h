/*
 * options.h - the commands and their options as two tables, and the one parser that reads a command line by them. Help, the bash
 * completion and the check of the manual page walk through the same tables (help.c).
 *
 *   argv ── options_parse ── struct settings ── cmd_*.c
 */
#ifndef SPHINX_CLI_OPTIONS_H
#define SPHINX_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "sphinx.h"

enum command {
    COMMAND_RUN,
    COMMAND_CHAT,
    COMMAND_TOKENIZE,
    COMMAND_INSPECT,
    COMMAND_DUMP,
    COMMAND_INIT,
    COMMAND_BENCH,
    COMMAND_CONVERT,
    COMMAND_EVAL,
    COMMAND_BATCH,
    COMMAND_MIX,
    COMMAND_SYNTH,
    COMMAND_TRAIN,
    COMMAND_SERVE,
    COMMAND_HELP,
    COMMAND_SEGMENT,
    COMMAND_COUNT
};

/* Texts in the order in which they were given. Items are borrowed from the command line, the array is not. */
struct text_list {
    const char **item;
    size_t count;
};

/* Everything that any command can be told. Where the library has an option struct, options fill in its fields. */
struct settings {
    enum command command;
    sphinx_model_options model;
    sphinx_session_options session;
    sphinx_ask_options ask;
    struct text_list models, adapters, drafts, stops, prefill, tensor_types, tensor_betas, tasks, keys,
        operands;
    const char *grammar_file, *schema_file;
    const char *image, *prompt, *prompt_file, *output, *draw, *attention, *attention_word, *prompt_cache;
    size_t image_cache_size, prefix_cache; /* bytes */
    const char *data, *report_page, *grid, *text, *template;
    const char *resume, *keep, *skip_bad; /* of train */
    size_t limit, sample;
    int batch_size;
    bool force, dedup, quirks, compare;
    const char *kv_keys, *kv_values;
    const char *weight_type, *convert_type, *beta;
    int shards, tokens, sequences, runs;
    bool labels, json, quiet, verbose, help, version;
    bool bos, decode, prompt_cache_ro;
    bool tensors, check, all, safetensors, to_train, list, no_image, text_only;
    const char *domain, *split; /* of synth */
    size_t count;
    int side;
    size_t turns;
    bool patches, synth_masks;
    unsigned scenes;
    unsigned synth_tasks; /* bit i for enum task i; 0: all but lessons */
    bool delta, allow_missing;
    const char *host, *alias, *api_key_file, *tls_certificate, *tls_key, *media_path, *web_path, *image_api,
        *image_api_key, *log_format; /* of serve */
    int port, parallel, queue, connections, timeout, timeout_read, timeout_drain, max_tokens;
    size_t body_max;
    struct text_list api_keys, origins, allowed_hosts;
    const char *sam, *masks, *sam_sizes;
    const char *mask_out; /* of segment */
    struct text_list boxes, points;
};

struct command_row {
    const char *name;
    const char *operands; /* as in the synopsis; "" if it takes none */
    int operands_min, operands_max;
    const char *summary;
    int (*run)(struct settings *s); /* returns the exit code */
};

extern const struct command_row command_rows[COMMAND_COUNT];

enum option_kind {
    OPTION_ON,     /* bool: becomes true */
    OPTION_OFF,    /* bool: becomes false */
    OPTION_INT,    /* int */
    OPTION_SIZE,   /* size_t */
    OPTION_FLOAT,  /* float */
    OPTION_SEED,   /* uint64_t; -1 draws one */
    OPTION_TEXT,   /* const char * */
    OPTION_CHOICE, /* const char *, one of the choices */
    OPTION_SET,    /* unsigned: bit i for the i-th choice; a comma list */
    OPTION_LIST,   /* struct text_list: each use adds one */
};

enum option_group {
    GROUP_MODEL,
    GROUP_INPUT,
    GROUP_ANSWER,
    GROUP_MEASURE,
    GROUP_OUTPUT,
    GROUP_CACHES,
    GROUP_GUESSES,
    GROUP_SERVER,
    GROUP_MACHINE,
    GROUP_COUNT
};

struct option {
    const char *names;   /* "-m --model": all that help shows, the long one last */
    const char *aliases; /* upstream's and other programs' names for it, "" if none */
    enum option_kind kind;
    size_t offset;       /* in struct settings */
    const char *value;   /* what help calls the value: FILE and DIR are completed as such; NULL for flags */
    const char *choices; /* for CHOICE and SET, separated by spaces */
    double min, max;     /* for numbers, both allowed */
    unsigned commands;   /* bits 1 << enum command */
    enum option_group group;
    const char *help;
};

extern const struct option option_rows[];
extern const size_t option_count;
extern const char *const option_group_names[GROUP_COUNT];

/* Calls with each word of a string that spaces separate: for (const char *w = words; word_next(&w, word);).
 * word [WORD_SIZE] receives it. False at the end. */
enum { WORD_SIZE = 48 };
bool word_next(const char **words, char *word);

/* True if one of the words is `word`. */
bool words_have(const char *words, const char *word);

/* COMMAND_COUNT if there is none of that name. */
enum command command_find(const char *name);

/* Says that there is none, and which was perhaps meant; returns CODE_USAGE. */
int command_unknown(const char *name);

/* The defaults. */
void settings_init(struct settings *s, enum command command);
void settings_free(struct settings *s);

/* Reads what follows the command's name. Prints a sentence and returns CODE_USAGE when it is wrong; with --help or
 * --version the rest may be missing. */
int options_parse(struct settings *s, int argc, char **argv);

/* A copy with lists of its own; false: no memory. Both are to be freed. */
bool settings_copy(struct settings *to, const struct settings *from);

/* Gives an option, named without its dashes, these values as if the command line had them and none of its own: one, several for a list, none
 * for a flag. Prints a sentence and returns CODE_USAGE when that is wrong. */
int options_apply(struct settings *s, const char *name, const char *const *values, size_t n);

/* Gives each option that argv does not name the value of its environment variable, if there is one: --api-key-file that of
 * SPHINX_ARG_API_KEY_FILE; a flag 1, true, on or enabled, and 0, false, off or disabled for none. */
int options_environment(struct settings *s, int argc, char **argv);

/* Prints "sphinx: COMMAND: ... (see: sphinx help COMMAND)" and returns CODE_USAGE. */
int usage_error(enum command command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
