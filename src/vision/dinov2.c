/*
 * dinov2.c - DINOv2's vision transformer.
 *
 *   views [V, 3, S, S] -> patches -> [V, 1+g*g, D] + interpolated positions
 *     layers x { x += ls1 * proj(attention(qkv(norm1(x)))),  x += ls2 * w3(silu(u) * g), [u | g] = w12(norm2(x)) }
 *   -> norm over all tokens.
 *
 * Positions were learnt on a pretrain_size / patch grid (37 x 37) and are resampled to the view's (16 x 16) by
 * bicubic interpolation, a = -0.75, without antialiasing, whose step is pretrain_grid / (grid + 0.1): upstream adds
 * 0.1 to the target size, and the weights were trained with it (spec 04 section 4).
 * Goldens: dinov2.block.0, dinov2.
 */
#include "vision/dinov2.h"

#include <math.h>

static const float norm_eps = 1e-6f;

enum { CUBIC_TAPS = 4 };

enum status dinov2_init(struct dinov2 *m, const struct dinov2_config *config, struct arena *a, struct err *e)
{
    memset(m, 0, sizeof *m);
    m->config = *config;
    m->blocks = arena_calloc(a, (size_t)config->layers, sizeof *m->blocks);
    return m->blocks != NULL ? STATUS_OK : err_no_memory(e, "dinov2");
}

static void block_params(struct dinov2_block *b, const struct dinov2_config *k, struct param_visitor *v)
{
    int64_t width = k->width;

    param_norm(v, &b->norm1, width, "norm1");
    param_dense(v, &b->qkv, 3 * width, width, "attn.qkv");
    param_dense(v, &b->proj, width, width, "attn.proj");
    param(v, &b->ls1, PARAM_VECTOR, SPLIT_NONE, SHAPE(width), "ls1.gamma");
    param_norm(v, &b->norm2, width, "norm2");
    param_dense(v, &b->w12, 2 * (int64_t)k->ffn_width, width, "mlp.w12");
    param_dense(v, &b->w3, width, k->ffn_width, "mlp.w3");
    param(v, &b->ls2, PARAM_VECTOR, SPLIT_NONE, SHAPE(width), "ls2.gamma");
}

void dinov2_params(struct dinov2 *m, struct param_visitor *v)
{
    const struct dinov2_config *k = &m->config;
    int64_t grid = k->pretrain_size / k->patch_size, width = k->width;
    size_t outer = param_enter(v, "dinov2_vitg14.");

    param(v, &m->cls_token, PARAM_VECTOR, SPLIT_NONE, SHAPE(1, 1, width), "cls_token");
    param(v, &m->pos_embed, PARAM_VECTOR, SPLIT_NONE, SHAPE(1, 1 + grid * grid, width), "pos_embed");
    param(v, NULL, PARAM_VECTOR, SPLIT_NONE, SHAPE(1, width), "mask_token");
    param_patch_weight(v, &m->patch_weight, width, k->patch_size, "patch_embed.proj.weight");
    param(v, &m->patch_bias, PARAM_VECTOR, SPLIT_NONE, SHAPE(width), "patch_embed.proj.bias");
    for (int i = 0; i < k->layers; i++) {
        size_t inner = param_enter(v, "blocks.%d.", i);

        block_params(&m->blocks[i], k, v);
        param_leave(v, inner);
    }
    param_norm(v, &m->norm, width, "norm");
    param_leave(v, outer);
}

/* The four taps of output i: source cells (clamped to the grid) and their weights. */
static void cubic_taps(int i, int grid, int pretrain_grid, int32_t *cell, float *weight)
{
    const double a = -0.75;
    /* PyTorch divides by the scale factor in float32 and multiplies in float32. */
    float step = 1.0f / (float)(((double)grid + 0.1) / pretrain_grid);
    double at = (double)(step * ((float)i + 0.5f) - 0.5f), base = floor(at), t = at - base;
    double far_left = t + 1, right = 1 - t, far_right = 2 - t;

    weight[0] = (float)(((a * far_left - 5 * a) * far_left + 8 * a) * far_left - 4 * a);
    weight[1] = (float)(((a + 2) * t - (a + 3)) * t * t + 1);
    weight[2] = (float)(((a + 2) * right - (a + 3)) * right * right + 1);
    weight[3] = (float)(((a * far_right - 5 * a) * far_right + 8 * a) * far_right - 4 * a);
    for (int j = 0; j < CUBIC_TAPS; j++) {
        int p = (int)base - 1 + j;

        cell[j] = p < 0 ? 0 : p >= pretrain_grid ? pretrain_grid - 1 : p;
    }
}

/* pos_embed [1 + pretrain_grid^2, D] -> [1 + grid^2, D] */
static struct tensor *interpolate_positions(struct ctx *c, const struct dinov2 *m, int grid)
{
    enum { TAPS = CUBIC_TAPS * CUBIC_TAPS };
    int pretrain_grid = m->config.pretrain_size / m->config.patch_size;
    int64_t n = 1 + (int64_t)grid * grid;
    struct tensor *weight = tensor_new(c, n, TAPS, false);
    int32_t *index = ctx_alloc(c, (size_t)(n * TAPS), sizeof *index);

    if (weight == NULL || index == NULL) return NULL;
    for (int64_t i = 0; i < TAPS; i++) { /* the class token's position is taken as it is */
        index[i] = i == 0 ? 0 : -1;
        tensor_f32(weight)[i] = i == 0;
    }
    for (int y = 0; y < grid; y++) {
        int32_t row[CUBIC_TAPS], column[CUBIC_TAPS];
        float row_weight[CUBIC_TAPS], column_weight[CUBIC_TAPS];

        cubic_taps(y, grid, pretrain_grid, row, row_weight);
        for (int x = 0; x < grid; x++) {
            int64_t out = (1 + (int64_t)y * grid + x) * TAPS;

            cubic_taps(x, grid, pretrain_grid, column, column_weight);
            for (int j = 0; j < TAPS; j++) {
                index[out + j] = 1 + row[j / CUBIC_TAPS] * pretrain_grid + column[j % CUBIC_TAPS];
                tensor_f32(weight)[out + j] = row_weight[j / CUBIC_TAPS] * column_weight[j % CUBIC_TAPS];
            }
        }
    }
    return combine(c, (struct tensor *)(uintptr_t)&m->pos_embed, weight, index, TAPS);
}

struct block_args {
    const struct dinov2 *m;
    int i;
    int64_t n_views;
};

static struct tensor *block(struct ctx *c, const void *args, struct tensor *x)
{
    const struct block_args *a = args;
    const struct dinov2_config *k = &a->m->config;
    const struct dinov2_block *b = &a->m->blocks[a->i];
    struct tensor *y =
        vit_attention(c, apply_norm(c, x, &b->norm1, norm_eps), &b->qkv, &b->proj, k->heads, a->n_views);

    x = residual(c, x, y, &b->ls1);
    y = apply_dense(c, apply_norm(c, x, &b->norm2, norm_eps), &b->w12);
    y = swiglu(c, columns(c, y, 0, k->ffn_width), columns(c, y, k->ffn_width, k->ffn_width));
    y = apply_dense(c, y, &b->w3);
    return observe(c, residual(c, x, y, &b->ls2), "dinov2.block.%d", a->i);
}

struct tensor *dinov2_encode(struct ctx *c, const struct dinov2 *m, const struct views *views)
{
    const struct dinov2_config *k = &m->config;
    struct tensor *x = vit_tokens(c, views, k->patch_size, &m->patch_weight, &m->patch_bias, &m->cls_token);

    x = add_periodic(c, x, interpolate_positions(c, m, (int)(views->side / k->patch_size)));
    for (struct block_args a = { m, 0, views->count }; a.i < k->layers; a.i++) {
        x = apply_block(c, block, &a, sizeof a, x);
        report_progress(c->report, "dinov2", (uint64_t)a.i + 1, (uint64_t)k->layers);
    }
    return apply_norm(c, x, &m->norm, norm_eps);
}
