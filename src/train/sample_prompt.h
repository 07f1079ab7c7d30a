/*
 * sample_prompt.h - the prompts that instructions without a dialogue are wrapped in. Spec 10 section 5.2.
 */
#ifndef SPHINX_TRAIN_SAMPLE_PROMPT_H
#define SPHINX_TRAIN_SAMPLE_PROMPT_H

#include "core/arena.h"
#include "core/status.h"

enum prompt_type { PROMPT_ALPACA, PROMPT_SHORTQA, PROMPT_QG, PROMPT_CAPTION, PROMPT_NONE, PROMPT_TYPES };

/* As configurations write them: "alpaca", "shortqa", "qg", "caption", "None". */
extern const char *const prompt_type_names[PROMPT_TYPES];

/* From arena a, or NULL without memory. input: what the instruction is about; NULL or blank: nothing. */
const char *sample_prompt(enum prompt_type type, const char *instruction, const char *input, struct arena *a);

#endif
