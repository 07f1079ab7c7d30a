/*
 * sam_convert.h - SAM's weights in other types, as one GGUF file that sam_open reads like the published ones.
 *
 *   sam_open ── every parameter ── policy.h says which type ── rows ── gguf_writer.h
 */
#ifndef SPHINX_SEGMENT_SAM_CONVERT_H
#define SPHINX_SEGMENT_SAM_CONVERT_H

#include "core/report.h"
#include "model/convert.h"

/* Whether the checkpoint at path is a SAM's. False also for what is no checkpoint. */
bool sam_is(const char *path);

/* Fills in of *r what there is of it. Stage "convert" of report (may be NULL) counts bytes written; may cancel. Errors as sam_open, and BAD_ARGUMENT: a pattern
 * that matches nothing; NUMERIC: a number that the new type cannot hold. On failure `out` is what it was. */
enum status sam_convert(const char *path, const char *out, struct policy *policy, const struct report *report,
                        struct convert_result *r, struct err *e);

#endif
