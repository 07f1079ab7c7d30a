/*
 * conversion.c - see conversion.h.
 */
#include "cli/conversion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "core/file.h"
#include "segment/sam_convert.h"

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n > m && strcmp(name + n - m, end) == 0;
}

/* SAM is named by one file, where a model is mostly a folder. */
static bool is_sam(const struct setup *u)
{
    const char *path = u->paths.item[0];

    return u->paths.count == 1 && !file_is_directory(path) && sam_is(path);
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
    if (r->n_mixed > 0) message("%zu tensors are mixtures, the rest is the same in all", r->n_mixed);
    if (r->n_encoder > 0)
        message("%zu of them are of encoders, which are frozen in training and should have been equal",
                r->n_encoder);
    if (r->n_adapted > 0) message("%zu tensors are changed by what was learned beside them", r->n_adapted);
    if (r->n_fallbacks > 0)
        message("%zu tensors have rows that do not fill the blocks of their type, and got the next that fits",
                r->n_fallbacks);
    if (r->n_requantised > 0)
        message("%zu tensors were quantised before: from the original weights the result would be better",
                r->n_requantised);
}

int conversion_run(struct setup *u, const char *out, struct policy *policy, const struct ckpt_options *mix)
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
                               .adapters = s->adapters.item,
                               .n_adapters = (int)s->adapters.count,
                               .ranks = 1,
                               .report = &report };
    struct convert_options o = { .out = out,
                                 .shards = s->shards,
                                 .text_only = s->text_only,
                                 .policy = policy,
                                 .mix = *mix,
                                 .threads = s->model.threads > 0 ? s->model.threads : cpu_threads_default() };
    struct convert_result result;
    struct err e = { 0 };
    int code = find_format(&o.format, s, out);
    bool sam = code == CODE_OK && is_sam(u);
    enum status st;

    if (sam && o.format != MODEL_GGUF)
        return usage_error(s->command, "'%s': a SAM becomes one file, whose name ends in .gguf", out);

    if (code == CODE_OK && mix->delta && s->adapters.count > 0)
        return usage_error(s->command, "--lora does not go with --delta: merge the adapter first");
    if (code == CODE_OK && mix->delta && o.format != MODEL_TORCH)
        return usage_error(s->command, "--delta writes a folder of .pth files, as upstream has them");
    if (code != CODE_OK) return code;
    interrupt_begin(NULL);
    st = sam ? sam_convert(u->paths.item[0], out, policy, &report, &result, &e)
             : convert_model(&in, &o, &result, &e);
    interrupt_end();
    progress_bar_clear(&u->bar);
    if (st == STATUS_CANCELLED) return CODE_INTERRUPTED;
    if (st != STATUS_OK) return fail("%s", e.text);
    if (!s->quiet) say_result(&result, out);
    return CODE_OK;
}
