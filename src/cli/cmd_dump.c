/* cmd_dump.c - the named intermediates of one question as a safetensors file (model/dump.h). */
#include "model/dump.h"

#include <stdlib.h>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/setup.h"

static int write_dump(struct setup *u, const char *question)
{
    const struct settings *s = u->settings;
    struct dump_options o = { .image = s->image, .question = question, .out = s->output, .all = s->all };
    struct err e = { 0 };
    enum status st;

    interrupt_begin(u->session);
    st = dump_write(u->session, &o, &e);
    interrupt_end();
    progress_bar_clear(&u->bar);
    if (st == STATUS_CANCELLED) return CODE_INTERRUPTED;
    return st == STATUS_OK ? CODE_OK : fail("%s", e.text);
}

int cmd_dump(struct settings *s)
{
    struct setup u = { 0 };
    char *question = NULL;
    int code = arguments_check(s);

    if (code == CODE_OK && s->output == NULL) code = usage_error(s->command, "--output FILE is missing");
    if (code == CODE_OK) code = arguments_check_output("--output", s->output);
    if (code == CODE_OK) code = arguments_question(s, &question);
    if (code == CODE_OK) code = setup_model(&u, s);
    if (code == CODE_OK) code = setup_session(&u);
    if (code == CODE_OK) code = write_dump(&u, question);
    setup_close(&u);
    free(question);
    return code;
}
