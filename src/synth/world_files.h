/* world_files.h - the files of a data set but for its images: world.c opens them, gives them each scene's texts in order, and closes. */
#ifndef SPHINX_SYNTH_WORLD_FILES_H
#define SPHINX_SYNTH_WORLD_FILES_H

#include "synth/world_texts.h"

struct world_files;

/* `folder` is there, with its folders annotations and, for val and test, eval. */
enum status world_files_open(struct world_files **f, const char *folder, const struct world_options *o,
                             struct err *e);
enum status world_files_put(struct world_files *f, const struct scene_texts *texts, struct err *e);
/* Ends all files and writes meta.yaml and benchmarks.json. */
enum status world_files_finish(struct world_files *f, struct world_result *result, struct err *e);
void world_files_close(struct world_files *f); /* accepts NULL; of unfinished ones nothing is left */

#endif
