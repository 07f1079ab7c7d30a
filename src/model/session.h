/*
 * session.h - what the opaque types of sphinx.h are inside, and the steps that sphinx_ask is made of. The public functions stand in
 * api.c; dump.c uses the steps one by one.
 *
 * The key/value cache, by rows = positions:
 *
 *   [ BOS | image words (if any) | ids 1 .. n_cached-1 |   free   ]
 *
 * Invariants: (1) rows up to and including id n_cached-1 hold the keys and values of exactly `cached`. (2) The image
 * words are there whenever n_cached >= 1 and the session has an image; changing the image sets n_cached to 0.
 * (3) n_cached is lowered before rows behind it are overwritten, and raised when they are whole.
 */
#ifndef SPHINX_MODEL_SESSION_H
#define SPHINX_MODEL_SESSION_H

#include "image/transform.h"
#include "model/load.h"
#include "sphinx.h"
#include "text/sampler.h"

#include <stdatomic.h>

struct sphinx_model {
    struct network network;
    struct checkpoint *checkpoint;
    struct tokenizer *tokenizer;
    const struct backend *backend;
    int threads, context;
    bool precise;
    double seconds_load;
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
    unsigned without;
    struct img_options image_options;
    char *system;

    struct image image; /* rgb NULL: none */
    struct img_square square;
    float *words; /* [image words, D] */
    int64_t n_words;
    double seconds_encode,
        seconds_encoder[ENCODER_COUNT]; /* of the image, until the next answer has told them */

    struct turn *turns;
    size_t n_turns, turns_capacity;

    struct kv_cache kv;
    int32_t *cached; /* [context] text ids */
    size_t n_cached;
    struct sampler sampler;
    bool sampler_ready;
};

/* Encodes `im`, which the session takes over on success, and drops the conversation. */
enum status session_set_image(struct sphinx_session *s, struct image *im, struct err *e);
void session_clear_turns(struct sphinx_session *s);
enum status session_append(struct sphinx_session *s, const char *question, const char *answer, struct err *e);

/* The prompt for the next question: the whole dialogue rendered and tokenised, BOS first, made to leave room for max_tokens (-1: for one)
 * by leaving out the oldest turns (*dropped, counted) and then, if need be, by cutting ids after BOS. A last question that
 * alone is longer than the context is BAD_ARGUMENT. *ids is malloc'ed. */
enum status session_prompt(struct sphinx_session *s, const char *question, int max_tokens, int32_t **ids,
                           size_t *n, size_t *dropped, struct err *e);

/* Computes what the cache does not hold of ids [n] (n >= 1, n <= context - image words) and gives the logits [vocab] behind the last,
 * which stay valid until the next call. *reused (may be NULL): how many positions were in the cache. */
enum status session_compute(struct sphinx_session *s, const int32_t *ids, size_t n, const float **logits,
                            size_t *reused, struct err *e);

/* The answer to sphinx_ask, from the text and what is known of its tokens; see sphinx.h. */
struct stream;
struct answer_facts {
    size_t prompt_tokens, image_tokens, cached_tokens, dropped_turns;
    sphinx_finish finish;
    double seconds_prefill, seconds_decode;
};

enum status answer_make(sphinx_answer **answer, const struct sphinx_session *s, const struct stream *stream,
                        const int32_t *ids, const float *logprobs, size_t n, const struct answer_facts *facts,
                        struct err *e);

#endif
