/*
 * gguf.h - reads GGUF, the one-file format of llama.cpp's family: typed keys, then tensors. Version 3 (and 2, which
 * reads the same), little-endian.
 *
 *   ["GGUF"][version: u32][tensors: u64][keys: u64]
 *   keys times     [key: string][kind: u32][value]                 string: [bytes: u64][bytes]
 *   tensors times  [name: string][dims: u32][dim: u64 each, fastest first][type: u32][offset: u64]
 *   padding to the alignment, then the data; offsets count from here and are multiples of the alignment
 *
 * The alignment is the key general.alignment, 32 without it. The reader believes nothing: every length is held
 * against the bytes that are left, keys and names are unique, a tensor's data lie inside the file, aligned, and
 * overlap no other's. Gaps between tensors are allowed. Key values and tensors are used where they lie.
 */
#ifndef SPHINX_STORE_GGUF_H
#define SPHINX_STORE_GGUF_H

#include "core/arena.h"
#include "core/file.h"
#include "store/raw_tensor.h"

/* As numbered in the file. */
enum gguf_kind {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY, /* in the file only: a gguf_value says is_array */
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_KINDS
};

#define GGUF_MAGIC         "GGUF"
#define GGUF_KEY_ALIGNMENT "general.alignment"

enum {
    GGUF_MAGIC_BYTES = 4,
    GGUF_VERSION = 3,
    GGUF_ALIGNMENT = 32, /* where general.alignment is not given, and what the writer writes */
    GGUF_DIMS_MAX = 4,
    GGUF_NAME_MAX = 63, /* bytes of a tensor's name that ggml takes */
    GGUF_KEY_BYTES_MAX = 65535,
};

/* Text inside the file: not NUL-terminated, any bytes. */
struct gguf_string {
    const char *bytes;
    size_t size;
};

struct gguf_value {
    const char *key;     /* NUL-terminated */
    enum gguf_kind kind; /* of the elements */
    bool is_array;       /* else count is 1; arrays of arrays are refused */
    size_t count;
    const unsigned char
        *data;   /* the first element, little-endian, unaligned; every element was checked to be there */
    size_t size; /* bytes of all elements */
};

struct gguf_file {
    struct raw_tensor *tensors; /* [count], sorted by name, no name twice; dims slowest first, data is set */
    size_t count;
    struct gguf_value *values; /* [n_values], sorted by key, no key twice */
    size_t n_values;
    uint32_t version;
    uint64_t alignment;
    char *path;
    struct file_map map; /* zeroed when read from memory */
    struct arena arena;
};

/* BAD_FORMAT: broken. UNSUPPORTED: big-endian, version 1, a tensor of a type that the program lacks (named). */
enum status gguf_open(struct gguf_file *f, const char *path, struct err *e);
/* The same for bytes that the caller keeps; `path` is only for messages. */
enum status gguf_open_memory(struct gguf_file *f, const void *data, size_t size, const char *path,
                             struct err *e);
void gguf_close(struct gguf_file *f); /* accepts a zeroed file */

/* NULL: there is no such key. */
const struct gguf_value *gguf_find(const struct gguf_file *f, const char *key);

/* The value of a key that must be there. NOT_FOUND: it is not. BAD_FORMAT: it is of another kind, or does not fit;
 * both name the key. Whole numbers may be stored in any whole kind, f32 also as f64. What is given out is borrowed. */
enum status gguf_get_u32(const struct gguf_file *f, const char *key, uint32_t *value, struct err *e);
enum status gguf_get_f32(const struct gguf_file *f, const char *key, float *value, struct err *e);
enum status gguf_get_bool(const struct gguf_file *f, const char *key, bool *value, struct err *e);
enum status gguf_get_string(const struct gguf_file *f, const char *key, struct gguf_string *value,
                            struct err *e);
/* An array whose elements are of `kind`. */
enum status gguf_get_array(const struct gguf_file *f, const char *key, enum gguf_kind kind,
                           const struct gguf_value **value, struct err *e);

/* Element i of an array of F32 or I32. */
float gguf_f32_at(const struct gguf_value *v, size_t i);
int32_t gguf_i32_at(const struct gguf_value *v, size_t i);
/* The strings of a value in order: *at starts at 0 and moves on. False: there are no more. */
bool gguf_string_next(const struct gguf_value *v, size_t *at, struct gguf_string *s);

/* "u32", "string", ... */
const char *gguf_kind_text(enum gguf_kind kind);
/* The value for people: numbers as they are, text quoted and cut, arrays as their size and kind. Returns text [size]. */
const char *gguf_value_text(const struct gguf_value *v, char *text, size_t size);

/* ggml's number for a dtype, -1 where GGUF has none. */
int gguf_type_of(enum dtype dtype);

#endif
