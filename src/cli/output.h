/*
 * output.h - standard output, checked. A full disk or a closed descriptor is an error that the program reports and
 * ends with; a pipe whose reader has left ends it quietly, as it does every Unix tool.
 */
#ifndef SPHINX_CLI_OUTPUT_H
#define SPHINX_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

/* Before anything is opened: makes sure that descriptors 0, 1 and 2 are taken, so that no file of ours ends up in the
 * place of a closed standard output, and that a lost reader ends the program. */
void output_init(void);

/* Both write at once. False when it failed: what is written after that is lost, and output_finish reports it.
 * output_text is for people: on a terminal, control characters of the model's making are disarmed. */
bool output_bytes(const char *bytes, size_t size);
bool output_text(const char *text, size_t size);

/* Buffered, for listings; output_flush shows what there is so far. */
void output_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void output_flush(void);

/* Writes what is buffered. code, or CODE_FAILED with a message if any writing failed and code was CODE_OK. */
int output_finish(int code);

#endif
