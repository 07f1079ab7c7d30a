/* report.c - see report.h. */
#include "core/report.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

void report_progress(const struct report *r, const char *stage, uint64_t done, uint64_t total)
{
    if (r != NULL && r->progress != NULL) r->progress(r->user, stage, done, total);
}

void report_warn(const struct report *r, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    if (r == NULL || r->warn == NULL) return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    r->warn(r->user, text);
}

bool report_cancelled(const struct report *r)
{
    return r != NULL && r->cancel != NULL && atomic_load_explicit(r->cancel, memory_order_relaxed);
}

double clock_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
