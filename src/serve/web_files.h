/*
 * web_files.h - the demo page: files of web/ that the build put into the program, or a folder of them.
 */
#ifndef SPHINX_SERVE_WEB_FILES_H
#define SPHINX_SERVE_WEB_FILES_H

#include <stddef.h>

struct web_file {
    const char *name; /* "index.html" */
    const unsigned char *data;
    const size_t *size;
};

/* Made by the build; ends with a name of NULL. */
extern const struct web_file web_files[];

/* By the name's ending; NULL: no file of a page. */
const char *web_type(const char *name);

#endif
