/*
 * conversion.h - writing a model from others: what convert and mix share.
 */
#ifndef SPHINX_CLI_CONVERSION_H
#define SPHINX_CLI_CONVERSION_H

#include "cli/setup.h"
#include "model/convert.h"

/* Writes the models of u->paths as `out`, whose name and the settings say the format; says what came of it. Returns an exit code, with a
 * message unless it is CODE_OK or CODE_INTERRUPTED. */
int conversion_run(struct setup *u, const char *out, struct policy *policy, const struct ckpt_options *mix);

#endif
