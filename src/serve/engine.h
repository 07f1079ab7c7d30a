/*
 * engine.h - answers tickets: sessions of one model, in the batch of a lane or of several, while another thread encodes images.
 *
 *   engine_submit ─ queue ─┬─ image: encoder thread ─┐
 *                          └─ none ──────────────────┴─ lane's thread: joins its batch ─ steps ─ answer ─ ticket_end
 *
 * One lane, whose steps have all threads, reads the weights once for all answers: right for a model whose weights come from memory. One that
 * lies in the caches has steps too short to be shared: with several lanes, each of one thread, nobody waits for another.
 *
 * A ticket is admitted when a slot, which is a session, is free: first come, first served. It gets the slot that remembers most of its
 * dialogue. What a slot does is its state:
 *
 *   IDLE ── admitted ──▶ TO_ENCODE ──▶ ENCODING ──▶ READY ──▶ ANSWERING ──▶ IDLE
 *             └── without an image ────────────────────▲
 *
 * Invariants: (1) states, queue and totals are behind the lock. (2) Of a slot that is ENCODING the session belongs to the encoder thread,
 * of one that is READY or ANSWERING to its lane's thread, and of any other to whoever holds the lock. (3) A ticket is in the queue, in one
 * slot, or ended. (4) Only the thread to which a session belongs cancels its work: so no cancel outlives the work that it was meant for.
 */
#ifndef SPHINX_SERVE_ENGINE_H
#define SPHINX_SERVE_ENGINE_H

#include "serve/ticket.h"

struct engine;

struct engine_options {
    int slots;                      /* answers at once, 1 or more */
    int lanes;                      /* threads that answer, each with a batch of its own, 1 or more */
    size_t queue_max;               /* tickets that may wait */
    size_t image_bytes_max;         /* of decoded images that wait or are looked at */
    sphinx_session_options session; /* of all slots; without system */
};

enum status engine_open(struct engine **e, sphinx_model *model, const struct engine_options *o,
                        struct err *err);
/* Gives up what is not finished, whose tickets end CANCELLED, and takes no more. May be called again. */
void engine_stop(struct engine *e);
/* After everybody else has done with it. NULL is allowed. */
void engine_close(struct engine *e);

/* The engine becomes a holder of the ticket. False, with the reason: the queue is full, or the engine takes no more. */
bool engine_submit(struct engine *e, struct ticket *t, struct problem *p);
/* Nobody waits for it any more: it ends soon, CANCELLED or with what there is of the answer. */
void engine_cancel(struct engine *e, struct ticket *t);

/* No more tickets are taken; those that are there go on. */
void engine_refuse(struct engine *e);
/* Tickets that wait or are being answered. */
size_t engine_busy(struct engine *e);

enum slot_state { SLOT_IDLE, SLOT_TO_ENCODE, SLOT_ENCODING, SLOT_READY, SLOT_ANSWERING };

struct slot_view {
    enum slot_state state;
    double seconds; /* since it was admitted; 0: idle */
    size_t bytes;   /* of the answer so far */
};

/* Since the engine was opened. */
struct engine_totals {
    uint64_t answered, failed, cancelled, refused;
    uint64_t prompt_tokens, cached_tokens, image_tokens,
        completion_tokens; /* image words count as prompt tokens */
    uint64_t images_encoded, images_cached;
    double seconds_queue, seconds_encode, seconds_prefill, seconds_decode;
    uint64_t steps;
    size_t waiting, running;
};

/* views [slots] */
void engine_look(struct engine *e, struct slot_view *views, struct engine_totals *totals);
int engine_slots(const struct engine *e);
size_t engine_queue_max(const struct engine *e);

#endif
