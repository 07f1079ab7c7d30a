/*
 * conversation.h - the dialogue as the one text that SPHINX was trained to continue, and the marks that end
 * an answer.
 *
 * Upstream's default conversation (conv_v1_2), line feeds shown as they are:
 *
 *     <system>
 *
 *     ### Human: <question>
 *     ### Assistant: <answer>
 *     ### Human: <question>
 *     ### Assistant:
 *
 * The image is no part of the text: its words are put behind begin-of-sentence by the model.
 */
#ifndef SPHINX_TEXT_CONVERSATION_H
#define SPHINX_TEXT_CONVERSATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "text/tokenizer.h"

extern const char conv_system_default[];

/* What follows every answer: line feed and the separator. */
#define CONV_STOP "\n###"

/* The rest of the template: behind the system's sentences, and before a question and an answer. An answer's first word brings its space
 * with it. */
#define CONV_BEGIN     "\n\n###"
#define CONV_HUMAN     " Human: "
#define CONV_ASSISTANT " Assistant:"

struct conv_turn {
    const char *question;
    const char *answer; /* without CONV_STOP; NULL for the answer that is to come, in the last turn only */
    const char
        *begins; /* of the answer to come: what it goes on from, right behind "Assistant:"; NULL: nothing */
};

/* Renders the dialogue. system NULL stands for conv_system_default. *text is malloc'ed and ends in NUL; size
 * may be NULL. BAD_ARGUMENT when a turn before the last has no answer or any has no question. */
enum status conv_render(const char *system, const struct conv_turn *turns, size_t n_turns, char **text,
                        size_t *size, struct err *e);

/* ---- stop marks ---------------------------------------------------------------------------------------- */

/* The ids a text becomes where it stands in the middle of another. LLaMA's tokenizer puts a space before
 * whatever it encodes, others do not; a probe tells them apart, as upstream does. */
struct conv_segmenter {
    const struct tokenizer *t; /* borrowed */
    bool needs_space;          /* a word behind another must be encoded together with its space */
};

enum status conv_segmenter_init(struct conv_segmenter *s, const struct tokenizer *t, struct err *e);

/* Ids of text as a word of its own: after a space. Leading spaces of text do not count. *ids is malloc'ed. */
enum status conv_segment_encode(const struct conv_segmenter *s, const char *text, int32_t **ids,
                                size_t *n_ids, struct err *e);
/* Ids of text glued to what stands before it. UNSUPPORTED if the tokenizer merges it with all characters
 * tried. */
enum status conv_glued_encode(const struct conv_segmenter *s, const char *text, int32_t **ids, size_t *n_ids,
                              struct err *e);

/* The id sequences that end an answer, in the order in which upstream tests them: end-of-sentence, then each
 * stop text as a segment and glued. For "\n###" LLaMA's tokenizer gives 29871 13 2277 29937 and 13 2277
 * 29937. */
struct conv_stops {
    struct conv_stop {
        int32_t *ids;
        size_t n_ids; /* >= 1 */
    } * stops;
    size_t n_stops;
};

/* texts NULL with n_texts 0 gives end-of-sentence alone. A stop text must not be empty. */
enum status conv_stops_init(struct conv_stops *s, const struct tokenizer *t, const char *const *texts,
                            size_t n_texts, struct err *e);
void conv_stops_free(struct conv_stops *s); /* accepts a zeroed one */

/* How many ids at the end of ids are a stop sequence (the first in order that is), 0 if none is. */
size_t conv_stops_match(const struct conv_stops *s, const int32_t *ids, size_t n_ids);

#endif
