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

/* label[i] is ids[i] where the model is to learn to say it, else 0: a target with id 0, which is <unk>, is never learned.
 *
 * A sample may have several parts that do not see each other, and are learned as if each was a sample of its own, of the same image: their common
 * beginning stands there once.
 *   ids    [ n_shared | rest of part 0 | rest of part 1 | ... ]      no target among the shared ones, nor first in a rest
 *          0                           part[1]          part[2]  part[n_parts] = n */
struct sample {
    int32_t *ids, *labels; /* [n], BOS first; one block of memory, which ids owns */
    size_t n;
    size_t n_targets;
    size_t *
        part; /* [n_parts + 1] where a part's ids begin, the first's at 0; NULL: there is one part, and n_parts and n_shared are 0 */
    size_t n_parts, n_shared;
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

/* Each question of the dialogue with its answer as a part by itself, in upstream's template as sample_dialogue has it. Questions without an answer are left out, and
 * those from the first on that no longer fits into max_tokens. */
enum status sample_apart(struct sample *s, const struct tokenizer *t, const struct sample_turn *turns,
                         size_t n_turns, size_t max_tokens, struct err *e);

/* BOS prompt output EOS; targets are the tokens behind those of the prompt alone, end of sentence included. prompt "": a caption or a text. */
enum status sample_single(struct sample *s, const struct tokenizer *t, const char *prompt, const char *output,
                          size_t max_tokens, struct err *e);
/* Adds what the cells [side * side] show: words separated by spaces, "" where nothing is known. A word's label is its last token. */
enum status sample_show(struct sample *s, const struct tokenizer *t, const char *const *cells, int side,
                        struct err *e);
void sample_free(struct sample *s); /* accepts a zeroed one */

#endif
