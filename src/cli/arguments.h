/*
 * arguments.h - arguments that name other things: the question that stands in a file or comes through a pipe, and files that are to
 * be written. Checked before a model is opened, so that mistakes cost no time.
 */
#ifndef SPHINX_CLI_ARGUMENTS_H
#define SPHINX_CLI_ARGUMENTS_H

#include "cli/options.h"

/* The question of --prompt or --file, malloc'ed. Returns an exit code, with a message unless it is CODE_OK. */
int arguments_question(const struct settings *s, char **question);

/* Says early what writing `path` for an option would run into: a directory, or no writable folder to lie in. */
int arguments_check_output(const char *option, const char *path);

/* What the options that several commands share must agree on. */
int arguments_check(const struct settings *s);

#endif
