/*
 * cmd_inspect.c - what is in a model and whether it is complete. --check reads all of it.
 *
 *   paths ── ckpt_open, load_config ── inspection_make ── text or JSON
 *                                          └─ --check: checksums, then every number
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/inspection.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/setup.h"

enum { TROUBLE_SHOWN = 20 }; /* of each kind, unless all tensors are asked for */

/* ---- as text ------------------------------------------------------------------------------------------------ */

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static json_int_t integer_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* "[2, 3]" into text [SHAPE_TEXT_MAX]. */
static const char *shape_of(char *text, const json_t *tensor)
{
    const json_t *shape = json_object_get(tensor, "shape");
    int64_t dim[RAW_DIMS_MAX];
    size_t n = json_array_size(shape);

    for (size_t i = 0; i < n && i < RAW_DIMS_MAX; i++) dim[i] = json_integer_value(json_array_get(shape, i));
    return shape_text(text, dim, (int)n);
}

/* "f32, bf16" into text [64]. */
static const char *types_of(char *text, const json_t *component)
{
    const json_t *type;
    size_t i, n = 0;

    text[0] = '\0';
    json_array_foreach(json_object_get(component, "types"), i, type)
    {
        if (n < 64)
            n += (size_t)snprintf(text + n, 64 - n, "%s%s", i > 0 ? ", " : "", json_string_value(type));
    }
    return text;
}

static void print_config(const json_t *config)
{
    output_printf("language model: width %" PRId64 ", layers %" PRId64 ", heads %" PRId64 " (%" PRId64
                  " for keys and values), feed-forward %" PRId64 ", vocabulary %" PRId64,
                  (int64_t)integer_of(config, "dim"), (int64_t)integer_of(config, "n_layers"),
                  (int64_t)integer_of(config, "n_heads"), (int64_t)integer_of(config, "n_kv_heads"),
                  (int64_t)integer_of(config, "ffn_width"), (int64_t)integer_of(config, "vocab_size"));
    if (integer_of(config, "n_experts") > 0)
        output_printf(", experts %" PRId64, (int64_t)integer_of(config, "n_experts"));
    if (json_object_get(config, "image_size") == NULL) {
        output_printf("\nimages: none, the encoders are not there\n");
        return;
    }
    output_printf("\nimages: side %" PRId64 ", views %" PRId64 " of side %" PRId64 ", image words %" PRId64
                  "\n",
                  (int64_t)integer_of(config, "image_size"), (int64_t)integer_of(config, "views"),
                  (int64_t)integer_of(config, "view_size"), (int64_t)integer_of(config, "image_words"));
}

static void print_components(const json_t *components)
{
    const json_t *component;
    json_int_t tensors = 0, parameters = 0, bytes = 0;
    char types[64];
    size_t i;

    output_printf("\n%-10s %8s %15s %15s  %s\n", "component", "tensors", "parameters", "bytes", "types");
    json_array_foreach(components, i, component)
    {
        output_printf("%-10s %8" PRId64 " %15" PRId64 " %15" PRId64 "  %s\n", text_of(component, "name"),
                      (int64_t)integer_of(component, "tensors"), (int64_t)integer_of(component, "parameters"),
                      (int64_t)integer_of(component, "bytes"), types_of(types, component));
        tensors += integer_of(component, "tensors");
        parameters += integer_of(component, "parameters");
        bytes += integer_of(component, "bytes");
    }
    output_printf("%-10s %8" PRId64 " %15" PRId64 " %15" PRId64 "\n", "all", (int64_t)tensors,
                  (int64_t)parameters, (int64_t)bytes);
}

static void print_types(const json_t *types)
{
    const json_t *type;
    size_t i;

    output_printf("\n%-10s %8s %15s %15s\n", "type", "tensors", "", "bytes");
    json_array_foreach(types, i, type)
    {
        output_printf("%-10s %8" PRId64 " %15s %15" PRId64 "\n", text_of(type, "type"),
                      (int64_t)integer_of(type, "tensors"), "", (int64_t)integer_of(type, "bytes"));
    }
}

/* What a GGUF file says of itself. */
static void print_keys(const json_t *path)
{
    const json_t *keys = json_object_get(path, "keys"), *key;
    size_t i;

    if (keys != NULL) output_printf("\nkeys of %s\n", text_of(path, "path"));
    json_array_foreach(keys, i, key)
    {
        output_printf("%-40s %-6s %s\n", text_of(key, "key"), text_of(key, "kind"), text_of(key, "value"));
    }
}

static void print_tensors(const json_t *tensors)
{
    const json_t *tensor;
    char shape[SHAPE_TEXT_MAX];
    size_t i;

    if (tensors != NULL) output_printf("\n");
    json_array_foreach(tensors, i, tensor)
    {
        output_printf("%-9s %-4s %s %s\n", text_of(tensor, "component"), text_of(tensor, "type"),
                      text_of(tensor, "name"), shape_of(shape, tensor));
    }
}

/* Tensors of a list, after what is the matter with them: all, or the first few. */
static void print_trouble(const json_t *report, const char *key, bool all)
{
    const json_t *list = json_object_get(report, key), *tensor;
    char shape[SHAPE_TEXT_MAX];
    size_t i, n = json_array_size(list);

    json_array_foreach(list, i, tensor)
    {
        const char *problem = text_of(tensor, "problem");

        if (i == TROUBLE_SHOWN && !all) {
            output_printf("%s: %zu more (--tensors shows all)\n", key, n - i);
            break;
        }
        if (problem != NULL)
            output_printf("%s: %s\n", key, problem);
        else
            output_printf("%s: %s %s\n", key, text_of(tensor, "name"), shape_of(shape, tensor));
    }
}

static void print_report(const json_t *report, bool all)
{
    const json_t *path;
    size_t i;

    output_printf("%s (%s)\n", text_of(report, "name"), text_of(report, "llama_type"));
    json_array_foreach(json_object_get(report, "paths"), i, path)
    {
        output_printf("path: %s: %s, shards %" PRId64 "\n", text_of(path, "path"), text_of(path, "format"),
                      (int64_t)integer_of(path, "shards"));
    }
    print_config(json_object_get(report, "config"));
    print_components(json_object_get(report, "components"));
    print_types(json_object_get(report, "types"));
    json_array_foreach(json_object_get(report, "paths"), i, path) print_keys(path);
    print_tensors(json_object_get(report, "tensors"));
    output_printf("\n");
    print_trouble(report, "missing", all);
    print_trouble(report, "misshapen", all);
    print_trouble(report, "extra", all);
    output_printf("complete: %s\n", json_is_true(json_object_get(report, "complete")) ? "yes" : "no");
}

static int print(const struct settings *s, const json_t *report)
{
    char *text;

    if (!s->json) {
        print_report(report, s->tensors);
        return CODE_OK;
    }
    text = json_dumps(report, JSON_INDENT(2) | JSON_REAL_PRECISION(7));
    if (text == NULL) return fail("out of memory for the JSON");
    output_printf("%s\n", text);
    free(text);
    return CODE_OK;
}

/* ---- the work ----------------------------------------------------------------------------------------------- */

struct inspected {
    struct network network;
    struct checkpoint *checkpoint;
    struct tokenizer *tokenizer;
};

static enum status open_all(struct inspected *m, const struct load_options *o, struct err *e)
{
    struct model_config config;
    enum status st = ckpt_open(&m->checkpoint, o->paths, o->n_paths, o->report, e);

    if (st == STATUS_OK) st = load_config(&config, &m->tokenizer, o, m->checkpoint, e);
    if (st == STATUS_OK) st = network_init(&m->network, &config, e);
    return st;
}

/* Bytes first: a damaged file is a better explanation of a strange number than the number. */
static enum status check_all(struct inspected *m, const struct load_options *o, struct err *e)
{
    char where[256];
    enum status st = ckpt_check(m->checkpoint, e);

    if (st == STATUS_OK) st = load_weights(&m->network, m->checkpoint, o, e);
    if (st != STATUS_OK) return st;
    if (load_find_not_finite(&m->network, where, sizeof where))
        return err_set(e, STATUS_NUMERIC, "%s: holds a value that is not a finite number", where);
    return STATUS_OK;
}

static int inspect(struct inspected *m, struct setup *u, const struct report *report, struct err *e)
{
    const struct settings *s = u->settings;
    struct load_options o = { .paths = (const char *const *)u->paths.item,
                              .n_paths = u->paths.count,
                              .llama_type = s->model.llama_type,
                              .config_path = s->model.config_path,
                              .tokenizer_path = s->model.tokenizer_path,
                              .ranks = 1,
                              .report = report };
    json_t *found = NULL;
    bool complete = false;
    enum status st = open_all(m, &o, e);
    int code = CODE_OK;

    if (st == STATUS_OK) st = inspection_make(&found, &m->network, m->checkpoint, s->tensors, e);
    if (st == STATUS_OK) complete = json_is_true(json_object_get(found, "complete"));
    if (st == STATUS_OK && s->check && complete) st = check_all(m, &o, e);
    progress_bar_clear(&u->bar);
    if (found != NULL) code = print(s, found);
    json_decref(found);
    if (st == STATUS_CANCELLED) return CODE_INTERRUPTED;
    if (st != STATUS_OK) return fail("%s", e->text);
    if (code == CODE_OK && !complete)
        code = fail("%s: the model is not complete", u->paths.item[u->paths.count - 1]);
    if (code == CODE_OK && s->check && !s->quiet) message("checked: every byte and every number is sound");
    return code;
}

int cmd_inspect(struct settings *s)
{
    struct setup u = { 0 };
    struct inspected m = { 0 };
    struct err e = { 0 };
    struct report report;
    int code;

    if (s->models.count > 0 && s->operands.count > 0)
        return usage_error(s->command, "'%s': name the models with -m or as arguments, not both",
                           s->operands.item[0]);
    if (s->models.count == 0) {
        struct text_list none = s->models;

        s->models = s->operands;
        s->operands = none;
    }
    code = setup_begin(&u, s);
    report = (struct report){ .progress = u.report.progress,
                              .warn = u.report.warn,
                              .user = u.report.user,
                              .cancel = interrupt_flag() };
    interrupt_begin(NULL);
    if (code == CODE_OK) code = inspect(&m, &u, &report, &e);
    interrupt_end();
    network_free(&m.network);
    ckpt_close(m.checkpoint);
    tok_close(m.tokenizer);
    setup_close(&u);
    return code;
}
