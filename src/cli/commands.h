/*
 * commands.h - the commands, one file each. Each gets the settings that the command line made, prints its answer on
 * standard output and its troubles on standard error, and returns the exit code.
 */
#ifndef SPHINX_CLI_COMMANDS_H
#define SPHINX_CLI_COMMANDS_H

#include "cli/options.h"

int cmd_run(struct settings *s);
int cmd_chat(struct settings *s);
int cmd_tokenize(struct settings *s);
int cmd_inspect(struct settings *s);
int cmd_dump(struct settings *s);
int cmd_init(struct settings *s);
int cmd_bench(struct settings *s);
int cmd_convert(struct settings *s);
int cmd_eval(struct settings *s);
int cmd_batch(struct settings *s);
int cmd_mix(struct settings *s);
int cmd_synth(struct settings *s);
int cmd_train(struct settings *s);
int cmd_serve(struct settings *s);
int cmd_segment(struct settings *s);
int cmd_help(struct settings *s);

#endif
