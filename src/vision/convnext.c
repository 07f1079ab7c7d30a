/*
 * convnext.c - ConvNeXt's trunk.
 *
 *   views [V, 3, S, S] -> 4x4 patches, norm -> [V, S/4 * S/4, C0]
 *     stage s: (s > 0: norm, 2x2 patches, linear)  depths[s] x { x += gamma * fc2(gelu(fc1(norm(depthwise 7x7(x))))) }
 *   -> head.norm at every position -> [V, S/32 * S/32, C3]
 *
 * Maps are kept as rows, one a position, so that norms and the two linears of a block need no transposing.
 * All eps are 1e-5 (timm's own default is 1e-6). Goldens: convnext.stage.0, convnext.
 */
#include "vision/convnext.h"

static const float norm_eps = 1e-5f;

enum { STEM_PATCH = 4, DOWNSAMPLE_PATCH = 2, KERNEL_SIZE = 7, MLP_RATIO = 4 };

enum status convnext_init(struct convnext *m, const struct convnext_config *config, struct arena *a,
                          struct err *e)
{
    memset(m, 0, sizeof *m);
    m->config = *config;
    for (int s = 0; s < CONVNEXT_STAGES; s++) {
        m->stages[s].blocks = arena_calloc(a, (size_t)config->depths[s], sizeof *m->stages[s].blocks);
        if (m->stages[s].blocks == NULL) return err_no_memory(e, "convnext");
    }
    return STATUS_OK;
}

static void convolution_params(struct param_visitor *v, struct dense *d, int64_t n, int64_t channels,
                               int64_t side, const char *name)
{
    size_t length = param_enter(v, "%s", name);

    param(v, &d->weight, PARAM_MATRIX, SPLIT_NONE, SHAPE(n, channels, side, side), ".weight");
    param(v, &d->bias, PARAM_VECTOR, SPLIT_NONE, SHAPE(n), ".bias");
    param_leave(v, length);
}

static void block_params(struct convnext_block *b, int64_t width, struct param_visitor *v)
{
    param(v, &b->conv_weight, PARAM_VECTOR, SPLIT_NONE, SHAPE(width, 1, KERNEL_SIZE, KERNEL_SIZE),
          "conv_dw.weight");
    param(v, &b->conv_bias, PARAM_VECTOR, SPLIT_NONE, SHAPE(width), "conv_dw.bias");
    param_norm(v, &b->norm, width, "norm");
    param_dense(v, &b->fc1, MLP_RATIO * width, width, "mlp.fc1");
    param_dense(v, &b->fc2, width, MLP_RATIO * width, "mlp.fc2");
    param(v, &b->gamma, PARAM_VECTOR, SPLIT_NONE, SHAPE(width), "gamma");
}

void convnext_params(struct convnext *m, struct param_visitor *v)
{
    const struct convnext_config *k = &m->config;
    size_t outer = param_enter(v, "openclip_convnext_xxl.");

    convolution_params(v, &m->stem, k->dims[0], 3, STEM_PATCH, "stem.0");
    param_norm(v, &m->stem_norm, k->dims[0], "stem.1");
    for (int s = 0; s < CONVNEXT_STAGES; s++) {
        struct convnext_stage *stage = &m->stages[s];
        size_t inner = param_enter(v, "stages.%d.", s);

        if (s > 0) {
            param_norm(v, &stage->downsample_norm, k->dims[s - 1], "downsample.0");
            convolution_params(v, &stage->downsample, k->dims[s], k->dims[s - 1], DOWNSAMPLE_PATCH,
                               "downsample.1");
        }
        for (int b = 0; b < k->depths[s]; b++) {
            size_t innermost = param_enter(v, "blocks.%d.", b);

            block_params(&stage->blocks[b], k->dims[s], v);
            param_leave(v, innermost);
        }
        param_leave(v, inner);
    }
    param_norm(v, &m->head_norm, k->dims[CONVNEXT_STAGES - 1], "head.norm");
    param_leave(v, outer);
}

struct block_args {
    const struct convnext_block *b;
    int64_t side;
};

static struct tensor *block(struct ctx *c, const void *args, struct tensor *x)
{
    const struct block_args *a = args;
    const struct convnext_block *b = a->b;
    struct tensor *y = depthwise_conv(c, x, &b->conv_weight, &b->conv_bias, a->side, a->side, KERNEL_SIZE);

    y = apply_dense(c, apply_norm(c, y, &b->norm, norm_eps), &b->fc1);
    y = apply_dense(c, activate(c, y, ACT_GELU_ERF), &b->fc2);
    return residual(c, x, y, &b->gamma);
}

struct tensor *convnext_encode(struct ctx *c, const struct convnext *m, const struct views *views)
{
    const struct convnext_config *k = &m->config;
    struct map_shape s = map_planar(views->count, 3, views->side, views->side);
    struct tensor *x = apply_dense(c, patches(c, views->pixels, &s, STEM_PATCH), &m->stem);
    int64_t side = views->side / STEM_PATCH;
    uint64_t done = 0, total = 0;

    for (int i = 0; i < CONVNEXT_STAGES; i++) total += (uint64_t)k->depths[i];
    x = apply_norm(c, x, &m->stem_norm, norm_eps);
    for (int i = 0; i < CONVNEXT_STAGES; i++) {
        const struct convnext_stage *stage = &m->stages[i];

        if (i > 0) {
            s = map_rows(views->count, k->dims[i - 1], side, side);
            x = patches(c, apply_norm(c, x, &stage->downsample_norm, norm_eps), &s, DOWNSAMPLE_PATCH);
            x = apply_dense(c, x, &stage->downsample);
            side /= DOWNSAMPLE_PATCH;
        }
        for (int b = 0; b < k->depths[i]; b++) {
            struct block_args a = { &stage->blocks[b], side };

            x = apply_block(c, block, &a, sizeof a, x);
            report_progress(c->report, "convnext", ++done, total);
        }
        observe(c, x, "convnext.stage.%d", i);
    }
    return apply_norm(c, x, &m->head_norm, norm_eps);
}
