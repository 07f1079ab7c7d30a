/* vit.c - see vit.h. */
#include "vision/vit.h"

#include <math.h>

struct tensor *vit_tokens(struct ctx *c, const struct views *v, int patch, const struct tensor *weight,
                          const struct tensor *bias, const struct tensor *class_token)
{
    struct map_shape s = map_planar(v->count, 3, v->side, v->side);
    int64_t cells = (v->side / patch) * (v->side / patch), n = 1 + cells;
    struct tensor **sources = ctx_alloc(c, 2, sizeof(struct tensor *));
    struct row_ref *ref = ctx_alloc(c, (size_t)(v->count * n), sizeof *ref);

    if (sources == NULL || ref == NULL) return NULL;
    sources[0] = (struct tensor *)(uintptr_t)class_token;
    sources[1] = linear(c, patches(c, v->pixels, &s, patch), weight, bias);
    for (int64_t t = 0; t < v->count * n; t++) {
        int64_t view = t / n, i = t % n;

        ref[t] = i == 0 ? (struct row_ref){ 0, 0 } : (struct row_ref){ 1, (int32_t)(view * cells + i - 1) };
    }
    return gather(c, sources, ref, v->count * n);
}

struct tensor *vit_attention(struct ctx *c, struct tensor *x, const struct dense *qkv,
                             const struct dense *out, int heads, int64_t n_views)
{
    int64_t width, n;
    struct attention_shape s = { .heads = heads, .kv_heads = heads };
    struct tensor *y;

    if (x == NULL) return NULL;
    width = tensor_columns(x);
    n = tensor_rows(x) / n_views;
    s.head_dim = (int)(width / heads);
    s.scale = 1.0f / sqrtf((float)s.head_dim);
    if (!attention_segments(c, &s, n_views, n, n)) return NULL;
    y = apply_dense(c, x, qkv);
    y = attention(c, columns(c, y, 0, width), columns(c, y, width, width), columns(c, y, 2 * width, width),
                  &s);
    return apply_dense(c, y, out);
}

void param_patch_weight(struct param_visitor *v, struct tensor *slot, int64_t width, int64_t patch,
                        const char *name)
{
    param(v, slot, PARAM_MATRIX, SPLIT_NONE, SHAPE(width, 3, patch, patch), name);
}
