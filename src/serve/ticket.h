/*
 * ticket.h - one question on its way, shared by the connection that asks it and the engine that answers it.
 *
 *   connection   ticket_make ─ engine_submit ─ ticket_wait, ticket_wait, ... ended ─ ticket_drop
 *   engine                      ticket_tell_progress, _token, _text, ...  ticket_end ─ ticket_drop
 *
 * News are kept until the ticket goes: whoever reads says what it has read already. Of progress only the newest counts.
 */
#ifndef SPHINX_SERVE_TICKET_H
#define SPHINX_SERVE_TICKET_H

#include <pthread.h>
#include <stdatomic.h>

#include "serve/inquiry.h"

struct ticket_progress {
    char stage[16]; /* "queue", "encode", "prefill"; "": none yet */
    char part[16];  /* the encoder */
    uint64_t done, total;
};

struct ticket_token {
    sphinx_candidate token, top[SPHINX_TOP_MAX];
    int n_top;
};

struct ticket {
    struct inquiry inquiry; /* does not change */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    atomic_int holders;
    atomic_bool cancelled; /* nobody waits for the answer */

    /* Behind the lock. */
    char *text; /* [size] the answer so far */
    size_t size, capacity;
    struct ticket_token *tokens;
    size_t n_tokens, tokens_capacity;
    struct ticket_progress progress;
    unsigned n_progress;  /* how often it changed */
    double told_progress; /* when readers were woken for it last */
    bool paced;           /* the reader had text just now: more is no reason to wake it */
    bool ended;
    sphinx_answer *answer; /* NULL: error says why */
    sphinx_error error;

    double submitted, admitted; /* clock_seconds; the engine's */
    uint64_t number;            /* in the order of submitting; the engine's */
    size_t ahead;               /* in the queue when it was submitted; the engine's */
    struct ticket *next;        /* in the queue; the engine's */
};

/* Takes the inquiry over, which is zeroed. NULL: no memory; then the inquiry stays. */
struct ticket *ticket_make(struct inquiry *o);
/* One holder less; the last one frees it. NULL is allowed. */
void ticket_drop(struct ticket *t);
void ticket_hold(struct ticket *t); /* one more */

/* What a reader has seen, and what is new to it. Zero at first. */
struct ticket_news {
    size_t size, n_tokens; /* of text and tokens, seen */
    unsigned n_progress;   /* seen */
    double had_text;       /* when it took text last, clock_seconds; 0: never */

    bool progressed; /* since then: progress is the newest */
    struct ticket_progress progress;
    char *text; /* [n_text], malloc'ed: the reader's; NULL: no new text */
    size_t n_text;
    struct ticket_token *tokens; /* [n_new], malloc'ed, only together with text or the end */
    size_t n_new;
    bool ended; /* answer and error of the ticket may be read now */
};

/* Waits for news, but not longer than so many seconds. False: there is none. Without memory it waits for the end. Text comes in pieces of a
 * hundredth of a second, the first at once: a small model writes thousands of tokens a second, and a thread, a packet and a client would be woken for each.
 * Progress is none in the first tenth of a second, nor once there is text. */
bool ticket_wait(struct ticket *t, double seconds, struct ticket_news *news);

/* The engine's half. */
void ticket_tell_progress(struct ticket *t, const char *stage, const char *part, uint64_t done,
                          uint64_t total);
void ticket_tell_token(struct ticket *t, const sphinx_candidate *token, const sphinx_candidate *top,
                       int n_top);
void ticket_tell_text(struct ticket *t, const char *text, size_t size);
/* The answer, which belongs to the ticket from now on, or NULL and why. */
void ticket_end(struct ticket *t, sphinx_answer *answer, const sphinx_error *error);

#endif
