/* line_reader.c - see line_reader.h. */
#include "cli/line_reader.h"

#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "cli/interrupt.h"

enum { HISTORY_LINES = 1000 };

struct line_reader {
    EditLine *edit; /* NULL: plain lines */
    History *history;
    const char *prompt;
    bool interrupted;
    char *line; /* what was read so far, its continuations included */
    size_t size;
    char *plain; /* getline's buffer */
    size_t plain_size;
};

static char *prompt_of(EditLine *edit)
{
    struct line_reader *r = NULL;

    el_get(edit, EL_CLIENTDATA, &r);
    return (char *)(size_t)r->prompt;
}

/* libedit's own reading goes on after a signal; ours gives up, so that Ctrl-C is seen at once. */
static int read_character(EditLine *edit, wchar_t *character)
{
    struct line_reader *r = NULL;
    mbstate_t state = { 0 };

    el_get(edit, EL_CLIENTDATA, &r);
    for (;;) {
        struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
        char byte;
        ssize_t got;
        size_t n;

        r->interrupted = interrupt_seen();
        if (r->interrupted) return -1;
        if (poll(&input, 1, -1) < 0) continue; /* a signal, perhaps Ctrl-C */
        got = read(STDIN_FILENO, &byte, 1);
        if (got <= 0) return got < 0 ? -1 : 0;
        n = mbrtowc(character, &byte, 1, &state);
        if (n == (size_t)-2) continue; /* the character goes on */
        if (n == (size_t)-1) {
            memset(&state, 0, sizeof state); /* a stray byte: skipped */
            continue;
        }
        return 1;
    }
}

static bool open_edit(struct line_reader *r)
{
    HistEvent event;
    FILE *screen = isatty(STDOUT_FILENO) ? stdout : stderr;

    /* Questions are UTF-8 whatever the environment says. */
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) setlocale(LC_CTYPE, "C.UTF-8");
    r->edit = el_init("sphinx", stdin, screen, stderr);
    r->history = history_init();
    if (r->edit == NULL || r->history == NULL) return false;
    history(r->history, &event, H_SETSIZE, HISTORY_LINES);
    history(r->history, &event, H_SETUNIQUE, 1);
    el_set(r->edit, EL_CLIENTDATA, r);
    el_set(r->edit, EL_PROMPT, prompt_of);
    el_set(r->edit, EL_EDITOR, "emacs");
    el_set(r->edit, EL_HIST, history, r->history);
    el_set(r->edit, EL_GETCFN, read_character);
    el_source(r->edit, NULL);
    return true;
}

struct line_reader *line_reader_open(void)
{
    struct line_reader *r = calloc(1, sizeof *r);

    if (r == NULL) return NULL;
    if (isatty(STDIN_FILENO) && !open_edit(r)) {
        line_reader_close(r);
        return NULL;
    }
    return r;
}

void line_reader_close(struct line_reader *r)
{
    if (r == NULL) return;
    if (r->history != NULL) history_end(r->history);
    if (r->edit != NULL) el_end(r->edit);
    free(r->line);
    free(r->plain);
    free(r);
}

bool line_reader_is_terminal(const struct line_reader *r)
{
    return r->edit != NULL;
}

static enum line_result read_edited(struct line_reader *r, const char **text, size_t *size)
{
    int n = 0;

    r->interrupted = false;
    el_resize(r->edit);
    interrupt_begin(NULL);
    *text = el_gets(r->edit, &n);
    interrupt_end();
    if (r->interrupted) return LINE_INTERRUPTED;
    if (*text == NULL || n <= 0) return LINE_END;
    *size = (size_t)n;
    return LINE_READ;
}

static enum line_result read_plain(struct line_reader *r, const char **text, size_t *size)
{
    ssize_t n = getline(&r->plain, &r->plain_size, stdin);

    if (n < 0) return LINE_END;
    *text = r->plain;
    *size = strlen(r->plain); /* what follows a NUL is not text */
    return LINE_READ;
}

/* Appends what was read, less its line end. *more: a backslash, taken off, says that it goes on. */
static bool append(struct line_reader *r, const char *text, size_t size, bool *more)
{
    char *larger;

    if (size > 0 && text[size - 1] == '\n') size--;
    if (size > 0 && text[size - 1] == '\r') size--;
    larger = realloc(r->line, r->size + size + 1);
    if (larger == NULL) return false;
    r->line = larger;
    memcpy(r->line + r->size, text, size);
    r->size += size;
    r->line[r->size] = '\0';
    *more = size > 0 && text[size - 1] == '\\';
    if (*more) r->line[r->size - 1] = '\n';
    return true;
}

enum line_result line_reader_next(struct line_reader *r, char **line)
{
    bool more = true;

    r->size = 0;
    r->prompt = "> ";
    while (more) {
        enum line_result result;
        const char *text = NULL;
        size_t size = 0;

        result = r->edit != NULL ? read_edited(r, &text, &size) : read_plain(r, &text, &size);
        if (result != LINE_READ && (result == LINE_INTERRUPTED || r->size == 0)) return result;
        if (result != LINE_READ) break; /* the input ends in a backslash */
        if (!append(r, text, size, &more)) return LINE_END;
        r->prompt = "... ";
    }
    if (r->edit != NULL && r->line[0] != '\0') {
        HistEvent event;

        history(r->history, &event, H_ENTER, r->line);
    }
    *line = r->line;
    return LINE_READ;
}
