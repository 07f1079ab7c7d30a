/* folder.c - see folder.h. */
#include "core/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"

static enum status check_free(const char *path, struct err *e)
{
    struct dirent *entry;
    DIR *d = opendir(path);
    int others = 0;

    if (d == NULL && errno == ENOENT) return STATUS_OK;
    if (d == NULL)
        return err_set(e, STATUS_IO, "%s: cannot be made a folder: %s", path,
                       file_exists(path) && !file_is_directory(path) ? "there is a file of that name"
                                                                     : strerror(errno));
    while ((entry = readdir(d)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) others++;
    }
    closedir(d);
    if (others == 0) return STATUS_OK;
    return err_set(e, STATUS_BAD_ARGUMENT,
                   "%s: the folder holds something already: remove it or name another", path);
}

enum status folder_writer_open(struct folder_writer *w, const char *path, struct err *e)
{
    size_t n = strlen(path);
    enum status st = check_free(path, e);
    mode_t mask;

    memset(w, 0, sizeof *w);
    if (st != STATUS_OK) return st;
    while (n > 1 && path[n - 1] == '/') n--;
    w->path = strndup(path, n);
    w->path_temporary = malloc(n + sizeof ".tmp-XXXXXX");
    if (w->path == NULL || w->path_temporary == NULL) {
        st = err_no_memory(e, path);
        goto fail;
    }
    memcpy(w->path_temporary, path, n);
    memcpy(w->path_temporary + n, ".tmp-XXXXXX", sizeof ".tmp-XXXXXX");
    if (mkdtemp(w->path_temporary) == NULL) {
        st = err_set(e, STATUS_IO, "%s: cannot make the folder: %s", path, strerror(errno));
        goto fail;
    }
    mask = umask(0);
    umask(mask);
    chmod(w->path_temporary, 0777 & ~mask);
    return STATUS_OK;

fail:
    free(w->path);
    free(w->path_temporary);
    memset(w, 0, sizeof *w);
    return st;
}

/* Names are on the disk when their folder has been flushed. Some file systems cannot; there is nothing that could be done about it. */
static void flush(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) return;
    fsync(fd);
    close(fd);
}

static void flush_parent(const char *path)
{
    const char *base = path_base(path);
    char *parent = base == path ? strdup(".") : strndup(path, (size_t)(base - path));

    if (parent != NULL) flush(parent);
    free(parent);
}

enum status folder_writer_commit(struct folder_writer *w, struct err *e)
{
    enum status st = STATUS_OK;

    flush(w->path_temporary);
    if (rename(w->path_temporary, w->path) != 0) { /* an empty folder of that name is replaced */
        st = err_set(e, STATUS_IO, "%s: cannot be put in place: %s", w->path, strerror(errno));
    } else {
        w->path_temporary[0] = '\0';
        flush_parent(w->path);
    }
    folder_writer_abort(w);
    return st;
}

/* Everything below the folder that dir is open on; a link is removed, not followed. Closes dir. */
static void remove_below(DIR *dir)
{
    struct dirent *entry;

    while ((entry = readdir(dir)) != NULL) {
        int fd;
        DIR *below;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (unlinkat(dirfd(dir), entry->d_name, 0) == 0) continue;
        fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        below = fd >= 0 ? fdopendir(fd) : NULL;
        if (below != NULL)
            remove_below(below);
        else if (fd >= 0)
            close(fd);
        unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
    }
    closedir(dir);
}

void folder_remove(const char *path)
{
    DIR *d = opendir(path);

    if (d != NULL) remove_below(d);
    rmdir(path);
}

void folder_writer_abort(struct folder_writer *w)
{
    if (w->path_temporary != NULL && w->path_temporary[0] != '\0') folder_remove(w->path_temporary);
    free(w->path);
    free(w->path_temporary);
    memset(w, 0, sizeof *w);
}
