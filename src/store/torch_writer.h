/*
 * torch_writer.h - writes {"model": {name: tensor}} as a .pth file that torch.load(weights_only=True) reads.
 *
 * Streaming: the tensors are declared, then their bytes are put in the same order, in steps of any size, so
 * that 33 GB pass through a small buffer. Members are stored, their data aligned to 64 bytes as torch's are;
 * sizes beyond 4 GB take ZIP64. The file appears under its name only when all is on disk.
 */
#ifndef SPHINX_STORE_TORCH_WRITER_H
#define SPHINX_STORE_TORCH_WRITER_H

#include "core/arena.h"
#include "core/file.h"
#include "store/raw_tensor.h"

struct torch_writer_member;

struct torch_writer {
    struct file_writer file;
    struct torch_writer_member *members; /* data.pkl, byteorder, the tensors' storages, version */
    size_t n_members, n_tensors;
    size_t begun;  /* tensors whose member has been begun; the last of them gets the next bytes */
    uint64_t left; /* bytes that it still needs */
    struct arena arena;
};

/* Names must be unique and not empty, dtypes plain ones: else BAD_ARGUMENT. `tensors` is needed only
 * during the call. */
enum status torch_writer_open(struct torch_writer *w, const char *path, const struct tensor_spec *tensors,
                              size_t n_tensors, struct err *e);
/* The next bytes, little-endian row-major elements; may end inside a tensor or span several. More bytes than
 * were declared: BAD_ARGUMENT. */
enum status torch_writer_put(struct torch_writer *w, const void *data, size_t size, struct err *e);
/* Ends the file. Fewer bytes than declared: BAD_ARGUMENT, and the target stays as it was. Always releases
 * w. */
enum status torch_writer_commit(struct torch_writer *w, struct err *e);
void torch_writer_abort(struct torch_writer *w); /* accepts a zeroed or committed writer */

#endif
