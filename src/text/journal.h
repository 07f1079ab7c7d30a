/*
 * journal.h - a file of JSON objects, one a line, that only grows: what was computed is in it as soon as it is known, whatever ends the run.
 *
 *   answers.jsonl                      of rank 0, or of all
 *   answers.1.jsonl, answers.2.jsonl   of other ranks, while they run; journal_merge brings them together
 *
 * Invariants: (1) A line is written by one call, so a killed process leaves at most one unfinished line, the last, which reading drops and
 * opening cuts off. (2) A line that could not be written whole (a full disk) is cut off again. (3) One process at a time has a
 * file open: it holds a lock. (4) Merging replaces the file whole; a rank's lines are in it all or not at all, so merging
 * that was interrupted can be done again.
 */
#ifndef SPHINX_TEXT_JOURNAL_H
#define SPHINX_TEXT_JOURNAL_H

#include "core/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JOURNAL_RANKS_MAX = 4096 };

struct journal {
    int fd;
    char *path; /* NULL: not open */
    int64_t size;
};

/* The file of a rank: PATH itself for rank 0, else with the number before a final ".jsonl". malloc'ed, NULL: no memory. */
char *journal_path(const char *path, int rank);

/* Opens to append, and creates. BAD_ARGUMENT where another process has it open. */
enum status journal_open(struct journal *j, const char *path, struct err *e);
enum status journal_append(struct journal *j, const json_t *object, struct err *e);
/* Cuts off everything from the first line on that `stays` refuses, or that is no JSON object. */
enum status journal_keep(struct journal *j, bool (*stays)(void *user, const json_t *object), void *user,
                         struct err *e);
enum status journal_close(struct journal *j, struct err *e); /* accepts a zeroed one; flushed to the disk */

struct journal_line {
    const char *file;
    size_t number; /* from 1 */
    const json_t *object;
};

typedef enum status (*journal_take)(void *user, const struct journal_line *line, struct err *e);

/* Calls take with each line, in their order. BAD_FORMAT names the line that is no JSON object. */
enum status journal_read(const char *path, journal_take take, void *user, struct err *e);
enum status journal_read_memory(const char *name, const char *data, size_t size, journal_take take,
                                void *user, struct err *e);
/* The same for the files of all ranks that there are, rank 0 first. */
enum status journal_read_all(const char *path, journal_take take, void *user, struct err *e);

/* Appends the lines of the other ranks to rank 0's, but for their first, where that is a header. None may be open. */
enum status journal_merge(const char *path, bool headed, struct err *e);

/* A text as JSON, which holds only UTF-8: bad bytes become U+FFFD. NULL: no memory. */
json_t *journal_text(const char *text);

#endif
