/* journal.c - see journal.h. */
#include "text/journal.h"

#include "core/file.h"
#include "text/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define SUFFIX ".jsonl"

char *journal_path(const char *path, int rank)
{
    size_t n = strlen(path), suffix = strlen(SUFFIX);
    char *text = NULL;

    if (rank == 0) return strdup(path);
    if (n > suffix && strcmp(path + n - suffix, SUFFIX) == 0)
        n -= suffix;
    else
        suffix = 0;
    return asprintf(&text, "%.*s.%d%s", (int)n, path, rank, suffix > 0 ? SUFFIX : "") >= 0 ? text : NULL;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static enum status io_error(struct err *e, const char *path, const char *doing)
{
    return err_set(e, STATUS_IO, "%s: cannot %s: %s", path, doing, strerror(errno));
}

/* Cuts off what a killed process left of its last line; *size is what remains. */
static enum status cut_unfinished(int fd, const char *path, int64_t *size, struct err *e)
{
    char block[4096];
    int64_t end = lseek(fd, 0, SEEK_END), whole = end;

    while (whole > 0) {
        int64_t from = whole > (int64_t)sizeof block ? whole - (int64_t)sizeof block : 0;
        ssize_t n = pread(fd, block, (size_t)(whole - from), from);
        const char *last;

        if (n != whole - from) return io_error(e, path, "read");
        last = memrchr(block, '\n', (size_t)n);
        whole = last != NULL ? from + (last - block) + 1 : from;
        if (last != NULL) break;
    }
    *size = whole;
    if (whole < end && ftruncate(fd, whole) != 0) return io_error(e, path, "cut off its broken last line");
    return end >= 0 ? STATUS_OK : io_error(e, path, "find its end");
}

/* A descriptor that holds the file's lock. */
static enum status open_locked(int *fd, const char *path, int flags, struct err *e)
{
    *fd = open(path, flags | O_CLOEXEC, 0666);
    if (*fd < 0) return io_error(e, path, "open");
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0) return STATUS_OK;
    close(*fd);
    *fd = -1;
    if (errno == EWOULDBLOCK)
        return err_set(e, STATUS_BAD_ARGUMENT, "%s: another process is writing it", path);
    return io_error(e, path, "lock");
}

enum status journal_open(struct journal *j, const char *path, struct err *e)
{
    enum status st;

    *j = (struct journal){ .path = strdup(path), .fd = -1 };
    if (j->path == NULL) return err_no_memory(e, path);
    st = open_locked(&j->fd, path, O_RDWR | O_CREAT | O_APPEND, e);
    if (st == STATUS_OK) st = cut_unfinished(j->fd, path, &j->size, e);
    if (st != STATUS_OK) journal_close(j, NULL);
    return st;
}

enum status journal_append(struct journal *j, const json_t *object, struct err *e)
{
    char *text = json_dumps(object, JSON_COMPACT), *line;
    size_t size = text != NULL ? strlen(text) + 1 : 0, done = 0;
    enum status st = STATUS_OK;

    line = text != NULL ? realloc(text, size) : NULL;
    if (line == NULL) {
        free(text);
        return err_no_memory(e, j->path);
    }
    line[size - 1] = '\n';
    while (st == STATUS_OK && done < size) {
        ssize_t n = write(j->fd, line + done, size - done);

        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            st = io_error(e, j->path, "write");
    }
    free(line);
    if (st == STATUS_OK)
        j->size += (int64_t)size;
    else if (done > 0 && ftruncate(j->fd, j->size) != 0)
        return st; /* opening cuts it off */
    return st;
}

/* Bytes of the lines before the first that does not stay. */
static size_t lines_that_stay(const char *data, size_t size, bool (*stays)(void *user, const json_t *object),
                              void *user)
{
    size_t at = 0;
    const char *end;

    while (at < size && (end = memchr(data + at, '\n', size - at)) != NULL) {
        json_t *object = json_loadb(data + at, (size_t)(end - data) - at, 0, NULL);
        bool ok = json_is_object(object) && stays(user, object);

        json_decref(object);
        if (!ok) break;
        at = (size_t)(end + 1 - data);
    }
    return at;
}

enum status journal_keep(struct journal *j, bool (*stays)(void *user, const json_t *object), void *user,
                         struct err *e)
{
    struct file_map map;
    enum status st = file_map_open(&map, j->path, e);

    if (st != STATUS_OK) return st;
    j->size = (int64_t)lines_that_stay((const char *)map.data, map.size, stays, user);
    file_map_close(&map);
    return ftruncate(j->fd, j->size) == 0 ? STATUS_OK : io_error(e, j->path, "cut");
}

enum status journal_close(struct journal *j, struct err *e)
{
    enum status st = STATUS_OK;

    if (j->path == NULL) return st;
    if (j->fd >= 0) {
        /* Some file systems cannot flush; there is nothing that could be done about it. */
        if (fsync(j->fd) != 0 && errno != EINVAL && errno != EROFS) st = io_error(e, j->path, "write");
        if (close(j->fd) != 0 && st == STATUS_OK) st = io_error(e, j->path, "write");
    }
    free(j->path);
    *j = (struct journal){ .fd = -1 };
    return st;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

enum status journal_read_memory(const char *name, const char *data, size_t size, journal_take take,
                                void *user, struct err *e)
{
    struct journal_line line = { .file = name };
    const char *end;
    enum status st = STATUS_OK;

    while (st == STATUS_OK && size > 0 && (end = memchr(data, '\n', size)) != NULL) {
        json_error_t why;
        json_t *object = json_loadb(data, (size_t)(end - data), JSON_REJECT_DUPLICATES, &why);

        line.object = object;
        line.number++;
        if (!json_is_object(object)) {
            st = err_set(e, STATUS_BAD_FORMAT, "%s: line %zu is not a JSON object%s%s", name, line.number,
                         object == NULL ? ": " : "", object == NULL ? why.text : "");
        }
        if (st == STATUS_OK) st = take(user, &line, e);
        json_decref(object);
        size -= (size_t)(end + 1 - data);
        data = end + 1;
    }
    return st;
}

enum status journal_read(const char *path, journal_take take, void *user, struct err *e)
{
    struct file_map map;
    enum status st = file_map_open(&map, path, e);

    if (st != STATUS_OK) return st;
    st = journal_read_memory(path, (const char *)map.data, map.size, take, user, e);
    file_map_close(&map);
    return st;
}

/* Calls `each` with the file of each rank from `first` on that there is. */
static enum status each_rank(const char *path, int first,
                             enum status (*each)(void *user, const char *path, struct err *e), void *user,
                             struct err *e)
{
    enum status st = STATUS_OK;

    for (int rank = first; rank < JOURNAL_RANKS_MAX && st == STATUS_OK; rank++) {
        char *file = journal_path(path, rank);

        if (file == NULL) return err_no_memory(e, path);
        if (file_exists(file)) st = each(user, file, e);
        free(file);
    }
    return st;
}

struct reading {
    journal_take take;
    void *user;
};

static enum status read_rank(void *user, const char *path, struct err *e)
{
    const struct reading *r = user;

    return journal_read(path, r->take, r->user, e);
}

enum status journal_read_all(const char *path, journal_take take, void *user, struct err *e)
{
    return each_rank(path, 0, read_rank, &(struct reading){ take, user }, e);
}

/* ---- merging ---------------------------------------------------------------------------------------------------- */

struct merging {
    struct file_map main; /* rank 0's file as it was */
    struct file_writer writer;
    size_t n; /* other ranks' files */
    bool headed;
};

static enum status count_rank(void *user, const char *path, struct err *e)
{
    struct merging *m = user;

    (void)path;
    (void)e;
    m->n++;
    return STATUS_OK;
}

/* data [*size] without an unfinished last line. */
static size_t whole_lines(const unsigned char *data, size_t size)
{
    const unsigned char *last = size > 0 ? memrchr(data, '\n', size) : NULL;

    return last != NULL ? (size_t)(last - data) + 1 : 0;
}

static enum status put_rank(void *user, const char *path, struct err *e)
{
    struct merging *m = user;
    struct file_map map;
    enum status st = file_map_open(&map, path, e);
    size_t size, first = 0;
    const unsigned char *line, *end;
    int fd;

    if (st != STATUS_OK) return st;
    st = open_locked(&fd, path, O_RDWR, e);
    if (st == STATUS_OK) close(fd);
    size = whole_lines(map.data, map.size);
    if (m->headed && m->writer.size > 0 && size > 0)
        first = (size_t)((const unsigned char *)memchr(map.data, '\n', size) - map.data) + 1;
    line = map.data + first;
    end = first < size ? memchr(line, '\n', size - first) : NULL;
    /* Merged before, and not removed then? */
    if (st == STATUS_OK && end != NULL &&
        (m->main.size == 0 || memmem(m->main.data, m->main.size, line, (size_t)(end - line)) == NULL))
        st = file_writer_put(&m->writer, line, size - first, e);
    file_map_close(&map);
    return st;
}

static enum status remove_rank(void *user, const char *path, struct err *e)
{
    (void)user;
    return unlink(path) == 0 ? STATUS_OK : io_error(e, path, "remove");
}

enum status journal_merge(const char *path, bool headed, struct err *e)
{
    struct merging m = { .headed = headed };
    enum status st = each_rank(path, 1, count_rank, &m, e);
    int fd = -1;

    if (st != STATUS_OK || m.n == 0) return st;
    if (file_exists(path)) {
        st = open_locked(&fd, path, O_RDWR, e);
        if (st == STATUS_OK) st = file_map_open(&m.main, path, e);
    }
    if (st == STATUS_OK) st = file_writer_open(&m.writer, path, e);
    if (st == STATUS_OK && m.main.size > 0)
        st = file_writer_put(&m.writer, m.main.data, whole_lines(m.main.data, m.main.size), e);
    if (st == STATUS_OK) st = each_rank(path, 1, put_rank, &m, e);
    if (st == STATUS_OK) st = file_writer_commit(&m.writer, e);
    if (st == STATUS_OK) st = each_rank(path, 1, remove_rank, NULL, e);
    file_writer_abort(&m.writer);
    file_map_close(&m.main);
    if (fd >= 0) close(fd);
    return st;
}

json_t *journal_text(const char *text)
{
    size_t n = strlen(text), size;
    json_t *json;
    char *copy;

    if (utf8_find_bad(text, n) == n) return json_stringn(text, n);
    copy = malloc(3 * n);
    if (copy == NULL) return NULL;
    size = utf8_repair(text, n, copy);
    json = json_stringn(copy, size);
    free(copy);
    return json;
}
