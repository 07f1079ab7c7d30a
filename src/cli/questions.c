/* questions.c - see questions.h. */
#include "cli/questions.h"

#include <math.h>
#include <stdio.h>

#include "cli/interrupt.h"
#include "cli/message.h"

int questions_begin(struct ranks *r, struct settings *s)
{
    struct err e = { 0 };

    if (ranks_begin(r, &e) != STATUS_OK) return fail("%s", e.text);
    if (r->rank > 0) {
        s->quiet = true;
        s->verbose = false;
    }
    return CODE_OK;
}

int questions_setup(struct setup *u, struct settings *s)
{
    int code = setup_model(u, s);

    s->session.report = u->report;
    s->session.kv_type = s->kv_keys != NULL ? s->kv_keys : s->kv_values;
    return code == CODE_OK ? setup_asking(u) : code;
}

struct runner_options questions_options(struct setup *u)
{
    const struct settings *s = u->settings;

    return (struct runner_options){
        .session = s->session, .ask = s->ask, .batch = s->batch_size, .cancel = interrupt_flag()
    };
}

static json_t *stop_texts(const struct settings *s)
{
    json_t *list = json_array();

    for (size_t i = 0; i < s->stops.count; i++) json_array_append_new(list, json_string(s->stops.item[i]));
    return list;
}

json_t *questions_settings(const struct setup *u)
{
    const struct settings *s = u->settings;
    const sphinx_ask_options *o = &s->ask;
    bool draws = o->temperature > 0;
    sphinx_model_info info;
    json_t *all;

    sphinx_model_get_info(u->model, &info);
    all = json_pack("{s:f, s:f, s:i, s:i, s:b, s:o, s:i, s:b, s:b, s:b, s:I, s:s, s:s}", "temp",
                    (double)o->temperature, "repeat_penalty", (double)o->repeat_penalty, "without",
                    (int)s->session.without, "context", info.context, "precise", s->model.precise, "stop",
                    stop_texts(s), "chunk", s->model.chunk, "exif", s->session.apply_exif, "ignore_eos",
                    o->ignore_eos, "clip_exact_gelu", s->model.clip_exact_gelu, "pixels_max",
                    (json_int_t)s->session.pixels_max, "kv_type",
                    s->session.kv_type != NULL ? s->session.kv_type : "", "system",
                    s->session.system != NULL ? s->session.system : "");
    if (all == NULL) return NULL;
    if (o->repeat_penalty != 1) json_object_set_new(all, "repeat_last_n", json_integer(o->repeat_last_n));
    if (o->grammar != NULL) json_object_set_new(all, "grammar", json_string(o->grammar));
    if (o->json_schema != NULL) json_object_set_new(all, "json_schema", json_string(o->json_schema));
    if (!draws) return all;
    json_object_set_new(all, "top_p", json_real((double)o->top_p));
    json_object_set_new(all, "top_k", json_integer(o->top_k));
    json_object_set_new(all, "min_p", json_real((double)o->min_p));
    json_object_set_new(all, "seed", json_integer((json_int_t)o->seed));
    return all;
}

void questions_show(struct setup *u, const struct questions_state *state)
{
    double speed = state->seconds > 0 ? (double)state->asked / state->seconds : 0;
    char text[256], right[64] = "", left[64] = "", time[32];

    if (!isnan(state->right)) snprintf(right, sizeof right, ", score %.1f so far", 100 * state->right);
    if (speed > 0)
        snprintf(left, sizeof left, ", %.3g questions/s, %s left", speed,
                 progress_bar_duration(time, (double)(state->total - state->done) / speed));
    snprintf(text, sizeof text, "%s: %zu of %zu (%d %%)%s%s", state->name, state->done, state->total,
             state->total > 0 ? (int)(100 * state->done / state->total) : 100, right, left);
    progress_bar_line(&u->bar, text);
}

int questions_failed(struct setup *u, const struct err *e)
{
    progress_bar_clear(&u->bar);
    if (e->code == STATUS_CANCELLED) return interrupt_seen() ? CODE_INTERRUPTED : CODE_FAILED;
    return fail("%s", e->text);
}

void questions_speed(struct setup *u, const struct runner_totals *totals)
{
    size_t n = totals->n_answers + totals->n_failed;
    double model = totals->seconds_encode + totals->seconds_steps;

    if (!u->settings->verbose || n == 0) return;
    progress_bar_clear(&u->bar);
    message(
        "%zu questions about %zu images in %.3f s: %.3g questions/s; encoders %.3f s, language model %.3f s, "
        "waiting for images %.3f s, all else %.3f s (%.1f %% outside the model)",
        n, totals->n_images, totals->seconds, (double)n / totals->seconds, totals->seconds_encode,
        totals->seconds_steps, totals->seconds_waiting, totals->seconds - model - totals->seconds_waiting,
        100 * (totals->seconds - model) / totals->seconds);
}
