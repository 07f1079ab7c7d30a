/*
 * views.c - whole and parts of an image for each kind of encoder; the rule is in views.h.
 */
#include "image/views.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "image/resample.h"
#include "image/transform.h"

static const float dinov2_mean[3] = { 0.485f, 0.456f, 0.406f };
static const float dinov2_std[3] = { 0.229f, 0.224f, 0.225f };

static int grid_of(enum img_layout layout)
{
    switch (layout) {
    case IMG_LAYOUT_ONE: return 1;
    case IMG_LAYOUT_FIVE: return 2;
    case IMG_LAYOUT_TEN: return 3;
    }
    return 1;
}

int img_views_count(enum img_layout layout)
{
    int grid = grid_of(layout);

    return grid == 1 ? 1 : 1 + grid * grid;
}

/* [3, from, from] -> [3, to, to] */
static enum status square_resize(float *out, int to, const float *in, int from, struct err *e)
{
    if (to == from) {
        memcpy(out, in, (size_t)to * (size_t)to * 3 * sizeof *out);
        return STATUS_OK;
    }
    return img_bicubic(out, to, to, in, from, from, 3, 0, 0, e);
}

/* [3, n g, n g] -> [g g, 3, n, n] */
static void parts_cut(float *out, int n, const float *in, int grid)
{
    size_t side = (size_t)n, stride = side * (size_t)grid;

    for (int part = 0; part < grid * grid; part++) {
        size_t top = side * (size_t)(part / grid), left = side * (size_t)(part % grid);

        for (size_t c = 0; c < 3; c++) {
            for (size_t y = 0; y < side; y++, out += side) {
                memcpy(out, in + (c * stride + top + y) * stride + left, side * sizeof *out);
            }
        }
    }
}

/* The whole, then the parts, each of side n, from an image of side `size`. */
static enum status whole_and_parts(float *out, int n, const float *image, int size, int grid, struct err *e)
{
    size_t fine_size = (size_t)n * (size_t)grid;
    float *fine;
    enum status st;

    st = square_resize(out, n, image, size, e);
    if (st != STATUS_OK || grid == 1) return st;
    out += (size_t)n * (size_t)n * 3;
    if (fine_size == (size_t)size) {
        parts_cut(out, n, image, grid);
        return STATUS_OK;
    }
    fine = malloc(fine_size * fine_size * 3 * sizeof *fine);
    if (fine == NULL) return err_no_memory(e, "the finer views");
    st = square_resize(fine, (int)fine_size, image, size, e);
    if (st == STATUS_OK) parts_cut(out, n, fine, grid);
    free(fine);
    return st;
}

/* ConvNeXt's views where they are the transformers' enlarged; these are made here if the caller does not
 * want them. */
static enum status cnn_from_vit(const struct img_views *v, const float *image, const float *vit, float *cnn,
                                struct err *e)
{
    size_t planes = (size_t)img_views_count(v->layout) * 3;
    float *own = NULL;
    enum status st = STATUS_OK;

    if (vit == NULL) {
        own = malloc(planes * (size_t)v->view_size * (size_t)v->view_size * sizeof *own);
        if (own == NULL) return err_no_memory(e, "the views");
        st = whole_and_parts(own, v->view_size, image, v->image_size, grid_of(v->layout), e);
        vit = own;
    }
    if (st == STATUS_OK) img_nearest(cnn, v->cnn_size, v->cnn_size, vit, v->view_size, v->view_size, planes);
    free(own);
    return st;
}

enum status img_views_make(const struct img_views *v, const float *image, float *vit, float *cnn,
                           struct err *e)
{
    int grid = grid_of(v->layout);
    enum status st = STATUS_OK;

    assert(v->image_size > 0 && v->image_size <= IMG_SIDE_MAX / 3);
    assert(v->view_size > 0 && v->view_size <= IMG_SIDE_MAX / 3);
    assert(v->cnn_size > 0 && v->cnn_size <= IMG_SIDE_MAX / 3);
    if (vit != NULL) st = whole_and_parts(vit, v->view_size, image, v->image_size, grid, e);
    if (st != STATUS_OK || cnn == NULL) return st;
    if (v->image_size <= v->view_size * grid) return cnn_from_vit(v, image, vit, cnn, e);
    return whole_and_parts(cnn, v->cnn_size, image, v->image_size, grid, e);
}

void img_views_for_dinov2(float *out, const float *in, size_t n, int view_size)
{
    size_t count = (size_t)view_size * (size_t)view_size;

    for (size_t plane = 0; plane < 3 * n; plane++, in += count, out += count) {
        size_t c = plane % 3;

        for (size_t i = 0; i < count; i++) {
            out[i] = (in[i] * img_clip_std[c] + img_clip_mean[c] - dinov2_mean[c]) / dinov2_std[c];
        }
    }
}
