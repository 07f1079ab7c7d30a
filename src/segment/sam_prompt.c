/*
 * sam_prompt.c - SAM's prompt encoder: points, boxes and masks in the space of the image's embedding.
 *
 *   code(u, v) = [sin t, cos t],  t = 2 pi ((2u - 1) G[0] + (2v - 1) G[1])        u, v fractions of the square
 *
 * Goldens: <case>.tokens, <case>.dense.
 */
#include "segment/sam.h"

#include <math.h>

static const float norm_eps = 1e-6f;

void sam_prompts_params(struct sam *m, struct param_visitor *v)
{
    const struct sam_config *k = &m->config;
    struct sam_prompts *s = &m->prompts;
    int64_t hidden = k->mask_hidden[0], wide = k->mask_hidden[1];
    size_t outer = param_enter(v, "prompt_encoder."), inner;

    param(v, &s->gaussian, PARAM_VECTOR, SPLIT_NONE, SHAPE(2, k->dim / 2),
          "pe_layer.positional_encoding_gaussian_matrix");
    for (int i = 0; i < SAM_POINT_KINDS; i++) {
        inner = param_enter(v, "point_embeddings.%d.", i);
        param(v, &s->point[i], PARAM_VECTOR, SPLIT_NONE, SHAPE(1, k->dim), "weight");
        param_leave(v, inner);
    }
    param(v, &s->no_point, PARAM_VECTOR, SPLIT_NONE, SHAPE(1, k->dim), "not_a_point_embed.weight");
    param(v, &s->no_mask, PARAM_VECTOR, SPLIT_NONE, SHAPE(1, k->dim), "no_mask_embed.weight");
    inner = param_enter(v, "mask_downscaling.");
    param(v, &s->mask[0].weight, PARAM_MATRIX, SPLIT_NONE, SHAPE(hidden, 1, 2, 2), "0.weight");
    param(v, &s->mask[0].bias, PARAM_VECTOR, SPLIT_NONE, SHAPE(hidden), "0.bias");
    param_norm(v, &s->mask_norm[0], hidden, "1");
    param(v, &s->mask[1].weight, PARAM_MATRIX, SPLIT_NONE, SHAPE(wide, hidden, 2, 2), "3.weight");
    param(v, &s->mask[1].bias, PARAM_VECTOR, SPLIT_NONE, SHAPE(wide), "3.bias");
    param_norm(v, &s->mask_norm[1], wide, "4");
    param(v, &s->mask[2].weight, PARAM_MATRIX, SPLIT_NONE, SHAPE(k->dim, wide, 1, 1), "6.weight");
    param(v, &s->mask[2].bias, PARAM_VECTOR, SPLIT_NONE, SHAPE(k->dim), "6.bias");
    param_leave(v, inner);
    param_leave(v, outer);
}

/* The code of a place, to [D], in PyTorch's order of float operations. */
static void encode_place(const struct tensor *gaussian, float u, float v, float *to)
{
    int64_t half = tensor_columns(gaussian);
    const float *g = tensor_f32(gaussian);
    float x = 2 * u - 1, y = 2 * v - 1;

    for (int64_t i = 0; i < half; i++) {
        float t = 0x1.921fb6p2f * (x * g[i] + y * g[half + i]);

        to[i] = sinf(t);
        to[half + i] = cosf(t);
    }
}

struct tensor *sam_prompt_tokens(struct ctx *c, const struct sam *m, const struct sam_prompt *p)
{
    enum { NO_POINT = SAM_POINT_KINDS, KINDS };
    const struct sam_prompts *s = &m->prompts;
    float side = (float)(m->config.patch * m->config.grid);
    int64_t n_points = (int64_t)p->n_points, n = n_points + (p->has_box ? 2 : 1);
    struct tensor **kinds = ctx_alloc(c, KINDS, sizeof(struct tensor *));
    struct row_ref *ref = ctx_alloc(c, (size_t)n, sizeof *ref);
    struct tensor *codes = tensor_new(c, n, m->config.dim, false);

    if (kinds == NULL || ref == NULL || codes == NULL) return NULL;
    for (int i = 0; i < SAM_POINT_KINDS; i++) kinds[i] = (struct tensor *)(uintptr_t)&s->point[i];
    kinds[NO_POINT] = (struct tensor *)(uintptr_t)&s->no_point;
    for (int64_t i = 0; i < n; i++) { /* half a pixel is added: the middle of it is meant */
        float *to = tensor_f32(codes) + i * codes->stride, x, y;
        int64_t corner = i - n_points;

        if (corner >= 0 && !p->has_box) {
            ref[i] = (struct row_ref){ NO_POINT, 0 };
            memset(to, 0, (size_t)m->config.dim * sizeof *to);
            continue;
        }
        ref[i] = (struct row_ref){ corner < 0 ? p->points[i].foreground : (int32_t)(2 + corner), 0 };
        x = corner < 0 ? p->points[i].x : corner == 0 ? p->x1 : p->x2;
        y = corner < 0 ? p->points[i].y : corner == 0 ? p->y1 : p->y2;
        encode_place(&s->gaussian, (x + 0.5f) / side, (y + 0.5f) / side, to);
    }
    return residual(c, gather(c, kinds, ref, n), codes, NULL);
}

struct tensor *sam_prompt_dense(struct ctx *c, const struct sam *m, struct tensor *mask)
{
    const struct sam_prompts *s = &m->prompts;
    int64_t grid = m->config.grid, hidden = m->config.mask_hidden[0];
    struct map_shape whole = map_planar(1, 1, 4 * grid, 4 * grid),
                     half = map_rows(1, hidden, 2 * grid, 2 * grid);
    struct tensor *x;

    if (mask == NULL) return (struct tensor *)(uintptr_t)&s->no_mask;
    x = apply_dense(c, patches(c, mask, &whole, 2), &s->mask[0]);
    x = activate(c, apply_norm(c, x, &s->mask_norm[0], norm_eps), ACT_GELU_ERF);
    x = apply_dense(c, patches(c, x, &half, 2), &s->mask[1]);
    x = activate(c, apply_norm(c, x, &s->mask_norm[1], norm_eps), ACT_GELU_ERF);
    return apply_dense(c, x, &s->mask[2]);
}

struct tensor *sam_image_code(struct ctx *c, const struct sam *m)
{
    int64_t grid = m->config.grid;
    struct tensor *y = tensor_new(c, grid * grid, m->config.dim, false);

    if (y == NULL) return NULL;
    for (int64_t i = 0; i < grid * grid; i++) {
        encode_place(&m->prompts.gaussian, ((float)(i % grid) + 0.5f) / (float)grid,
                     ((float)(i / grid) + 0.5f) / (float)grid, tensor_f32(y) + i * y->stride);
    }
    return y;
}
