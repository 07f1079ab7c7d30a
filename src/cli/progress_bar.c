/* progress_bar.c - see progress_bar.h. */
#include "cli/progress_bar.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/message.h"
#include "core/report.h"

#define DELAY_SECONDS    0.3 /* stages shorter than this are not shown */
#define INTERVAL_SECONDS 0.1
#define PLAIN_SECONDS    60

enum { CELLS_MAX = 40, COLUMNS_DEFAULT = 80, COLUMNS_TEXT = 44 };

void progress_bar_init(struct progress_bar *b, bool quiet)
{
    memset(b, 0, sizeof *b);
    b->enabled = !quiet && isatty(STDERR_FILENO);
    b->plain = !quiet && !b->enabled;
    b->drawn = clock_seconds();
}

void progress_bar_clear(struct progress_bar *b)
{
    if (!b->visible) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    b->visible = false;
}

static int cells_of_terminal(void)
{
    struct winsize size;
    int columns = COLUMNS_DEFAULT;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) columns = size.ws_col;
    columns -= COLUMNS_TEXT;
    return columns < 0 ? 0 : columns > CELLS_MAX ? CELLS_MAX : columns;
}

const char *progress_bar_duration(char *text, double seconds)
{
    long s = lround(seconds);

    if (s >= 3600)
        snprintf(text, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, 32, "%ld:%02ld", s / 60, s % 60);
    return text;
}

static void draw(struct progress_bar *b, double fraction, double elapsed)
{
    char bar[CELLS_MAX + 1], spent[32], left[32];
    int cells = cells_of_terminal(), full = (int)(fraction * cells);

    for (int i = 0; i < cells; i++) bar[i] = i < full ? '=' : ' ';
    bar[cells] = '\0';
    fprintf(stderr, "\r\033[K%-10s %3d%% [%s] %s", b->stage, (int)(100 * fraction), bar,
            progress_bar_duration(spent, elapsed));
    if (fraction > 0) fprintf(stderr, ", %s left", progress_bar_duration(left, elapsed * (1 / fraction - 1)));
    fflush(stderr);
    b->visible = true;
}

void progress_bar_update(void *user, const char *stage, uint64_t done, uint64_t total)
{
    struct progress_bar *b = user;
    double now;

    if (!b->enabled) return;
    now = clock_seconds();
    if (strncmp(b->stage, stage, sizeof b->stage - 1) != 0 || done == 0) {
        snprintf(b->stage, sizeof b->stage, "%s", stage);
        b->began = now;
    }
    if (done >= total) {
        progress_bar_clear(b);
        b->stage[0] = '\0'; /* the next stage of this name begins anew */
        return;
    }
    if (now - b->began < DELAY_SECONDS || now - b->drawn < INTERVAL_SECONDS) return;
    b->drawn = now;
    draw(b, (double)done / (double)total, now - b->began);
}

void progress_bar_line(struct progress_bar *b, const char *text)
{
    double now = clock_seconds();

    if (now - b->drawn < (b->enabled ? INTERVAL_SECONDS : PLAIN_SECONDS)) return;
    b->drawn = now;
    if (b->plain) message("%s", text);
    if (!b->enabled) return;
    fprintf(stderr, "\r\033[K%s", text);
    fflush(stderr);
    b->visible = true;
}
