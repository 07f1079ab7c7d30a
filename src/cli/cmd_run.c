/*
 * cmd_run.c - one question, one answer: streamed as text, or whole as JSON; drawn if asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/setup.h"

static int on_piece(void *user, const char *text, size_t size)
{
    struct setup *u = user;

    progress_bar_clear(&u->bar);
    return output_text(text, size) ? 0 : 1;
}

static int print_json(const sphinx_answer *answer)
{
    char *json = sphinx_answer_json(answer);

    if (json == NULL) return fail("out of memory for the JSON");
    output_printf("%s\n", json);
    sphinx_free(json);
    return CODE_OK;
}

static int finish(struct setup *u, const sphinx_answer *answer)
{
    const struct settings *s = u->settings;
    sphinx_error error = { 0 };
    int code = CODE_OK;

    progress_bar_clear(&u->bar);
    if (s->json)
        code = print_json(answer);
    else
        output_bytes("\n", 1);
    if (code == CODE_OK && s->draw != NULL &&
        sphinx_answer_draw(u->session, answer, s->draw, s->labels, &error) != SPHINX_OK)
        code = setup_failed(u, &error);
    if (s->verbose) {
        message("seed %llu", (unsigned long long)s->ask.seed);
        setup_timings(answer);
    }
    if (code == CODE_OK && interrupt_seen()) code = CODE_INTERRUPTED;
    return code;
}

static int ask(struct setup *u, const char *question)
{
    struct settings *s = u->settings;
    sphinx_error error = { 0 };
    sphinx_answer *answer = NULL;
    sphinx_status status;
    int code;

    s->ask.piece = s->json ? NULL : on_piece;
    s->ask.user = u;
    interrupt_begin(u->session);
    status = sphinx_ask(u->session, question, &s->ask, &answer, &error);
    interrupt_end();
    if (status != SPHINX_OK) return setup_failed(u, &error);
    code = finish(u, answer);
    sphinx_answer_free(answer);
    return code;
}

static int check(const struct settings *s)
{
    int code = arguments_check(s);

    if (code != CODE_OK || s->draw == NULL) return code;
    if (s->image == NULL && s->prompt_cache == NULL)
        return usage_error(s->command, "--draw needs an image to draw on: --image FILE");
    return arguments_check_output("--draw", s->draw);
}

int cmd_run(struct settings *s)
{
    struct setup u = { 0 };
    char *question = NULL;
    int code = check(s);

    if (code == CODE_OK) code = arguments_question(s, &question);
    if (code == CODE_OK) code = setup_model(&u, s);
    if (code == CODE_OK) code = setup_session(&u);
    if (code == CODE_OK) code = setup_start(&u);
    if (code == CODE_OK) code = ask(&u, question);
    if (code == CODE_OK) code = setup_save(&u);
    setup_close(&u);
    free(question);
    return code;
}
