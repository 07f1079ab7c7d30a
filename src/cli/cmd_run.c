/*
 * cmd_run.c - one question, one answer: streamed as text, or whole as JSON; drawn, and what is in its boxes cut out, if asked for.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/setup.h"

struct run {
    struct setup u;
    sphinx_segmenter *segmenter; /* NULL: no masks are asked for */
};

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

/* The tokens of the answer that wrote `word` where it first stands, or, without a word, all that wrote any text. */
static bool find_tokens(const sphinx_answer *a, const char *word, size_t *first, size_t *n)
{
    const char *at = word != NULL ? strstr(a->text, word) : a->text;
    size_t begin, end;

    if (at == NULL || *at == '\0') return false;
    begin = (size_t)(at - a->text);
    end = begin + strlen(word != NULL ? word : at);
    for (*first = 0; *first < a->n_tokens && a->spans[*first].end <= begin; ++*first) continue;
    for (*n = 0; *first + *n < a->n_tokens && a->spans[*first + *n].begin < end; ++*n) continue;
    return *n > 0;
}

static int draw_attention(struct setup *u, const sphinx_answer *answer)
{
    const struct settings *s = u->settings;
    sphinx_attention *attention = NULL;
    sphinx_error error = { 0 };
    sphinx_status status;
    size_t first, n;

    if (!find_tokens(answer, s->attention_word, &first, &n))
        return s->attention_word != NULL
                   ? fail("--attention-word: \"%s\" is not in the answer", s->attention_word)
                   : fail("--attention: the answer is empty");
    status = sphinx_session_attention(u->session, answer, first, n, &attention, &error);
    if (status == SPHINX_OK) status = sphinx_attention_draw(u->session, attention, s->attention, &error);
    sphinx_attention_free(attention);
    return status == SPHINX_OK ? CODE_OK : setup_failed(u, &error);
}

static int write_masks(struct run *r, const sphinx_answer *answer)
{
    sphinx_error error = { 0 };
    sphinx_status status;

    interrupt_begin_masks(r->segmenter);
    status = sphinx_answer_masks(r->u.session, answer, r->segmenter, r->u.settings->masks, &error);
    interrupt_end();
    progress_bar_clear(&r->u.bar);
    return status == SPHINX_OK ? CODE_OK : setup_failed(&r->u, &error);
}

static int finish(struct run *r, const sphinx_answer *answer)
{
    struct setup *u = &r->u;
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
    if (code == CODE_OK && s->attention != NULL) code = draw_attention(u, answer);
    if (s->verbose) {
        message("seed %llu", (unsigned long long)s->ask.seed);
        setup_timings(answer);
    }
    if (code == CODE_OK && interrupt_seen()) code = CODE_INTERRUPTED;
    if (code == CODE_OK && s->masks != NULL) code = write_masks(r, answer);
    return code;
}

static int ask(struct run *r, const char *question)
{
    struct setup *u = &r->u;
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
    code = finish(r, answer);
    sphinx_answer_free(answer);
    return code;
}

/* A picture that is to be written needs one to be drawn on. */
static int check_picture(const struct settings *s, const char *option, const char *path)
{
    if (path == NULL) return CODE_OK;
    if (s->image == NULL && s->prompt_cache == NULL)
        return usage_error(s->command, "%s needs an image to draw on: --image FILE", option);
    return arguments_check_output(option, path);
}

static int check(const struct settings *s)
{
    int code = arguments_check(s);

    if (code == CODE_OK) code = check_picture(s, "--draw", s->draw);
    if (code == CODE_OK) code = check_picture(s, "--attention", s->attention);
    if (code == CODE_OK && s->attention_word != NULL && s->attention == NULL)
        return usage_error(s->command, "--attention-word is of --attention FILE");
    if (code == CODE_OK && s->masks == NULL && s->sam != NULL)
        return usage_error(s->command, "--sam is of --masks FILE");
    if (code == CODE_OK) code = check_picture(s, "--masks", s->masks);
    return code;
}

/* Early, so that a file that is no SAM is known before the model answers. */
static int open_segmenter(struct run *r)
{
    const struct settings *s = r->u.settings;
    sphinx_segmenter_options options = { .cpu = s->model.cpu,
                                         .threads = s->model.threads,
                                         .images = 1,
                                         .precise = s->model.precise,
                                         .report = r->u.report };
    sphinx_error error = { 0 };
    char path[PATH_MAX];

    if (s->masks == NULL) return CODE_OK;
    if (!segmenter_path(s->sam, path, sizeof path)) return fail("--masks needs a segmenter: --sam FILE");
    if (sphinx_segmenter_open(&r->segmenter, path, &options, &error) == SPHINX_OK) return CODE_OK;
    return setup_failed(&r->u, &error);
}

int cmd_run(struct settings *s)
{
    struct run r = { .segmenter = NULL };
    char *question = NULL;
    int code = check(s);

    if (code == CODE_OK) code = arguments_question(s, &question);
    if (code == CODE_OK) code = setup_model(&r.u, s);
    if (code == CODE_OK) code = open_segmenter(&r);
    if (code == CODE_OK) code = setup_session(&r.u);
    if (code == CODE_OK) code = setup_start(&r.u);
    if (code == CODE_OK) code = ask(&r, question);
    if (code == CODE_OK) code = setup_save(&r.u);
    sphinx_segmenter_close(r.segmenter);
    setup_close(&r.u);
    free(question);
    return code;
}
