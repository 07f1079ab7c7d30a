/* ref_conv.c - patches and depthwise convolution over stacks of maps. */
#include "backend/cpu/ref/ref.h"

/* Walks row `row` of the patch matrix: the map cell behind each of its columns. */
static int64_t patch_origin(const struct map_shape *s, int patch, int64_t row)
{
    int64_t across = s->width / patch, down = s->height / patch;
    int64_t j = row % across, i = row / across % down, v = row / across / down;

    return v * s->map_stride + i * patch * s->row_stride + j * patch * s->column_stride;
}

static int64_t patch_rows(const struct map_shape *s, int patch)
{
    return s->maps * (s->height / patch) * (s->width / patch);
}

void ref_patches(const struct exec *e, struct tensor *y, const float *x, const struct map_shape *s, int patch)
{
    int64_t rows = patch_rows(s, patch);

#pragma omp parallel for num_threads(threads_for(e, rows *tensor_columns(y))) schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        const float *from = x + patch_origin(s, patch, r);
        float *to = data_row(y, r);

        for (int64_t c = 0; c < s->channels; c++)
            for (int dy = 0; dy < patch; dy++)
                for (int dx = 0; dx < patch; dx++)
                    *to++ = from[c * s->channel_stride + dy * s->row_stride + dx * s->column_stride];
    }
}

void ref_patches_backward(const struct exec *e, const struct tensor *y, float *dx, const struct map_shape *s,
                          int patch)
{
    int64_t rows = patch_rows(s, patch);

#pragma omp parallel for num_threads(threads_for(e, rows *tensor_columns(y))) schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        float *to = dx + patch_origin(s, patch, r);
        const float *from = grad_row(y, r);

        for (int64_t c = 0; c < s->channels; c++)
            for (int i = 0; i < patch; i++)
                for (int j = 0; j < patch; j++)
                    to[c * s->channel_stride + i * s->row_stride + j * s->column_stride] += *from++;
    }
}

/* The taps of a kernel of `size` centred on `at` that fall inside a map `length` long. */
static void taps_inside(int64_t at, int64_t length, int size, int *first, int *last)
{
    int half = size / 2;

    *first = at < half ? (int)(half - at) : 0;
    *last = length - at - 1 < size - 1 - half ? (int)(length - at) + half : size;
}

/* y[r, c] = bias[c] + sum over taps of w[c, tap] x[r moved by tap, c] */
void ref_depthwise_conv(const struct exec *e, struct tensor *y, const struct tensor *x, const float *w,
                        const float *bias, int64_t height, int64_t width, int size)
{
    int64_t rows = tensor_rows(x), C = tensor_columns(x), half = size / 2;

#pragma omp parallel for num_threads(threads_for(e, rows *C *size *size)) schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        int i0, i1, j0, j1;

        taps_inside(r / width % height, height, size, &i0, &i1);
        taps_inside(r % width, width, size, &j0, &j1);
        for (int64_t c = 0; c < C; c++) {
            double sum = (double)bias[c];

            for (int i = i0; i < i1; i++)
                for (int j = j0; j < j1; j++)
                    sum += (double)w[(c * size + i) * size + j] *
                           (double)data_row(x, r + (i - half) * width + j - half)[c];
            data_row(y, r)[c] = (float)sum;
        }
    }
}

/* forward: y[r] += w[tap] x[r + tap]   so: dx[r + tap] += w[tap] dy[r], dw[tap] += dy[r] x[r + tap], dbias += dy.
 * Threads take channels, which never meet. */
static void channel_backward(const struct tensor *y, const struct tensor *x, const float *w, float *dw,
                             float *dbias, int64_t height, int64_t width, int size, int64_t c)
{
    int64_t rows = tensor_rows(x), half = size / 2;

    for (int64_t r = 0; r < rows; r++) {
        float dy = grad_row(y, r)[c];
        int i0, i1, j0, j1;

        taps_inside(r / width % height, height, size, &i0, &i1);
        taps_inside(r % width, width, size, &j0, &j1);
        if (dbias != NULL) dbias[c] += dy;
        for (int i = i0; i < i1; i++) {
            for (int j = j0; j < j1; j++) {
                int64_t from = r + (i - half) * width + j - half, tap = (c * size + i) * size + j;

                if (dw != NULL) dw[tap] += dy * data_row(x, from)[c];
                if (x->grad != NULL) grad_row(x, from)[c] += dy * w[tap];
            }
        }
    }
}

void ref_depthwise_conv_backward(const struct exec *e, const struct tensor *y, const struct tensor *x,
                                 const float *w, float *dw, float *dbias, int64_t height, int64_t width,
                                 int size)
{
    int64_t C = tensor_columns(x);

#pragma omp parallel for num_threads(threads_for(e, tensor_rows(x) * C * size * size)) schedule(static)
    for (int64_t c = 0; c < C; c++) channel_backward(y, x, w, dw, dbias, height, width, size, c);
}
