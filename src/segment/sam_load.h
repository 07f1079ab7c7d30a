/*
 * sam_load.h - SAM from its checkpoint: sam_vit_b_01ec64.pth, sam_vit_l_0b3195.pth, sam_vit_h_4b8939.pth, or any other file with these
 * names, whatever its sizes. The sizes are read off the tensors' shapes; a file need not say which SAM it is.
 */
#ifndef SPHINX_SEGMENT_SAM_LOAD_H
#define SPHINX_SEGMENT_SAM_LOAD_H

#include "segment/sam.h"
#include "store/checkpoint.h"

/* A SAM whose weights borrow its mapped file. */
struct sam_file {
    struct sam sam;
    struct checkpoint *checkpoint;
    struct arena arena;
};

/* Errors: as ckpt_open; NOT_FOUND (a tensor is missing, named with its shape), BAD_FORMAT (a shape that does not fit the others, or
 * a size beyond what is computed with). Tensors that are not SAM's are warned of. On failure *f is zeroed. report may be NULL; it is
 * borrowed until sam_close. */
enum status sam_open(struct sam_file *f, const char *path, const struct report *report, struct err *e);
void sam_close(struct sam_file *f); /* accepts a zeroed one */

#endif
