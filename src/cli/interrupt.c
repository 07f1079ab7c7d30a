/* interrupt.c - see interrupt.h. */
#include "cli/interrupt.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "cli/message.h"

static atomic_bool seen, active;
static _Atomic(sphinx_session *) target;
static _Atomic(sphinx_segmenter *) target_masks;

static void on_interrupt(int signal_number)
{
    sphinx_session *session = atomic_load(&target);
    sphinx_segmenter *segmenter = atomic_load(&target_masks);

    (void)signal_number;
    if (!atomic_load(&active) || atomic_exchange(&seen, true)) _exit(CODE_INTERRUPTED);
    if (session != NULL) sphinx_session_cancel(session);
    if (segmenter != NULL) sphinx_segmenter_cancel(segmenter);
}

void interrupt_install(void)
{
    struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = SA_RESTART };

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

void interrupt_begin(sphinx_session *session)
{
    atomic_store(&seen, false);
    atomic_store(&target, session);
    atomic_store(&active, true);
}

void interrupt_begin_masks(sphinx_segmenter *segmenter)
{
    atomic_store(&target_masks, segmenter);
    interrupt_begin(NULL);
}

void interrupt_end(void)
{
    atomic_store(&active, false);
    atomic_store(&target, NULL);
    atomic_store(&target_masks, NULL);
}

bool interrupt_seen(void)
{
    return atomic_load(&seen);
}

const atomic_bool *interrupt_flag(void)
{
    return &seen;
}
