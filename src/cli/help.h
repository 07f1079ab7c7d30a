/*
 * help.h - the tables of options.h, printed for people and for programs.
 */
#ifndef SPHINX_CLI_HELP_H
#define SPHINX_CLI_HELP_H

#include <stdio.h>

#include "cli/options.h"

/* What the program is and which commands it has. */
void help_overview(FILE *f);

/* One command with all its options. */
void help_command(FILE *f, enum command command);

#endif
