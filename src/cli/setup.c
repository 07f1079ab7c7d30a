/* setup.c - see setup.h. */
#include "cli/setup.h"

#include <stdio.h>
#include <string.h>

#include "cli/interrupt.h"
#include "cli/message.h"

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
        message(
            "no model named: the bundled one answers; it is tiny and random, so its answers mean nothing");
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
    if (sphinx_model_open(&u->model, (const char *const *)u->paths.item, u->paths.count, &s->model, &error) !=
        SPHINX_OK)
        return setup_failed(u, &error);
    progress_bar_clear(&u->bar);
    if (s->verbose) say_model(u);
    return CODE_OK;
}

int setup_session(struct setup *u)
{
    struct settings *s = u->settings;
    sphinx_error error = { 0 };

    s->session.report = u->report;
    s->session.kv_type = s->kv_keys != NULL ? s->kv_keys : s->kv_values;
    s->ask.stop = s->stops.item;
    s->ask.n_stop = s->stops.count;
    if (sphinx_session_open(&u->session, u->model, &s->session, &error) != SPHINX_OK)
        return setup_failed(u, &error);
    return CODE_OK;
}

int setup_image(struct setup *u, const char *path)
{
    sphinx_error error = { 0 };
    sphinx_status status;

    interrupt_begin(u->session);
    status = sphinx_session_image_file(u->session, path, &error);
    interrupt_end();
    progress_bar_clear(&u->bar);
    return status == SPHINX_OK ? CODE_OK : setup_failed(u, &error);
}

void setup_close(struct setup *u)
{
    sphinx_session_close(u->session);
    sphinx_model_close(u->model);
    model_paths_free(&u->paths);
    u->session = NULL;
    u->model = NULL;
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
}
