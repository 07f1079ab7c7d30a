/*
 * folder.h - a folder that appears all at once: files are written into a temporary one beside it, which takes its name when all
 * of them are there. Until then, and after folder_writer_abort, nothing is to be seen at the name.
 */
#ifndef SPHINX_CORE_FOLDER_H
#define SPHINX_CORE_FOLDER_H

#include "core/status.h"

struct folder_writer {
    char *path, *path_temporary; /* files go to path_temporary */
};

/* The path must not exist, or be an empty folder: else BAD_ARGUMENT. */
enum status folder_writer_open(struct folder_writer *w, const char *path, struct err *e);
/* Flushes the folders to the disk, too. Always releases w; on failure the temporary folder goes with its files and folders. */
enum status folder_writer_commit(struct folder_writer *w, struct err *e);
void folder_writer_abort(struct folder_writer *w); /* accepts a zeroed or committed writer */

/* Removes a folder with all that is in it, as far as that can be done; links are removed, not followed. */
void folder_remove(const char *path);

#endif
