/*
 * progress_bar.h - one line at the foot of the terminal that says how far long work has come:
 *
 *     convnext   41% [===========                ] 0:07, 0:10 left
 *
 * Drawn on standard error, only when that is a terminal, only for stages that last, and wiped away when they end.
 */
#ifndef SPHINX_CLI_PROGRESS_BAR_H
#define SPHINX_CLI_PROGRESS_BAR_H

#include <stdbool.h>
#include <stdint.h>

struct progress_bar {
    bool enabled;
    bool plain;   /* no terminal: lines of the caller's are written now and then */
    bool visible; /* something of ours is on the line */
    char stage[32];
    double began, drawn; /* seconds of core/report.h's clock: of the stage, and of the last drawing */
};

void progress_bar_init(struct progress_bar *b, bool quiet);

/* For a report's progress callback: user is the bar. done == total wipes the line. */
void progress_bar_update(void *user, const char *stage, uint64_t done, uint64_t total);

/* A line of the caller's own instead of a bar, not more often than a bar is drawn; where there is no terminal, once a minute. */
void progress_bar_line(struct progress_bar *b, const char *text);

/* "0:07" or "1:02:03", into text [32]; returns text. */
const char *progress_bar_duration(char *text, double seconds);

/* Wipes the line; before anything else is written to the terminal. */
void progress_bar_clear(struct progress_bar *b);

#endif
