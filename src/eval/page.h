/*
 * page.h - the HTML page of a report: one file, nothing fetched. Everything that it shows is in a block of JSON, from which report.js
 * makes text nodes and drawings; so what a model or a file wrote never becomes markup. A policy in the page (CSP) lets only
 * this script and this style through, by their digests.
 *
 *   evaluations ── page_content ── JSON ─┬─────────────── page_write ── report.html + report.css + report.js + JSON
 *                                        └─ compare.h adds to it
 */
#ifndef SPHINX_EVAL_PAGE_H
#define SPHINX_EVAL_PAGE_H

#include "eval/evaluation.h"

enum {
    PAGE_RECORDS_MAX = 20000, /* questions in a page, the worst; it says if there are more */
    PAGE_PICTURES_MAX = 200,  /* different pictures in it, those of the worst */
    PAGE_PICTURE_SIDE = 320,  /* pixels of their longer side */
};

/* {"title", "about", "pictures": ["data:..."], "pictures_note", "evaluations": [as in report_json, and "records", "lengths", "times"]}. An image
 * that cannot be read is left out. before [n]: evaluations of the same benchmarks by another run, whose answers stand beside; NULL:
 * none. NO_MEMORY is the only failure. */
enum status page_content(json_t **content, const struct evaluation *v, const struct evaluation *before,
                         size_t n, const char *data, struct err *e);

/* Writes the page, replacing it whole. */
enum status page_write(const char *path, const json_t *content, struct err *e);

#endif
