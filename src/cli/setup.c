/* setup.c - see setup.h. */
#include "cli/setup.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/interrupt.h"
#include "cli/message.h"
#include "core/file.h"
#include "image/image.h"

static void on_progress(void *user, const char *stage, uint64_t done, uint64_t total)
{
    struct setup *u = user;

    progress_bar_update(&u->bar, stage, done, total);
}

static void on_warning(void *user, const char *text)
{
    struct setup *u = user;

    if (u->settings->quiet) return;
    progress_bar_clear(&u->bar);
    message("warning: %s", text);
}

int setup_failed(struct setup *u, const sphinx_error *error)
{
    progress_bar_clear(&u->bar);
    if (error->code == SPHINX_CANCELLED) return CODE_INTERRUPTED;
    return fail("%s", error->text);
}

int setup_begin(struct setup *u, struct settings *s)
{
    int code;

    memset(u, 0, sizeof *u);
    u->settings = s;
    progress_bar_init(&u->bar, s->quiet);
    u->report = (sphinx_report){ .progress = on_progress, .warn = on_warning, .user = u };
    code = model_paths_find(&u->paths, &s->models);
    if (code == CODE_OK && u->paths.bundled && !s->quiet)
        message("no model named: sphinx-nano answers, a small one that knows drawings and pictures like "
                "those of make demo");
    return code;
}

static void say_model(const struct setup *u)
{
    sphinx_model_info info;

    sphinx_model_get_info(u->model, &info);
    message(
        "%s (%s): %.4g million parameters, %d layers of width %d, %d image words in %d views, context %d; %s "
        "kernels",
        info.name, info.llama_type, (double)info.parameters / 1e6, info.layers, info.width, info.image_words,
        info.views, info.context, info.cpu);
}

int setup_model(struct setup *u, struct settings *s)
{
    sphinx_error error = { 0 };
    int code = setup_begin(u, s);

    if (code != CODE_OK) return code;
    s->model.report = u->report;
    s->model.adapters = s->adapters.item;
    s->model.n_adapters = (int)s->adapters.count;
    s->model.image_cache_bytes = s->image_cache_size;
    if (s->prefix_cache != SIZE_MAX) s->model.prefix_cache_bytes = (int64_t)s->prefix_cache;
    /* None is spelled -1 there; and where there is one session, nobody would take up what it leaves. */
    if (s->prefix_cache == 0 || (s->command != COMMAND_CHAT && s->command != COMMAND_EVAL &&
                                 s->command != COMMAND_BATCH && s->command != COMMAND_SERVE))
        s->model.prefix_cache_bytes = -1;
    if (sphinx_model_open(&u->model, (const char *const *)u->paths.item, u->paths.count, &s->model, &error) !=
        SPHINX_OK)
        return setup_failed(u, &error);
    progress_bar_clear(&u->bar);
    if (s->verbose) say_model(u);
    return CODE_OK;
}

/* The draft model, with the model's options as far as they are not about its files. */
static int open_draft(struct setup *u)
{
    const struct settings *s = u->settings;
    sphinx_model_options options = { .cpu = s->model.cpu,
                                     .threads = s->model.threads,
                                     .context = s->model.context,
                                     .precise = s->model.precise,
                                     .prefix_cache_bytes = -1,
                                     .report = u->report };
    struct model_paths paths = { 0 };
    sphinx_error error = { 0 };
    int code = model_paths_find(&paths, &s->drafts);

    if (code == CODE_OK && sphinx_model_open(&u->draft, (const char *const *)paths.item, paths.count,
                                             &options, &error) != SPHINX_OK)
        code = setup_failed(u, &error);
    model_paths_free(&paths);
    progress_bar_clear(&u->bar);
    return code;
}

/* The text of a file, of which name is an option; *text is its target, and u->grammar holds it. path NULL: none is wanted. */
static int read_grammar(struct setup *u, const char *option, const char *path, const char **text)
{
    enum { GRAMMAR_FILE_MAX = 1 << 20 };
    unsigned char *data = NULL;
    size_t size = 0;
    struct err e = { 0 };

    if (path == NULL) return CODE_OK;
    if (u->settings->ask.grammar != NULL || u->settings->ask.json_schema != NULL)
        return usage_error(u->settings->command,
                           "%s: another option says already what answers must look like", option);
    if (file_read(path, GRAMMAR_FILE_MAX, &data, &size, &e) != STATUS_OK) return fail("%s", e.text);
    u->grammar = memchr(data, '\0', size) == NULL ? strndup((const char *)data, size) : NULL;
    free(data);
    if (u->grammar == NULL) return fail("%s: not a text, or no memory for it", path);
    *text = u->grammar;
    return CODE_OK;
}

int setup_asking(struct setup *u)
{
    struct settings *s = u->settings;
    int code;

    s->ask.stop = s->stops.item;
    s->ask.n_stop = s->stops.count;
    code = read_grammar(u, "--grammar-file", s->grammar_file, &s->ask.grammar);
    return code == CODE_OK ? read_grammar(u, "--json-schema-file", s->schema_file, &s->ask.json_schema)
                           : code;
}

int setup_session(struct setup *u)
{
    struct settings *s = u->settings;
    sphinx_error error = { 0 };
    int code = s->drafts.count > 0 ? open_draft(u) : CODE_OK;

    if (code != CODE_OK) return code;
    s->session.draft = u->draft;
    s->session.report = u->report;
    s->session.kv_type = s->kv_keys != NULL ? s->kv_keys : s->kv_values;
    code = setup_asking(u);
    if (code != CODE_OK) return code;
    if (sphinx_session_open(&u->session, u->model, &s->session, &error) != SPHINX_OK)
        return setup_failed(u, &error);
    return CODE_OK;
}

static int set_image(struct setup *u, const char *path, const unsigned char *data, size_t size)
{
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    sphinx_error error = { 0 };
    sphinx_status status;

    interrupt_begin(u->session);
    status = sphinx_session_image_memory(u->session, data, size, name, &error);
    interrupt_end();
    progress_bar_clear(&u->bar);
    return status == SPHINX_OK ? CODE_OK : setup_failed(u, &error);
}

static int read_image(const char *path, unsigned char **data, size_t *size)
{
    struct err e = { 0 };

    return file_read(path, IMG_FILE_SIZE_MAX, data, size, &e) == STATUS_OK ? CODE_OK : fail("%s", e.text);
}

int setup_image(struct setup *u, const char *path)
{
    unsigned char *data = NULL;
    size_t size = 0;
    int code = read_image(path, &data, &size);

    if (code == CODE_OK) code = set_image(u, path, data, size);
    free(data);
    return code;
}

/* One question about a given image can be computed anew where the file does not fit; a conversation, and an image that only the
 * file has, cannot. What is no prompt cache is never overwritten. */
static int restore(struct setup *u, const unsigned char *image, size_t size, bool *restored)
{
    const struct settings *s = u->settings;
    sphinx_error error = { 0 };
    sphinx_status status;

    if (!file_exists(s->prompt_cache) && !s->prompt_cache_ro) return CODE_OK;
    status = sphinx_session_restore(u->session, s->prompt_cache, image, size, &error);
    *restored = status == SPHINX_OK;
    if (status == SPHINX_UNSUPPORTED && s->command == COMMAND_RUN && image != NULL) {
        if (!s->quiet) message("warning: %s; all is computed anew", error.text);
        return CODE_OK;
    }
    if (status != SPHINX_OK) return setup_failed(u, &error);
    if (s->command == COMMAND_RUN) sphinx_session_clear(u->session); /* its question stands alone */
    return CODE_OK;
}

int setup_start(struct setup *u)
{
    const struct settings *s = u->settings;
    unsigned char *data = NULL;
    bool restored = false;
    size_t size = 0;
    int code = s->image != NULL ? read_image(s->image, &data, &size) : CODE_OK;

    if (code == CODE_OK && s->prompt_cache != NULL) code = restore(u, data, size, &restored);
    if (code == CODE_OK && s->image != NULL && !restored) code = set_image(u, s->image, data, size);
    free(data);
    return code;
}

int setup_save(struct setup *u)
{
    const struct settings *s = u->settings;
    sphinx_error error = { 0 };

    if (s->prompt_cache == NULL || s->prompt_cache_ro) return CODE_OK;
    if (sphinx_session_save(u->session, s->prompt_cache, &error) == SPHINX_OK) return CODE_OK;
    return setup_failed(u, &error);
}

void setup_close(struct setup *u)
{
    sphinx_session_close(u->session);
    sphinx_model_close(u->draft);
    sphinx_model_close(u->model);
    model_paths_free(&u->paths);
    if (u->grammar != NULL) u->settings->ask.grammar = u->settings->ask.json_schema = NULL;
    free(u->grammar);
    u->grammar = NULL;
    u->session = NULL;
    u->model = u->draft = NULL;
}

void setup_timings(const sphinx_answer *answer)
{
    size_t prefilled = answer->image_tokens + answer->prompt_tokens - answer->cached_tokens;
    char text[1024];
    size_t n = 0;

    for (size_t i = 0; i < answer->n_timings && n < sizeof text; i++) {
        const sphinx_timing *t = &answer->timings[i];
        size_t tokens = 0;

        if (strcmp(t->stage, "prefill") == 0) tokens = prefilled;
        if (strcmp(t->stage, "decode") == 0) tokens = answer->n_tokens;
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s %.3f s", i > 0 ? ", " : "", t->stage,
                              t->seconds);
        if (tokens > 0 && t->seconds > 0 && n < sizeof text)
            n += (size_t)snprintf(text + n, sizeof text - n, " (%zu tokens, %.1f/s)", tokens,
                                  (double)tokens / t->seconds);
    }
    message("%s", n > 0 ? text : "nothing was timed");
    if (answer->drafted_tokens > 0)
        message("%zu tokens were guessed, %zu of them right", answer->drafted_tokens,
                answer->accepted_tokens);
}
