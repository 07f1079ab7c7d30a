/*
 * public.h - between the program's own statuses and reports and those of sphinx.h. Private to the files that implement it.
 */
#ifndef SPHINX_MODEL_PUBLIC_H
#define SPHINX_MODEL_PUBLIC_H

#include "core/report.h"
#include "core/status.h"
#include "sphinx.h"

/* Fills in error (may be NULL) and returns st. */
sphinx_status public_status(enum status st, const struct err *e, sphinx_error *error);
struct report public_report(const sphinx_report *r);
/* Checks a number of threads that a user gave; 0 becomes `instead`. */
enum status public_threads(int *threads, int instead, struct err *e);

#endif
