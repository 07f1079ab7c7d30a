/* help.c - see help.h. */
#include "cli/help.h"

#include <stdint.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/output.h"

enum { COLUMN = 30, WIDTH = 100 };

/* Prints text in lines of words from COLUMN to WIDTH; the cursor stands at `at`. */
static void print_wrapped(FILE *f, int at, const char *text)
{
    while (*text != '\0') {
        int n = (int)strcspn(text, " ");

        if (at < COLUMN || at + 1 + n > WIDTH) {
            if (at >= COLUMN) fprintf(f, "\n%*s", COLUMN, "");
            if (at < COLUMN) fprintf(f, "%*s", COLUMN - at, "");
            at = COLUMN;
        } else {
            fputc(' ', f);
            at++;
        }
        fprintf(f, "%.*s", n, text);
        at += n;
        text += n;
        text += strspn(text, " ");
    }
    fputc('\n', f);
}

/* "(default: 512)" for numbers and choices, "" for others; into text [64]. */
static const char *default_text(char *text, const struct settings *defaults, const struct option *o)
{
    const void *field = (const char *)defaults + o->offset;

    text[0] = '\0';
    if (o->kind == OPTION_INT) snprintf(text, 64, " (default: %d)", *(const int *)field);
    if (o->kind == OPTION_SIZE &&
        *(const size_t *)field != SIZE_MAX) /* that stands for what the program chooses */
        snprintf(text, 64, " (default: %zu)", *(const size_t *)field);
    if (o->kind == OPTION_FLOAT) snprintf(text, 64, " (default: %g)", (double)*(const float *)field);
    if (o->kind == OPTION_SEED)
        snprintf(text, 64, " (default: %llu)", (unsigned long long)*(const uint64_t *)field);
    if (o->kind == OPTION_CHOICE && *(const char *const *)field != NULL)
        snprintf(text, 64, " (default: %s)", *(const char *const *)field);
    return text;
}

static void print_option(FILE *f, const struct settings *defaults, const struct option *o)
{
    const char *names = o->names, *separator = "  ";
    char word[WORD_SIZE], text[512], value[64];
    int at = 0;

    while (word_next(&names, word)) {
        at += fprintf(f, "%s%s", separator, word);
        separator = ", ";
    }
    if (o->value != NULL) at += fprintf(f, " %s", o->value);
    if (at >= COLUMN - 1) {
        fputc('\n', f);
        at = 0;
    }
    snprintf(text, sizeof text, "%s%s%s%s", o->help, o->choices != NULL ? ": " : "",
             o->choices != NULL ? o->choices : "", default_text(value, defaults, o));
    print_wrapped(f, at, text);
}

void help_command(FILE *f, enum command command)
{
    const struct command_row *row = &command_rows[command];
    struct settings defaults;

    fprintf(f, "sphinx %s - %s\n", row->name, row->summary);
    fprintf(f, "\nUsage: sphinx %s [OPTIONS]%s%s\n", row->name, row->operands[0] != '\0' ? " " : "",
            row->operands);
    settings_init(&defaults, command);
    for (enum option_group g = 0; g < GROUP_COUNT; g++) {
        bool titled = false;

        for (size_t i = 0; i < option_count; i++) {
            const struct option *o = &option_rows[i];

            if (o->group != g || (o->commands >> command & 1u) == 0) continue;
            if (!titled) fprintf(f, "\n%s:\n", option_group_names[g]);
            titled = true;
            print_option(f, &defaults, o);
        }
    }
}

void help_overview(FILE *f)
{
    fprintf(
        f,
        "sphinx %s - SPHINX, the multimodal language model\n\nUsage: sphinx COMMAND [OPTIONS]\n\nCommands:\n",
        sphinx_version());
    for (enum command c = 0; c < COMMAND_COUNT; c++)
        fprintf(f, "  %-10s %s\n", command_rows[c].name, command_rows[c].summary);
    fputs("\nExamples:\n"
          "  sphinx run -m models/SPHINX-v2-1k -i cat.jpg -p \"What's in the image?\"\n"
          "  sphinx run -i people.jpg -p \"Detect all people shown in the image.\" --draw out.png\n"
          "  sphinx chat -i cat.jpg\n"
          "\n'sphinx help COMMAND' explains a command; the manual is sphinx(1).\n",
          f);
}

/* One line a name: command, name, what its value is ("-" for flags, a word of choices each after it). */
static void print_list(void)
{
    for (enum command c = 0; c < COMMAND_COUNT; c++) {
        output_printf("%s\n", command_rows[c].name);
        for (size_t i = 0; i < option_count; i++) {
            const struct option *o = &option_rows[i];
            const char *lists[2] = { o->names, o->aliases };
            char word[WORD_SIZE];

            if ((o->commands >> c & 1u) == 0) continue;
            for (int k = 0; k < 2; k++) {
                while (word_next(&lists[k], word))
                    output_printf("%s %s %s%s%s\n", command_rows[c].name, word,
                                  o->value != NULL ? o->value : "-", o->choices != NULL ? " " : "",
                                  o->choices != NULL ? o->choices : "");
            }
        }
    }
}

int cmd_help(struct settings *s)
{
    enum command command;

    if (s->list) {
        print_list();
        return CODE_OK;
    }
    if (s->operands.count == 0) {
        help_overview(stdout);
        return CODE_OK;
    }
    command = command_find(s->operands.item[0]);
    if (command < COMMAND_COUNT) {
        help_command(stdout, command);
        return CODE_OK;
    }
    return command_unknown(s->operands.item[0]);
}
