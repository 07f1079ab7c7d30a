/*
 * encode.c - images through all encoders.
 *
 *   planes [3, S, S] ─ views ─┬─ [V, 3, s, s] ─┬─ clip ────────────────┐
 *                             │                ├─ renormalised ─ dinov2┤
 *                             │                └─ qformer ─────────────┼─ mixer ─ [image words, D]
 *                             └─ [V, 3, c, c] ─── convnext ─ spread ───┘
 *
 * All views of all images go through an encoder as one batch, so its weights are read once.
 */
#include "model/encode.h"

#include "image/views.h"

int64_t encode_words(const struct network *n)
{
    return mixer_words(&n->config.mixer, img_views_count(n->config.views.layout));
}

struct sight {
    struct views vit, dinov2, cnn;
};

static struct tensor *view_tensor(struct ctx *c, int64_t count, int64_t side)
{
    return tensor_new(c, count, 3 * side * side, false);
}

static bool look(struct ctx *c, const struct network *n, const float *const *planes, int64_t n_images,
                 struct sight *s)
{
    const struct img_views *v = &n->config.views;
    int64_t each = img_views_count(v->layout), count = n_images * each;
    size_t vit_size = (size_t)(each * 3 * v->view_size * v->view_size);
    size_t cnn_size = (size_t)(each * 3 * v->cnn_size * v->cnn_size);

    s->vit = (struct views){ view_tensor(c, count, v->view_size), count, v->view_size };
    s->dinov2 = (struct views){ view_tensor(c, count, v->view_size), count, v->view_size };
    s->cnn = (struct views){ view_tensor(c, count, v->cnn_size), count, v->cnn_size };
    if (s->vit.pixels == NULL || s->dinov2.pixels == NULL || s->cnn.pixels == NULL) return false;
    for (size_t i = 0; i < (size_t)n_images; i++) {
        if (img_views_make(v, planes[i], tensor_f32(s->vit.pixels) + i * vit_size,
                           tensor_f32(s->cnn.pixels) + i * cnn_size, &c->err) != STATUS_OK)
            return false;
    }
    img_views_for_dinov2(tensor_f32(s->dinov2.pixels), tensor_f32(s->vit.pixels), (size_t)count,
                         v->view_size);
    observe(c, s->vit.pixels, "views");
    return true;
}

static struct tensor *encode(struct ctx *c, const struct network *n, enum encoder which,
                             const struct sight *s)
{
    const struct convnext_config *k = &n->config.convnext;

    switch (which) {
    case ENCODER_CLIP: return clip_encode(c, &n->clip, &s->vit);
    case ENCODER_DINOV2: return dinov2_encode(c, &n->dinov2, &s->dinov2);
    case ENCODER_QFORMER: return qformer_encode(c, &n->qformer, &s->vit);
    case ENCODER_CONVNEXT:
        return mixer_spread(c, convnext_encode(c, &n->convnext, &s->cnn), s->cnn.count, k->image_size / 32,
                            n->config.mixer.grid);
    case ENCODER_COUNT: break;
    }
    return NULL;
}

/* What an encoder that is switched off contributes. */
static struct tensor *nothing(struct ctx *c, const struct network *n, enum encoder which, int64_t count)
{
    const struct model_config *k = &n->config;
    int64_t n_rows = 1 + (int64_t)k->mixer.grid * k->mixer.grid, width = 0;
    struct tensor *t;

    if (which == ENCODER_QFORMER) n_rows = k->qformer.queries;
    switch (which) {
    case ENCODER_CLIP: width = k->clip.width; break;
    case ENCODER_CONVNEXT: width = k->convnext.dims[CONVNEXT_STAGES - 1]; break;
    case ENCODER_DINOV2: width = k->dinov2.width; break;
    case ENCODER_QFORMER: width = k->qformer.width; break;
    case ENCODER_COUNT: break;
    }
    t = tensor_new(c, count * n_rows, width, false);
    if (t != NULL) memset(t->data, 0, (size_t)(count * n_rows * width) * sizeof(float));
    return t;
}

/* Views that are switched off contribute nothing either. features: the rows of one view after those of another, `each` views
 * an image. */
static void clear_views(struct tensor *features, int64_t count, int64_t each, unsigned without)
{
    size_t size = (size_t)(tensor_rows(features) / count * tensor_columns(features));

    for (int64_t i = 0; i < count; i++) {
        if ((without >> (ENCODER_COUNT + i % each) & 1) == 0) continue;
        memset(tensor_f32(features) + (size_t)i * size, 0, size * sizeof(float));
    }
}

bool encode_features_of(struct ctx *c, const struct network *n, const float *const *planes, int64_t n_images,
                        unsigned without, struct features *f, double *seconds)
{
    struct tensor *found[ENCODER_COUNT] = { NULL };
    struct sight s;

    without |= n->without;
    memset(seconds, 0, ENCODER_COUNT * sizeof *seconds);
    if (!look(c, n, planes, n_images, &s)) return false;
    for (enum encoder i = 0; i < ENCODER_COUNT; i++) {
        double start = clock_seconds();

        if ((n->config.variant->encoders >> i & 1) == 0) continue;
        found[i] = without >> i & 1 ? nothing(c, n, i, s.vit.count) : encode(c, n, i, &s);
        if (found[i] == NULL) return false;
        clear_views(found[i], s.vit.count, s.vit.count / n_images, without);
        observe(c, found[i], "%s", encoder_names[i]);
        seconds[i] = clock_seconds() - start;
    }
    *f = (struct features){ found[ENCODER_CLIP], found[ENCODER_CONVNEXT], found[ENCODER_DINOV2],
                            found[ENCODER_QFORMER] };
    return true;
}

bool encode_features(struct ctx *c, const struct network *n, const float *planes, unsigned without,
                     struct features *f, double *seconds)
{
    return encode_features_of(c, n, &planes, 1, without, f, seconds);
}

static int64_t views_in(const struct network *n, const struct features *f)
{
    const struct mixer_config *k = &n->config.mixer;

    if (k->queries > 0) return tensor_rows(f->qformer) / k->queries;
    return tensor_rows(f->dinov2) / (1 + (int64_t)k->grid * k->grid); /* every variant has one of the two */
}

struct tensor *encode_mix(struct ctx *c, const struct network *n, const struct features *f)
{
    int64_t each = img_views_count(n->config.views.layout);

    return observe(c, mixer_mix(c, &n->mixer, f, views_in(n, f) / each, each), "image_tokens");
}

struct tensor *encode_image(struct ctx *c, const struct network *n, const float *planes, unsigned without,
                            double *seconds)
{
    struct features f;

    if (!encode_features(c, n, planes, without, &f, seconds)) return NULL;
    return encode_mix(c, n, &f);
}
