/*
 * file.h - files as the program uses them: mapped to read, replaced atomically to write.
 */
#ifndef SPHINX_CORE_FILE_H
#define SPHINX_CORE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/status.h"

/* A whole file, mapped read-only. data is NULL for an empty file. */
struct file_map {
    const unsigned char *data;
    size_t size;
};

/* Maps a regular file. Errors name the path: NOT_FOUND, IO (a directory, no permission). */
enum status file_map_open(struct file_map *m, const char *path, struct err *e);
void file_map_close(struct file_map *m); /* accepts a zeroed map */

/* Tells the system how a mapping will be read next: here and there (no reading ahead: without this a look at the headers of 20 GB
 * drags much of it in), or in long runs (which is also what a new mapping expects). Advice only; cannot fail. */
enum file_access { FILE_ACCESS_SCATTERED, FILE_ACCESS_RUNS };
void file_map_advise(const struct file_map *m, enum file_access access);

/* Asks the system to fetch these bytes of a mapping without waiting for them: many such wishes and then the reading take a fraction
 * of the time that reading here and there takes, one wait after the other. Cannot fail. */
void file_prefetch(const void *data, size_t size);

/* Bytes of a mapping that are not needed for now: their pages no longer count as this process's memory, and come back from the system's
 * cache or the disk when they are read again. Bytes that are not of this mapping are left alone. */
void file_map_drop(const struct file_map *m, const void *data, size_t size);

/* Reads a whole file of at most size_max bytes ("-" is standard input) into malloc'ed memory that is one byte
 * longer and ends in NUL. A larger file is BAD_FORMAT. The caller frees *data. */
enum status file_read(const char *path, size_t size_max, unsigned char **data, size_t *size, struct err *e);

bool file_exists(const char *path);
bool file_is_directory(const char *path);

/* Bytes that an ordinary user may still write to the file system holding path, or the nearest folder above it that is there. */
enum status file_space_left(const char *path, uint64_t *bytes, struct err *e);

/* Writing: the bytes go to a temporary file beside the target, which takes the target's name only when
 * file_writer_commit has flushed everything to disk. Before that, or after file_writer_abort, the old file is
 * untouched. One writer writes from one thread. */
struct file_writer {
    FILE *f;
    char *path, *path_temporary;
    uint64_t size; /* bytes written so far */
};

enum status file_writer_open(struct file_writer *w, const char *path, struct err *e);
enum status file_writer_put(struct file_writer *w, const void *data, size_t size, struct err *e);
enum status file_writer_commit(struct file_writer *w, struct err *e);
void file_writer_abort(struct file_writer *w); /* accepts a zeroed or committed writer */

/* Joins with one '/' between. The caller frees; NULL when out of memory. */
char *path_join(const char *directory, const char *name);
/* The part after the last '/', borrowed from path. */
const char *path_base(const char *path);

#endif
