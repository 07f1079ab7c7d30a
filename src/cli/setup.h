/*
 * setup.h - from the settings to a model and a session that are ready for questions, with progress and warnings connected to the
 * terminal. The way that run, chat and tokenize share.
 *
 *   settings ── setup_model ── setup_session ── setup_start ── sphinx_ask ── setup_save ── setup_close
 */
#ifndef SPHINX_CLI_SETUP_H
#define SPHINX_CLI_SETUP_H

#include "cli/model_paths.h"
#include "cli/options.h"
#include "cli/progress_bar.h"

struct setup {
    struct settings *settings; /* borrowed */
    struct model_paths paths;
    struct progress_bar bar;
    char *grammar;               /* of --grammar-file or --json-schema-file; NULL: none */
    sphinx_report report;        /* to the bar and, as messages, to standard error */
    sphinx_model *model, *draft; /* draft NULL: none */
    sphinx_session *session;
};

/* Each returns an exit code, after a message unless it is CODE_OK or CODE_INTERRUPTED. After a failure setup_close is still due. */
int setup_begin(struct setup *u, struct settings *s); /* paths and report only */
int setup_model(struct setup *u, struct settings *s); /* setup_begin, and opens the model */
int setup_session(struct setup *u);
/* Stop texts and grammar, to the settings' options for asking. */
int setup_asking(struct setup *u);
/* The session as --prompt-cache and --image want it: restored from the file if that fits, else with the image, if there is one. */
int setup_start(struct setup *u);
int setup_image(struct setup *u, const char *path); /* another image */
int setup_save(struct setup *u); /* to --prompt-cache, if there is one that may be written */
void setup_close(struct setup *u);

/* What an error of the library means for the program: wipes the bar, says the sentence, returns the exit code. */
int setup_failed(struct setup *u, const sphinx_error *error);

/* One line on standard error: how long each part of an answer took. */
void setup_timings(const sphinx_answer *answer);

#endif
