/*
 * torch_file.h - reads the tensors of a .pth file as torch.save writes it: a ZIP archive (zip.h) with the
 * structure in <top>/data.pkl (pickle.h) and one member <top>/data/<key> per storage.
 *
 *   {"model": {name: tensor}} or {name: tensor}; values that are no tensors are skipped.
 *
 * Stored members are used where they lie in the mapping; deflated ones are unpacked at opening. Tensors of
 * one storage share its memory. torch's older files (a bare pickle, a tar archive) are recognised and refused
 * with the line that re-saves them.
 */
#ifndef SPHINX_STORE_TORCH_FILE_H
#define SPHINX_STORE_TORCH_FILE_H

#include "core/arena.h"
#include "core/file.h"
#include "store/raw_tensor.h"
#include "store/zip.h"

struct torch_file {
    struct raw_tensor *tensors; /* [count], sorted by name, no name twice */
    size_t count;
    char *path;
    struct zip zip;
    struct file_map map; /* zeroed when read from memory */
    struct arena arena;
    void **unpacked; /* [n_unpacked] storages that were deflated */
    size_t n_unpacked;
};

/* Raw tensors point into f->zip: f must not move while they are in use. */
enum status torch_file_open(struct torch_file *f, const char *path, struct err *e);
/* The same for bytes that the caller keeps; `path` is only for messages. */
enum status torch_file_open_memory(struct torch_file *f, const void *data, size_t size, const char *path,
                                   struct err *e);
void torch_file_close(struct torch_file *f); /* accepts a zeroed file */

#endif
