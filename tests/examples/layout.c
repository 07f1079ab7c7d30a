/*
 * layout.c - prints where the compiler puts each field of sphinx.h's structures: "structure field offset size", and "structure -
 * 0 size" for the whole. check_layout.py compares examples/ask.py with it.
 */
#include <stddef.h>
#include <stdio.h>

#include "sphinx.h"

#define WHOLE(type) printf("%s - 0 %zu\n", #type, sizeof(type))
#define FIELD(type, field)                                                                                   \
    printf("%s %s %zu %zu\n", #type, #field, offsetof(type, field), sizeof(((type *)0)->field))

static void ask_options(void)
{
    WHOLE(sphinx_ask_options);
    FIELD(sphinx_ask_options, max_tokens);
    FIELD(sphinx_ask_options, temperature);
    FIELD(sphinx_ask_options, top_p);
    FIELD(sphinx_ask_options, top_k);
    FIELD(sphinx_ask_options, min_p);
    FIELD(sphinx_ask_options, repeat_penalty);
    FIELD(sphinx_ask_options, repeat_last_n);
    FIELD(sphinx_ask_options, seed);
    FIELD(sphinx_ask_options, stop);
    FIELD(sphinx_ask_options, n_stop);
    FIELD(sphinx_ask_options, ignore_eos);
    FIELD(sphinx_ask_options, answer_prefix);
    FIELD(sphinx_ask_options, grammar);
    FIELD(sphinx_ask_options, json_schema);
    FIELD(sphinx_ask_options, lookup);
    FIELD(sphinx_ask_options, draft_max);
    FIELD(sphinx_ask_options, draft_min);
    FIELD(sphinx_ask_options, draft_p_min);
    FIELD(sphinx_ask_options, piece);
    FIELD(sphinx_ask_options, token);
    FIELD(sphinx_ask_options, n_top);
    FIELD(sphinx_ask_options, user);
}

static void parts(void)
{
    WHOLE(sphinx_error);
    FIELD(sphinx_error, code);
    FIELD(sphinx_error, text);
    WHOLE(sphinx_box);
    FIELD(sphinx_box, label);
    FIELD(sphinx_box, box);
    FIELD(sphinx_box, square);
    FIELD(sphinx_box, confidence);
    FIELD(sphinx_box, color);
    WHOLE(sphinx_point);
    FIELD(sphinx_point, label);
    FIELD(sphinx_point, point);
    FIELD(sphinx_point, square);
    FIELD(sphinx_point, confidence);
    FIELD(sphinx_point, color);
    FIELD(sphinx_point, person);
    WHOLE(sphinx_timing);
    FIELD(sphinx_timing, stage);
    FIELD(sphinx_timing, seconds);
}

static void answer(void)
{
    WHOLE(sphinx_answer);
    FIELD(sphinx_answer, text);
    FIELD(sphinx_answer, tokens);
    FIELD(sphinx_answer, logprobs);
    FIELD(sphinx_answer, spans);
    FIELD(sphinx_answer, n_tokens);
    FIELD(sphinx_answer, prompt_tokens);
    FIELD(sphinx_answer, image_tokens);
    FIELD(sphinx_answer, cached_tokens);
    FIELD(sphinx_answer, image_cached);
    FIELD(sphinx_answer, drafted_tokens);
    FIELD(sphinx_answer, accepted_tokens);
    FIELD(sphinx_answer, dropped_turns);
    FIELD(sphinx_answer, finish);
    FIELD(sphinx_answer, boxes);
    FIELD(sphinx_answer, n_boxes);
    FIELD(sphinx_answer, points);
    FIELD(sphinx_answer, n_points);
    FIELD(sphinx_answer, regions);
    FIELD(sphinx_answer, n_regions);
    FIELD(sphinx_answer, malformed);
    FIELD(sphinx_answer, timings);
    FIELD(sphinx_answer, n_timings);
}

int main(void)
{
    ask_options();
    parts();
    answer();
    return 0;
}
