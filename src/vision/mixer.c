/*
 * mixer.c - turns the encoders' features into the image words the LLM reads. At released sizes:
 *
 *   clip     [V, 257, 1024] \
 *   convnext [V, 257, 3072]  > concat on channels, in this order -> [V, 257, 5632]
 *   dinov2   [V, 257, 1536] /      linear + layer norm           -> [V, 257, D]
 *   qformer  [V,  32,  768]        linear + layer norm           -> [V,  32, D]
 *   each view: start, 32 qformer words, 257 mixed words, end     -> [V, 291, D]
 *
 * Mirrors encode_image of upstream's llama_ens*.py. Golden: image_tokens.
 */
#include "vision/mixer.h"

#include <assert.h>

static const float norm_eps = 1e-5f;

enum { POOL = 2 };

void mixer_init(struct mixer *m, const struct mixer_config *config)
{
    memset(m, 0, sizeof *m);
    m->config = *config;
}

void mixer_params(struct mixer *m, struct param_visitor *v)
{
    const struct mixer_config *k = &m->config;

    if (k->queries > 0) {
        param_dense(v, &m->qformer_proj, k->width, k->query_width, "qformer_proj.0");
        param_norm(v, &m->qformer_norm, k->width, "qformer_proj.1");
    }
    if (k->channels > 0) {
        param_dense(v, &m->visual_proj, k->width, k->channels, "visual_proj.0");
        param_norm(v, &m->visual_norm, k->width, "visual_proj.1");
    }
    param(v, &m->start_img, PARAM_VECTOR, SPLIT_NONE, SHAPE(1, 1, k->width), "start_img");
    param(v, &m->end_img, PARAM_VECTOR, SPLIT_NONE, SHAPE(1, 1, k->width), "end_img");
}

/* Mixed words of view i of an image: a class token and a grid, coarser in part views where they are pooled. */
static int64_t view_grid(const struct mixer_config *k, int64_t view)
{
    return k->pool_parts && view > 0 ? k->grid / POOL : k->grid;
}

static int64_t view_mixed(const struct mixer_config *k, int64_t view)
{
    if (k->channels == 0) return 0;
    return 1 + view_grid(k, view) * view_grid(k, view);
}

int64_t mixer_words(const struct mixer_config *k, int64_t n_views)
{
    int64_t n = 0;

    for (int64_t i = 0; i < n_views; i++) n += 2 + k->queries + view_mixed(k, i);
    return n;
}

/* Behind the start tag, the Q-Former's words and the class token. */
int64_t mixer_view_patches(const struct mixer_config *k, int64_t view, int64_t *side)
{
    *side = view_grid(k, view);
    return k->channels > 0 ? mixer_words(k, view) + 2 + k->queries : -1;
}

int64_t mixer_patch_word(const struct mixer_config *k, int64_t row, int64_t column)
{
    int64_t side, first = mixer_view_patches(k, 0, &side);

    return first >= 0 ? first + row * side + column : -1;
}

struct tensor *mixer_spread(struct ctx *c, struct tensor *map, int64_t n_views, int64_t side, int64_t grid)
{
    int64_t cells = side * side, n = 1 + grid * grid, factor = grid / side;
    struct tensor *weight = tensor_new(c, n_views, cells, false);
    int32_t *index = ctx_alloc(c, (size_t)(n_views * cells), sizeof *index);
    struct row_ref *ref = ctx_alloc(c, (size_t)(n_views * n), sizeof *ref);
    struct tensor **sources = ctx_alloc(c, 2, sizeof(struct tensor *));

    if (map == NULL || weight == NULL || index == NULL || ref == NULL || sources == NULL) return NULL;
    assert(grid % side == 0 && tensor_rows(map) == n_views * cells);
    for (int64_t i = 0; i < n_views * cells; i++) {
        index[i] = (int32_t)i;
        tensor_f32(weight)[i] = 1.0f / (float)cells;
    }
    sources[0] = combine(c, map, weight, index, (int)cells);
    sources[1] = map;
    for (int64_t t = 0; t < n_views * n; t++) {
        int64_t view = t / n, i = t % n - 1;
        int64_t cell = i / grid / factor * side + i % grid / factor;

        ref[t] = i < 0 ? (struct row_ref){ 0, (int32_t)view }
                       : (struct row_ref){ 1, (int32_t)(view * cells + cell) };
    }
    return gather(c, sources, ref, n_views * n);
}

/* ens5p2: patch tokens of the part views averaged 2x2; class tokens and the whole view as they are. */
static struct tensor *pool_parts(struct ctx *c, const struct mixer_config *k, struct tensor *x,
                                 int64_t n_images, int64_t n_views)
{
    enum { TAPS = POOL * POOL };
    int64_t n_in = 1 + (int64_t)k->grid * k->grid, n_out = 0, t = 0;
    struct tensor *weight;
    int32_t *index;

    for (int64_t i = 0; i < n_views; i++) n_out += n_images * view_mixed(k, i);
    weight = tensor_new(c, n_out, TAPS, false);
    index = ctx_alloc(c, (size_t)(n_out * TAPS), sizeof *index);
    if (weight == NULL || index == NULL) return NULL;
    for (int64_t view = 0; view < n_images * n_views; view++) {
        int64_t grid = view_grid(k, view % n_views), factor = k->grid / grid;

        for (int64_t i = 0; i < 1 + grid * grid; i++, t++) {
            bool pooled = i > 0 && factor > 1;
            int64_t y = (i - 1) / grid * factor, x0 = (i - 1) % grid * factor;

            for (int j = 0; j < TAPS; j++) {
                int64_t cell = pooled ? 1 + (y + j / POOL) * k->grid + x0 + j % POOL : i;

                index[t * TAPS + j] = pooled || j == 0 ? (int32_t)(view * n_in + cell) : -1;
                tensor_f32(weight)[t * TAPS + j] = pooled ? 1.0f / TAPS : 1.0f;
            }
        }
    }
    return combine(c, x, weight, index, TAPS);
}

struct tensor *mixer_mix(struct ctx *c, const struct mixer *m, const struct features *f, int64_t n_images,
                         int64_t n_views)
{
    enum { START, QUERY, MIXED, END, SOURCES };
    const struct mixer_config *k = &m->config;
    struct tensor *parts[3];
    struct tensor **sources = ctx_alloc(c, SOURCES, sizeof(struct tensor *));
    struct row_ref *ref = ctx_alloc(c, (size_t)(n_images * mixer_words(k, n_views)), sizeof *ref);
    int64_t t = 0, at = 0;
    int n = 0;

    if (sources == NULL || ref == NULL) return NULL;
    if (f->clip != NULL) parts[n++] = f->clip;
    if (f->convnext != NULL) parts[n++] = f->convnext;
    if (f->dinov2 != NULL) parts[n++] = f->dinov2;
    sources[START] = (struct tensor *)(uintptr_t)&m->start_img;
    sources[END] = (struct tensor *)(uintptr_t)&m->end_img;
    sources[MIXED] = sources[QUERY] = NULL;
    if (k->channels > 0) {
        struct tensor *mixed = concat_columns(c, parts, n);

        if (k->pool_parts) mixed = pool_parts(c, k, mixed, n_images, n_views);
        sources[MIXED] = apply_norm(c, apply_dense(c, mixed, &m->visual_proj), &m->visual_norm, norm_eps);
    }
    if (k->queries > 0) {
        sources[QUERY] =
            apply_norm(c, apply_dense(c, f->qformer, &m->qformer_proj), &m->qformer_norm, norm_eps);
    }
    for (int64_t view = 0; view < n_images * n_views; view++) {
        ref[t++] = (struct row_ref){ START, 0 };
        for (int64_t i = 0; i < k->queries; i++)
            ref[t++] = (struct row_ref){ QUERY, (int32_t)(view * k->queries + i) };
        for (int64_t i = 0; i < view_mixed(k, view % n_views); i++)
            ref[t++] = (struct row_ref){ MIXED, (int32_t)at++ };
        ref[t++] = (struct row_ref){ END, 0 };
    }
    return gather(c, sources, ref, t);
}
