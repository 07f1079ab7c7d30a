/* chat_request.c - see chat_request.h. */
#include "serve/chat_request.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "serve/image_source.h"
#include "text/grammar.h"
#include "text/grammar_json.h"

enum { STOPS_MAX = 16 };

/* ---- how to sample --------------------------------------------------------------------------------------------- */

static bool read_stops(struct inquiry *o, const json_t *body, struct problem *p)
{
    const json_t *stop = field_get(body, "stop");
    size_t n = json_is_array(stop) ? json_array_size(stop) : stop != NULL;

    if (n > STOPS_MAX) return problem_set(p, 400, "stop", NULL, "stop may be %d texts at most", STOPS_MAX);
    if (n == 0) return true;
    o->stops = calloc(n, sizeof *o->stops);
    if (o->stops == NULL) return problem_no_memory(p);
    for (size_t i = 0; i < n; i++) {
        const json_t *text = json_is_array(stop) ? json_array_get(stop, i) : stop;

        if (!json_is_string(text) || json_string_length(text) == 0)
            return problem_set(p, 400, "stop", NULL, "stop must be a text, or texts, that are not empty");
        o->stops[i] = strdup(json_string_value(text));
        if (o->stops[i] == NULL) return problem_no_memory(p);
        o->ask.n_stop = i + 1;
    }
    return true;
}

static bool read_max_tokens(struct inquiry *o, const json_t *body, const struct request_rules *rules,
                            struct problem *p)
{
    static const char *const names[] = { "max_tokens", "max_completion_tokens" };
    int64_t n = o->ask.max_tokens;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!field_int(body, names[i], -1, INT32_MAX, &n, p)) return false;
    if (n == 0) return problem_set(p, 400, "max_tokens", NULL, "max_tokens must be 1 or more, or -1");
    if (n < 0 || n > rules->max_tokens) n = rules->max_tokens;
    o->ask.max_tokens = (int)n;
    return true;
}

static bool read_seed(struct inquiry *o, const json_t *body, const struct request_rules *rules,
                      struct problem *p)
{
    int64_t seed = 0;

    if (field_get(body, "seed") == NULL) {
        if (!rules->seed_given &&
            getrandom(&o->ask.seed, sizeof o->ask.seed, 0) != (ssize_t)sizeof o->ask.seed)
            return problem_set(p, 500, NULL, NULL, "the system gives no random numbers");
        return true;
    }
    if (!field_int(body, "seed", INT64_MIN, INT64_MAX, &seed, p)) return false;
    o->ask.seed = (uint64_t)seed;
    return true;
}

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

/* Whether an answer can be held to it: what the engine would find out too late for a status of its own. */
static bool check_form(const struct inquiry *o, const char *param, struct problem *p)
{
    const char *preset = o->grammar != NULL ? grammar_preset(o->grammar) : NULL, *text = o->grammar;
    char *made = NULL;
    struct err e = { 0 };
    struct grammar g;
    enum status st = STATUS_OK;

    if (preset != NULL) text = preset;
    if (o->schema != NULL) st = grammar_from_schema(o->schema, strlen(o->schema), &made, &e);
    if (made != NULL) text = made;
    if (st == STATUS_OK && text != NULL) st = grammar_parse(&g, text, strlen(text), NULL, 0, &e);
    if (st == STATUS_OK && text != NULL) grammar_free(&g);
    free(made);
    if (st == STATUS_NO_MEMORY) return problem_no_memory(p);
    return st == STATUS_OK || problem_set(p, 400, param, NULL, "%s", e.text);
}

/* What the answer must look like: response_format as OpenAI has it, or a grammar as llama.cpp does. */
static bool read_form(struct inquiry *o, const json_t *body, struct problem *p)
{
    const json_t *format = field_get(body, "response_format"), *type = json_object_get(format, "type"),
                 *schema;
    const char *grammar = NULL;

    if (!field_text(body, "grammar", &grammar, p)) return false;
    if (grammar != NULL) {
        o->grammar = strdup(grammar);
        return o->grammar != NULL ? check_form(o, "grammar", p) : problem_no_memory(p);
    }
    if (format == NULL || is_text(type, "text")) return true;
    schema = json_object_get(json_object_get(format, "json_schema"), "schema");
    if (is_text(type, "json_object"))
        o->schema = strdup("{\"type\": \"object\"}");
    else if (is_text(type, "json_schema") && json_is_object(schema))
        o->schema = json_dumps(schema, JSON_COMPACT);
    else
        return problem_set(
            p, 400, "response_format", NULL,
            "response_format is {\"type\": \"text\"}, {\"type\": \"json_object\"} or {\"type\": "
            "\"json_schema\", \"json_schema\": {\"schema\": {...}}}");
    return o->schema != NULL ? check_form(o, "response_format", p) : problem_no_memory(p);
}

bool request_sampling(struct inquiry *o, const json_t *body, const struct request_rules *rules,
                      struct problem *p)
{
    int64_t top_k, last_n;

    o->ask = rules->ask;
    o->ask.stop = NULL;
    o->ask.n_stop = 0;
    o->ask.grammar = o->ask.json_schema = NULL;
    top_k = o->ask.top_k;
    last_n = o->ask.repeat_last_n;
    if (!field_float(body, "temperature", 0, 100, &o->ask.temperature, p) ||
        !field_float(body, "top_p", 0, 1, &o->ask.top_p, p) ||
        !field_int(body, "top_k", 0, INT32_MAX, &top_k, p) ||
        !field_float(body, "min_p", 0, 0.999999, &o->ask.min_p, p) ||
        !field_float(body, "repeat_penalty", 0.01, 100, &o->ask.repeat_penalty, p) ||
        !field_int(body, "repeat_last_n", -1, INT32_MAX, &last_n, p))
        return false;
    o->ask.top_k = (int)top_k;
    o->ask.repeat_last_n = (int)last_n;
    return read_max_tokens(o, body, rules, p) && read_seed(o, body, rules, p) && read_stops(o, body, p) &&
           read_form(o, body, p);
}

/* ---- messages -------------------------------------------------------------------------------------------------- */

bool request_image(struct inquiry *o, const json_t *image, const char *param,
                   const struct request_rules *rules, struct problem *p)
{
    const json_t *url = json_is_object(image) ? json_object_get(image, "url") : image;
    unsigned char *data;
    size_t size;

    if (!json_is_string(url))
        return problem_set(p, 400, param, "invalid_image", "an image is {\"url\": \"data:image/...\"}");
    if (o->image != NULL)
        return problem_set(p, 400, param, "invalid_image",
                           "there are several images: SPHINX looks at one image in a conversation");
    if (!image_source_read(json_string_value(url), rules->media_path, &data, &size, param, p)) return false;
    o->picture = pictures_get(rules->pictures, data, size, &rules->session, p);
    if (o->picture != NULL) o->image = o->picture->image;
    free(data);
    return o->picture != NULL;
}

/* Messages of one role that follow each other: a line each. */
struct lines {
    char *text; /* [size], NUL behind it; NULL: none yet */
    size_t size, capacity;
};

static bool lines_add(struct lines *l, const json_t *text, struct problem *p)
{
    size_t n = json_string_length(text), needed = l->size + n + 2;

    if (needed > l->capacity) {
        size_t capacity = needed > 2 * l->capacity ? needed : 2 * l->capacity;
        char *larger = realloc(l->text, capacity);

        if (larger == NULL) return problem_no_memory(p);
        if (l->text == NULL) larger[0] = '\0';
        l->text = larger;
        l->capacity = capacity;
    }
    if (l->size > 0) l->text[l->size++] = '\n';
    memcpy(l->text + l->size, json_string_value(text), n);
    l->size += n;
    l->text[l->size] = '\0';
    return true;
}

enum role { ROLE_NONE, ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT };

/* The dialogue as far as it is read. */
struct reading {
    struct inquiry *inquiry;
    const struct request_rules *rules;
    struct problem *problem;
    enum role role; /* of the messages in `lines` */
    struct lines lines;
    size_t capacity; /* of the turns */
};

static bool add_part(struct reading *r, const json_t *part)
{
    const json_t *type = json_object_get(part, "type"), *value;

    if (is_text(type, "text") || is_text(type, "input_text")) {
        value = json_object_get(part, "text");
        if (!json_is_string(value))
            return problem_set(r->problem, 400, "messages", NULL, "a part of type text has no text");
        return lines_add(&r->lines, value, r->problem);
    }
    if (is_text(type, "image_url") || is_text(type, "input_image")) {
        if (r->role != ROLE_USER)
            return problem_set(r->problem, 400, "messages", NULL, "only a user's message may hold an image");
        return request_image(r->inquiry, json_object_get(part, "image_url"), "messages", r->rules,
                             r->problem);
    }
    if (json_is_string(type))
        return problem_set(r->problem, 400, "messages", "unsupported_parameter",
                           "a part of type %.40s: only text and image_url are known",
                           json_string_value(type));
    return problem_set(r->problem, 400, "messages", NULL,
                       "a part of a message must be an object with a type");
}

/* The text of a message becomes a line; an image becomes the inquiry's. */
static bool add_content(struct reading *r, const json_t *message)
{
    const json_t *content = field_get(message, "content"), *part;
    size_t i;

    if (content == NULL) return true; /* as of assistants that called a tool */
    if (json_is_string(content)) return lines_add(&r->lines, content, r->problem);
    if (!json_is_array(content))
        return problem_set(r->problem, 400, "messages", NULL,
                           "a message's content must be a text or a list of parts");
    json_array_foreach(content, i, part)
    {
        if (!add_part(r, part)) return false;
    }
    return true;
}

/* The question and its answer, which is taken over. */
static bool add_turn(struct reading *r, char *answer)
{
    struct inquiry *o = r->inquiry;

    if (o->n_turns == r->capacity) {
        size_t more = r->capacity == 0 ? 8 : 2 * r->capacity;
        struct inquiry_turn *turns = realloc(o->turns, more * sizeof *turns);

        if (turns == NULL) {
            free(answer);
            return problem_no_memory(r->problem);
        }
        o->turns = turns;
        r->capacity = more;
    }
    o->turns[o->n_turns++] = (struct inquiry_turn){ o->question != NULL ? o->question : strdup(""), answer };
    o->question = NULL;
    return o->turns[o->n_turns - 1].question != NULL || problem_no_memory(r->problem);
}

/* What was said by one role is complete. */
static bool end_role(struct reading *r)
{
    char *text = r->lines.text != NULL ? r->lines.text : strdup("");

    r->lines = (struct lines){ 0 };
    if (text == NULL) return problem_no_memory(r->problem);
    if (r->role == ROLE_SYSTEM) r->inquiry->system = text;
    if (r->role == ROLE_USER) r->inquiry->question = text;
    if (r->role == ROLE_ASSISTANT) return add_turn(r, text);
    if (r->role == ROLE_NONE) free(text);
    return true;
}

static enum role role_of(const json_t *message)
{
    const json_t *role = json_object_get(message, "role");

    if (is_text(role, "system") || is_text(role, "developer")) return ROLE_SYSTEM;
    if (is_text(role, "user")) return ROLE_USER;
    return is_text(role, "assistant") ? ROLE_ASSISTANT : ROLE_NONE;
}

static bool add_message(struct reading *r, size_t i, const json_t *message)
{
    enum role role = role_of(message);

    if (role == ROLE_NONE)
        return problem_set(r->problem, 400, "messages", NULL,
                           "message %zu: its role must be system, developer, user or assistant", i);
    if (role != r->role) {
        if (role == ROLE_SYSTEM && r->role != ROLE_NONE)
            return problem_set(r->problem, 400, "messages", NULL,
                               "message %zu: a system message stands before all others", i);
        if (!end_role(r)) return false;
        r->role = role;
    }
    return add_content(r, message);
}

bool request_system(struct inquiry *o, const struct request_rules *rules, struct problem *p)
{
    if (o->system != NULL || rules->session.system == NULL) return true;
    o->system = strdup(rules->session.system);
    return o->system != NULL || problem_no_memory(p);
}

bool request_messages(struct inquiry *o, const json_t *messages, const struct request_rules *rules,
                      struct problem *p)
{
    struct reading r = { .inquiry = o, .rules = rules, .problem = p };
    const json_t *message;
    bool ok = true;
    size_t i;

    if (!json_is_array(messages) || json_array_size(messages) == 0)
        return problem_set(p, 400, "messages", NULL, "messages must be a list of messages");
    json_array_foreach(messages, i, message)
    {
        ok = ok && add_message(&r, i, message);
    }
    if (ok && r.role != ROLE_USER)
        ok = problem_set(p, 400, "messages", NULL, "the last message must be a user's");
    if (ok) return end_role(&r) && request_system(o, rules, p);
    free(r.lines.text);
    return false;
}

/* ---- the whole request ----------------------------------------------------------------------------------------- */

static bool is_asked_for(const json_t *value)
{
    if (json_is_array(value)) return json_array_size(value) > 0;
    if (json_is_object(value)) return json_object_size(value) > 0;
    if (json_is_number(value)) return json_number_value(value) != 0;
    return value != NULL && !json_is_false(value);
}

/* What would change the answer, and is not had. */
static bool refuse_unsupported(const json_t *body, struct problem *p)
{
    static const char *const names[] = { "tools",      "functions",        "audio",
                                         "logit_bias", "presence_penalty", "frequency_penalty" };
    const json_t *modality;
    size_t k;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (is_asked_for(field_get(body, names[i])))
            return problem_set(p, 400, names[i], "unsupported_parameter", "%s cannot be had here", names[i]);
    json_array_foreach(field_get(body, "modalities"), k, modality)
    {
        if (!is_text(modality, "text"))
            return problem_set(p, 400, "modalities", "unsupported_parameter", "answers are text");
    }
    return true;
}

static bool read_wishes(struct chat_request *r, const json_t *body, struct problem *p)
{
    int64_t n = 1, best_of = 1;
    const json_t *options = field_get(body, "stream_options");

    if (!field_int(body, "n", 1, INT32_MAX, &n, p) ||
        !field_int(body, "best_of", 1, INT32_MAX, &best_of, p) || !field_bool(body, "stream", &r->stream, p))
        return false;
    if (n > 1 || best_of > 1)
        return problem_set(p, 400, n > 1 ? "n" : "best_of", "unsupported_parameter",
                           "one answer is given to a request");
    if (options != NULL && !json_is_object(options))
        return problem_set(p, 400, "stream_options", NULL, "stream_options must be an object");
    return options == NULL || field_bool(options, "include_usage", &r->usage, p);
}

static void want_tokens(struct chat_request *r, bool wanted, int64_t n_top)
{
    r->logprobs = r->inquiry.tokens = wanted;
    r->inquiry.ask.n_top = (int)n_top;
}

static bool read_logprobs(struct chat_request *r, const json_t *body, struct problem *p)
{
    bool wanted = false;
    int64_t top = 0;

    if (!field_bool(body, "logprobs", &wanted, p) ||
        !field_int(body, "top_logprobs", 0, SPHINX_TOP_MAX, &top, p))
        return false;
    if (top > 0 && !wanted)
        return problem_set(p, 400, "top_logprobs", NULL, "top_logprobs needs logprobs to be true");
    want_tokens(r, wanted, top);
    return true;
}

/* A text, or a list of one. */
static bool read_prompt(struct chat_request *r, const json_t *body, const struct request_rules *rules,
                        struct problem *p)
{
    const json_t *prompt = json_object_get(body, "prompt"), *image = field_get(body, "image");
    int64_t top = -1;

    if (json_is_array(prompt) && json_array_size(prompt) == 1) prompt = json_array_get(prompt, 0);
    if (!json_is_string(prompt))
        return problem_set(p, 400, "prompt", NULL, "prompt must be a text, or a list of one");
    if (is_asked_for(field_get(body, "suffix")))
        return problem_set(p, 400, "suffix", "unsupported_parameter", "suffix cannot be had here");
    if (!field_bool(body, "echo", &r->echo, p) || !field_int(body, "logprobs", 0, SPHINX_TOP_MAX, &top, p))
        return false;
    want_tokens(r, top >= 0, top > 0 ? top : 0);
    r->inquiry.ask.raw = true;
    r->inquiry.question = strdup(json_string_value(prompt));
    if (r->inquiry.question == NULL) return problem_no_memory(p);
    return image == NULL || request_image(&r->inquiry, image, "image", rules, p);
}

void chat_request_free(struct chat_request *r)
{
    inquiry_free(&r->inquiry);
}

/* What both kinds have, and what a dialogue or a prompt has. */
static bool read_request(struct chat_request *r, const char *body, size_t size,
                         const struct request_rules *rules, bool chats, struct problem *p)
{
    json_t *o = json_body(body, size, p);
    bool ok;

    *r = (struct chat_request){ 0 };
    if (o == NULL) return false;
    ok = refuse_unsupported(o, p) && request_sampling(&r->inquiry, o, rules, p) && read_wishes(r, o, p);
    if (chats)
        ok = ok && read_logprobs(r, o, p) &&
             request_messages(&r->inquiry, json_object_get(o, "messages"), rules, p);
    else
        ok = ok && read_prompt(r, o, rules, p);
    json_decref(o);
    if (!ok) chat_request_free(r);
    return ok;
}

bool chat_request_read(struct chat_request *r, const char *body, size_t size,
                       const struct request_rules *rules, struct problem *p)
{
    return read_request(r, body, size, rules, true, p);
}

bool text_request_read(struct chat_request *r, const char *body, size_t size,
                       const struct request_rules *rules, struct problem *p)
{
    return read_request(r, body, size, rules, false, p);
}
