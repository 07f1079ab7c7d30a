/*
 * measure.h - how long a model takes here, and how near that is to what the machine can do (`sphinx bench`).
 *
 *   limits ── each encoder ── prefill of so many tokens ── decoding one by one, several sequences at once, and the checking of guesses
 *
 * Every figure is the median of several runs. Arithmetic and bytes are counted by the ops themselves (struct work), so a fraction of a
 * limit follows the networks whatever they are; the limit that binds is the one that would take longer, measured before and
 * after the part, since neighbours on a shared machine come and go.
 */
#ifndef SPHINX_MODEL_MEASURE_H
#define SPHINX_MODEL_MEASURE_H

#include "backend/cpu/limits.h"
#include "model/session.h"

struct measure;

enum { MEASURE_PARTS_MAX = 48, MEASURE_PROMPTS_MAX = 16 };

struct measure_options {
    int runs;                         /* at least 1; one more goes before, to warm up */
    int prompts[MEASURE_PROMPTS_MAX]; /* lengths of prefill in positions, 1 or more */
    int n_prompts;
    int tokens;         /* to decode, behind the last of the prompts (or behind one position); 0: none */
    int sequences;      /* decoded at once, besides one alone; up to 1: not measured */
    bool no_image;      /* leave the encoders out */
    enum dtype kv_type; /* of the key/value cache */
    const struct report *report; /* heard: cancel. NULL: nobody */
    /* Told of each part once it is there; may be NULL. */
    void (*done)(void *user, const struct measure *m, int part);
    void *user;
};

enum measure_kind {
    MEASURE_ENCODER, /* one of an image's */
    MEASURE_IMAGE,   /* all of it: every encoder, and the mixer */
    MEASURE_PREFILL,
    MEASURE_DECODE,
    MEASURE_CHECK, /* steps of one sequence that check guessed tokens: a token and so many guesses each */
};

struct measure_part {
    enum measure_kind kind;
    char name[32];               /* "clip", ..., "image", "prefill 351", "decode", "decode x8", "check 4" */
    double seconds, least, most; /* of one run: the median, and the extremes */
    double tokens;               /* of one run; 0 for encoders; of guesses, as if all were right */
    double
        cost; /* of a step that checks, in steps that decode one token: guessing pays where a step accepts more. Else 0 */
    struct work work; /* of one run */
    enum limit limit; /* the one that binds, */
    double fraction;  /* and how much of it was reached; 0: not counted */
};

struct measure {
    struct measure_part parts[MEASURE_PARTS_MAX];
    int n_parts;
    double limits[LIMIT_COUNT]; /* the best seen */
    double seconds_load;
    uint64_t weight_bytes;   /* of all parameters */
    uint64_t resident_bytes; /* the most that the process held, mapped weights included; 0: not known */
};

/* Computes with m's weights on random pixels and random ids, in memory of its own. NO_MEMORY, CANCELLED, or BAD_ARGUMENT for prompts and
 * tokens that the context does not hold. */
enum status measure_model(struct measure *out, const struct sphinx_model *m, const struct measure_options *o,
                          struct err *e);

#endif
