/* sample_prompt.c - see sample_prompt.h. */
#include "train/sample_prompt.h"

#include <string.h>

const char *const prompt_type_names[PROMPT_TYPES] = {
    [PROMPT_ALPACA] = "alpaca",   [PROMPT_SHORTQA] = "shortqa", [PROMPT_QG] = "qg",
    [PROMPT_CAPTION] = "caption", [PROMPT_NONE] = "None",
};

const char *sample_prompt(enum prompt_type type, const char *instruction, const char *input, struct arena *a)
{
    bool has_input = input != NULL && input[strspn(input, " \t\n\r\f\v")] != '\0';

    switch (type) {
    case PROMPT_ALPACA:
        if (!has_input)
            return arena_printf(a,
                                "Below is an instruction that describes a task. Write a response that "
                                "appropriately completes the request.\n\n"
                                "### Instruction:\n%s\n\n### Response:",
                                instruction);
        return arena_printf(
            a,
            "Below is an instruction that describes a task, paired with an input that provides "
            "further context. Write a response that appropriately completes the request.\n\n"
            "### Instruction:\n%s\n\n### Input:\n%s\n\n### Response:",
            instruction, input);
    case PROMPT_SHORTQA:
        return arena_printf(
            a,
            "Below is an instruction that describes a task. Write a response that appropriately "
            "completes the request using a single word or phrase.\n\n### Instruction:\n%s\n\n### Response:",
            instruction);
    case PROMPT_QG:
        return arena_printf(a, "Generate a question whose answer is:\n%s\n\nQuestion:\n", instruction);
    case PROMPT_NONE: return arena_strdup(a, instruction);
    case PROMPT_CAPTION:
    case PROMPT_TYPES: break;
    }
    return "";
}
