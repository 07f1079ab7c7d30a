/*
 * report.h - what long work tells its caller while it runs: progress and warnings. Both are optional; the
 * library itself never prints. And the one way to stop it early.
 */
#ifndef SPHINX_CORE_REPORT_H
#define SPHINX_CORE_REPORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct report {
    /* `stage` is a short name ("load", "clip", "prefill"); done runs from 0 to total, in whatever unit the
     * stage counts; done == total ends the stage. Called from the thread that does the work. */
    void (*progress)(void *user, const char *stage, uint64_t done, uint64_t total);
    /* One sentence about something odd that was survived, without newline. */
    void (*warn)(void *user, const char *text);
    void *user;
    /* When set and true, work stops soon with STATUS_CANCELLED. Borrowed. */
    const atomic_bool *cancel;
};

/* All accept r == NULL. */
void report_progress(const struct report *r, const char *stage, uint64_t done, uint64_t total);
void report_warn(const struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool report_cancelled(const struct report *r);

/* Seconds of a clock that never goes back. */
double clock_seconds(void);

#endif
