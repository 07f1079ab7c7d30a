/* file.c - see file.h. */
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static enum status errno_status(struct err *e, const char *path, const char *doing)
{
    enum status code = errno == ENOENT || errno == ENOTDIR ? STATUS_NOT_FOUND : STATUS_IO;

    return err_set(e, code, "%s: cannot %s: %s", path, doing, strerror(errno));
}

enum status file_map_open(struct file_map *m, const char *path, struct err *e)
{
    struct stat st;
    void *p = NULL;
    int fd;

    m->data = NULL;
    m->size = 0;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno_status(e, path, "open");
    if (fstat(fd, &st) != 0) {
        close(fd);
        return errno_status(e, path, "stat");
    }
    if (!S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(e, STATUS_IO, "%s: not a regular file", path);
    }
    if (st.st_size > 0) {
        p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            close(fd);
            return errno_status(e, path, "map");
        }
    }
    close(fd);
    m->data = p;
    m->size = (size_t)st.st_size;
    return STATUS_OK;
}

void file_map_close(struct file_map *m)
{
    if (m->data != NULL) munmap((void *)(uintptr_t)m->data, m->size);
    m->data = NULL;
    m->size = 0;
}

void file_map_advise(const struct file_map *m, enum file_access access)
{
    int advice = access == FILE_ACCESS_SCATTERED ? MADV_RANDOM : MADV_NORMAL;

    if (m->data != NULL) madvise((void *)(uintptr_t)m->data, m->size, advice);
}

void file_prefetch(const void *data, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)data / page * page;

    if (size > 0) madvise((void *)from, (uintptr_t)data + size - from, MADV_WILLNEED);
}

void file_map_drop(const struct file_map *m, const void *data, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)data, end = begin + size,
              map = (uintptr_t)m->data;

    if (m->data == NULL || begin < map || end > map + m->size) return;
    begin -= begin % page; /* neighbours on the same page come back too: nothing is lost */
    if (end > begin) madvise((void *)begin, end - begin, MADV_DONTNEED);
}

/* Reads f to its end into a buffer that doubles; the limit is checked before each growth. */
static enum status read_all(FILE *f, const char *path, size_t size_max, unsigned char **data, size_t *size,
                            struct err *e)
{
    size_t capacity = 65536, n = 0;
    unsigned char *buffer = malloc(capacity + 1);

    if (buffer == NULL) return err_no_memory(e, path);
    for (;;) {
        size_t got = fread(buffer + n, 1, capacity - n, f);
        unsigned char *larger;

        n += got;
        if (got == 0) break;
        if (n > size_max) break;
        if (n < capacity) continue;
        capacity *= 2;
        larger = realloc(buffer, capacity + 1);
        if (larger == NULL) {
            free(buffer);
            return err_no_memory(e, path);
        }
        buffer = larger;
    }
    if (ferror(f)) {
        free(buffer);
        return errno_status(e, path, "read");
    }
    if (n > size_max) {
        free(buffer);
        return err_set(e, STATUS_BAD_FORMAT, "%s: larger than the limit of %zu bytes", path, size_max);
    }
    buffer[n] = '\0';
    *data = buffer;
    *size = n;
    return STATUS_OK;
}

enum status file_read(const char *path, size_t size_max, unsigned char **data, size_t *size, struct err *e)
{
    enum status st;
    FILE *f;

    *data = NULL;
    *size = 0;
    if (strcmp(path, "-") == 0) return read_all(stdin, "standard input", size_max, data, size, e);
    f = fopen(path, "rbe");
    if (f == NULL) return errno_status(e, path, "open");
    if (file_is_directory(path)) {
        fclose(f);
        return err_set(e, STATUS_IO, "%s: is a directory", path);
    }
    st = read_all(f, path, size_max, data, size, e);
    fclose(f);
    return st;
}

bool file_exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

bool file_is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

enum status file_space_left(const char *path, uint64_t *bytes, struct err *e)
{
    char *above = strdup(path), *slash;
    struct statvfs v;

    if (above == NULL) return err_no_memory(e, path);
    while (statvfs(above, &v) != 0) {
        slash = strrchr(above, '/');
        if (errno != ENOENT || strcmp(above, ".") == 0 || strcmp(above, "/") == 0) {
            free(above);
            return errno_status(e, path, "find the free space");
        }
        if (slash == NULL)
            strcpy(above, ".");
        else
            slash[slash == above] = '\0'; /* of "/x" the slash stays */
    }
    free(above);
    *bytes = (uint64_t)v.f_bavail * v.f_frsize;
    return STATUS_OK;
}

enum status file_writer_open(struct file_writer *w, const char *path, struct err *e)
{
    size_t n = strlen(path);

    memset(w, 0, sizeof *w);
    w->path = strdup(path);
    w->path_temporary = malloc(n + sizeof ".tmp-XXXXXX");
    if (w->path == NULL || w->path_temporary == NULL) {
        file_writer_abort(w);
        return err_no_memory(e, path);
    }
    memcpy(w->path_temporary, path, n);
    memcpy(w->path_temporary + n, ".tmp-XXXXXX", sizeof ".tmp-XXXXXX");
    int fd = mkstemp(w->path_temporary);
    if (fd >= 0) {
        mode_t mask = umask(0);
        umask(mask);
        fchmod(fd, 0666 & ~mask);
        w->f = fdopen(fd, "wb");
        if (w->f == NULL) close(fd);
    }
    if (w->f == NULL) {
        enum status st = errno_status(e, path, "write");
        if (fd < 0) w->path_temporary[0] = '\0';
        file_writer_abort(w);
        return st;
    }
    return STATUS_OK;
}

enum status file_writer_put(struct file_writer *w, const void *data, size_t size, struct err *e)
{
    if (size > 0 && fwrite(data, 1, size, w->f) != size) return errno_status(e, w->path, "write");
    w->size += size;
    return STATUS_OK;
}

enum status file_writer_commit(struct file_writer *w, struct err *e)
{
    bool ok = fflush(w->f) == 0 && fsync(fileno(w->f)) == 0;
    enum status st = STATUS_OK;

    if (!ok) st = errno_status(e, w->path, "write");
    if (fclose(w->f) != 0 && ok) st = errno_status(e, w->path, "write");
    w->f = NULL;
    if (st == STATUS_OK && rename(w->path_temporary, w->path) != 0) st = errno_status(e, w->path, "replace");
    if (st == STATUS_OK) w->path_temporary[0] = '\0';
    file_writer_abort(w);
    return st;
}

void file_writer_abort(struct file_writer *w)
{
    if (w->f != NULL) fclose(w->f);
    if (w->path_temporary != NULL && w->path_temporary[0] != '\0') unlink(w->path_temporary);
    free(w->path);
    free(w->path_temporary);
    memset(w, 0, sizeof *w);
}

char *path_join(const char *directory, const char *name)
{
    size_t n = strlen(directory), m = strlen(name);
    bool slash = n > 0 && directory[n - 1] != '/';
    char *p = malloc(n + m + 2);

    if (p == NULL) return NULL;
    memcpy(p, directory, n);
    if (slash) p[n++] = '/';
    memcpy(p + n, name, m + 1);
    return p;
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}
