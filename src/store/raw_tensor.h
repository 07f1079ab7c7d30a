/*
 * raw_tensor.h - a named tensor as a weight file holds it, whatever the file's format, and the plain
 * description of one that is to be written. The readers (torch_file.h, safetensors.h) make raw tensors;
 * checkpoint.h turns them into the tensors that ops take.
 */
#ifndef SPHINX_STORE_RAW_TENSOR_H
#define SPHINX_STORE_RAW_TENSOR_H

#include "core/status.h"
#include "tensor/dtype.h"

struct zip;
struct zip_member;

enum { RAW_DIMS_MAX = 8, SHAPE_TEXT_MAX = 192, BYTES_TEXT_MAX = 120 };

/* Readers guarantee: every element lies inside the file, dims and strides are not negative, and the
 * product of the dims times the element size fits in size_t. The memory belongs to the reader's file. */
struct raw_tensor {
    const char *name; /* as the file spells it, less a leading "llma." */
    enum dtype dtype;
    int n_dims; /* 0: one number */
    int64_t dim[RAW_DIMS_MAX];
    int64_t stride[RAW_DIMS_MAX]; /* elements; any, as torch saves views; may be unaligned in memory */
    const void *data;             /* first element; NULL: it lies `offset` bytes into `member` of `zip` */
    const struct zip *zip;
    const struct zip_member *member;
    size_t offset;
};

/* What a writer needs to know before the data comes. Written rows are contiguous. */
struct tensor_spec {
    const char *name; /* written as it is */
    enum dtype dtype;
    int n_dims;
    int64_t dim[RAW_DIMS_MAX];
};

/* The first element. For a member of a ZIP archive this reads the member's local header, the only page of
 * the file besides the directory that is touched before the data itself: BAD_FORMAT when that header is
 * broken. */
enum status raw_tensor_data(const struct raw_tensor *t, const void **data, struct err *e);

/* Elements of a shape, false when the product overflows or a dim is negative. */
bool shape_elements(const int64_t *dim, int n_dims, size_t *elements);
/* Bytes of a shape in a dtype, false on overflow or where it does not fill whole blocks. */
bool shape_bytes(enum dtype dtype, const int64_t *dim, int n_dims, size_t *bytes);

/* True when the rows (all dims but the last, together) lie at one stride with the elements of a row side by
 * side, so that ops can read the tensor where it lies. *stride: elements between rows. */
bool raw_tensor_rows(const struct raw_tensor *t, int64_t *stride);

/* Copies all elements from `data` (raw_tensor_data's answer) to dst, row-major and without gaps. */
void raw_tensor_copy(const struct raw_tensor *t, const void *data, void *dst);

/* "[2, 3]" for messages, into text [SHAPE_TEXT_MAX]; returns text. */
const char *shape_text(char *text, const int64_t *dim, int n_dims);

/* The same for bytes of a file that should be a name: at most BYTES_TEXT_MAX, what is not printable ASCII
 * as '?'. text is [SHAPE_TEXT_MAX]. */
const char *bytes_text(char *text, const void *bytes, size_t size);

/* A name without its leading "llma.". */
const char *name_without_prefix(const char *name);

/* Refuses what people put in the place of weights: an empty file, a git-lfs pointer, a web page. OK for
 * anything else; the sentence names what it is and what to do. */
enum status weights_sniff(const char *path, const void *data, size_t size, struct err *e);

#endif
