/*
 * safetensors.h - reads and writes .safetensors: a length (8 bytes), a JSON header, the tensors' bytes.
 *
 *   [n: u64][{"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}, n bytes][data]
 *
 * Offsets count from the end of the header. The reader insists on what the format promises: the tensors fill
 * the data exactly, without gap or overlap, and each is as long as its shape says.
 */
#ifndef SPHINX_STORE_SAFETENSORS_H
#define SPHINX_STORE_SAFETENSORS_H

#include "core/arena.h"
#include "core/file.h"
#include "store/raw_tensor.h"

enum { SAFETENSORS_HEADER_MAX = 100 << 20 };

struct safetensors_file {
    struct raw_tensor *tensors; /* [count], sorted by name, no name twice; data is set */
    size_t count;
    const char **metadata; /* [2 * n_metadata] key, value, ... as the header's __metadata__ has them */
    size_t n_metadata;
    char *path;
    struct file_map map; /* zeroed when read from memory */
    struct arena arena;
};

enum status safetensors_open(struct safetensors_file *f, const char *path, struct err *e);
/* The same for bytes that the caller keeps; `path` is only for messages. */
enum status safetensors_open_memory(struct safetensors_file *f, const void *data, size_t size,
                                    const char *path, struct err *e);
void safetensors_close(struct safetensors_file *f); /* accepts a zeroed file */

/* NULL when there is none of that name or key. */
const struct raw_tensor *safetensors_find(const struct safetensors_file *f, const char *name);
const char *safetensors_metadata(const struct safetensors_file *f, const char *key);

/* A set of several files: model.safetensors.index.json maps each tensor's name to the file that holds it.
 * File names with a folder in them are refused. */
struct safetensors_index {
    char **files; /* [n_files] base names, each once */
    size_t n_files;
    char **names; /* [n_names] of tensors, less "llma.", and the file of each */
    size_t *file_of;
    size_t n_names;
    struct arena arena;
};

enum status safetensors_index_open(struct safetensors_index *x, const char *path, struct err *e);
void safetensors_index_close(struct safetensors_index *x);

struct safetensors_writer {
    struct file_writer file;
    uint64_t left; /* bytes still to put */
};

/* Declares all tensors; their bytes follow in the same order through put, in steps of any size. metadata
 * holds n_metadata pairs key, value (2 * n_metadata strings) and may be NULL. Names must be unique:
 * BAD_ARGUMENT. */
enum status safetensors_writer_open(struct safetensors_writer *w, const char *path,
                                    const struct tensor_spec *tensors, size_t n_tensors,
                                    const char *const *metadata, size_t n_metadata, struct err *e);
enum status safetensors_writer_put(struct safetensors_writer *w, const void *data, size_t size,
                                   struct err *e);
/* Fewer bytes than declared: BAD_ARGUMENT, and the target stays as it was. Always releases w. */
enum status safetensors_writer_commit(struct safetensors_writer *w, struct err *e);
void safetensors_writer_abort(struct safetensors_writer *w); /* accepts a zeroed or committed writer */

#endif
