/* tensor.c - see tensor.h. */
#include "tensor/tensor.h"

#include <assert.h>

struct tensor tensor_matrix(enum dtype dtype, void *data, int64_t rows, int64_t columns)
{
    struct tensor t = {
        .dtype = dtype, .n_dims = 2, .dim = { rows, columns }, .stride = columns, .data = data
    };

    return t;
}

static const void *element(enum dtype dtype, const void *base, int64_t offset)
{
    return (const char *)base + dtype_bytes(dtype, (size_t)offset);
}

const void *tensor_row(const struct tensor *t, int64_t row, int64_t first, int64_t count, void *scratch)
{
    const struct tensor_pieces *p = t->pieces;
    int64_t width, done;

    assert(row >= 0 && row < tensor_rows(t) && first >= 0 && count >= 0 &&
           first + count <= tensor_columns(t));
    if (p == NULL) return element(t->dtype, t->data, row * t->stride + first);
    if (p->axis == 0) {
        int64_t rows = tensor_rows(t) / p->count, i = row / rows;

        return element(t->dtype, p->data[i], (row - i * rows) * p->stride[i] + first);
    }
    width = tensor_columns(t) / p->count;
    if (count > 0 && first / width == (first + count - 1) / width) {
        int64_t i = first / width;

        return element(t->dtype, p->data[i], row * p->stride[i] + (first - i * width));
    }
    for (done = 0; done < count;) {
        int64_t i = (first + done) / width, offset = first + done - i * width;
        int64_t n = width - offset < count - done ? width - offset : count - done;

        memcpy((char *)scratch + dtype_bytes(t->dtype, (size_t)done),
               element(t->dtype, p->data[i], row * p->stride[i] + offset), dtype_bytes(t->dtype, (size_t)n));
        done += n;
    }
    return scratch;
}

void tensor_row_f32(const struct tensor *t, int64_t row, int64_t first, int64_t count, float *out)
{
    const struct dtype_info *info = dtype_info(t->dtype);
    unsigned char buffer[1024];
    int64_t step = (int64_t)(sizeof buffer / info->block_bytes * info->block_elements);

    /* In steps, so that the scratch for a row in pieces stays on the stack. */
    for (int64_t done = 0; done < count; done += step) {
        int64_t n = count - done < step ? count - done : step;

        info->to_f32(out + done, tensor_row(t, row, first + done, n, buffer), (size_t)n);
    }
}

struct tensor tensor_slice_rows(const struct tensor *t, int64_t first, int64_t count,
                                struct tensor_pieces *pieces)
{
    struct tensor s = *t;
    const struct tensor_pieces *p = t->pieces;

    assert(t->n_dims == 2 && first >= 0 && first + count <= t->dim[0]);
    s.dim[0] = count;
    if (t->grad != NULL) s.grad = t->grad + first * t->stride;
    if (p == NULL) {
        s.data = (char *)t->data + dtype_bytes(t->dtype, (size_t)(first * t->stride));
        return s;
    }
    assert(p->axis == 0);
    int64_t rows = t->dim[0] / p->count, i = first / rows;

    if (first - i * rows + count <= rows) {
        s.pieces = NULL;
        s.stride = p->stride[i];
        s.data = (void *)(uintptr_t)element(t->dtype, p->data[i], (first - i * rows) * p->stride[i]);
        return s;
    }
    assert(first % rows == 0 && count % rows == 0);
    pieces->axis = 0;
    pieces->count = (int)(count / rows);
    pieces->data = p->data + i;
    pieces->stride = p->stride + i;
    s.pieces = pieces;
    return s;
}
