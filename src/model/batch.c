/*
 * batch.c - many questions at once. See sphinx.h and ask.h.
 *
 *   joined ── every step: those that are answering, and the first of those whose prompt is long ── done ── taken
 *
 * Members stand in the order of joining.
 */
#include "model/ask.h"
#include "model/public.h"

#include <stdlib.h>

struct sphinx_batch {
    sphinx_model *model; /* borrowed */
    struct ctx ctx;
    struct arena arena;
    struct asking **members; /* [n] of [capacity] */
    struct asking **stepping;
    struct step_part **parts;
    size_t n, capacity;
};

static enum status open_batch(struct sphinx_batch *b, sphinx_model *m, int threads, struct err *e)
{
    enum status st = public_threads(&threads, m->threads, e);

    b->model = m;
    return st == STATUS_OK ? ctx_init(&b->ctx, m->backend, &b->arena, threads, e) : st;
}

sphinx_status sphinx_batch_open(sphinx_batch **batch, sphinx_model *model, int threads, sphinx_error *error)
{
    struct err e = { 0 };
    enum status st;

    *batch = calloc(1, sizeof **batch);
    if (*batch == NULL) return public_status(err_no_memory(&e, "batch"), &e, error);
    st = open_batch(*batch, model, threads, &e);
    if (st != STATUS_OK) {
        sphinx_batch_close(*batch);
        *batch = NULL;
    }
    return public_status(st, &e, error);
}

/* Ends member i, which leaves. */
static enum status leave(struct sphinx_batch *b, size_t i, sphinx_answer **answer, struct err *e)
{
    struct asking *a = b->members[i];
    enum status st = asking_end(a, answer, e);

    free(a);
    b->n--;
    memmove(b->members + i, b->members + i + 1, (b->n - i) * sizeof(struct asking *));
    return st;
}

void sphinx_batch_close(sphinx_batch *b)
{
    if (b == NULL) return;
    while (b->n > 0) {
        sphinx_answer *answer = NULL;

        leave(b, b->n - 1, &answer, NULL);
        sphinx_answer_free(answer);
    }
    free(b->members);
    free(b->stepping);
    free(b->parts);
    ctx_free(&b->ctx);
    arena_free(&b->arena);
    free(b);
}

static bool make_room(struct sphinx_batch *b)
{
    size_t capacity = b->capacity == 0 ? 8 : 2 * b->capacity;
    struct asking **members, **stepping;
    struct step_part **parts;

    if (b->n < b->capacity) return true;
    members = realloc(b->members, capacity * sizeof *members);
    if (members != NULL) b->members = members;
    stepping = realloc(b->stepping, capacity * sizeof *stepping);
    if (stepping != NULL) b->stepping = stepping;
    parts = realloc(b->parts, capacity * sizeof *parts);
    if (parts != NULL) b->parts = parts;
    if (members == NULL || stepping == NULL || parts == NULL) return false;
    b->capacity = capacity;
    return true;
}

sphinx_status sphinx_batch_add(sphinx_batch *b, sphinx_session *s, const char *question,
                               const sphinx_ask_options *options, sphinx_error *error)
{
    struct asking *a;
    struct err e = { 0 };
    enum status st;

    if (s->model != b->model) {
        st = err_set(&e, STATUS_BAD_ARGUMENT, "the session is not of the batch's model");
        return public_status(st, &e, error);
    }
    a = malloc(sizeof *a);
    st = a != NULL && make_room(b) ? STATUS_OK : err_no_memory(&e, "batch");
    if (st == STATUS_OK) st = asking_begin(a, s, question, options, &e);
    if (st == STATUS_OK)
        b->members[b->n++] = a;
    else
        free(a);
    return public_status(st, &e, error);
}

size_t sphinx_batch_step(sphinx_batch *b)
{
    bool prefilling = false;
    size_t n = 0;

    for (size_t i = 0; i < b->n; i++) {
        struct asking *a = b->members[i];

        if (!a->done) asking_poll(a);
        if (a->done) continue;
        /* Long prompts wait for each other, so that those who are answering wait for one chunk at most. */
        if (!a->started && step_missing(asking_want(a)) > BATCH_ROWS) {
            if (prefilling) continue;
            prefilling = true;
        }
        b->stepping[n++] = a;
    }
    if (n > 0) asking_step(b->stepping, n, &b->ctx, b->parts);
    return b->n;
}

bool sphinx_batch_take(sphinx_batch *b, sphinx_session **session, sphinx_answer **answer, sphinx_error *error)
{
    struct err e = { 0 };

    *answer = NULL;
    for (size_t i = 0; i < b->n; i++) {
        if (!b->members[i]->done) continue;
        *session = b->members[i]->session;
        public_status(leave(b, i, answer, &e), &e, error);
        return true;
    }
    return false;
}

/* ---- all at once --------------------------------------------------------------------------------------------- */

/* Where a finished session's answer belongs. */
static size_t find(sphinx_session *const *sessions, const sphinx_session *s)
{
    size_t i = 0;

    while (sessions[i] != s) i++;
    return i;
}

sphinx_status sphinx_ask_many(sphinx_session *const *sessions, const char *const *questions,
                              const sphinx_ask_options *options, size_t n, sphinx_answer **answers,
                              sphinx_error *errors)
{
    sphinx_status first = SPHINX_OK;
    sphinx_batch *batch = NULL;
    sphinx_session *session;
    sphinx_answer *answer;
    sphinx_error error = { 0 };

    for (size_t i = 0; i < n; i++) {
        sphinx_error *to = errors != NULL ? &errors[i] : &error;

        answers[i] = NULL;
        *to = (sphinx_error){ 0 };
        if (batch == NULL) sphinx_batch_open(&batch, sessions[0]->model, 0, to);
        if (batch != NULL)
            sphinx_batch_add(batch, sessions[i], questions[i], options != NULL ? &options[i] : NULL, to);
        if (first == SPHINX_OK) first = to->code;
    }
    while (batch != NULL && sphinx_batch_step(batch) > 0) {
        while (sphinx_batch_take(batch, &session, &answer, &error)) {
            size_t i = find(sessions, session);

            answers[i] = answer;
            if (errors != NULL) errors[i] = error;
            if (first == SPHINX_OK) first = error.code;
        }
    }
    sphinx_batch_close(batch);
    return first;
}
