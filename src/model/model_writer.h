/*
 * model_writer.h - writes a model: the description and the weights, as a checkpoint folder or as one GGUF file. Whatever makes
 * weights (synthetic.h, convert.h) declares them and then puts their rows, in order, as if there were one file:
 *
 *   rows of full tensors ─┬─ shard 0 of a folder     each its part of the rows or columns, as params.h says
 *                         ├─ shard 1
 *                         └─ or the one safetensors or GGUF file
 *
 * Streaming: nothing is kept but what the files' buffers hold. All or nothing: until commit has everything on disk, what was there
 * under the name stays.
 */
#ifndef SPHINX_MODEL_MODEL_WRITER_H
#define SPHINX_MODEL_MODEL_WRITER_H

#include "model/description.h"

enum model_format {
    MODEL_TORCH,       /* upstream's folder of .pth shards */
    MODEL_SAFETENSORS, /* the same with one model.safetensors */
    MODEL_GGUF,        /* one file with everything */
    MODEL_GGUF_LLAMA,  /* one file with the language model alone, of the architecture `llama` */
};

/* A tensor as the file is to have it. */
struct written_tensor {
    const char *name; /* as the file spells it; borrowed until the writer is open */
    enum dtype dtype;
    enum param_split split; /* over the shards */
    int experts;            /* E for SPLIT_EXPERTS, else 1 */
    int n_dims;
    int64_t dim[TENSOR_DIMS_MAX]; /* of all shards together */
};

struct model_writer_options {
    const char *path; /* of the folder, which must be new or empty, or of the file */
    enum model_format format;
    int shards;      /* 1 but for MODEL_TORCH; must divide what is split */
    enum dtype type; /* of most matrices: GGUF files tell it */
    bool difference; /* MODEL_TORCH: the files are named as what is to be added to another checkpoint */
    struct model_description description;
};

struct model_writer;

/* Looks at the free space first: IO if it is not enough. BAD_ARGUMENT: shards that divide something not. */
enum status model_writer_open(struct model_writer **w, const struct model_writer_options *o,
                              const struct written_tensor *tensors, size_t n_tensors, struct err *e);
/* The next n_rows full rows (all dims but the last count rows) of the tensor whose turn it is, and never of the one after it. */
enum status model_writer_rows(struct model_writer *w, const void *rows, int64_t n_rows, struct err *e);
/* Bytes of all files' tensors together, and those put so far. */
uint64_t model_writer_total(const struct model_writer *w);
uint64_t model_writer_done(const struct model_writer *w);
/* Where further files may be put, to appear with the others; borrowed. NULL for GGUF files. */
const char *model_writer_folder(const struct model_writer *w);
/* All rows must have been put. Always releases w. */
enum status model_writer_commit(struct model_writer *w, struct err *e);
void model_writer_abort(struct model_writer *w); /* accepts NULL */

#endif
