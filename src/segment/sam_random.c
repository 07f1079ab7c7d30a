/* sam_random.c - see sam_random.h. */
#include "segment/sam_random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/mix64.h"
#include "store/torch_writer.h"

enum {
    PATCH = 16,
    WINDOW = 14,
    HEAD_WIDTH = 32,
    FFN_RATIO = 4,
    PARTS = 4, /* of the blocks, the last of each of which looks at the whole map */
    DECODER_LAYERS = 2,
    DECODER_FFN_RATIO = 8,
    MASKS = 4,
    SIDE_MAX_PIXELS = 2048,
    WIDTH_MAX = 4096,
    BLOCKS_MAX = 256
};

/* What positions begin with: with small ones it takes long until an encoder finds where anything is (docs/findings.md). */
static const double position_deviation = 0.5;

static bool is_size(int x, int multiple, int most)
{
    return x > 0 && x <= most && x % multiple == 0;
}

enum status sam_random_config(struct sam_config *k, const char *sizes, struct err *e)
{
    int side = 0, width = 0, layers = 0, dim = 0, end = 0;
    int n = sscanf(sizes, "%5d,%5d,%5d,%5d%n", &side, &width, &layers, &dim, &end);

    if (n != 4 || sizes[end] != '\0' || !is_size(side, PATCH, SIDE_MAX_PIXELS) ||
        !is_size(width, HEAD_WIDTH, WIDTH_MAX / 2) || !is_size(layers, 1, BLOCKS_MAX) ||
        !is_size(dim, HEAD_WIDTH, WIDTH_MAX))
        return err_set(
            e, STATUS_BAD_ARGUMENT,
            "\"%.60s\": no size of a segmenter: want SIDE,WIDTH,LAYERS,DIM such as 256,96,4,64: a "
            "multiple of 16 up to 2048, one of 32 up to 2048, up to 256, a multiple of 32 up to 4096",
            sizes);
    *k = (struct sam_config){ .patch = PATCH,
                              .grid = side / PATCH,
                              .window = WINDOW < side / PATCH ? WINDOW : side / PATCH,
                              .width = width,
                              .layers = layers,
                              .heads = width / HEAD_WIDTH,
                              .ffn = FFN_RATIO * width,
                              .dim = dim,
                              .mask_hidden = { 4, 16 },
                              .decoder_layers = DECODER_LAYERS,
                              .decoder_ffn = DECODER_FFN_RATIO * dim,
                              .cross_width = dim / 2,
                              .masks = MASKS,
                              .iou_width = dim };
    return STATUS_OK;
}

/* ---- numbers ----------------------------------------------------------------------------------------------- */

struct writing {
    struct tensor_spec *specs; /* NULL: they are counted */
    size_t n;
    struct arena arena;
    bool failed;
};

static void declare(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct writing *w = v->user;
    size_t i = w->n++;

    (void)slot;
    if (w->specs == NULL) return;
    w->specs[i] = (struct tensor_spec){ .name = arena_strdup(&w->arena, p->name),
                                        .dtype = DTYPE_F32,
                                        .n_dims = p->n_dims };
    memcpy(w->specs[i].dim, p->dim, sizeof p->dim);
    if (w->specs[i].name == NULL) w->failed = true;
}

static bool has(const char *name, const char *part)
{
    return strstr(name, part) != NULL;
}

/* Tokens, prompts and what places are encoded with. */
static bool is_embedding(const char *name)
{
    return has(name, "iou_token.") || has(name, "mask_tokens.") || has(name, "_embed.weight") ||
           has(name, "point_embeddings") || has(name, "gaussian");
}

/* Layer norms, by upstream's names; numbers stand for those within a sequence. */
static bool is_norm(const char *name)
{
    return has(name, "norm") || has(name, "neck.1.") || has(name, "neck.3.") ||
           has(name, "mask_downscaling.1.") || has(name, "mask_downscaling.4.") ||
           has(name, "output_upscaling.1.");
}

/* Between -1 and 1; of deviation 1. */
static double uniform(uint64_t key, size_t i)
{
    return (double)(mix64(key + i) >> 11) * 0x1p-52 - 1;
}

static double normal(uint64_t key, size_t i)
{
    double u = (uniform(key, 2 * i) + 1) / 2 + 0x1p-54, v = uniform(key, 2 * i + 1);

    return sqrt(-2 * log(u)) * cos(3.14159265358979323846 * v);
}

/* PyTorch's: of a weight all but its first dimension; a bias has its weight's, which stands before it. */
static double fan_in_of(const struct tensor_spec *weight)
{
    double n = 1;

    for (int i = 1; i < weight->n_dims; i++) n *= (double)weight->dim[i];
    return n;
}

static enum status put_numbers(struct torch_writer *w, const struct tensor_spec *t,
                               const struct tensor_spec *weight, uint64_t seed, struct err *e)
{
    uint64_t key = mix64_text(seed, t->name);
    bool norm = is_norm(t->name), embedding = is_embedding(t->name), position = has(t->name, "pos_embed");
    double fixed = norm && has(t->name, ".weight") ? 1 : 0, reach = 1 / sqrt(fan_in_of(weight));
    bool constant = norm || has(t->name, "rel_pos");
    size_t n = 0;
    enum status st = STATUS_OK;

    shape_elements(t->dim, t->n_dims, &n);
    for (size_t i = 0; i < n && st == STATUS_OK; i++) {
        float x = (float)(constant    ? fixed
                          : position  ? position_deviation * normal(key, i)
                          : embedding ? normal(key, i)
                                      : reach * uniform(key, i));

        st = torch_writer_put(w, &x, sizeof x, e);
    }
    return st;
}

static enum status write_all(struct writing *w, const char *path, uint64_t seed, struct err *e)
{
    struct torch_writer out = { .left = 0 };
    enum status st = torch_writer_open(&out, path, w->specs, w->n, e);

    for (size_t i = 0; i < w->n && st == STATUS_OK; i++) {
        bool bias = i > 0 && has(w->specs[i].name, ".bias");

        st = put_numbers(&out, &w->specs[i], &w->specs[bias ? i - 1 : i], seed, e);
    }
    if (st == STATUS_OK) return torch_writer_commit(&out, e);
    torch_writer_abort(&out);
    return st;
}

enum status sam_random_write(const char *path, const struct sam_config *k, uint64_t seed, struct err *e)
{
    struct writing w = { .specs = NULL };
    struct param_visitor v = { .visit = declare, .user = &w };
    int part = k->layers >= PARTS ? k->layers / PARTS : 1;
    bool windowed[BLOCKS_MAX];
    struct sam sam;
    enum status st;

    for (int i = 0; i < k->layers; i++) windowed[i] = (i + 1) % part != 0;
    st = sam_init(&sam, k, windowed, &w.arena, e);
    if (st == STATUS_OK) {
        sam_params(&sam, &v);
        w.specs = arena_calloc(&w.arena, w.n, sizeof *w.specs);
        w.n = 0;
        if (w.specs != NULL) sam_params(&sam, &v);
        if (w.specs == NULL || w.failed) st = err_no_memory(e, "a segmenter");
    }
    if (st == STATUS_OK) st = write_all(&w, path, seed, e);
    arena_free(&w.arena);
    return st;
}
