/*
 * test_constrained.c - whatever random weights would say, the answer is one of the grammar's: greedy and sampled, alone, in a batch and guessed
 * ahead; and without a grammar nothing changes.
 */
#include "support/sessions.h"

#include <string.h>

#include "support/grammars.h"

#define TINY "tests/data/tiny/"

static const char list[] = "root ::= \"[\" [0-9]{1,3} (\",\" [0-9]{1,3}){2} \"]\"";

static sphinx_ask_options constrained(const char *grammar, float temperature, uint64_t seed)
{
    sphinx_ask_options o = sphinx_ask_options_default();

    o.grammar = grammar;
    o.temperature = temperature;
    o.top_p = seed % 2 == 0 ? 1 : 0.75f;
    o.repeat_penalty = seed % 3 == 2 ? 1.3f : 1;
    o.seed = seed;
    o.max_tokens = 80;
    return o;
}

/* A finished answer is all of the grammar's, an unfinished one the beginning of one; that is, but for white space at its end. */
static void check(const sphinx_answer *a, const char *grammar)
{
    const char *preset = grammar_preset(grammar);
    struct grammar g = grammar_made(preset != NULL ? preset : grammar, NULL, 0);
    enum follows got = grammar_follows(&g, a->text, strlen(a->text));

    if (got == FOLLOWS_NOT || (a->finish == SPHINX_FINISH_STOP && got != FOLLOWS))
        fail_msg("%s\nanswered with \"%s\" (%d)", grammar, a->text, (int)a->finish);
    grammar_free(&g);
}

static const char *const grammars[] = {
    "boxes", "points", list, "root ::= \"yes\" | \"no\"",
    "root ::= \"\xe4\xbd\xa0\xe5\xa5\xbd\" [\xc3\xa0-\xc3\xbf]{2} \".\""
};

enum { GRAMMARS = sizeof grammars / sizeof *grammars };

static void test_alone(void **state)
{
    sphinx_model *model = open_model(TINY "llama_ens", NULL);
    sphinx_session *s = open_session(model, NULL, NULL);
    size_t finished = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        for (size_t i = 0; i < GRAMMARS; i++) {
            sphinx_ask_options o = constrained(grammars[i], 0.5f * (float)seed, seed);
            sphinx_answer *a = ask(s, "Where is it?", &o);

            check(a, grammars[i]);
            if (i < 1) assert_int_equal(a->malformed, 0);
            if (i >= 2) assert_int_equal(a->finish, SPHINX_FINISH_STOP);
            finished += a->finish == SPHINX_FINISH_STOP;
            sphinx_answer_free(a);
        }
    }
    assert_true(finished > 0);
    sphinx_session_close(s);
    sphinx_model_close(model);
}

/* The same answers as alone. */
static void test_together_and_guessed(void **state)
{
    sphinx_model_options options = { .prefix_cache_bytes = -1 };
    sphinx_model *model = open_model(TINY "llama_ens", &options);
    sphinx_session_options guessing = { .draft = model };
    sphinx_session *alone[GRAMMARS], *many[GRAMMARS];
    const char *questions[GRAMMARS];
    sphinx_ask_options o[GRAMMARS];
    sphinx_answer *got[GRAMMARS];
    sphinx_error errors[GRAMMARS];

    (void)state;
    for (size_t i = 0; i < GRAMMARS; i++) {
        alone[i] = open_session(model, NULL, NULL);
        many[i] = open_session(model, i % 2 == 0 ? &guessing : NULL, NULL);
        questions[i] = "Where is it?";
        o[i] = constrained(i == 3 ? NULL : grammars[i], i < 2 ? 0 : 1, i);
        o[i].lookup = 4;
        o[i].draft_p_min = 0;
        o[i].max_tokens = 30;
    }
    assert_int_equal(sphinx_ask_many(many, questions, o, GRAMMARS, got, errors), SPHINX_OK);
    for (size_t i = 0; i < GRAMMARS; i++) {
        sphinx_answer *want;

        o[i].lookup = 0;
        want = ask(alone[i], questions[i], &o[i]);
        assert_same_answer(got[i], want);
        if (o[i].grammar != NULL) check(got[i], o[i].grammar);
        sphinx_answer_free(want);
        sphinx_answer_free(got[i]);
        sphinx_session_close(alone[i]);
        sphinx_session_close(many[i]);
    }
    sphinx_model_close(model);
}

/* A question with a grammar leaves none to the next. */
static void test_off_by_default(void **state)
{
    sphinx_model_options options = { .prefix_cache_bytes = -1 };
    sphinx_model *model = open_model(TINY "llama_ens", &options);
    sphinx_session_options independent = { .independent = true };
    sphinx_session *a = open_session(model, &independent, NULL), *b = open_session(model, &independent, NULL);
    sphinx_ask_options with = constrained(list, 0, 0), without = constrained(NULL, 0, 0);
    sphinx_answer *first = ask(a, "Where is it?", &with), *got, *want;

    (void)state;
    assert_true(sphinx_session_undo(a));
    got = ask(a, "Where is it?", &without);
    want = ask(b, "Where is it?", &without);
    assert_same_answer(got, want);
    sphinx_answer_free(first);
    sphinx_answer_free(got);
    sphinx_answer_free(want);
    sphinx_session_close(a);
    sphinx_session_close(b);
    sphinx_model_close(model);
}

static void refuse(sphinx_session *s, const sphinx_ask_options *o, const char *why)
{
    sphinx_error error = { 0 };
    sphinx_answer *answer;

    assert_int_equal(sphinx_ask(s, "Where is it?", o, &answer, &error), SPHINX_BAD_ARGUMENT);
    assert_non_null(strstr(error.text, why));
    assert_int_equal(sphinx_session_turns(s), 0);
}

static void test_refused(void **state)
{
    sphinx_model *model = open_model(TINY "llama_ens", NULL);
    sphinx_session *s = open_session(model, NULL, NULL);
    sphinx_ask_options o = constrained("root ::= root \"a\" | \"a\"", 0, 0);

    (void)state;
    refuse(s, &o, "left-recursive");
    o.grammar = "box";
    refuse(s, &o, "::= is missing");
    o.grammar = list;
    o.ignore_eos = true;
    refuse(s, &o, "ignore_eos");
    o.ignore_eos = false;
    sphinx_answer_free(ask(s, "Where is it?", &o));
    sphinx_session_close(s);
    sphinx_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_together_and_guessed),
        cmocka_unit_test(test_off_by_default),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
