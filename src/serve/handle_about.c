/*
 * handle_about.c - what the server is and does: /health, /props, /v1/models, /slots, /metrics,
 * /openapi.json.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/draw.h"
#include "serve/handlers.h"
#include "serve/masks.h"
#include "serve/reply.h"
#include "text/task_prompts.h"

void handle_health(struct exchange *x)
{
    struct problem p = { 0 };

    if (atomic_load(&x->server->stops)) {
        problem_set(&p, 503, NULL, "shutting_down", "the server is ending");
        reply_problem(x, &p);
        return;
    }
    reply_json(x, 200, json_pack("{s:s}", "status", "ok"));
}

/* ---- the model ------------------------------------------------------------------------------------------------- */

static json_t *meta_json(const struct server *s)
{
    const sphinx_model_info *m = &s->info;

    return json_pack("{s:s, s:s, s:{s:b, s:b}, s:i, s:i, s:i, s:i, s:I}", "variant", m->name, "llama_type",
                     m->llama_type, "modalities", "text", 1, "vision", (int)m->sees, "image_size",
                     m->image_size, "views", m->views, "image_words", m->sees ? m->image_words : 0, "context",
                     m->context, "parameters", (json_int_t)m->parameters);
}

static json_t *model_json(const struct server *s)
{
    return json_pack("{s:s, s:s, s:I, s:s, s:o}", "id", s->model_name, "object", "model", "created",
                     (json_int_t)s->opened, "owned_by", "sphinx", "meta", meta_json(s));
}

void handle_models(struct exchange *x)
{
    reply_json(x, 200, json_pack("{s:s, s:[o]}", "object", "list", "data", model_json(x->server)));
}

void handle_model(struct exchange *x)
{
    const char *name = x->path + strlen("/v1/models/");
    struct problem p = { 0 };

    if (strcmp(name, x->server->model_name) == 0) {
        reply_json(x, 200, model_json(x->server));
        return;
    }
    problem_set(&p, 404, NULL, "model_not_found", "the only model here is %.100s", x->server->model_name);
    reply_problem(x, &p);
}

/* ---- props ----------------------------------------------------------------------------------------------------- */

static json_t *tasks_json(void)
{
    json_t *list = json_array();

    for (size_t i = 0; i < TASK_PROMPTS; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", task_prompts[i].name, "title",
                                              task_prompts[i].title, "prompt", task_prompts[i].prompt));
    return list;
}

static json_t *colors_json(void)
{
    json_t *o = json_object();

    for (size_t i = 0; i < IMG_COLORS; i++)
        json_object_set_new(o, img_color_names[i],
                            json_pack("[i, i, i]", img_colors[i].r, img_colors[i].g, img_colors[i].b));
    return o;
}

static json_t *skeleton_json(void)
{
    json_t *joints = json_array(), *edges = json_array();

    for (size_t i = 0; i < IMG_JOINTS; i++) json_array_append_new(joints, json_string(img_joint_names[i]));
    for (size_t i = 0; i < IMG_EDGES; i++)
        json_array_append_new(edges, json_pack("[i, i]", img_skeleton[i][0] - 1, img_skeleton[i][1] - 1));
    return json_pack("{s:o, s:o}", "joints", joints, "edges", edges);
}

static json_t *limits_json(const struct server *s)
{
    size_t pixels = s->rules.session.pixels_max > 0 ? s->rules.session.pixels_max : IMG_PIXELS_MAX;

    return json_pack("{s:I, s:I, s:i, s:I}", "body_bytes", (json_int_t)s->body_max, "pixels",
                     (json_int_t)pixels, "max_tokens", s->rules.max_tokens, "queue",
                     (json_int_t)engine_queue_max(s->engine));
}

static json_t *defaults_json(const struct server *s)
{
    const sphinx_ask_options *k = &s->rules.ask;
    json_t *seed = s->rules.seed_given ? json_integer((json_int_t)k->seed) : json_null();

    return json_pack("{s:i, s:f, s:f, s:i, s:f, s:f, s:o}", "max_tokens", k->max_tokens, "temperature",
                     (double)k->temperature, "top_p", (double)k->top_p, "top_k", k->top_k, "min_p",
                     (double)k->min_p, "repeat_penalty", (double)k->repeat_penalty, "seed", seed);
}

void handle_props(struct exchange *x)
{
    const struct server *s = x->server;
    json_t *o = meta_json(s);

    json_object_set_new(o, "model", json_string(s->model_name));
    json_object_set_new(o, "version", json_string(sphinx_version()));
    json_object_set_new(o, "slots", json_integer(engine_slots(s->engine)));
    json_object_set_new(o, "sam",
                        s->segmenting != NULL ? json_string(segmenting_name(s->segmenting)) : json_null());
    json_object_set_new(o, "image_api", json_boolean(s->image_api != NULL));
    json_object_set_new(o, "key_needed", json_boolean(s->guard.n_keys > 0));
    json_object_set_new(o, "limits", limits_json(s));
    json_object_set_new(o, "defaults", defaults_json(s));
    json_object_set_new(o, "tasks", tasks_json());
    json_object_set_new(o, "colors", colors_json());
    json_object_set_new(o, "skeleton", skeleton_json());
    reply_json(x, 200, o);
}

/* ---- what is going on ------------------------------------------------------------------------------------------ */

void handle_slots(struct exchange *x)
{
    static const char *const states[] = { [SLOT_IDLE] = "idle",
                                          [SLOT_TO_ENCODE] = "waiting",
                                          [SLOT_ENCODING] = "encoding",
                                          [SLOT_READY] = "waiting",
                                          [SLOT_ANSWERING] = "answering" };
    struct server *s = x->server;
    int n = engine_slots(s->engine);
    struct slot_view *views = calloc((size_t)n, sizeof *views);
    struct engine_totals totals;
    json_t *list = json_array();

    if (views != NULL) engine_look(s->engine, views, &totals);
    for (int i = 0; i < n && views != NULL; i++)
        json_array_append_new(list,
                              json_pack("{s:i, s:s, s:f, s:I}", "id", i, "state", states[views[i].state],
                                        "seconds", views[i].seconds, "bytes", (json_int_t)views[i].bytes));
    free(views);
    reply_json(x, 200, list);
}

/* One metric in Prometheus' text. */
static void put_metric(FILE *f, const char *name, const char *kind, const char *help, double value)
{
    fprintf(f, "# HELP sphinx:%s %s\n# TYPE sphinx:%s %s\nsphinx:%s %.15g\n", name, help, name, kind, name,
            value);
}

static double per_second(uint64_t n, double seconds)
{
    return seconds > 0 ? (double)n / seconds : 0;
}

static void put_engine(FILE *f, const struct engine_totals *t)
{
    uint64_t computed = t->prompt_tokens - t->cached_tokens;

    put_metric(f, "answers_total", "counter", "Answers given to their end.", (double)t->answered);
    put_metric(f, "answers_failed_total", "counter", "Answers that failed.", (double)t->failed);
    put_metric(f, "answers_cancelled_total", "counter", "Answers that nobody waited for.",
               (double)t->cancelled);
    put_metric(f, "requests_refused_total", "counter", "Requests refused because the queue was full.",
               (double)t->refused);
    put_metric(f, "prompt_tokens_total", "counter", "Tokens of prompts, image words included.",
               (double)t->prompt_tokens);
    put_metric(f, "prompt_tokens_cached_total", "counter", "Of these, not computed again.",
               (double)t->cached_tokens);
    put_metric(f, "prompt_seconds_total", "counter", "Seconds of prefill.", t->seconds_prefill);
    put_metric(f, "tokens_predicted_total", "counter", "Tokens generated.", (double)t->completion_tokens);
    put_metric(f, "tokens_predicted_seconds_total", "counter",
               "Seconds of generating, all answers' added up.", t->seconds_decode);
    put_metric(f, "prompt_tokens_seconds", "gauge", "Prompt tokens computed per second, on average.",
               per_second(computed, t->seconds_prefill));
    put_metric(f, "predicted_tokens_seconds", "gauge", "Tokens per second of one answer, on average.",
               per_second(t->completion_tokens, t->seconds_decode));
    put_metric(f, "queue_seconds_total", "counter", "Seconds that requests waited for a slot.",
               t->seconds_queue);
    put_metric(f, "image_encode_seconds_total", "counter", "Seconds of encoding images.", t->seconds_encode);
    put_metric(f, "image_cache_hits_total", "counter", "Images whose features were remembered.",
               (double)t->images_cached);
    put_metric(f, "image_cache_misses_total", "counter", "Images that were encoded.",
               (double)t->images_encoded);
    put_metric(f, "steps_total", "counter", "Steps of the batch.", (double)t->steps);
    put_metric(f, "requests_processing", "gauge", "Requests in slots.", (double)t->running);
    put_metric(f, "requests_deferred", "gauge", "Requests in the queue.", (double)t->waiting);
}

void handle_metrics(struct exchange *x)
{
    struct server *s = x->server;
    struct engine_totals totals;
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (f == NULL) return;
    engine_look(s->engine, NULL, &totals);
    put_metric(f, "http_requests_total", "counter", "Requests, of all kinds.",
               (double)atomic_load(&s->n_requests));
    put_metric(f, "http_errors_total", "counter", "Requests that got an error.",
               (double)atomic_load(&s->n_errors));
    put_engine(f, &totals);
    if (fclose(f) == 0)
        reply_bytes(x, 200, "text/plain; version=0.0.4; charset=utf-8", text, size);
    else
        free(text);
}

/* docs/openapi.json, which the build put into the program. */
extern const unsigned char openapi_json[];
extern const size_t openapi_json_size;

void handle_openapi(struct exchange *x)
{
    reply_static(x, 200, "application/json", openapi_json, openapi_json_size);
}
