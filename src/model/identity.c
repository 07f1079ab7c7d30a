/* identity.c - see identity.h. */
#include "model/identity.h"

#include "core/file.h"
#include "sphinx.h"

enum { WHOLE_MAX = 16384, SAMPLE_ROWS = 4, SAMPLE_ELEMENTS = 64, SCRATCH_BYTES = 1024 };

void identity_file(struct digest *d, const void *data, size_t size)
{
    struct digest_maker m;

    digest_begin(&m);
    digest_add(&m, data, size);
    digest_end(&m, d);
}

void identity_image(struct digest *d, const struct digest *file, const struct image_settings *s)
{
    struct digest_maker m;

    digest_begin(&m);
    digest_number(&m, IDENTITY_PIPELINE);
    digest_number(&m, s->apply_exif);
    digest_number(&m, s->without);
    digest_add(&m, file, sizeof *file);
    digest_end(&m, d);
}

/* ---- weights ------------------------------------------------------------------------------------------------- */

/* One of two walks over the same bytes: the first asks for them, the second reads. From a disk that waits for each, a model of several
 * GB would otherwise take seconds. */
struct walk {
    struct digest_maker *m; /* NULL: the first */
};

static void take(struct walk *w, const struct tensor *t, int64_t row, int64_t first, int64_t count,
                 void *scratch)
{
    const void *data = tensor_row(t, row, first, count, scratch);
    size_t size = dtype_bytes(t->dtype, (size_t)count);

    if (w->m == NULL)
        file_prefetch(data, size);
    else
        digest_add(w->m, data, size);
}

/* Samples in rows spread from the first to the last, in each at another place. Elements come in whole blocks; where columns are
 * in pieces, whose bytes need not lie together, scratch holds them. */
static void sample(struct walk *w, const struct tensor *t)
{
    int64_t n_rows = tensor_rows(t), n_columns = tensor_columns(t), places;
    int64_t block = (int64_t)dtype_info(t->dtype)->block_elements;
    int64_t count = (SAMPLE_ELEMENTS + block - 1) / block * block;
    unsigned char scratch[SCRATCH_BYTES];

    if (count > n_columns) count = n_columns;
    places = (n_columns - count) / block;
    for (int64_t i = 0; i < SAMPLE_ROWS; i++) {
        int64_t row = (n_rows - 1) * i / (SAMPLE_ROWS - 1), first = places * i / (SAMPLE_ROWS - 1) * block;

        take(w, t, row, first, count, scratch);
    }
}

static void content(struct walk *w, const struct tensor *t)
{
    size_t row = dtype_bytes(t->dtype, (size_t)tensor_columns(t)), n_rows = (size_t)tensor_rows(t);
    unsigned char scratch[WHOLE_MAX];

    if (w->m != NULL) digest_text(w->m, dtype_info(t->dtype)->name);
    if (n_rows == 0) return;
    if (row > WHOLE_MAX / n_rows) {
        sample(w, t);
        return;
    }
    if (w->m == NULL && t->pieces == NULL) {
        file_prefetch(t->data, row * n_rows);
        return;
    }
    for (int64_t r = 0; r < tensor_rows(t); r++) take(w, t, r, 0, tensor_columns(t), scratch);
}

static void visit(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct walk *w = v->user;

    if (slot == NULL) return;
    if (w->m != NULL) {
        digest_text(w->m, p->name);
        digest_number(w->m, p->n_dims);
        for (int i = 0; i < p->n_dims; i++) digest_number(w->m, p->dim[i]);
    }
    for (int i = 0; i < p->experts; i++) {
        if (slot[i].n_dims > 0) content(w, &slot[i]); /* a layer may do without a bias */
    }
}

static void walk(struct digest_maker *m, const struct network *n, enum component end)
{
    struct network *visited = (struct network *)(uintptr_t)n; /* visits only; changes nothing */
    struct walk w = { m };
    struct param_visitor v = { .visit = visit, .user = &w };

    for (enum component i = COMPONENT_CLIP; i < end; i++) {
        if (m != NULL) digest_number(m, network_has(n, i));
        if (network_has(n, i)) network_component_params(visited, i, &v);
    }
}

/* Of all components before `end`. */
static void weights(struct digest_maker *m, const struct network *n, enum component end)
{
    walk(NULL, n, end);
    walk(m, n, end);
}

/* ---- what shapes do not tell ----------------------------------------------------------------------------------- */

static void number_f32(struct digest_maker *m, float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    digest_number(m, bits);
}

static void sight_config(struct digest_maker *m, const struct model_config *k)
{
    digest_text(m, k->variant->llama_type);
    digest_number(m, k->views.layout);
    digest_number(m, k->views.image_size);
    digest_number(m, k->views.view_size);
    digest_number(m, k->views.cnn_size);
    digest_number(m, k->clip.patch_size);
    digest_number(m, k->clip.heads);
    digest_number(m, k->clip.act);
    digest_number(m, k->convnext.image_size);
    digest_number(m, k->dinov2.patch_size);
    digest_number(m, k->dinov2.pretrain_size);
    digest_number(m, k->dinov2.heads);
    digest_number(m, k->qformer.patch_size);
    digest_number(m, k->qformer.vision_heads);
    digest_number(m, k->qformer.heads);
    digest_number(m, k->qformer.cross_every);
    digest_number(m, k->mixer.grid);
    digest_number(m, k->mixer.pool_parts);
}

static void llama_numbers(struct digest_maker *m, const struct llama_config *k)
{
    digest_number(m, k->n_heads);
    digest_number(m, k->n_kv_heads);
    digest_number(m, k->n_experts_per_token);
    number_f32(m, k->norm_eps);
    number_f32(m, k->rope_theta);
    number_f32(m, k->rope_scale);
    digest_number(m, k->rope_round_bf16);
}

void identity_sight(struct digest *d, const struct network *n, const char *level, bool precise)
{
    struct digest_maker m;

    digest_begin(&m);
    digest_text(&m, SPHINX_VERSION);
    digest_text(&m, level);
    digest_number(&m, precise);
    sight_config(&m, &n->config);
    weights(&m, n, COMPONENT_LLAMA);
    digest_end(&m, d);
}

void identity_model(struct digest *d, const struct network *n)
{
    struct digest_maker m;

    digest_begin(&m);
    sight_config(&m, &n->config);
    llama_numbers(&m, &n->config.llama);
    weights(&m, n, COMPONENT_COUNT);
    digest_end(&m, d);
}
