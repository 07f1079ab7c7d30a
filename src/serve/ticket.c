/* ticket.c - see ticket.h. */
#include "serve/ticket.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/report.h"

struct ticket *ticket_make(struct inquiry *o)
{
    struct ticket *t = calloc(1, sizeof *t);
    pthread_condattr_t attributes;

    if (t == NULL) return NULL;
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&t->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    atomic_init(&t->holders, 1);
    t->inquiry = *o;
    *o = (struct inquiry){ 0 };
    return t;
}

void ticket_hold(struct ticket *t)
{
    atomic_fetch_add(&t->holders, 1);
}

void ticket_drop(struct ticket *t)
{
    if (t == NULL || atomic_fetch_sub(&t->holders, 1) > 1) return;
    inquiry_free(&t->inquiry);
    sphinx_answer_free(t->answer);
    free(t->text);
    free(t->tokens);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

/* Between pieces of text: no more of them a second than a screen shows. */
static const double text_seconds = 0.01;

/* Of what took less, or is over, no progress is told: nobody would see it, and a thread, a packet and a client would be woken for each stage. */
static const double quiet_seconds = 0.1;

static bool is_quiet(const struct ticket *t)
{
    return t->size > 0 || clock_seconds() < t->submitted + quiet_seconds;
}

static bool has_progress(const struct ticket *t, const struct ticket_news *n)
{
    return t->n_progress > n->n_progress && !is_quiet(t);
}

static bool has_news(const struct ticket *t, const struct ticket_news *n)
{
    return t->ended || t->size > n->size || has_progress(t, n);
}

/* Under the lock: waits until the ticket changes, which is what it returns, or until then at the latest, by clock_seconds. */
static bool changes_until(struct ticket *t, double then)
{
    struct timespec until = { .tv_sec = (time_t)then, .tv_nsec = (long)((then - floor(then)) * 1e9) };

    return pthread_cond_timedwait(&t->changed, &t->lock, &until) == 0;
}

/* New text, and the tokens that came before it. */
static void take_text(const struct ticket *t, struct ticket_news *n)
{
    size_t n_text = t->size - n->size, n_new = t->n_tokens - n->n_tokens;

    n->text = malloc(n_text + 1);
    n->tokens = n_new > 0 ? malloc(n_new * sizeof *n->tokens) : NULL;
    if (n->text == NULL || (n_new > 0 && n->tokens == NULL)) return;
    if (n_text > 0) memcpy(n->text, t->text + n->size, n_text);
    n->text[n_text] = '\0';
    if (n_new > 0) memcpy(n->tokens, t->tokens + n->n_tokens, n_new * sizeof *n->tokens);
    n->n_text = n_text;
    n->n_new = n_new;
    n->size = t->size;
    n->n_tokens = t->n_tokens;
    n->had_text = clock_seconds();
}

bool ticket_wait(struct ticket *t, double seconds, struct ticket_news *n)
{
    double now = clock_seconds(), until = now + seconds;
    bool news;

    n->progressed = false;
    n->text = NULL;
    n->tokens = NULL;
    n->n_text = n->n_new = 0;
    pthread_mutex_lock(&t->lock);
    t->paced = true;
    while (!t->ended && n->had_text + text_seconds > now && changes_until(t, n->had_text + text_seconds)) {
    }
    t->paced = false;
    while (!has_news(t, n) && changes_until(t, until)) {
    }
    news = has_news(t, n);
    if (has_progress(t, n)) {
        n->progressed = true;
        n->progress = t->progress;
        n->n_progress = t->n_progress;
    }
    if (news && (t->size > n->size || t->ended)) take_text(t, n);
    n->ended = t->ended;
    pthread_mutex_unlock(&t->lock);
    return news;
}

/* ---- telling ------------------------------------------------------------------------------------------------- */

/* How often readers are woken for another number of the same stage: a queue of many moves with every answer, and all who wait in it would be
 * woken each time. The last number is seen when something else wakes them, or their wait ends. */
static const double progress_seconds = 0.1;

void ticket_tell_progress(struct ticket *t, const char *stage, const char *part, uint64_t done,
                          uint64_t total)
{
    double now = clock_seconds();
    bool new_stage;

    pthread_mutex_lock(&t->lock);
    new_stage = strcmp(t->progress.stage, stage) != 0 || strcmp(t->progress.part, part) != 0;
    snprintf(t->progress.stage, sizeof t->progress.stage, "%s", stage);
    snprintf(t->progress.part, sizeof t->progress.part, "%s", part);
    t->progress.done = done;
    t->progress.total = total;
    t->n_progress++;
    if (!is_quiet(t) && (new_stage || now > t->told_progress + progress_seconds)) {
        t->told_progress = now;
        pthread_cond_signal(&t->changed);
    }
    pthread_mutex_unlock(&t->lock);
}

/* Room for one more in a list that doubles; false: no memory, and the list stays. */
static bool grow(void **list, size_t *capacity, size_t needed, size_t size)
{
    size_t more = *capacity == 0 ? 64 : *capacity;
    void *larger;

    while (more < needed) more *= 2;
    if (more == *capacity) return true;
    larger = realloc(*list, more * size);
    if (larger == NULL) return false;
    *list = larger;
    *capacity = more;
    return true;
}

void ticket_tell_token(struct ticket *t, const sphinx_candidate *token, const sphinx_candidate *top,
                       int n_top)
{
    void *list;

    pthread_mutex_lock(&t->lock);
    list = t->tokens;
    if (grow(&list, &t->tokens_capacity, t->n_tokens + 1, sizeof *t->tokens)) {
        struct ticket_token *told;

        t->tokens = list;
        told = &t->tokens[t->n_tokens++];
        told->token = *token;
        told->n_top = n_top;
        if (n_top > 0) memcpy(told->top, top, (size_t)n_top * sizeof *top);
    }
    pthread_mutex_unlock(&t->lock);
}

void ticket_tell_text(struct ticket *t, const char *text, size_t size)
{
    void *list;

    pthread_mutex_lock(&t->lock);
    list = t->text;
    if (grow(&list, &t->capacity, t->size + size, 1)) {
        t->text = list;
        memcpy(t->text + t->size, text, size);
        t->size += size;
        if (!t->paced) pthread_cond_signal(&t->changed);
    } else {
        atomic_store(&t->cancelled, true); /* better no answer than one with a hole */
    }
    pthread_mutex_unlock(&t->lock);
}

void ticket_end(struct ticket *t, sphinx_answer *answer, const sphinx_error *error)
{
    pthread_mutex_lock(&t->lock);
    t->ended = true;
    t->answer = answer;
    if (answer == NULL) t->error = *error;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
}
