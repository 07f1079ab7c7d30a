/*
 * gguf_writer.h - writes GGUF version 3 (gguf.h).
 *
 *     struct gguf_keys keys = { 0 };
 *     gguf_key_string(&keys, "general.architecture", "llama");
 *     gguf_key_u32(&keys, "llama.block_count", 40);
 *     ...
 *     gguf_writer_open(&w, path, &keys, tensors, n, &e);
 *     gguf_writer_put(&w, data, size, &e);              as often as needed, in the order of `tensors`
 *     gguf_writer_commit(&w, &e);
 *     gguf_keys_free(&keys);
 *
 * Streaming: the tensors are declared, then their bytes are put in the same order, in steps of any size; the writer
 * puts the padding between them. The file appears under its name only when all is on disk.
 */
#ifndef SPHINX_STORE_GGUF_WRITER_H
#define SPHINX_STORE_GGUF_WRITER_H

#include "store/gguf.h"

/* Keys under construction, in the order given. Zero-initialise. What goes wrong (no memory, a key twice or too long)
 * is kept and reported by gguf_writer_open. Everything is copied. */
struct gguf_keys {
    unsigned char *bytes; /* as they stand in the file */
    size_t size, capacity;
    char **names; /* [count] */
    size_t count, names_capacity;
    bool no_memory;
    const char *bad; /* a key that cannot be written: twice, empty or too long */
    struct arena arena;
};

void gguf_key_u32(struct gguf_keys *k, const char *key, uint32_t value);
void gguf_key_f32(struct gguf_keys *k, const char *key, float value);
void gguf_key_bool(struct gguf_keys *k, const char *key, bool value);
void gguf_key_string(struct gguf_keys *k, const char *key, const char *value);
/* Arrays: u8 (a file as it is), f32, i32, strings. */
void gguf_key_bytes(struct gguf_keys *k, const char *key, const void *bytes, size_t size);
void gguf_key_f32s(struct gguf_keys *k, const char *key, const float *values, size_t n);
void gguf_key_i32s(struct gguf_keys *k, const char *key, const int32_t *values, size_t n);
void gguf_key_strings(struct gguf_keys *k, const char *key, const struct gguf_string *values, size_t n);
void gguf_keys_free(struct gguf_keys *k); /* accepts a zeroed one */

struct gguf_writer {
    struct file_writer file;
    uint64_t *bytes; /* [n_tensors] */
    size_t n_tensors;
    size_t begun;  /* tensors of which something was put; the last of them gets the next bytes */
    uint64_t left; /* bytes that it still needs */
    struct arena arena;
};

/* Writes all that goes before the data. The writer adds general.alignment itself. `keys` and `tensors` are needed only
 * during the call. BAD_ARGUMENT names the tensor: a name that is empty, there twice or above GGUF_NAME_MAX bytes; more
 * than GGUF_DIMS_MAX dims; a dtype that GGUF lacks; rows (the last dim) that do not fill whole blocks. */
enum status gguf_writer_open(struct gguf_writer *w, const char *path, const struct gguf_keys *keys,
                             const struct tensor_spec *tensors, size_t n_tensors, struct err *e);
/* The next bytes, little-endian row-major elements or blocks; may end inside a tensor or span several. More bytes
 * than were declared: BAD_ARGUMENT. */
enum status gguf_writer_put(struct gguf_writer *w, const void *data, size_t size, struct err *e);
/* Ends the file. Fewer bytes than declared: BAD_ARGUMENT, and the target stays as it was. Always releases w. */
enum status gguf_writer_commit(struct gguf_writer *w, struct err *e);
void gguf_writer_abort(struct gguf_writer *w); /* accepts a zeroed or committed writer */

#endif
