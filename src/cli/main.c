/* main.c - finds the command that is wanted and hands over to it (options.h has the tables, cmd_*.c the commands). */
#include <stdio.h>
#include <string.h>

#include "cli/help.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/output.h"

static int run_command(enum command command, int argc, char **argv)
{
    struct settings s;
    int code;

    settings_init(&s, command);
    code = options_parse(&s, argc, argv);
    if (code == CODE_OK && command == COMMAND_SERVE) code = options_environment(&s, argc, argv);
    if (code != CODE_OK) goto end;
    if (s.version)
        output_printf("sphinx %s\n", sphinx_version());
    else if (s.help)
        help_command(stdout, command);
    else
        code = command_rows[command].run(&s);
end:
    settings_free(&s);
    return code;
}

static int dispatch(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    enum command command;

    if (name == NULL) {
        message("no command given (see: sphinx help)");
        return CODE_USAGE;
    }
    if (strcmp(name, "--version") == 0) {
        output_printf("sphinx %s\n", sphinx_version());
        return CODE_OK;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        help_overview(stdout);
        return CODE_OK;
    }
    command = command_find(name);
    if (command == COMMAND_COUNT) return command_unknown(name);
    return run_command(command, argc - 2, argv + 2);
}

int main(int argc, char **argv)
{
    output_init();
    interrupt_install();
    return output_finish(dispatch(argc, argv));
}
