/* output.c - see output.h. */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/message.h"

static int error_first; /* errno of the first write that failed */

void output_init(void)
{
    /* Opened for the wrong direction, so that using a descriptor that was closed still fails. */
    static const int flags[3] = { O_WRONLY, O_RDONLY, O_WRONLY };

    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", flags[fd]) != fd) _exit(CODE_FAILED);
    }
    signal(SIGPIPE, SIG_DFL); /* whoever started us may have left it ignored */
}

static bool check(bool good)
{
    if (!good && error_first == 0) error_first = errno != 0 ? errno : EIO;
    return good && error_first == 0;
}

bool output_bytes(const char *bytes, size_t size)
{
    errno = 0;
    return check(fwrite(bytes, 1, size, stdout) == size && fflush(stdout) == 0);
}

bool output_text(const char *text, size_t size)
{
    char part[256];

    if (!isatty(STDOUT_FILENO)) return output_bytes(text, size);
    while (size > 0) {
        size_t n = size < sizeof part ? size : sizeof part;

        memcpy(part, text, n);
        text_disarm(part, n);
        if (!output_bytes(part, n)) return false;
        text += n;
        size -= n;
    }
    return true;
}

void output_printf(const char *fmt, ...)
{
    va_list args;

    errno = 0;
    va_start(args, fmt);
    check(vprintf(fmt, args) >= 0);
    va_end(args);
}

void output_flush(void)
{
    errno = 0;
    check(fflush(stdout) == 0);
}

int output_finish(int code)
{
    errno = 0;
    check(fflush(stdout) == 0);
    if (error_first == 0) return code;
    message("cannot write standard output: %s", strerror(error_first));
    return code == CODE_OK ? CODE_FAILED : code;
}
