/* await.c - see await.h. */
#include "serve/await.h"

#include <stdlib.h>

#include "core/report.h"

/* How often the client is looked at while nothing happens. */
static const double look_seconds = 0.25;

enum { PARSING_MAX = 4 };

void await_parse_begin(struct exchange *x)
{
    struct server *s = x->server;
    uint64_t number;

    pthread_mutex_lock(&s->parsing.lock);
    number = s->parsing.n_come++;
    while (number >= s->parsing.n_done + PARSING_MAX) pthread_cond_wait(&s->parsing.turn, &s->parsing.lock);
    pthread_mutex_unlock(&s->parsing.lock);
}

void await_parse_end(struct exchange *x)
{
    struct server *s = x->server;

    pthread_mutex_lock(&s->parsing.lock);
    s->parsing.n_done++;
    pthread_cond_broadcast(&s->parsing.turn);
    pthread_mutex_unlock(&s->parsing.lock);
    exchange_drop_body(x);
}

bool await_begin(struct exchange *x, struct inquiry *o, struct problem *p)
{
    struct server *s = x->server;
    bool ok = inquiry_check(o, s->model, p);

    x->ticket = ok ? ticket_make(o) : NULL;
    if (ok && x->ticket == NULL) ok = problem_no_memory(p);
    if (ok) ok = engine_submit(s->engine, x->ticket, p);
    inquiry_free(o);
    return ok;
}

bool await_wanted(const struct exchange *x, struct problem *p)
{
    if (atomic_load(&x->server->ends))
        return problem_set(p, 503, NULL, "shutting_down", "the server is ending");
    if (watch_is_gone(x->fd)) return problem_set(p, 408, NULL, NULL, "the client is gone");
    if (clock_seconds() - x->began <= x->server->seconds_request) return true;
    return problem_set(p, 408, NULL, "timeout", "the answer took more than %g seconds",
                       x->server->seconds_request);
}

bool await_news(struct exchange *x, struct ticket_news *news, struct problem *p)
{
    ticket_wait(x->ticket, look_seconds, news);
    if (news->ended || await_wanted(x, p)) return true;
    engine_cancel(x->server->engine, x->ticket);
    return false;
}

void await_drop(struct ticket_news *news)
{
    free(news->text);
    free(news->tokens);
    news->text = NULL;
    news->tokens = NULL;
}

bool await_check(const struct exchange *x, struct problem *p)
{
    const struct ticket *t = x->ticket;

    if (t->answer == NULL) return problem_of(p, &t->error, "messages", NULL);
    if (t->answer->finish != SPHINX_FINISH_CANCELLED) return true;
    return problem_set(p, 503, NULL, "shutting_down", "the server is ending");
}

bool await_answer(struct exchange *x, struct problem *p)
{
    struct ticket_news news = { 0 };
    bool wanted = true;

    while (wanted && !news.ended) {
        wanted = await_news(x, &news, p);
        await_drop(&news);
    }
    return wanted && await_check(x, p);
}

double await_queued(const struct exchange *x)
{
    return x->ticket->admitted - x->ticket->submitted;
}
