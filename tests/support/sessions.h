/*
 * sessions.h - for tests through the public interface: models, sessions and answers that must come about.
 */
#ifndef TESTS_SUPPORT_SESSIONS_H
#define TESTS_SUPPORT_SESSIONS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sphinx.h"

static inline sphinx_model *open_model(const char *path, const sphinx_model_options *options)
{
    sphinx_error error = { 0 };
    sphinx_model *model;

    if (sphinx_model_open(&model, &path, 1, options, &error) != SPHINX_OK) fail_msg("%s", error.text);
    return model;
}

/* picture NULL: none */
static inline sphinx_session *open_session(sphinx_model *model, const sphinx_session_options *options,
                                           const char *picture)
{
    sphinx_error error = { 0 };
    sphinx_session *session;

    if (sphinx_session_open(&session, model, options, &error) != SPHINX_OK) fail_msg("%s", error.text);
    if (picture != NULL && sphinx_session_image_file(session, picture, &error) != SPHINX_OK)
        fail_msg("%s", error.text);
    return session;
}

static inline sphinx_answer *ask(sphinx_session *session, const char *text, const sphinx_ask_options *o)
{
    sphinx_error error = { 0 };
    sphinx_answer *answer;

    if (sphinx_ask(session, text, o, &answer, &error) != SPHINX_OK) fail_msg("%s", error.text);
    return answer;
}

static inline void assert_same_tokens(const sphinx_answer *got, const sphinx_answer *want)
{
    assert_string_equal(got->text, want->text);
    assert_int_equal(got->n_tokens, want->n_tokens);
    assert_memory_equal(got->tokens, want->tokens, want->n_tokens * sizeof *want->tokens);
}

/* And to the last bit. */
static inline void assert_same_answer(const sphinx_answer *got, const sphinx_answer *want)
{
    assert_same_tokens(got, want);
    assert_memory_equal(got->logprobs, want->logprobs, want->n_tokens * sizeof *want->logprobs);
    assert_int_equal(got->finish, want->finish);
}

#endif
