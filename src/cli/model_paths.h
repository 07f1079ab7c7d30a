/*
 * model_paths.h - which checkpoints the user means: those named by -m, else $SPHINX_MODEL, else the bundled model, which is
 * looked for beside the program (in a build folder, then where `make install` puts it).
 */
#ifndef SPHINX_CLI_MODEL_PATHS_H
#define SPHINX_CLI_MODEL_PATHS_H

#include "cli/options.h"

struct model_paths {
    char **item; /* all malloc'ed */
    int count;
    bool bundled; /* nobody chose it */
};

/* Returns an exit code, with a message unless it is CODE_OK. A name with commas that is no path itself is several. */
int model_paths_find(struct model_paths *p, const struct text_list *named);
void model_paths_free(struct model_paths *p); /* accepts a zeroed one */

/* The file of the segmenter, into path [size]: `named`, else (NULL) the bundled one, which knows drawn scenes only. false: there is none. */
bool segmenter_path(const char *named, char *path, size_t size);

#endif
