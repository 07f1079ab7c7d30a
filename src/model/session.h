/*
 * session.h - what the opaque types of sphinx.h are inside, and what a session is made of: its image, its conversation, and its part
 * of the key/value cache. The public functions stand in api.c; computing in step.h; answering in ask.h.
 *
 * The session's slot of the cache, by rows = positions:
 *
 *   [ BOS | image words (if any) | ids 1, 2, ... | free ]
 *     0     1 .. words             words + i
 *
 * Invariants: (1) rows 0 .. n_rows-1 hold the keys and values of BOS, the image's words and the ids of `cached`, as far as they go.
 * (2) Changing the image sets n_rows to 0. (3) n_rows is lowered before rows behind it are overwritten, and raised when they are
 * whole. So whoever fills rows and `cached` and then raises n_rows has put a prefix there; whoever reads both can keep one.
 */
#ifndef SPHINX_MODEL_SESSION_H
#define SPHINX_MODEL_SESSION_H

#include "image/draw.h"
#include "image/transform.h"
#include "language/kv_pool.h"
#include "model/image_cache.h"
#include "model/load.h"
#include "model/prefix_cache.h"
#include "sphinx.h"
#include "text/constraint.h"
#include "text/sampler.h"

#include <stdatomic.h>

struct sphinx_model {
    struct network network;
    struct checkpoint *checkpoint;
    struct tokenizer *tokenizer;
    const struct backend *backend;
    struct kv_pool kv;
    struct prefix_cache memory;              /* of rows and image words that sessions left */
    _Atomic(struct vocabulary *) vocabulary; /* made when a grammar first needs it, by session_vocabulary */
    struct image_cache images;               /* on disk; directory NULL: none */
    int threads, context, chunk;
    bool precise;
    double seconds_load;
};

struct sphinx_image {
    struct image im;
    struct digest file; /* of the bytes that it was decoded from */
    bool apply_exif;
};

struct turn {
    char *question, *answer;
};

struct sphinx_session {
    sphinx_model *model; /* borrowed */
    struct ctx ctx;
    struct arena arena; /* activations */
    struct report report;
    sphinx_report report_public;
    atomic_bool cancel;
    bool asking;      /* a question is under way */
    bool independent; /* see sphinx_session_options */
    unsigned without;
    struct img_options image_options;
    char *system;
    bool system_given; /* by whoever opened the session */

    struct image image; /* rgb NULL: none */
    struct img_square square;
    float *words; /* [image words, D] */
    int64_t n_words;
    struct digest
        image_key; /* of identity.h; where image_keyed is false it is not known, and nothing is remembered */
    struct digest
        rows_key; /* stands for the image where rows are remembered: those of independent sessions are apart */
    bool image_keyed, image_cached; /* cached: the words came from a cache, not from the encoders */
    double seconds_encode, seconds_image_cache, /* of the image, until the next answer has told them */
        seconds_encoder[ENCODER_COUNT];

    struct turn *turns;
    size_t n_turns, turns_capacity;

    struct kv_slot kv;
    int32_t *cached; /* [context] text ids */
    int64_t n_rows;
    struct sampler sampler;
    bool sampler_ready;
    struct sphinx_session
        *draft; /* of a smaller model, which guesses ahead; NULL: none. Its image is this one's. */
};

/* Makes `im`, which the session takes over on success, its image, and drops the conversation. Words that a cache holds under `key`
 * are not encoded again. key NULL: the caches are left out of it. */
enum status session_set_image(struct sphinx_session *s, struct image *im, const struct digest *key,
                              struct err *e);
/* What the session's image is known by from now on. */
void session_key_image(struct sphinx_session *s, const struct digest *key);
/* The session's draft looks at the session's new image, if it can. Should it fail, it guesses blind. */
void session_show_draft(struct sphinx_session *s);
/* Takes the image away, and the conversation. */
void session_drop_image(struct sphinx_session *s);
void session_clear_turns(struct sphinx_session *s);
enum status session_append(struct sphinx_session *s, const char *question, const char *answer, struct err *e);

/* The prompt for the next question: the whole dialogue rendered and tokenised, BOS first, `begins` (NULL: nothing) last, which the answer goes
 * on from; made to leave room for max_tokens (-1: for one) by leaving out the oldest turns (*dropped, counted) and then, if need be, by cutting ids after BOS. A last question that
 * alone is longer than the context is BAD_ARGUMENT. raw: the question is the prompt; `begins` does not count. *ids is malloc'ed. */
enum status session_prompt(struct sphinx_session *s, const char *question, const char *begins, bool raw,
                           int max_tokens, int32_t **ids, size_t *n, size_t *dropped, struct err *e);

/* The sampler as o says. BAD_ARGUMENT names the option that is out of range. */
enum status session_prepare_sampler(struct sphinx_session *s, const sphinx_ask_options *o, struct err *e);

/* The model's vocabulary in the order that constraints want; it belongs to the model. Any number of threads may ask at once. */
enum status session_vocabulary(struct sphinx_session *s, const struct vocabulary **v, struct err *e);

/* Positions that the image takes; 0 without one. */
int64_t session_words(const struct sphinx_session *s);

/* NUMERIC, with the weight to blame in the sentence, unless all n numbers are finite. `what` are they: "the logits". */
enum status session_check_finite(const struct sphinx_session *s, const float *x, size_t n, const char *what,
                                 struct err *e);

/* The answer to sphinx_ask, from the text and what is known of its tokens; see sphinx.h. */
struct stream;
struct answer_facts {
    size_t prompt_tokens, image_tokens, cached_tokens, dropped_turns;
    size_t drafted_tokens, accepted_tokens;
    sphinx_finish finish;
    double seconds_prefill, seconds_decode;
};

enum status answer_make(sphinx_answer **answer, const struct sphinx_session *s, const struct stream *stream,
                        const int32_t *ids, const float *logprobs, size_t n, const struct answer_facts *facts,
                        struct err *e);

/* The session's image, to be drawn on; copy is empty. BAD_ARGUMENT: there is none. */
enum status session_copy_image(struct image *copy, const struct sphinx_session *s, struct err *e);

/* A box of an answer as upstream draws it: in pixels of the session's image, and perhaps beyond its sides. */
struct answer_box {
    struct img_box box;
    struct img_color color;
};

/* The answer's n_boxes boxes in the order in which they are drawn, in boxes [n_boxes]. */
enum status answer_boxes(struct answer_box *boxes, const struct sphinx_session *s,
                         const sphinx_answer *answer, struct err *e);

#endif
