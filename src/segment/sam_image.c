/*
 * sam_image.c - SAM's image encoder: a vision transformer over a map (Li et al. 2022), most of whose blocks look at windows only.
 *
 *   pixels [3, S, S] -> patches -> [g*g, C] + positions
 *     layers x { x += proj(attention(qkv(norm1(x)))),  x += lin2(gelu(lin1(norm2(x)))) }
 *   -> 1x1 convolution -> norm -> 3x3 convolution -> norm -> [g*g, D]
 *
 * Goldens: block.N, embedding.
 */
#include "segment/sam.h"

#include <math.h>

static const float norm_eps = 1e-6f;

static void block_params(struct sam_block *b, const struct sam_config *k, struct param_visitor *v)
{
    int64_t width = k->width, places = 2 * (int64_t)(b->windowed ? k->window : k->grid) - 1;

    param_norm(v, &b->norm1, width, "norm1");
    param(v, &b->rel_pos_h, PARAM_MATRIX, SPLIT_NONE, SHAPE(places, width / k->heads), "attn.rel_pos_h");
    param(v, &b->rel_pos_w, PARAM_MATRIX, SPLIT_NONE, SHAPE(places, width / k->heads), "attn.rel_pos_w");
    param_dense(v, &b->qkv, 3 * width, width, "attn.qkv");
    param_dense(v, &b->proj, width, width, "attn.proj");
    param_norm(v, &b->norm2, width, "norm2");
    param_dense(v, &b->lin1, k->ffn, width, "mlp.lin1");
    param_dense(v, &b->lin2, width, k->ffn, "mlp.lin2");
}

void sam_image_params(struct sam *m, struct param_visitor *v)
{
    const struct sam_config *k = &m->config;
    struct sam_image *s = &m->image;
    size_t outer = param_enter(v, "image_encoder.");

    param(v, &s->pos_embed, PARAM_VECTOR, SPLIT_NONE, SHAPE(1, k->grid, k->grid, k->width), "pos_embed");
    param(v, &s->patch_weight, PARAM_MATRIX, SPLIT_NONE, SHAPE(k->width, 3, k->patch, k->patch),
          "patch_embed.proj.weight");
    param(v, &s->patch_bias, PARAM_VECTOR, SPLIT_NONE, SHAPE(k->width), "patch_embed.proj.bias");
    for (int i = 0; i < k->layers; i++) {
        size_t inner = param_enter(v, "blocks.%d.", i);

        block_params(&s->blocks[i], k, v);
        param_leave(v, inner);
    }
    param(v, &s->neck_point, PARAM_MATRIX, SPLIT_NONE, SHAPE(k->dim, k->width, 1, 1), "neck.0.weight");
    param_norm(v, &s->neck_norm[0], k->dim, "neck.1");
    param(v, &s->neck_around, PARAM_MATRIX, SPLIT_NONE, SHAPE(k->dim, k->dim, 3, 3), "neck.2.weight");
    param_norm(v, &s->neck_norm[1], k->dim, "neck.3");
    param_leave(v, outer);
}

/* Rows of x, in any order, and rows of zeros: where ref[t].part is 1. */
static struct tensor *gather_padded(struct ctx *c, struct tensor *x, const struct row_ref *ref, int64_t T)
{
    struct tensor **sources = ctx_alloc(c, 2, sizeof(struct tensor *)), *zeros;

    if (x == NULL || sources == NULL) return NULL;
    zeros = tensor_new(c, 1, tensor_columns(x), false);
    if (zeros == NULL) return NULL;
    memset(zeros->data, 0, (size_t)tensor_columns(x) * sizeof(float));
    sources[0] = x;
    sources[1] = zeros;
    return gather(c, sources, ref, T);
}

/* The map cut into windows, each a run of rows; those at the right and the bottom are filled up with zeros. These are behind the norm, so
 * that their keys and values are qkv's bias, and they are looked at like any others. */
static struct tensor *cut_windows(struct ctx *c, struct tensor *x, int grid, int window)
{
    int64_t across = (grid + window - 1) / window, n = across * across * window * window;
    struct row_ref *ref = ctx_alloc(c, (size_t)n, sizeof *ref);

    if (ref == NULL) return NULL;
    for (int64_t t = 0; t < n; t++) {
        int64_t in = t % (window * window), which = t / (window * window);
        int64_t row = which / across * window + in / window, column = which % across * window + in % window;
        bool inside = row < grid && column < grid;

        ref[t] = inside ? (struct row_ref){ 0, (int32_t)(row * grid + column) } : (struct row_ref){ 1, 0 };
    }
    return gather_padded(c, x, ref, n);
}

static struct tensor *join_windows(struct ctx *c, struct tensor *x, int grid, int window)
{
    int64_t across = (grid + window - 1) / window, n = (int64_t)grid * grid;
    struct row_ref *ref = ctx_alloc(c, (size_t)n, sizeof *ref);

    if (ref == NULL) return NULL;
    for (int64_t t = 0; t < n; t++) {
        int64_t row = t / grid, column = t % grid;
        int64_t which = row / window * across + column / window;

        ref[t] = (struct row_ref){ 0, (int32_t)((which * window + row % window) * window + column % window) };
    }
    return gather_padded(c, x, ref, n);
}

/* Inside each side x side map of x. The terms of position are products of q as it is, without the scale. */
static struct tensor *attend(struct ctx *c, struct tensor *x, const struct sam_block *b, int heads, int side)
{
    struct attention_shape s = { .heads = heads, .kv_heads = heads };
    struct grid_terms g = { .side = side };
    struct tensor *qkv = apply_dense(c, x, &b->qkv), *q, *each;
    int64_t width, cells = (int64_t)side * side;

    if (qkv == NULL) return NULL;
    width = tensor_columns(qkv) / 3;
    s.head_dim = (int)(width / heads);
    s.scale = 1.0f / sqrtf((float)s.head_dim);
    if (!attention_segments(c, &s, tensor_rows(x) / cells, cells, cells)) return NULL;
    q = columns(c, qkv, 0, width);
    each = reshape(c, concat_columns(c, &q, 1), tensor_rows(x) * heads);
    g.rows = linear(c, each, &b->rel_pos_h, NULL);
    g.columns = linear(c, each, &b->rel_pos_w, NULL);
    x = attention_grid(c, q, columns(c, qkv, width, width), columns(c, qkv, 2 * width, width), &s, &g);
    return apply_dense(c, x, &b->proj);
}

struct block_args {
    const struct sam *m;
    int i;
};

static struct tensor *block(struct ctx *c, const void *args, struct tensor *x)
{
    const struct block_args *a = args;
    const struct sam_config *k = &a->m->config;
    const struct sam_block *b = &a->m->image.blocks[a->i];
    struct tensor *y = apply_norm(c, x, &b->norm1, norm_eps);

    if (b->windowed) y = cut_windows(c, y, k->grid, k->window);
    y = attend(c, y, b, k->heads, b->windowed ? k->window : k->grid);
    if (b->windowed) y = join_windows(c, y, k->grid, k->window);
    x = residual(c, x, y, NULL);
    y = apply_dense(c, apply_norm(c, x, &b->norm2, norm_eps), &b->lin1);
    y = apply_dense(c, activate(c, y, ACT_GELU_ERF), &b->lin2);
    return observe(c, residual(c, x, y, NULL), "sam.block.%d", a->i);
}

/* What a 3x3 convolution with padding sees of each cell -> [g*g, D*9]: a map three times as wide, whose patches these are. */
static struct tensor *neighbours(struct ctx *c, struct tensor *x, int grid)
{
    enum { TAPS = 3 };
    int64_t side = (int64_t)TAPS * grid, n = side * side;
    struct row_ref *ref = ctx_alloc(c, (size_t)n, sizeof *ref);
    struct map_shape s;

    if (x == NULL || ref == NULL) return NULL;
    for (int64_t t = 0; t < n; t++) {
        int64_t row = t / side / TAPS + t / side % TAPS - 1, column = t % side / TAPS + t % side % TAPS - 1;
        bool inside = row >= 0 && row < grid && column >= 0 && column < grid;

        ref[t] = inside ? (struct row_ref){ 0, (int32_t)(row * grid + column) } : (struct row_ref){ 1, 0 };
    }
    s = map_rows(1, tensor_columns(x), side, side);
    return patches(c, gather_padded(c, x, ref, n), &s, TAPS);
}

struct tensor *sam_image_encode(struct ctx *c, const struct sam *m, struct tensor *pixels)
{
    const struct sam_config *k = &m->config;
    const struct sam_image *s = &m->image;
    struct map_shape shape = map_planar(1, 3, (int64_t)k->patch * k->grid, (int64_t)k->patch * k->grid);
    struct tensor *x = linear(c, patches(c, pixels, &shape, k->patch), &s->patch_weight, &s->patch_bias);

    x = add_periodic(c, x, &s->pos_embed);
    for (struct block_args a = { m, 0 }; a.i < k->layers; a.i++) {
        x = apply_block(c, block, &a, sizeof a, x);
        report_progress(c->report, "sam", (uint64_t)a.i + 1, (uint64_t)k->layers);
    }
    x = apply_norm(c, linear(c, x, &s->neck_point, NULL), &s->neck_norm[0], norm_eps);
    x = linear(c, neighbours(c, x, k->grid), &s->neck_around, NULL);
    return observe(c, apply_norm(c, x, &s->neck_norm[1], norm_eps), "sam.embedding");
}
