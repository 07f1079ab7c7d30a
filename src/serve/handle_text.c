/*
 * handle_text.c - between text, ids and prompt: /tokenize, /detokenize, /apply-template.
 */
#include <stdlib.h>
#include <string.h>

#include "serve/await.h"
#include "serve/handlers.h"
#include "serve/reply.h"
#include "text/conversation.h"
#include "text/utf8.h"

/* The body as JSON; NULL after the reply that says what is wrong. */
static json_t *read_body(struct exchange *x)
{
    struct problem p = { 0 };
    json_t *o = json_body(x->body, x->size, &p);

    if (o == NULL) reply_problem(x, &p);
    return o;
}

/* ---- text to ids ----------------------------------------------------------------------------------------------- */

/* An id's bytes: text, or, of a part of a character, a list of numbers. */
static json_t *piece_json(const sphinx_model *model, int32_t id)
{
    json_t *piece, *o = json_pack("{s:i}", "id", id);
    char *text;
    size_t size;

    if (sphinx_token_text(model, id, &text, &size, NULL) != SPHINX_OK) return o;
    piece = json_stringn(text, size);
    for (size_t i = 0; i < size && !json_is_string(piece); i++) {
        if (piece == NULL) piece = json_array();
        json_array_append_new(piece, json_integer((unsigned char)text[i]));
    }
    sphinx_free(text);
    json_object_set_new(o, "piece", piece);
    return o;
}

static bool tokenize(struct exchange *x, const json_t *body, struct problem *p)
{
    const json_t *content = json_object_get(body, "content");
    bool special = false, pieces = false;
    sphinx_error error = { 0 };
    json_t *list;
    int32_t *ids;
    size_t n;

    if (!json_is_string(content)) return problem_set(p, 400, "content", NULL, "content must be a text");
    if (!field_bool(body, "add_special", &special, p) || !field_bool(body, "with_pieces", &pieces, p))
        return false;
    if (sphinx_tokenize(x->server->model, json_string_value(content), json_string_length(content), special,
                        &ids, &n, &error) != SPHINX_OK)
        return problem_of(p, &error, "content", NULL);
    list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, pieces ? piece_json(x->server->model, ids[i]) : json_integer(ids[i]));
    sphinx_free(ids);
    reply_json(x, 200, json_pack("{s:o}", "tokens", list));
    return true;
}

/* ---- ids to text ----------------------------------------------------------------------------------------------- */

static bool detokenize(struct exchange *x, const json_t *body, struct problem *p)
{
    const json_t *tokens = json_object_get(body, "tokens"), *token;
    sphinx_error error = { 0 };
    char *text = NULL;
    int32_t *ids;
    size_t i, size;

    if (!json_is_array(tokens)) return problem_set(p, 400, "tokens", NULL, "tokens must be a list of ids");
    ids = malloc((json_array_size(tokens) + 1) * sizeof *ids);
    if (ids == NULL) return problem_no_memory(p);
    json_array_foreach(tokens, i, token)
    {
        json_int_t id = json_is_integer(token) ? json_integer_value(token) : -1;

        ids[i] = id >= 0 && id <= INT32_MAX ? (int32_t)id : -1; /* which is refused below */
    }
    sphinx_detokenize(x->server->model, ids, json_array_size(tokens), &text, &size, &error);
    free(ids);
    if (error.code != SPHINX_OK) return problem_of(p, &error, "tokens", NULL);
    reply_json(x, 200, json_pack("{s:o}", "content", json_stringn(text, size)));
    sphinx_free(text);
    return true;
}

/* ---- messages to prompt ---------------------------------------------------------------------------------------- */

static bool render(struct exchange *x, const struct inquiry *o, struct problem *p)
{
    struct conv_turn *turns = calloc(o->n_turns + 1, sizeof *turns);
    struct err e = { 0 };
    enum status st;
    char *text;

    if (turns == NULL) return problem_no_memory(p);
    for (size_t i = 0; i < o->n_turns; i++)
        turns[i] = (struct conv_turn){ o->turns[i].question, o->turns[i].answer, NULL };
    turns[o->n_turns].question = o->question;
    st = conv_render(o->system, turns, o->n_turns + 1, &text, NULL, &e);
    free(turns);
    if (st != STATUS_OK)
        return problem_set(p, st == STATUS_NO_MEMORY ? 500 : 400, "messages", NULL, "%s", e.text);
    reply_json(x, 200, json_pack("{s:s}", "prompt", text));
    free(text);
    return true;
}

static bool apply_template(struct exchange *x, const json_t *body, struct problem *p)
{
    struct inquiry o = { 0 };
    bool ok =
        request_messages(&o, json_object_get(body, "messages"), &x->server->rules, p) && render(x, &o, p);

    inquiry_free(&o);
    return ok;
}

/* ---- all three ------------------------------------------------------------------------------------------------- */

static void answer(struct exchange *x, bool (*make)(struct exchange *, const json_t *, struct problem *))
{
    struct problem p = { 0 };
    json_t *body;

    await_parse_begin(x);
    body = read_body(x);
    if (body != NULL && !make(x, body, &p)) reply_problem(x, &p);
    json_decref(body);
    await_parse_end(x);
}

void handle_tokenize(struct exchange *x)
{
    answer(x, tokenize);
}

void handle_detokenize(struct exchange *x)
{
    answer(x, detokenize);
}

void handle_template(struct exchange *x)
{
    answer(x, apply_template);
}
