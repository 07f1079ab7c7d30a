/*
 * handle_chat.c - /v1/chat/completions and /v1/completions: an inquiry becomes a ticket; its answer is one object, or a stream of
 * chunks.
 *
 * The stream begins when there is something to tell, so that what is wrong with the request has a status of its own. While nothing
 * happens the connection is looked at, and a comment keeps it open.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/report.h"
#include "serve/answer_json.h"
#include "serve/await.h"
#include "serve/handlers.h"
#include "serve/reply.h"

static const double ping_seconds = 15;

struct chat {
    struct exchange *x;
    struct ticket *ticket; /* borrowed from the exchange */
    bool raw;              /* of /v1/completions */
    bool usage, logprobs;
    const char *echo; /* what the text begins with: the prompt; NULL: nothing */
    char id[40];
    int64_t created;
    struct ticket_news news;
    double told;          /* when something was sent last */
    size_t n_shown;       /* tokens in chunks so far */
    bool begun, complete; /* the role was told; nothing follows */
    char *events;         /* [n_events] ready to be sent, [at] of them sent */
    size_t n_events, at, capacity;
};

static void chat_free(void *user)
{
    struct chat *c = user;

    await_drop(&c->news);
    free(c->events);
    free(c);
}

/* ---- the whole answer ------------------------------------------------------------------------------------------ */

static json_t *reply_head(const struct chat *c, const char *object)
{
    return json_pack("{s:s, s:s, s:I, s:s}", "id", c->id, "object", object, "created", (json_int_t)c->created,
                     "model", c->x->server->model_name);
}

/* The answer as /v1/completions has it. */
static json_t *text_choice(const struct chat *c, const sphinx_answer *a, json_t *logprobs)
{
    const char *echo = c->echo != NULL ? c->echo : "";

    return json_pack("[{s:i, s:s+, s:o, s:s}]", "index", 0, "text", echo, a->text, "logprobs", logprobs,
                     "finish_reason", finish_name(a));
}

static json_t *message_choice(const sphinx_answer *a, json_t *logprobs)
{
    return json_pack("[{s:i, s:{s:s, s:s, s:n}, s:o, s:s}]", "index", 0, "message", "role", "assistant",
                     "content", a->text, "refusal", "logprobs", logprobs, "finish_reason", finish_name(a));
}

/* In the form of either; null if nobody wants them. */
static json_t *logprobs_of(const struct chat *c, const struct ticket_token *tokens, size_t n,
                           const sphinx_span *spans)
{
    const sphinx_model *model = c->x->server->model;

    if (!c->logprobs) return json_null();
    return c->raw ? text_logprobs_json(model, tokens, n, spans) : logprobs_json(model, tokens, n, spans);
}

static json_t *completion_json(const struct chat *c)
{
    const sphinx_answer *a = c->ticket->answer;
    json_t *o = reply_head(c, c->raw ? "text_completion" : "chat.completion"),
           *logprobs = logprobs_of(c, c->ticket->tokens, c->ticket->n_tokens, a->spans);

    json_object_set_new(o, "choices", c->raw ? text_choice(c, a, logprobs) : message_choice(a, logprobs));
    json_object_set_new(o, "usage", usage_json(a));
    json_object_set_new(o, "sphinx", sphinx_json(a, c->ticket->inquiry.image, await_queued(c->x)));
    return o;
}

static void reply_whole(struct chat *c)
{
    struct problem p = { 0 };

    if (await_answer(c->x, &p))
        reply_json(c->x, 200, completion_json(c));
    else
        reply_problem(c->x, &p);
}

/* ---- a stream -------------------------------------------------------------------------------------------------- */

static void add_bytes(struct chat *c, const char *bytes, size_t size)
{
    if (c->n_events + size > c->capacity) {
        size_t capacity = 2 * (c->n_events + size);
        char *larger = realloc(c->events, capacity);

        if (larger == NULL) return;
        c->events = larger;
        c->capacity = capacity;
    }
    memcpy(c->events + c->n_events, bytes, size);
    c->n_events += size;
}

static void add_text(struct chat *c, const char *text)
{
    add_bytes(c, text, strlen(text));
}

/* o is taken over. */
static void add_event(struct chat *c, json_t *o)
{
    char *text = json_line(o);

    if (text == NULL) return;
    add_text(c, "data: ");
    add_text(c, text);
    add_text(c, "\n\n");
    free(text);
}

/* What is new in a chunk: all of it taken over, NULL where there is none. */
struct chunk {
    json_t *text, *logprobs, *ours;
    const char *finish;
    bool first; /* tells the role */
};

static json_t *delta_json(const struct chunk *k)
{
    json_t *o = json_object();

    if (k->first) json_object_set_new(o, "role", json_string("assistant"));
    if (k->first || k->text != NULL)
        json_object_set_new(o, "content", k->text != NULL ? k->text : json_string(""));
    return o;
}

static void add_chunk(struct chat *c, const struct chunk *k)
{
    json_t *o = reply_head(c, c->raw ? "text_completion" : "chat.completion.chunk"),
           *logprobs = k->logprobs != NULL ? k->logprobs : json_null(), *new;

    if (c->raw)
        new = k->text != NULL ? k->text : json_string("");
    else
        new = delta_json(k);
    json_object_set_new(o, "choices",
                        json_pack("[{s:i, s:o, s:o, s:s?}]", "index", 0, c->raw ? "text" : "delta", new,
                                  "logprobs", logprobs, "finish_reason", k->finish));
    if (k->ours != NULL) json_object_set_new(o, "sphinx", k->ours);
    add_event(c, o);
}

static void add_text_chunk(struct chat *c)
{
    const struct ticket_news *n = &c->news;

    if (n->n_text == 0) return;
    c->n_shown += n->n_new;
    add_chunk(c, &(struct chunk){ .text = json_stringn(n->text, n->n_text),
                                  .logprobs = logprobs_of(c, n->tokens, n->n_new, NULL) });
}

/* Tokens that came behind the last text: those of the stop text have none. */
static json_t *last_logprobs(const struct chat *c)
{
    const struct ticket *t = c->ticket;

    return logprobs_of(c, t->tokens + c->n_shown, t->n_tokens - c->n_shown, t->answer->spans + c->n_shown);
}

static void add_end(struct chat *c)
{
    const sphinx_answer *a = c->ticket->answer;
    json_t *usage;

    add_chunk(c, &(struct chunk){ .logprobs = c->n_shown < c->ticket->n_tokens ? last_logprobs(c) : NULL,
                                  .finish = finish_name(a),
                                  .ours = sphinx_json(a, c->ticket->inquiry.image, await_queued(c->x)) });
    if (c->usage) {
        usage = reply_head(c, c->raw ? "text_completion" : "chat.completion.chunk");
        json_object_set_new(usage, "choices", json_array());
        json_object_set_new(usage, "usage", usage_json(a));
        add_event(c, usage);
    }
    add_text(c, "data: [DONE]\n\n");
}

static void add_problem(struct chat *c, const struct problem *p)
{
    atomic_fetch_add(&c->x->server->n_errors, 1);
    add_event(c, problem_json(p));
    c->complete = true;
}

/* The news as events. */
static void add_news(struct chat *c)
{
    struct problem p = { 0 };

    if (!c->begun && (!c->raw || c->echo != NULL))
        add_chunk(c, &(struct chunk){ .first = true, .text = c->echo != NULL ? json_string(c->echo) : NULL });
    c->begun = true;
    if (c->news.progressed) add_chunk(c, &(struct chunk){ .ours = progress_json(&c->news.progress) });
    add_text_chunk(c);
    await_drop(&c->news);
    if (!c->news.ended) return;
    c->complete = true;
    if (await_check(c->x, &p))
        add_end(c);
    else
        add_problem(c, &p);
}

static bool has_news(const struct chat *c)
{
    return c->news.ended || c->news.progressed || c->news.n_text > 0;
}

/* Until there is something to send. */
static void wait_for_events(struct chat *c)
{
    struct problem p = { 0 };

    c->n_events = c->at = 0;
    while (c->n_events == 0) {
        if (!await_news(c->x, &c->news, &p))
            add_problem(c, &p);
        else if (has_news(c))
            add_news(c);
        else if (clock_seconds() - c->told > ping_seconds)
            add_text(c, ": ping\n\n");
    }
    c->told = clock_seconds();
}

static ssize_t read_events(void *user, uint64_t position, char *buffer, size_t size)
{
    struct exchange *x = user;
    struct chat *c = x->stream;
    size_t n;

    (void)position;
    watch_wait(&x->server->watch, x->watched, false);
    if (c->at == c->n_events) {
        if (c->complete) return MHD_CONTENT_READER_END_OF_STREAM;
        wait_for_events(c);
    }
    n = c->n_events - c->at < size ? c->n_events - c->at : size;
    memcpy(buffer, c->events + c->at, n);
    c->at += n;
    x->n_sent += n;
    watch_wait(&x->server->watch, x->watched, true);
    return (ssize_t)n;
}

/* Ends c, or hands it to the exchange. */
static void reply_stream(struct chat *c)
{
    struct problem p = { 0 };
    bool wanted = true;

    while (wanted && !has_news(c)) {
        await_drop(&c->news);
        wanted = await_news(c->x, &c->news, &p);
    }
    if (!wanted || (c->news.ended && !await_check(c->x, &p))) {
        reply_problem(c->x, &p);
        chat_free(c);
        return;
    }
    add_news(c);
    c->told = clock_seconds();
    reply_events(c->x, read_events, c, chat_free);
}

/* ---- the request ----------------------------------------------------------------------------------------------- */

/* Once it is submitted. */
static void reply_to(struct chat *c, const struct chat_request *r)
{
    struct exchange *x = c->x;

    c->ticket = x->ticket;
    c->usage = r->usage;
    c->logprobs = r->logprobs;
    if (r->echo) c->echo = x->ticket->inquiry.question;
    c->created = (int64_t)time(NULL);
    snprintf(c->id, sizeof c->id, "%s-%llx%08llx", c->raw ? "cmpl" : "chatcmpl",
             (unsigned long long)x->server->opened, (unsigned long long)x->ticket->number);
    c->told = clock_seconds();
    if (r->stream) {
        reply_stream(c);
    } else {
        reply_whole(c);
        chat_free(c);
    }
}

static void answer(struct exchange *x, bool raw)
{
    struct chat *c = calloc(1, sizeof *c);
    struct chat_request r = { 0 };
    struct problem p = { 0 };
    bool ok;

    await_parse_begin(x);
    if (c == NULL)
        ok = problem_no_memory(&p);
    else
        ok = (raw ? text_request_read : chat_request_read)(&r, x->body, x->size, &x->server->rules, &p);
    await_parse_end(x);
    if (!ok || !await_begin(x, &r.inquiry, &p)) {
        reply_problem(x, &p);
        free(c);
        return;
    }
    c->x = x;
    c->raw = raw;
    reply_to(c, &r);
}

void handle_chat(struct exchange *x)
{
    answer(x, false);
}

void handle_completions(struct exchange *x)
{
    answer(x, true);
}
