/*
 * sample.h - one item of training data as the model learns from it: token ids, and which of them are targets.
 *
 *   dialogue ── sample_dialogue ──┐
 *   instruction, output ─ sample_single ─┼── ids, labels ── train_step.h
 *   caption, text ────────────────┘
 *
 * Spec 10 section 5. Labels are set by construction, from the characters of the answers to the tokens that spell them, not by searching for
 * an answer's tokens as upstream does, which labels the question where both are the same words.
 */
#ifndef SPHINX_TRAIN_SAMPLE_H
#define SPHINX_TRAIN_SAMPLE_H

#include "core/status.h"
#include "text/conversation.h"

/* label[i] is ids[i] where the model is to learn to say it, else 0: a target with id 0, which is <unk>, is never learned. */
struct sample {
    int32_t *ids, *labels; /* [n], BOS first; one block of memory, which ids owns */
    size_t n;
    size_t n_targets;
    struct patch_word *shown; /* [n_shown] what the image's patches are to say; NULL: nothing */
    size_t n_shown;
    int shown_side; /* of the grid that they are in */
};

/* A word for what one cell of a grid over the image shows: beside the answers, each patch's place among the image words is asked for it. So encoders
 * that know nothing yet learn from hundreds of targets an image, none of which has to be searched for. */
struct patch_word {
    int32_t cell; /* row by row */
    int32_t id;
};

struct sample_turn {
    bool assistant;   /* else the human */
    const char *text; /* stripped, without "<image>" */
};

/* The dialogue in upstream's template, BOS ... EOS, cut on the right to `max_tokens`. Targets: each answer, the line feed and "###" behind it;
 * never the end of sentence. BAD_FORMAT: nothing of it is a target. */
enum status sample_dialogue(struct sample *s, const struct tokenizer *t, const struct sample_turn *turns,
                            size_t n_turns, size_t max_tokens, struct err *e);

/* BOS prompt output EOS; targets are the tokens behind those of the prompt alone, end of sentence included. prompt "": a caption or a text. */
enum status sample_single(struct sample *s, const struct tokenizer *t, const char *prompt, const char *output,
                          size_t max_tokens, struct err *e);
/* Adds what the cells [side * side] show: words separated by spaces, "" where nothing is known. A word's label is its last token. */
enum status sample_show(struct sample *s, const struct tokenizer *t, const char *const *cells, int side,
                        struct err *e);
void sample_free(struct sample *s); /* accepts a zeroed one */

#endif
