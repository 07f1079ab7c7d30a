/* cmd_convert.c - a model in another format, or in other types (model/convert.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/setup.h"
#include "model/convert.h"

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n > m && strcmp(name + n - m, end) == 0;
}

static int find_format(enum model_format *format, const struct settings *s, const char *out)
{
    if (!ends_with(out, ".gguf")) {
        if (ends_with(out, ".pth") || ends_with(out, ".safetensors"))
            return usage_error(s->command, "'%s': OUT is a folder, or a file whose name ends in .gguf", out);
        if (s->safetensors && s->shards > 1)
            return usage_error(s->command, "--safetensors writes one file; --shards %d does not go with it",
                               s->shards);
        *format = s->safetensors ? MODEL_SAFETENSORS : MODEL_TORCH;
        return CODE_OK;
    }
    if (s->safetensors) return usage_error(s->command, "'%s' says GGUF, --safetensors says otherwise", out);
    if (s->shards > 1)
        return usage_error(s->command, "GGUF is one file; --shards %d does not go with it", s->shards);
    *format = MODEL_GGUF;
    return CODE_OK;
}

static int read_policy(struct policy *k, const struct settings *s)
{
    struct err e = { 0 };

    *k = (struct policy){ .keep = s->convert_type == NULL, .n_rules = s->tensor_types.count };
    if (s->convert_type != NULL)
        policy_type(s->convert_type, &k->type); /* the parser has let only known ones through */
    k->rules = calloc(k->n_rules + 1, sizeof *k->rules);
    if (k->rules == NULL) return fail("out of memory for the patterns");
    for (size_t i = 0; i < k->n_rules; i++) {
        if (policy_rule_parse(&k->rules[i], s->tensor_types.item[i], &e) != STATUS_OK)
            return usage_error(s->command, "--tensor-type: %s", e.text);
    }
    return CODE_OK;
}

/* "280 q4_0, 2 q6_K" and what else there is to know. */
static void say_result(const struct convert_result *r, const char *out)
{
    char types[256] = "";
    size_t n = 0;

    for (enum dtype t = 0; t < DTYPE_COUNT && n < sizeof types; t++) {
        if (r->n_of_type[t] == 0) continue;
        n += (size_t)snprintf(types + n, sizeof types - n, "%s%zu %s", n > 0 ? ", " : "", r->n_of_type[t],
                              dtype_info(t)->name);
    }
    message("written: %s: %.3f GB in %zu tensors: %s", out, (double)r->bytes / 1e9, r->n_tensors, types);
    if (r->n_fallbacks > 0)
        message("%zu tensors have rows that do not fill the blocks of their type, and got the next that fits",
                r->n_fallbacks);
    if (r->n_requantised > 0)
        message("%zu tensors were quantised before: from the original weights the result would be better",
                r->n_requantised);
}

static int convert(struct setup *u, const char *out)
{
    const struct settings *s = u->settings;
    struct report report = { .progress = u->report.progress,
                             .warn = u->report.warn,
                             .user = u->report.user,
                             .cancel = interrupt_flag() };
    struct load_options in = { .paths = (const char *const *)u->paths.item,
                               .n_paths = u->paths.count,
                               .llama_type = s->model.llama_type,
                               .config_path = s->model.config_path,
                               .tokenizer_path = s->model.tokenizer_path,
                               .ranks = 1,
                               .report = &report };
    struct policy policy = { 0 };
    struct convert_options o = { .out = out,
                                 .shards = s->shards,
                                 .text_only = s->text_only,
                                 .policy = &policy,
                                 .threads = s->model.threads > 0 ? s->model.threads : cpu_threads_default() };
    struct convert_result result;
    struct err e = { 0 };
    int code = find_format(&o.format, s, out);
    enum status st;

    if (code == CODE_OK) code = read_policy(&policy, s);
    if (code == CODE_OK) {
        interrupt_begin(NULL);
        st = convert_model(&in, &o, &result, &e);
        interrupt_end();
        progress_bar_clear(&u->bar);
        if (st == STATUS_CANCELLED) code = CODE_INTERRUPTED;
        if (st != STATUS_OK && st != STATUS_CANCELLED) code = fail("%s", e.text);
        if (st == STATUS_OK && !s->quiet) say_result(&result, out);
    }
    free(policy.rules);
    return code;
}

int cmd_convert(struct settings *s)
{
    struct setup u = { 0 };
    const char *out = s->operands.item[s->operands.count - 1];
    int code;

    s->models = s->operands; /* all but the last */
    s->models.count--;
    s->operands = (struct text_list){ 0 };
    code = setup_begin(&u, s);
    if (code == CODE_OK) code = convert(&u, out);
    setup_close(&u);
    return code;
}
