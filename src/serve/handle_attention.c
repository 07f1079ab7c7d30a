/*
 * handle_attention.c - /v1/attention: where in the image the model looks as it writes an answer, or a part of it.
 */
#include <stdlib.h>
#include <string.h>

#include "serve/answer_json.h"
#include "serve/await.h"
#include "serve/handlers.h"
#include "serve/reply.h"
#include "text/utf8.h"

struct look {
    struct inquiry inquiry;
    char *answer;
    size_t begin, end; /* bytes of it */
    bool picture;
};

/* ---- the request ----------------------------------------------------------------------------------------------- */

/* The byte at which character n of text begins; its end if n is larger. */
static size_t byte_of(const char *text, int64_t n)
{
    size_t size = strlen(text), at = 0, length;

    for (; n > 0 && at < size; n--, at += length) utf8_next(text + at, size - at, &length, NULL);
    return at;
}

static bool read_part(struct look *l, const json_t *body, struct problem *p)
{
    const char *answer = NULL;
    int64_t start = 0, end = INT32_MAX;

    if (!field_text(body, "answer", &answer, p) || !field_int(body, "start", 0, INT32_MAX, &start, p) ||
        !field_int(body, "end", 0, INT32_MAX, &end, p) || !field_bool(body, "picture", &l->picture, p))
        return false;
    if (answer == NULL) return problem_set(p, 400, "answer", NULL, "answer is needed: what the model wrote");
    l->begin = byte_of(answer, start);
    l->end = byte_of(answer, end);
    if (l->begin >= l->end)
        return problem_set(p, 400, "end", NULL, "start and end must enclose a part of the answer");
    l->answer = strdup(answer);
    return l->answer != NULL || problem_no_memory(p);
}

static bool read_request(struct look *l, const struct exchange *x, struct problem *p)
{
    json_t *o = json_body(x->body, x->size, p);
    bool ok = o != NULL && read_part(l, o, p) &&
              request_messages(&l->inquiry, json_object_get(o, "messages"), &x->server->rules, p);

    json_decref(o);
    if (ok && l->inquiry.image == NULL)
        return problem_set(p, 400, "messages", NULL, "there is no image to look at");
    return ok;
}

/* ---- looking --------------------------------------------------------------------------------------------------- */

/* Under the lock of the session. */
static sphinx_status look_with(sphinx_session *s, const struct look *l, sphinx_attention **a,
                               sphinx_error *error)
{
    const struct inquiry *o = &l->inquiry;
    sphinx_status st = sphinx_session_image(s, o->image, error);

    if (st != SPHINX_OK) return st;
    sphinx_session_clear(s);
    st = sphinx_session_system(s, o->system, error);
    for (size_t i = 0; i < o->n_turns && st == SPHINX_OK; i++)
        st = sphinx_session_append(s, o->turns[i].question, o->turns[i].answer, error);
    if (st != SPHINX_OK) return st;
    return sphinx_session_attention_to(s, o->question, l->answer, l->begin, l->end, a, error);
}

/* A list of side * side weights, row by row, for each view. */
static json_t *weights_json(const sphinx_attention *a)
{
    json_t *views = json_array();

    for (int v = 0; v < a->views; v++) {
        json_t *view = json_array();

        for (int i = 0; i < a->side * a->side; i++)
            json_array_append_new(view, json_real((double)a->weights[v * a->side * a->side + i]));
        json_array_append_new(views, view);
    }
    return views;
}

static bool make_reply(struct exchange *x, const struct look *l, const sphinx_attention *a, struct problem *p)
{
    json_t *o = json_pack("{s:s, s:s, s:i, s:i, s:o}", "object", "attention", "model", x->server->model_name,
                          "views", a->views, "side", a->side, "weights", weights_json(a));
    sphinx_error error = { 0 };
    unsigned char *png;
    size_t size;

    if (l->picture) {
        if (sphinx_attention_png(l->inquiry.image, a, &png, &size, &error) != SPHINX_OK) {
            json_decref(o);
            return problem_of(p, &error, "picture", NULL);
        }
        json_object_set_new(o, "picture", png_json(png, size));
        sphinx_free(png);
    }
    reply_json(x, 200, o);
    return true;
}

static bool look(struct exchange *x, struct look *l, struct problem *p)
{
    struct server *s = x->server;
    sphinx_attention *a = NULL;
    sphinx_error error = { 0 };
    sphinx_status st;
    bool ok;

    if (!inquiry_check(&l->inquiry, s->model, p)) return false;
    pthread_mutex_lock(&s->reader_lock);
    st = look_with(s->reader, l, &a, &error);
    pthread_mutex_unlock(&s->reader_lock);
    if (st != SPHINX_OK) return problem_of(p, &error, "messages", NULL);
    ok = make_reply(x, l, a, p);
    sphinx_attention_free(a);
    return ok;
}

void handle_attention(struct exchange *x)
{
    struct look l = { 0 };
    struct problem p = { 0 };
    bool ok;

    await_parse_begin(x);
    ok = read_request(&l, x, &p);
    await_parse_end(x);
    if (!ok || !look(x, &l, &p)) reply_problem(x, &p);
    inquiry_free(&l.inquiry);
    free(l.answer);
}
