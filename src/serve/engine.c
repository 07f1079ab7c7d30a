/* engine.c - see engine.h. */
#include "serve/engine.h"

#include <stdlib.h>
#include <string.h>

#include "core/report.h"

/* A thread that answers, with a batch of its own. */
struct lane {
    struct engine *engine;
    sphinx_batch *batch;
    int n; /* slots that are READY or ANSWERING here */
    pthread_cond_t work;
    pthread_t thread;
    bool started;
};

struct slot {
    struct engine *engine;
    sphinx_session *session;
    struct lane *lane; /* while READY or ANSWERING */
    enum slot_state state;
    struct ticket *ticket;
    bool has_image; /* what the session remembers */
    struct digest image_key;
    uint64_t used; /* number of its last ticket; 0: none yet */
};

struct engine {
    struct lane *lanes;
    struct slot *slots;
    int n_lanes, n_slots;
    size_t queue_max, image_bytes_max;

    pthread_mutex_t lock;
    pthread_cond_t to_encode;
    struct ticket *first, **last;
    size_t n_waiting, n_running, image_bytes;
    uint64_t n_tickets;
    bool refuses, ends;
    struct engine_totals totals;

    pthread_t encoding;
    bool encodes;
};

/* ---- ends ---------------------------------------------------------------------------------------------------- */

static double timing_of(const sphinx_answer *a, const char *stage)
{
    for (size_t i = 0; i < a->n_timings; i++)
        if (strcmp(a->timings[i].stage, stage) == 0) return a->timings[i].seconds;
    return 0;
}

/* Under the lock. */
static void count_answer(struct engine_totals *t, const struct ticket *ticket, const sphinx_answer *a)
{
    t->answered += a->finish != SPHINX_FINISH_CANCELLED;
    t->cancelled += a->finish == SPHINX_FINISH_CANCELLED;
    t->prompt_tokens += a->prompt_tokens + a->image_tokens;
    t->cached_tokens += a->cached_tokens;
    t->image_tokens += a->image_tokens;
    t->completion_tokens += a->n_tokens;
    if (ticket->inquiry.image != NULL) *(a->image_cached ? &t->images_cached : &t->images_encoded) += 1;
    t->seconds_queue += ticket->admitted - ticket->submitted;
    t->seconds_encode += timing_of(a, "encode");
    t->seconds_prefill += timing_of(a, "prefill");
    t->seconds_decode += timing_of(a, "decode");
}

static void count_end(struct engine_totals *t, const struct ticket *ticket, const sphinx_answer *a,
                      const sphinx_error *error)
{
    if (a != NULL)
        count_answer(t, ticket, a);
    else if (error->code == SPHINX_CANCELLED)
        t->cancelled++;
    else
        t->failed++;
}

/* The same image of several requests counts as often: that errs on the safe side. */
static size_t image_bytes(const struct inquiry *o)
{
    return o->picture != NULL ? o->picture->bytes : 0;
}

/* Under the lock: the engine lets go of the ticket. */
static void end_ticket(struct engine *e, struct ticket *t, sphinx_answer *answer, const sphinx_error *error)
{
    count_end(&e->totals, t, answer, error);
    e->image_bytes -= image_bytes(&t->inquiry);
    ticket_end(t, answer, error);
    ticket_drop(t);
}

static const sphinx_error was_cancelled = { SPHINX_CANCELLED, "cancelled" };

/* ---- admission, under the lock --------------------------------------------------------------------------------- */

/* How many turns of the ticket's dialogue the slot's session has already. */
static size_t equal_turns(const struct slot *s, const struct inquiry *o)
{
    const char *question, *answer;
    size_t n = 0;

    while (n < o->n_turns && sphinx_session_turn(s->session, n, &question, &answer) &&
           strcmp(question, o->turns[n].question) == 0 && strcmp(answer, o->turns[n].answer) == 0)
        n++;
    return n;
}

static bool same_image(const struct slot *s, const struct inquiry *o)
{
    if (s->used == 0 || s->has_image != (o->image != NULL)) return false;
    return !s->has_image || digest_equal(&s->image_key, &o->picture->key);
}

/* Whether a is the better place than b (NULL: none yet): one that remembers more; one that forgets nothing; one that was unused longest. */
static bool is_better(const struct slot *a, const struct slot *b, const struct inquiry *o)
{
    size_t turns_a, turns_b;

    if (b == NULL) return true;
    turns_a = same_image(a, o) ? 1 + equal_turns(a, o) : 0;
    turns_b = same_image(b, o) ? 1 + equal_turns(b, o) : 0;
    return turns_a != turns_b ? turns_a > turns_b : a->used < b->used;
}

static struct slot *find_slot(struct engine *e, const struct inquiry *o)
{
    struct slot *best = NULL;

    for (int i = 0; i < e->n_slots; i++) {
        struct slot *s = &e->slots[i];

        if (s->state == SLOT_IDLE && is_better(s, best, o)) best = s;
    }
    return best;
}

static void tell_queue(struct engine *e)
{
    size_t ahead = 0;

    for (struct ticket *t = e->first; t != NULL; t = t->next, ahead++)
        ticket_tell_progress(t, "queue", "", t->ahead - ahead, t->ahead);
}

static struct ticket *dequeue(struct engine *e)
{
    struct ticket *t = e->first;

    e->first = t->next;
    if (e->first == NULL) e->last = &e->first;
    e->n_waiting--;
    return t;
}

/* The slot's ticket is answered in the lane that has least to do. */
static void make_ready(struct engine *e, struct slot *s)
{
    struct lane *lane = &e->lanes[0];

    for (int i = 1; i < e->n_lanes; i++)
        if (e->lanes[i].n < lane->n) lane = &e->lanes[i];
    lane->n++;
    s->lane = lane;
    s->state = SLOT_READY;
    pthread_cond_signal(&lane->work);
}

static void admit(struct engine *e)
{
    bool moved = false;

    while (e->first != NULL) {
        struct slot *s = find_slot(e, &e->first->inquiry);

        if (s == NULL) break;
        s->ticket = dequeue(e);
        s->ticket->admitted = clock_seconds();
        s->used = s->ticket->number;
        e->n_running++;
        moved = true;
        if (s->ticket->inquiry.image == NULL) {
            make_ready(e, s);
        } else {
            s->state = SLOT_TO_ENCODE;
            pthread_cond_signal(&e->to_encode);
        }
    }
    if (moved) tell_queue(e);
}

/* The slot is free again. */
static void vacate(struct engine *e, struct slot *s, sphinx_answer *answer, const sphinx_error *error)
{
    struct ticket *t = s->ticket;

    s->ticket = NULL;
    s->state = SLOT_IDLE;
    if (s->lane != NULL) s->lane->n--;
    s->lane = NULL;
    e->n_running--;
    end_ticket(e, t, answer, error);
    admit(e);
}

bool engine_submit(struct engine *e, struct ticket *t, struct problem *p)
{
    bool ok = false;

    pthread_mutex_lock(&e->lock);
    if (e->refuses) {
        problem_set(p, 503, NULL, "shutting_down", "the server is ending");
    } else if (e->n_waiting >= e->queue_max && find_slot(e, &t->inquiry) == NULL) {
        problem_set(p, 503, NULL, "queue_full", "%zu requests are waiting already: try again later",
                    e->n_waiting);
    } else if (image_bytes(&t->inquiry) > 0 && e->image_bytes > 0 &&
               image_bytes(&t->inquiry) > e->image_bytes_max - e->image_bytes) {
        problem_set(p, 503, NULL, "queue_full", "too many large images are waiting: try again later");
    } else {
        ticket_hold(t);
        t->submitted = clock_seconds();
        t->number = ++e->n_tickets;
        t->next = NULL;
        t->ahead = e->n_waiting + 1; /* itself, so that it counts down to 0 when it is admitted */
        *e->last = t;
        e->last = &t->next;
        e->n_waiting++;
        e->image_bytes += image_bytes(&t->inquiry);
        admit(e);
        if (e->first != NULL) ticket_tell_progress(t, "queue", "", 0, t->ahead);
        ok = true;
    }
    e->totals.refused += !ok;
    pthread_mutex_unlock(&e->lock);
    return ok;
}

void engine_cancel(struct engine *e, struct ticket *t)
{
    struct ticket **at;

    atomic_store(&t->cancelled, true);
    pthread_mutex_lock(&e->lock);
    for (at = &e->first; *at != NULL && *at != t;) at = &(*at)->next;
    if (*at != NULL) {
        *at = t->next;
        if (t->next == NULL) e->last = at;
        e->n_waiting--;
        end_ticket(e, t, NULL, &was_cancelled);
    }
    pthread_mutex_unlock(&e->lock);
}

void engine_refuse(struct engine *e)
{
    pthread_mutex_lock(&e->lock);
    e->refuses = true;
    pthread_mutex_unlock(&e->lock);
}

size_t engine_busy(struct engine *e)
{
    size_t n;

    pthread_mutex_lock(&e->lock);
    n = e->n_waiting + e->n_running;
    pthread_mutex_unlock(&e->lock);
    return n;
}

int engine_slots(const struct engine *e)
{
    return e->n_slots;
}

size_t engine_queue_max(const struct engine *e)
{
    return e->queue_max;
}

void engine_look(struct engine *e, struct slot_view *views, struct engine_totals *totals)
{
    double now = clock_seconds();

    pthread_mutex_lock(&e->lock);
    *totals = e->totals;
    totals->waiting = e->n_waiting;
    totals->running = e->n_running;
    for (int i = 0; i < e->n_slots && views != NULL; i++) {
        const struct slot *s = &e->slots[i];

        views[i] = (struct slot_view){ s->state, s->ticket != NULL ? now - s->ticket->admitted : 0, 0 };
        if (s->ticket == NULL) continue;
        pthread_mutex_lock(&s->ticket->lock);
        views[i].bytes = s->ticket->size;
        pthread_mutex_unlock(&s->ticket->lock);
    }
    pthread_mutex_unlock(&e->lock);
}

/* ---- what sessions tell ---------------------------------------------------------------------------------------- */

/* In the thread that does the session's work: see invariant 4. */
static void on_progress(void *user, const char *stage, uint64_t done, uint64_t total)
{
    struct slot *s = user;
    bool encodes = strcmp(stage, "prefill") != 0;

    if (atomic_load(&s->ticket->cancelled)) sphinx_session_cancel(s->session);
    ticket_tell_progress(s->ticket, encodes ? "encode" : stage, encodes ? stage : "", done, total);
}

static int on_piece(void *user, const char *text, size_t size)
{
    struct ticket *t = user;

    ticket_tell_text(t, text, size);
    return atomic_load(&t->cancelled);
}

static void on_token(void *user, const sphinx_candidate *token, const sphinx_candidate *top, int n_top)
{
    ticket_tell_token(user, token, top, n_top);
}

/* ---- encoding -------------------------------------------------------------------------------------------------- */

/* The slot whose ticket came first among those in a state, and in a lane (NULL: in none); NULL: none. */
static struct slot *next_in(struct engine *e, enum slot_state state, const struct lane *lane)
{
    struct slot *first = NULL;

    for (int i = 0; i < e->n_slots; i++) {
        struct slot *s = &e->slots[i];

        if (s->state != state || s->lane != lane) continue;
        if (first == NULL || s->ticket->number < first->ticket->number) first = s;
    }
    return first;
}

/* Under the lock, which it gives up while the image is encoded. */
static void encode(struct engine *e, struct slot *s)
{
    const struct inquiry *o = &s->ticket->inquiry;
    sphinx_error error = was_cancelled;

    s->state = SLOT_ENCODING;
    pthread_mutex_unlock(&e->lock);
    if (!atomic_load(&s->ticket->cancelled)) sphinx_session_image(s->session, o->image, &error);
    pthread_mutex_lock(&e->lock);
    if (error.code != SPHINX_OK) {
        vacate(e, s, NULL, &error);
        return;
    }
    s->has_image = true;
    s->image_key = o->picture->key;
    make_ready(e, s);
}

static void *encode_all(void *user)
{
    struct engine *e = user;

    pthread_mutex_lock(&e->lock);
    while (!e->ends) {
        struct slot *s = next_in(e, SLOT_TO_ENCODE, NULL);

        if (s != NULL)
            encode(e, s);
        else
            pthread_cond_wait(&e->to_encode, &e->lock);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

/* ---- answering ------------------------------------------------------------------------------------------------- */

/* The session as the inquiry has it: its image is there already. */
static sphinx_status prepare(struct slot *s, sphinx_error *error)
{
    const struct inquiry *o = &s->ticket->inquiry;
    sphinx_status st;

    if (o->image == NULL && s->has_image) sphinx_session_image_clear(s->session);
    s->has_image = o->image != NULL;
    sphinx_session_clear(s->session);
    st = sphinx_session_system(s->session, o->system, error);
    for (size_t i = 0; i < o->n_turns && st == SPHINX_OK; i++)
        st = sphinx_session_append(s->session, o->turns[i].question, o->turns[i].answer, error);
    return st;
}

static sphinx_status join(struct slot *s, sphinx_error *error)
{
    const struct inquiry *o = &s->ticket->inquiry;
    sphinx_ask_options ask = o->ask;
    sphinx_status st = prepare(s, error);

    ask.stop = (const char *const *)o->stops;
    ask.grammar = o->grammar;
    ask.json_schema = o->schema;
    ask.piece = on_piece;
    ask.token = o->tokens ? on_token : NULL;
    ask.user = s->ticket;
    return st == SPHINX_OK ? sphinx_batch_add(s->lane->batch, s->session, o->question, &ask, error) : st;
}

/* Under the lock, which it gives up meanwhile. */
static void join_ready(struct lane *lane)
{
    struct engine *e = lane->engine;
    struct slot *s;

    while ((s = next_in(e, SLOT_READY, lane)) != NULL) {
        sphinx_error error = { 0 };
        sphinx_status st;

        s->state = SLOT_ANSWERING;
        pthread_mutex_unlock(&e->lock);
        st = join(s, &error);
        pthread_mutex_lock(&e->lock);
        if (st != SPHINX_OK) vacate(e, s, NULL, &error);
    }
}

static struct slot *slot_of(struct engine *e, const sphinx_session *session)
{
    struct slot *s = e->slots;

    while (s->session != session) s++;
    return s;
}

static void pass_on_cancels(const struct lane *lane)
{
    for (int i = 0; i < lane->engine->n_slots; i++) {
        struct slot *s = &lane->engine->slots[i];

        if (s->lane == lane && s->state == SLOT_ANSWERING && atomic_load(&s->ticket->cancelled))
            sphinx_session_cancel(s->session);
    }
}

/* Under the lock, which it gives up during the step. */
static void step(struct lane *lane)
{
    struct engine *e = lane->engine;
    sphinx_session *session;
    sphinx_answer *answer;
    sphinx_error error = { 0 };

    pass_on_cancels(lane);
    pthread_mutex_unlock(&e->lock);
    sphinx_batch_step(lane->batch);
    pthread_mutex_lock(&e->lock);
    e->totals.steps++;
    while (sphinx_batch_take(lane->batch, &session, &answer, &error))
        vacate(e, slot_of(e, session), answer, &error);
}

static void *answer_all(void *user)
{
    struct lane *lane = user;
    struct engine *e = lane->engine;

    pthread_mutex_lock(&e->lock);
    while (!e->ends) {
        join_ready(lane);
        if (lane->n > 0)
            step(lane);
        else if (!e->ends)
            pthread_cond_wait(&lane->work, &e->lock);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

/* ---- opening and closing ----------------------------------------------------------------------------------------- */

static enum status open_slots(struct engine *e, sphinx_model *model, const struct engine_options *o,
                              struct err *err)
{
    sphinx_error error = { 0 };

    e->slots = calloc((size_t)o->slots, sizeof *e->slots);
    if (e->slots == NULL) return err_no_memory(err, "slots");
    for (int i = 0; i < o->slots; i++) {
        sphinx_session_options options = o->session;
        struct slot *s = &e->slots[i];

        options.report = (sphinx_report){ .progress = on_progress, .user = s };
        s->engine = e;
        if (sphinx_session_open(&s->session, model, &options, &error) != SPHINX_OK)
            return err_set(err, (enum status)error.code, "%s", error.text);
        e->n_slots++;
    }
    return STATUS_OK;
}

/* One lane's steps have all threads; of several each has one. */
static enum status open_lanes(struct engine *e, sphinx_model *model, int lanes, struct err *err)
{
    sphinx_error error = { 0 };

    e->lanes = calloc((size_t)lanes, sizeof *e->lanes);
    if (e->lanes == NULL) return err_no_memory(err, "slots");
    for (; e->n_lanes < lanes; e->n_lanes++) {
        struct lane *lane = &e->lanes[e->n_lanes];

        if (sphinx_batch_open(&lane->batch, model, lanes > 1 ? 1 : 0, &error) != SPHINX_OK)
            return err_set(err, (enum status)error.code, "%s", error.text);
        pthread_cond_init(&lane->work, NULL);
        lane->engine = e;
    }
    return STATUS_OK;
}

static enum status start(struct engine *e, struct err *err)
{
    e->encodes = pthread_create(&e->encoding, NULL, encode_all, e) == 0;
    if (!e->encodes) return err_set(err, STATUS_IO, "no thread can be started");
    for (int i = 0; i < e->n_lanes; i++) {
        struct lane *lane = &e->lanes[i];

        lane->started = pthread_create(&lane->thread, NULL, answer_all, lane) == 0;
        if (!lane->started) return err_set(err, STATUS_IO, "no thread can be started");
    }
    return STATUS_OK;
}

enum status engine_open(struct engine **engine, sphinx_model *model, const struct engine_options *o,
                        struct err *err)
{
    struct engine *e = calloc(1, sizeof *e);
    enum status st;

    *engine = e;
    if (e == NULL) return err_no_memory(err, "engine");
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->to_encode, NULL);
    e->last = &e->first;
    e->queue_max = o->queue_max;
    e->image_bytes_max = o->image_bytes_max;
    st = open_slots(e, model, o, err);
    if (st == STATUS_OK) st = open_lanes(e, model, o->lanes, err);
    if (st == STATUS_OK) st = start(e, err);
    if (st == STATUS_OK) return STATUS_OK;
    engine_close(e);
    *engine = NULL;
    return st;
}

static void join_threads(struct engine *e)
{
    if (e->encodes) pthread_join(e->encoding, NULL);
    e->encodes = false;
    for (int i = 0; i < e->n_lanes; i++) {
        if (e->lanes[i].started) pthread_join(e->lanes[i].thread, NULL);
        e->lanes[i].started = false;
    }
}

void engine_stop(struct engine *e)
{
    pthread_mutex_lock(&e->lock);
    e->refuses = e->ends = true;
    for (int i = 0; i < e->n_slots; i++)
        if (e->slots[i].ticket != NULL) atomic_store(&e->slots[i].ticket->cancelled, true);
    pthread_cond_signal(&e->to_encode);
    for (int i = 0; i < e->n_lanes; i++) pthread_cond_signal(&e->lanes[i].work);
    pthread_mutex_unlock(&e->lock);
    join_threads(e);
    pthread_mutex_lock(&e->lock);
    while (e->first != NULL) end_ticket(e, dequeue(e), NULL, &was_cancelled);
    for (int i = 0; i < e->n_slots; i++)
        if (e->slots[i].ticket != NULL) vacate(e, &e->slots[i], NULL, &was_cancelled);
    pthread_mutex_unlock(&e->lock);
}

void engine_close(struct engine *e)
{
    if (e == NULL) return;
    engine_stop(e);
    for (int i = 0; i < e->n_lanes; i++) {
        sphinx_batch_close(e->lanes[i].batch);
        pthread_cond_destroy(&e->lanes[i].work);
    }
    free(e->lanes);
    for (int i = 0; i < e->n_slots; i++) sphinx_session_close(e->slots[i].session);
    free(e->slots);
    pthread_cond_destroy(&e->to_encode);
    pthread_mutex_destroy(&e->lock);
    free(e);
}
