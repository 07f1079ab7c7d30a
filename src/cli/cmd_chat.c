/*
 * cmd_chat.c - a conversation in the terminal, or by lines through a pipe.
 *
 *   line ─┬─ "/name argument" ── the table below
 *         └─ a question ── sphinx_ask ── streamed to standard output
 *
 * Answers go to standard output, everything else to standard error, so that what a pipe carries is the answers.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/line_reader.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/setup.h"
#include "cli/transcript.h"
#include "core/nearest.h"

struct chat {
    struct settings *s;
    struct setup u;
    struct line_reader *reader;
    sphinx_answer *answer; /* the last one, for /draw; NULL if there is none */
    char *image;           /* the path; NULL: no image */
    int code;              /* of the first thing that failed, for pipes */
    bool leaving;
};

static void failed(struct chat *c, int code)
{
    if (c->code == CODE_OK) c->code = code;
}

static void forget_answer(struct chat *c)
{
    sphinx_answer_free(c->answer);
    c->answer = NULL;
}

/* ---- asking ------------------------------------------------------------------------------------------------- */

static int on_piece(void *user, const char *text, size_t size)
{
    struct chat *c = user;

    progress_bar_clear(&c->u.bar);
    return output_text(text, size) ? 0 : 1;
}

/* False if there is no answer. */
static bool ask(struct chat *c, const char *question)
{
    sphinx_error error = { 0 };
    sphinx_answer *answer = NULL;
    sphinx_status status;

    c->s->ask.piece = on_piece;
    c->s->ask.user = c;
    interrupt_begin(c->u.session);
    status = sphinx_ask(c->u.session, question, &c->s->ask, &answer, &error);
    interrupt_end();
    progress_bar_clear(&c->u.bar);
    if (status != SPHINX_OK) {
        failed(c, setup_failed(&c->u, &error));
        return false;
    }
    forget_answer(c);
    c->answer = answer;
    if (!output_bytes("\n", 1)) c->leaving = true;
    if (c->s->verbose) setup_timings(answer);
    return true;
}

/* ---- commands ----------------------------------------------------------------------------------------------- */

static void set_image(struct chat *c, const char *path)
{
    int code;
    char *copy;

    if (path[0] == '\0') {
        sphinx_session_image_clear(c->u.session);
        forget_answer(c);
        free(c->image);
        c->image = NULL;
        message("no image; the conversation begins anew");
        return;
    }
    copy = strdup(path);
    code = copy != NULL ? setup_image(&c->u, path) : fail("out of memory for the image's name");
    if (code != CODE_OK) {
        free(copy);
        failed(c, code);
        return;
    }
    forget_answer(c);
    free(c->image);
    c->image = copy;
}

static void undo(struct chat *c, const char *unused)
{
    (void)unused;
    if (!sphinx_session_undo(c->u.session)) {
        message("there is nothing to undo");
        return;
    }
    forget_answer(c);
    message("undone; questions left: %zu", sphinx_session_turns(c->u.session));
}

static void clear(struct chat *c, const char *unused)
{
    (void)unused;
    sphinx_session_clear(c->u.session);
    forget_answer(c);
    message("cleared; %s", c->image != NULL ? "the image stays" : "there is no image");
}

static void retry(struct chat *c, const char *unused)
{
    const char *question, *answer;
    size_t turns = sphinx_session_turns(c->u.session);
    char *question_kept, *answer_kept;

    (void)unused;
    if (turns == 0 || !sphinx_session_turn(c->u.session, turns - 1, &question, &answer)) {
        message("there is nothing to ask again");
        return;
    }
    question_kept = strdup(question);
    answer_kept = strdup(answer);
    if (question_kept == NULL || answer_kept == NULL) {
        failed(c, fail("out of memory for the question"));
    } else {
        sphinx_session_undo(c->u.session);
        c->s->ask.seed++; /* the same seed would give the same answer */
        if (!ask(c, question_kept)) sphinx_session_append(c->u.session, question_kept, answer_kept, NULL);
    }
    free(question_kept);
    free(answer_kept);
}

static void save(struct chat *c, const char *path)
{
    sphinx_model_info info;
    struct err e = { 0 };

    sphinx_model_get_info(c->u.model, &info);
    if (transcript_save(c->u.session, info.name, c->image, path, &e) != STATUS_OK)
        failed(c, fail("%s", e.text));
    else
        message("saved as %s", path);
}

static void draw(struct chat *c, const char *path)
{
    sphinx_error error = { 0 };

    if (c->answer == NULL)
        failed(c, fail("there is no answer to draw yet"));
    else if (sphinx_answer_draw(c->u.session, c->answer, path, c->s->labels, &error) != SPHINX_OK)
        failed(c, setup_failed(&c->u, &error));
    else
        message("drawn as %s: boxes: %zu, points: %zu", path, c->answer->n_boxes, c->answer->n_points);
}

static void quit(struct chat *c, const char *unused)
{
    (void)unused;
    c->leaving = true;
}

static void help(struct chat *c, const char *unused);

static const struct chat_command {
    const char *name;
    const char *argument; /* NULL: none; in brackets: may be missing */
    const char *help;
    void (*run)(struct chat *c, const char *argument);
} chat_commands[] = {
    { "/image", "[FILE]", "look at an image (without FILE: at none); the conversation begins anew",
      set_image },
    { "/undo", NULL, "forget the last question and its answer", undo },
    { "/retry", NULL, "ask the last question again", retry },
    { "/clear", NULL, "forget the conversation; the image stays", clear },
    { "/save", "FILE", "write the conversation as JSON, or as text if FILE ends in .txt", save },
    { "/draw", "FILE", "draw the last answer's boxes and points on the image, as PNG", draw },
    { "/help", NULL, "this list", help },
    { "/quit", NULL, "leave; so does Ctrl-D", quit },
};

enum { CHAT_COMMANDS = sizeof chat_commands / sizeof chat_commands[0] };

static void help(struct chat *c, const char *unused)
{
    (void)c;
    (void)unused;
    for (size_t i = 0; i < CHAT_COMMANDS; i++) {
        const struct chat_command *k = &chat_commands[i];

        output_printf("%-7s%-7s %s\n", k->name, k->argument != NULL ? k->argument : "", k->help);
    }
    output_printf("A line that ends in \\ goes on in the next. A question may begin with // for one slash.\n"
                  "Ctrl-C stops an answer, a second one the program.\n");
    if (!output_bytes("", 0)) c->leaving = true;
}

static void run_chat_command(struct chat *c, char *line)
{
    struct nearest n = { .wanted = line };
    size_t length = strcspn(line, " ");
    char *argument = line + length + strspn(line + length, " ");

    line[length] = '\0';
    for (size_t i = 0; i < CHAT_COMMANDS; i++) {
        const struct chat_command *k = &chat_commands[i];

        nearest_offer(&n, k->name);
        if (strcmp(k->name, line) != 0) continue;
        if (k->argument == NULL && argument[0] != '\0')
            failed(c, fail("%s takes no argument ('%s' given)", k->name, argument));
        else if (k->argument != NULL && k->argument[0] != '[' && argument[0] == '\0')
            failed(c, fail("%s needs the name of a file", k->name));
        else
            k->run(c, argument);
        return;
    }
    if (n.word[0] != '\0')
        failed(c, fail("there is no command %s; did you mean %s?", line, n.word));
    else
        failed(c, fail("there is no command %s; /help lists them", line));
}

/* ---- the loop ----------------------------------------------------------------------------------------------- */

static void trim(char **line)
{
    size_t n;

    *line += strspn(*line, " \t\n");
    n = strlen(*line);
    while (n > 0 && strchr(" \t\n", (*line)[n - 1]) != NULL) n--;
    (*line)[n] = '\0';
}

static void handle_line(struct chat *c, char *line)
{
    trim(&line);
    if (line[0] == '\0') return;
    if (line[0] == '/' && line[1] != '/')
        run_chat_command(c, line);
    else
        ask(c, line[0] == '/' ? line + 1 : line);
}

static int loop(struct chat *c)
{
    bool interrupted = false, terminal = line_reader_is_terminal(c->reader);

    while (!c->leaving) {
        char *line = NULL;
        enum line_result result = line_reader_next(c->reader, &line);

        if (result == LINE_END) break;
        if (result == LINE_INTERRUPTED) {
            output_bytes("\n", 1);
            if (interrupted) return CODE_INTERRUPTED;
            message("Ctrl-C again, or Ctrl-D, leaves");
            interrupted = true;
            continue;
        }
        interrupted = false;
        handle_line(c, line);
        /* In a pipe nobody is there to go on: Ctrl-C ends all of it. */
        if (!terminal && c->code == CODE_INTERRUPTED) break;
        if (!terminal && interrupt_seen()) return CODE_INTERRUPTED;
    }
    if (terminal && !c->leaving) output_bytes("\n", 1);
    /* Somebody at a terminal has seen what failed; a script has only the code. */
    return terminal ? CODE_OK : c->code;
}

/* The image's name is the prompt cache's where nothing else is known of it. */
static int start(struct chat *c)
{
    const char *name = c->s->image;
    int code = setup_start(&c->u);
    size_t turns;

    if (code != CODE_OK) return code;
    if (name == NULL && sphinx_session_has_image(c->u.session)) name = c->s->prompt_cache;
    if (name != NULL) {
        c->image = strdup(name);
        if (c->image == NULL) return fail("out of memory for the image's name");
    }
    turns = sphinx_session_turns(c->u.session);
    if (turns > 0 && !c->s->quiet) message("questions so far, as saved: %zu", turns);
    return CODE_OK;
}

static int begin(struct chat *c)
{
    sphinx_model_info info;
    int code = arguments_check(c->s);

    if (code == CODE_OK && c->s->image != NULL && strcmp(c->s->image, "-") == 0)
        return usage_error(c->s->command, "--image -: standard input is where the questions come from");
    if (code == CODE_OK) code = setup_model(&c->u, c->s);
    if (code == CODE_OK) code = setup_session(&c->u);
    if (code != CODE_OK) return code;
    code = start(c);
    if (code != CODE_OK) return code;
    c->reader = line_reader_open();
    if (c->reader == NULL) return fail("cannot prepare the terminal for editing lines");
    sphinx_model_get_info(c->u.model, &info);
    if (line_reader_is_terminal(c->reader) && !c->s->quiet)
        message("%s listens; /help lists the commands, Ctrl-D leaves", info.name);
    return CODE_OK;
}

int cmd_chat(struct settings *s)
{
    struct chat c = { .s = s };
    int code = begin(&c);

    if (code == CODE_OK) {
        int saved;

        code = loop(&c);
        saved = setup_save(&c.u);
        if (code == CODE_OK) code = saved;
    }
    line_reader_close(c.reader);
    forget_answer(&c);
    free(c.image);
    setup_close(&c.u);
    return code;
}
