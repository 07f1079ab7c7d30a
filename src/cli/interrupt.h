/*
 * interrupt.h - Ctrl-C. What the first one does depends on what is going on; a second one before interrupt_end ends
 * the program at once with code 130.
 *
 *   nothing begun            the program ends
 *   interrupt_begin(session) the session's work is cancelled
 *   interrupt_begin_masks(s) the segmenter's work is cancelled
 *   interrupt_begin(NULL)    only noted: interrupt_flag() becomes true
 *
 * The one place of the program with mutable globals: a signal handler has no other way to know.
 */
#ifndef SPHINX_CLI_INTERRUPT_H
#define SPHINX_CLI_INTERRUPT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "sphinx.h"

void interrupt_install(void);
void interrupt_begin(sphinx_session *session);
void interrupt_begin_masks(sphinx_segmenter *segmenter);
void interrupt_end(void);

/* True if Ctrl-C came since the last interrupt_begin or interrupt_begin_masks; stays so after interrupt_end. */
bool interrupt_seen(void);
/* The same as a flag that long work may watch. */
const atomic_bool *interrupt_flag(void);

#endif
