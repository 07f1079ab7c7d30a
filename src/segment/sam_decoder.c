/*
 * sam_decoder.c - SAM's mask decoder: a few tokens and the cells of the picture look at each other, then each mask's token is
 * compared with every cell of the enlarged map.
 *
 *   T0 = [iou token | mask tokens | prompt] , K = embedding + dense
 *   layers x { tokens among themselves, tokens to cells, two linears, cells to tokens }, then tokens to cells
 *   K -> twice as large -> twice as large = U [4g*4g, D/8];   logits of mask i = U . hyper_i(its token)
 *
 * Goldens: <case>.logits, <case>.iou.
 */
#include "segment/sam.h"

#include <math.h>

enum { HEADS = 8 };

static const float norm_eps = 1e-5f, map_eps = 1e-6f;

static void attention_params(struct param_visitor *v, struct sam_attention *a, int64_t dim, int64_t inner,
                             const char *name)
{
    size_t length = param_enter(v, "%s.", name);

    param_dense(v, &a->q, inner, dim, "q_proj");
    param_dense(v, &a->k, inner, dim, "k_proj");
    param_dense(v, &a->v, inner, dim, "v_proj");
    param_dense(v, &a->out, dim, inner, "out_proj");
    param_leave(v, length);
}

static void layer_params(struct sam_decoder_layer *l, const struct sam_config *k, struct param_visitor *v)
{
    static const char *const norms[] = { "norm1", "norm2", "norm3", "norm4" };

    attention_params(v, &l->self, k->dim, k->dim, "self_attn");
    attention_params(v, &l->to_image, k->dim, k->cross_width, "cross_attn_token_to_image");
    attention_params(v, &l->to_tokens, k->dim, k->cross_width, "cross_attn_image_to_token");
    param_dense(v, &l->lin1, k->decoder_ffn, k->dim, "mlp.lin1");
    param_dense(v, &l->lin2, k->dim, k->decoder_ffn, "mlp.lin2");
    for (int i = 0; i < 4; i++) param_norm(v, &l->norm[i], k->dim, norms[i]);
}

/* Three linears from dim to `out` numbers. */
static void mlp_params(struct param_visitor *v, struct dense mlp[3], int64_t dim, int64_t hidden, int64_t out)
{
    param_dense(v, &mlp[0], hidden, dim, "layers.0");
    param_dense(v, &mlp[1], hidden, hidden, "layers.1");
    param_dense(v, &mlp[2], out, hidden, "layers.2");
}

void sam_decoder_params(struct sam *m, struct param_visitor *v)
{
    const struct sam_config *k = &m->config;
    struct sam_decoder *s = &m->decoder;
    int64_t half = k->dim / 4, full = k->dim / 8;
    size_t outer = param_enter(v, "mask_decoder."), inner;

    param(v, &s->iou_token, PARAM_VECTOR, SPLIT_NONE, SHAPE(1, k->dim), "iou_token.weight");
    param(v, &s->mask_tokens, PARAM_VECTOR, SPLIT_NONE, SHAPE(k->masks, k->dim), "mask_tokens.weight");
    for (int i = 0; i < k->decoder_layers; i++) {
        inner = param_enter(v, "transformer.layers.%d.", i);
        layer_params(&s->layers[i], k, v);
        param_leave(v, inner);
    }
    attention_params(v, &s->last, k->dim, k->cross_width, "transformer.final_attn_token_to_image");
    param_norm(v, &s->last_norm, k->dim, "transformer.norm_final_attn");
    param(v, &s->upscale[0].weight, PARAM_MATRIX, SPLIT_NONE, SHAPE(k->dim, half, 2, 2),
          "output_upscaling.0.weight");
    param(v, &s->upscale[0].bias, PARAM_VECTOR, SPLIT_NONE, SHAPE(half), "output_upscaling.0.bias");
    param_norm(v, &s->upscale_norm, half, "output_upscaling.1");
    param(v, &s->upscale[1].weight, PARAM_MATRIX, SPLIT_NONE, SHAPE(half, full, 2, 2),
          "output_upscaling.3.weight");
    param(v, &s->upscale[1].bias, PARAM_VECTOR, SPLIT_NONE, SHAPE(full), "output_upscaling.3.bias");
    for (int i = 0; i < k->masks; i++) {
        inner = param_enter(v, "output_hypernetworks_mlps.%d.", i);
        mlp_params(v, s->hyper[i], k->dim, k->dim, full);
        param_leave(v, inner);
    }
    inner = param_enter(v, "iou_prediction_head.");
    mlp_params(v, s->iou, k->dim, k->iou_width, k->masks);
    param_leave(v, inner);
    param_leave(v, outer);
}

/* a + b, anew: what is added to without a tape is written over (residual). */
static struct tensor *plus(struct ctx *c, struct tensor *a, struct tensor *b)
{
    return residual(c, concat_columns(c, &a, 1), b, NULL);
}

static struct tensor *attend(struct ctx *c, const struct sam_attention *a, struct tensor *q, struct tensor *k,
                             struct tensor *v)
{
    struct attention_shape s = { .heads = HEADS, .kv_heads = HEADS };

    q = apply_dense(c, q, &a->q);
    k = apply_dense(c, k, &a->k);
    v = apply_dense(c, v, &a->v);
    if (q == NULL || k == NULL || v == NULL) return NULL;
    s.head_dim = (int)(tensor_columns(q) / HEADS);
    s.scale = 1.0f / sqrtf((float)s.head_dim);
    if (!attention_segments(c, &s, 1, tensor_rows(q), tensor_rows(k))) return NULL;
    return apply_dense(c, attention(c, q, k, v, &s), &a->out);
}

/* Tokens q and cells k of the picture, which a layer changes. */
struct both {
    struct tensor *q, *k;
};

/* t0 are the tokens as they were at first, code where the cells are. The first layer's look of the tokens at themselves stands for
 * them: there is neither a sum nor a code. */
static struct both layer(struct ctx *c, const struct sam_decoder_layer *l, struct both x, struct tensor *t0,
                         struct tensor *code, bool first)
{
    struct tensor *k_code = plus(c, x.k, code), *q_code, *y;

    if (first) {
        x.q = attend(c, &l->self, t0, t0, t0);
    } else {
        q_code = plus(c, x.q, t0);
        x.q = residual(c, x.q, attend(c, &l->self, q_code, q_code, x.q), NULL);
    }
    x.q = apply_norm(c, x.q, &l->norm[0], norm_eps);
    x.q = residual(c, x.q, attend(c, &l->to_image, plus(c, x.q, t0), k_code, x.k), NULL);
    x.q = apply_norm(c, x.q, &l->norm[1], norm_eps);
    y = apply_dense(c, activate(c, apply_dense(c, x.q, &l->lin1), ACT_RELU), &l->lin2);
    x.q = apply_norm(c, residual(c, x.q, y, NULL), &l->norm[2], norm_eps);
    x.k = residual(c, x.k, attend(c, &l->to_tokens, k_code, plus(c, x.q, t0), x.q), NULL);
    x.k = apply_norm(c, x.k, &l->norm[3], norm_eps);
    return x;
}

/* Transposed convolution, 2 x 2 with stride 2: a map of side x side cells to one of twice the side. */
static struct tensor *enlarge(struct ctx *c, struct tensor *x, const struct dense *d, int64_t side)
{
    struct map_shape s = map_rows(1, tensor_columns(&d->bias), 2 * side, 2 * side);

    return add_periodic(c, unpatches(c, linear_transposed(c, x, &d->weight), &s, 2), &d->bias);
}

static struct tensor *mlp(struct ctx *c, struct tensor *x, const struct dense d[3])
{
    x = activate(c, apply_dense(c, x, &d[0]), ACT_RELU);
    x = activate(c, apply_dense(c, x, &d[1]), ACT_RELU);
    return apply_dense(c, x, &d[2]);
}

/* The iou token, the masks' tokens, the prompt's. */
static struct tensor *all_tokens(struct ctx *c, const struct sam *m, struct tensor *prompt)
{
    int64_t before = 1 + m->config.masks, n;
    struct tensor **sources = ctx_alloc(c, 3, sizeof(struct tensor *));
    struct row_ref *ref;

    if (prompt == NULL || sources == NULL) return NULL;
    n = before + tensor_rows(prompt);
    ref = ctx_alloc(c, (size_t)n, sizeof *ref);
    if (ref == NULL) return NULL;
    sources[0] = (struct tensor *)(uintptr_t)&m->decoder.iou_token;
    sources[1] = (struct tensor *)(uintptr_t)&m->decoder.mask_tokens;
    sources[2] = prompt;
    for (int64_t t = 0; t < n; t++) {
        ref[t] = t == 0       ? (struct row_ref){ 0, 0 }
                 : t < before ? (struct row_ref){ 1, (int32_t)(t - 1) }
                              : (struct row_ref){ 2, (int32_t)(t - before) };
    }
    return gather(c, sources, ref, n);
}

/* U . hyper_i(token i) for the first n masks. */
static struct tensor *mask_logits(struct ctx *c, const struct sam *m, struct tensor *q, struct tensor *map,
                                  int64_t n)
{
    struct tensor **each = ctx_alloc(c, (size_t)n, sizeof(struct tensor *));
    struct row_ref *ref = ctx_alloc(c, (size_t)n, sizeof *ref);

    if (each == NULL || ref == NULL || map == NULL) return NULL;
    for (int64_t i = 0; i < n; i++) {
        each[i] = mlp(c, rows(c, q, 1 + i, 1), m->decoder.hyper[i]);
        ref[i] = (struct row_ref){ (int32_t)i, 0 };
    }
    return linear(c, gather(c, each, ref, n), map, NULL);
}

struct sam_masks sam_decode(struct ctx *c, const struct sam *m, struct tensor *embedding, struct tensor *code,
                            struct tensor *tokens, struct tensor *dense, bool all)
{
    const struct sam_decoder *s = &m->decoder;
    struct tensor *t0 = all_tokens(c, m, tokens), *k, *map;
    struct sam_masks r = { NULL, NULL };
    struct both x;
    int64_t grid = m->config.grid;

    if (embedding == NULL) return r;
    k = add_periodic(c, concat_columns(c, &embedding, 1), dense);
    x = (struct both){ t0, k };
    for (int i = 0; i < m->config.decoder_layers; i++) x = layer(c, &s->layers[i], x, t0, code, i == 0);
    x.q = residual(c, x.q, attend(c, &s->last, plus(c, x.q, t0), plus(c, x.k, code), x.k), NULL);
    x.q = apply_norm(c, x.q, &s->last_norm, norm_eps);
    map = apply_norm(c, enlarge(c, x.k, &s->upscale[0], grid), &s->upscale_norm, map_eps);
    map = enlarge(c, activate(c, map, ACT_GELU_ERF), &s->upscale[1], 2 * grid);
    map = activate(c, map, ACT_GELU_ERF);
    r.logits = mask_logits(c, m, x.q, map, all ? m->config.masks : 1);
    r.iou = mlp(c, rows(c, x.q, 0, 1), s->iou);
    return r;
}
