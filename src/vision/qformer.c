/*
 * qformer.c - EVA sees, the Q-Former asks.
 *
 *   views [V, 3, S, S] -> patches -> [V, 1+g*g, Dv] + positions
 *     vision_layers x { x += projection(attention(qkv(norm1(x)))),  x += fc2(gelu(fc1(norm2(x)))) }
 *   -> post_layernorm -> image [V, 1+g*g, Dv]
 *   query_tokens [queries, D] -> layernorm -> h [V, queries, D]
 *     layers x { h = norm(dense(self(h)) + h),  every cross_every-th: h = norm(dense(cross(h, image)) + h),
 *                h = norm(dense(gelu(dense(h))) + h) }                         (post-norm, as BERT)
 *
 * eps is 1e-6 in EVA and 1e-12 in the Q-Former. Only the query branch of the feed-forwards exists: no text comes here.
 * Mirrors transformers' Blip2 without its language model. Goldens: eva.block.0, qformer.layer.0, qformer.
 */
#include "vision/qformer.h"

#include <math.h>

static const float vision_eps = 1e-6f, query_eps = 1e-12f;

enum status qformer_init(struct qformer *m, const struct qformer_config *config, struct arena *a,
                         struct err *e)
{
    memset(m, 0, sizeof *m);
    m->config = *config;
    m->blocks = arena_calloc(a, (size_t)config->vision_layers, sizeof *m->blocks);
    m->layers = arena_calloc(a, (size_t)config->layers, sizeof *m->layers);
    return m->blocks != NULL && m->layers != NULL ? STATUS_OK : err_no_memory(e, "qformer");
}

static void vision_params(struct qformer *m, struct param_visitor *v)
{
    const struct qformer_config *k = &m->config;
    int64_t grid = k->view_size / k->patch_size, width = k->vision_width;
    size_t outer = param_enter(v, "qformer.vision_model.");

    param(v, &m->class_embedding, PARAM_VECTOR, SPLIT_NONE, SHAPE(1, 1, width), "embeddings.class_embedding");
    param(v, &m->position_embedding, PARAM_VECTOR, SPLIT_NONE, SHAPE(1, 1 + grid * grid, width),
          "embeddings.position_embedding");
    param_patch_weight(v, &m->patch_weight, width, k->patch_size, "embeddings.patch_embedding.weight");
    param(v, &m->patch_bias, PARAM_VECTOR, SPLIT_NONE, SHAPE(width), "embeddings.patch_embedding.bias");
    for (int i = 0; i < k->vision_layers; i++) {
        struct eva_block *b = &m->blocks[i];
        size_t inner = param_enter(v, "encoder.layers.%d.", i);

        param_norm(v, &b->layer_norm1, width, "layer_norm1");
        param_dense(v, &b->qkv, 3 * width, width, "self_attn.qkv");
        param_dense(v, &b->projection, width, width, "self_attn.projection");
        param_norm(v, &b->layer_norm2, width, "layer_norm2");
        param_dense(v, &b->fc1, k->vision_mlp_width, width, "mlp.fc1");
        param_dense(v, &b->fc2, width, k->vision_mlp_width, "mlp.fc2");
        param_leave(v, inner);
    }
    param_norm(v, &m->post_layernorm, width, "post_layernorm");
    param_leave(v, outer);
}

static void attention_params(struct qformer_attention *a, int64_t width, int64_t seen_width, const char *name,
                             struct param_visitor *v)
{
    size_t length = param_enter(v, "%s.", name);

    param_dense(v, &a->query, width, width, "attention.query");
    param_dense(v, &a->key, width, seen_width, "attention.key");
    param_dense(v, &a->value, width, seen_width, "attention.value");
    param_dense(v, &a->output, width, width, "output.dense");
    param_norm(v, &a->norm, width, "output.LayerNorm");
    param_leave(v, length);
}

void qformer_params(struct qformer *m, struct param_visitor *v)
{
    const struct qformer_config *k = &m->config;
    int64_t width = k->width;
    size_t outer;

    vision_params(m, v);
    outer = param_enter(v, "qformer.");
    param(v, &m->query_tokens, PARAM_VECTOR, SPLIT_NONE, SHAPE(1, k->queries, width), "query_tokens");
    param_norm(v, &m->layernorm, width, "qformer.layernorm");
    for (int i = 0; i < k->layers; i++) {
        struct qformer_layer *l = &m->layers[i];
        size_t inner = param_enter(v, "qformer.encoder.layer.%d.", i);

        attention_params(&l->self, width, width, "attention", v);
        if (i % k->cross_every == 0) attention_params(&l->cross, width, k->vision_width, "crossattention", v);
        param_dense(v, &l->intermediate, k->mlp_width, width, "intermediate_query.dense");
        param_dense(v, &l->output, width, k->mlp_width, "output_query.dense");
        param_norm(v, &l->norm, width, "output_query.LayerNorm");
        param_leave(v, inner);
    }
    param_leave(v, outer);
}

struct part {
    const struct qformer *m;
    int i;
    int64_t n_views;
    struct tensor *image; /* what the queries look at */
};

static struct tensor *eva_block(struct ctx *c, const void *args, struct tensor *x)
{
    const struct part *a = args;
    const struct eva_block *b = &a->m->blocks[a->i];
    struct tensor *y = vit_attention(c, apply_norm(c, x, &b->layer_norm1, vision_eps), &b->qkv,
                                     &b->projection, a->m->config.vision_heads, a->n_views);

    x = residual(c, x, y, NULL);
    y = apply_dense(c, apply_norm(c, x, &b->layer_norm2, vision_eps), &b->fc1);
    y = apply_dense(c, activate(c, y, ACT_GELU_ERF), &b->fc2);
    return observe(c, residual(c, x, y, NULL), "eva.block.%d", a->i);
}

static struct tensor *see(struct ctx *c, const struct qformer *m, const struct views *views)
{
    const struct qformer_config *k = &m->config;
    struct tensor *x =
        vit_tokens(c, views, k->patch_size, &m->patch_weight, &m->patch_bias, &m->class_embedding);

    x = add_periodic(c, x, &m->position_embedding);
    for (struct part a = { m, 0, views->count, NULL }; a.i < k->vision_layers; a.i++) {
        x = apply_block(c, eva_block, &a, sizeof a, x);
        report_progress(c->report, "qformer", (uint64_t)a.i + 1, (uint64_t)k->vision_layers + 1);
    }
    return observe(c, apply_norm(c, x, &m->post_layernorm, vision_eps), "eva");
}

/* h = norm(dense(attention(h, seen)) + h);   h [V*queries, D], seen [V*n, its width] */
static struct tensor *ask(struct ctx *c, const struct qformer_attention *a, struct tensor *h,
                          struct tensor *seen, int heads, int64_t n_views)
{
    struct attention_shape s = { .heads = heads, .kv_heads = heads };
    struct tensor *y;

    if (h == NULL || seen == NULL) return NULL;
    s.head_dim = (int)tensor_columns(h) / heads;
    s.scale = 1.0f / sqrtf((float)s.head_dim);
    if (!attention_segments(c, &s, n_views, tensor_rows(h) / n_views, tensor_rows(seen) / n_views))
        return NULL;
    y = attention_dropout(c, apply_dense(c, h, &a->query), apply_dense(c, seen, &a->key),
                          apply_dense(c, seen, &a->value), &s);
    y = dropout(c, apply_dense(c, y, &a->output));
    return apply_norm(c, residual(c, y, h, NULL), &a->norm, query_eps);
}

static struct tensor *layer(struct ctx *c, const void *args, struct tensor *h)
{
    const struct part *a = args;
    const struct qformer_config *k = &a->m->config;
    const struct qformer_layer *l = &a->m->layers[a->i];
    struct tensor *y;

    h = ask(c, &l->self, h, h, k->heads, a->n_views);
    if (a->i % k->cross_every == 0) h = ask(c, &l->cross, h, a->image, k->heads, a->n_views);
    y = activate(c, apply_dense(c, h, &l->intermediate), ACT_GELU_ERF);
    y = dropout(c, apply_dense(c, y, &l->output));
    h = apply_norm(c, residual(c, y, h, NULL), &l->norm, query_eps);
    return observe(c, h, "qformer.layer.%d", a->i);
}

struct tensor *qformer_encode(struct ctx *c, const struct qformer *m, const struct views *views)
{
    const struct qformer_config *k = &m->config;
    struct tensor **queries = ctx_alloc(c, 1, sizeof(struct tensor *));
    struct row_ref *ref = ctx_alloc(c, (size_t)(views->count * k->queries), sizeof *ref);
    struct part a = { m, 0, views->count, see(c, m, views) };
    struct tensor *h;

    if (queries == NULL || ref == NULL) return NULL;
    *queries = apply_norm(c, (struct tensor *)(uintptr_t)&m->query_tokens, &m->layernorm, query_eps);
    for (int64_t t = 0; t < views->count * k->queries; t++)
        ref[t] = (struct row_ref){ 0, (int32_t)(t % k->queries) };
    h = dropout(c, gather(c, queries, ref, views->count * k->queries));
    for (; a.i < k->layers; a.i++) h = apply_block(c, layer, &a, sizeof a, h);
    report_progress(c->report, "qformer", (uint64_t)k->vision_layers + 1, (uint64_t)k->vision_layers + 1);
    return h;
}
