/*
 * line_reader.h - lines that a user types: edited with libedit and remembered when standard input is a terminal, plain otherwise.
 * A line that ends in a backslash goes on in the next one, with a line feed between.
 */
#ifndef SPHINX_CLI_LINE_READER_H
#define SPHINX_CLI_LINE_READER_H

#include <stdbool.h>

struct line_reader;

enum line_result {
    LINE_READ,
    LINE_END,         /* end of input, Ctrl-D; or reading failed */
    LINE_INTERRUPTED, /* Ctrl-C: what was typed is forgotten. Only on a terminal */
};

/* NULL when out of memory. */
struct line_reader *line_reader_open(void);
void line_reader_close(struct line_reader *r); /* accepts NULL */

bool line_reader_is_terminal(const struct line_reader *r);

/* *line, without its line feed, belongs to the reader until the next call. Prompts are shown on terminals only. */
enum line_result line_reader_next(struct line_reader *r, char **line);

#endif
