/*
 * clip.c - CLIP's vision transformer.
 *
 *   views [V, 3, S, S] -> patches -> [V, 1+g*g, D] + positions -> ln_pre
 *     layers x { x += out_proj(attention(in_proj(ln_1(x)))),  x += c_proj(quick_gelu(c_fc(ln_2(x)))) }
 *   -> ln_post over all tokens. The projection into the text space is not applied.
 *
 * These weights were trained with QuickGELU; exact GELU gives fluent and wrong answers (spec 04 section 2).
 * Mirrors clip_encode_image of upstream's llama_ens.py. Goldens: clip.block.0, clip.
 */
#include "vision/clip.h"

static const float norm_eps = 1e-5f;

enum status clip_init(struct clip *m, const struct clip_config *config, struct arena *a, struct err *e)
{
    memset(m, 0, sizeof *m);
    m->config = *config;
    m->blocks = arena_calloc(a, (size_t)config->layers, sizeof *m->blocks);
    return m->blocks != NULL ? STATUS_OK : err_no_memory(e, "clip");
}

static void block_params(struct clip_block *b, const struct clip_config *k, struct param_visitor *v)
{
    int64_t width = k->width;

    param_norm(v, &b->ln_1, width, "ln_1");
    param(v, &b->in_proj.weight, PARAM_MATRIX, SPLIT_NONE, SHAPE(3 * width, width), "attn.in_proj_weight");
    param(v, &b->in_proj.bias, PARAM_VECTOR, SPLIT_NONE, SHAPE(3 * width), "attn.in_proj_bias");
    param_dense(v, &b->out_proj, width, width, "attn.out_proj");
    param_norm(v, &b->ln_2, width, "ln_2");
    param_dense(v, &b->c_fc, k->mlp_width, width, "mlp.c_fc");
    param_dense(v, &b->c_proj, width, k->mlp_width, "mlp.c_proj");
}

/* What is left of CLIP's text tower and its projections: stored by upstream, used by nobody. The sizes are those of
 * ViT-L/14's text side; at other vision sizes a checkpoint may leave them out. */
static void unused_params(int64_t width, struct param_visitor *v)
{
    enum { TEXT_WIDTH = 768, TEXT_LENGTH = 77, TEXT_VOCAB = 49408 };

    param(v, NULL, PARAM_MATRIX, SPLIT_NONE, SHAPE(width, TEXT_WIDTH), "clip.visual.proj");
    param(v, NULL, PARAM_VECTOR, SPLIT_NONE, SHAPE(TEXT_LENGTH, TEXT_WIDTH), "clip.positional_embedding");
    param(v, NULL, PARAM_MATRIX, SPLIT_NONE, SHAPE(TEXT_VOCAB, TEXT_WIDTH), "clip.token_embedding.weight");
    param(v, NULL, PARAM_MATRIX, SPLIT_NONE, SHAPE(TEXT_WIDTH, TEXT_WIDTH), "clip.text_projection");
    param(v, NULL, PARAM_VECTOR, SPLIT_NONE, SHAPE(TEXT_WIDTH), "clip.ln_final.weight");
    param(v, NULL, PARAM_VECTOR, SPLIT_NONE, SHAPE(TEXT_WIDTH), "clip.ln_final.bias");
    param(v, NULL, PARAM_VECTOR, SPLIT_NONE, 0, NULL, "clip.logit_scale");
}

void clip_params(struct clip *m, struct param_visitor *v)
{
    const struct clip_config *k = &m->config;
    int64_t grid = k->view_size / k->patch_size, width = k->width;
    size_t outer = param_enter(v, "clip.visual.");

    param_patch_weight(v, &m->conv1, width, k->patch_size, "conv1.weight");
    param(v, &m->class_embedding, PARAM_VECTOR, SPLIT_NONE, SHAPE(width), "class_embedding");
    param(v, &m->positional_embedding, PARAM_VECTOR, SPLIT_NONE, SHAPE(1 + grid * grid, width),
          "positional_embedding");
    param_norm(v, &m->ln_pre, width, "ln_pre");
    for (int i = 0; i < k->layers; i++) {
        size_t inner = param_enter(v, "transformer.resblocks.%d.", i);

        block_params(&m->blocks[i], k, v);
        param_leave(v, inner);
    }
    param_norm(v, &m->ln_post, width, "ln_post");
    param_leave(v, outer);
    unused_params(width, v);
}

struct block_args {
    const struct clip *m;
    int i;
    int64_t n_views;
};

static struct tensor *block(struct ctx *c, const void *args, struct tensor *x)
{
    const struct block_args *a = args;
    const struct clip_config *k = &a->m->config;
    const struct clip_block *b = &a->m->blocks[a->i];
    struct tensor *y = vit_attention(c, apply_norm(c, x, &b->ln_1, norm_eps), &b->in_proj, &b->out_proj,
                                     k->heads, a->n_views);

    x = residual(c, x, y, NULL);
    y = apply_dense(c, apply_norm(c, x, &b->ln_2, norm_eps), &b->c_fc);
    y = apply_dense(c, activate(c, y, k->act), &b->c_proj);
    return observe(c, residual(c, x, y, NULL), "clip.block.%d", a->i);
}

struct tensor *clip_encode(struct ctx *c, const struct clip *m, const struct views *views)
{
    const struct clip_config *k = &m->config;
    struct tensor *x = vit_tokens(c, views, k->patch_size, &m->conv1, NULL, &m->class_embedding);

    x = add_periodic(c, x, &m->positional_embedding);
    x = apply_norm(c, x, &m->ln_pre, norm_eps);
    for (struct block_args a = { m, 0, views->count }; a.i < k->layers; a.i++) {
        x = apply_block(c, block, &a, sizeof a, x);
        report_progress(c->report, "clip", (uint64_t)a.i + 1, (uint64_t)k->layers);
    }
    return apply_norm(c, x, &m->ln_post, norm_eps);
}
