/* run_batch.c - see run_batch.h. */
#include "train/run_batch.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/safetensors.h"

enum { PARTS = 6, PLACE_SIZE = 300 };

/* The tensors of all items, and their bytes. */
struct contents {
    struct tensor_spec *spec; /* [n] */
    const void **data;
    size_t *bytes;
    size_t n;
    const char **pairs; /* [2 * n_pairs] */
    size_t n_pairs;
    struct arena arena;
};

static void add(struct contents *c, const char *name, size_t item, enum dtype dtype, const void *data,
                const int64_t *dim, int n_dims)
{
    struct tensor_spec *s = &c->spec[c->n];

    *s = (struct tensor_spec){ .name = arena_printf(&c->arena, "%s/%zu", name, item),
                               .dtype = dtype,
                               .n_dims = n_dims };
    memcpy(s->dim, dim, (size_t)n_dims * sizeof *dim);
    shape_bytes(dtype, dim, n_dims, &c->bytes[c->n]); /* it is in memory: the size fits */
    c->data[c->n++] = data;
}

_Static_assert(sizeof(size_t) == sizeof(int64_t), "parts are written as 64-bit numbers");

static bool fill(struct contents *c, const struct trainer *t, const struct feed_batch *b)
{
    int side = t->network.config.views.image_size;

    c->spec = arena_calloc(&c->arena, PARTS * b->n, sizeof *c->spec);
    c->data = arena_calloc(&c->arena, PARTS * b->n, sizeof *c->data);
    c->bytes = arena_calloc(&c->arena, PARTS * b->n, sizeof *c->bytes);
    c->pairs = arena_calloc(&c->arena, 2 * (b->n + 2), sizeof *c->pairs);
    if (c->spec == NULL || c->data == NULL || c->bytes == NULL || c->pairs == NULL) return false;
    c->pairs[0] = "step";
    c->pairs[1] = arena_printf(&c->arena, "%zu", t->position.step + 1);
    c->pairs[2] = "micro_batch";
    c->pairs[3] = arena_printf(&c->arena, "%zu", b->micro);
    c->n_pairs = 2;
    for (size_t i = 0; i < b->n; i++, c->n_pairs++) {
        const struct feed_item *it = &b->items[i];
        char *place = arena_alloc(&c->arena, PLACE_SIZE);

        add(c, "ids", i, DTYPE_I32, it->sample.ids, (int64_t[]){ (int64_t)it->sample.n }, 1);
        add(c, "labels", i, DTYPE_I32, it->sample.labels, (int64_t[]){ (int64_t)it->sample.n }, 1);
        if (it->sample.n_parts > 0) { /* where each begins, and the end; how many ids all begin with */
            add(c, "parts", i, DTYPE_I64, it->sample.part, (int64_t[]){ (int64_t)it->sample.n_parts + 1 }, 1);
            add(c, "shared", i, DTYPE_I64, &it->sample.n_shared, (int64_t[]){ 1 }, 1);
        }
        if (it->planes != NULL) add(c, "image", i, DTYPE_F32, it->planes, (int64_t[]){ 3, side, side }, 3);
        if (it->sample.n_shown > 0) /* cell and word of each */
            add(c, "patches", i, DTYPE_I32, it->sample.shown, (int64_t[]){ (int64_t)it->sample.n_shown, 2 },
                2);
        c->pairs[2 * c->n_pairs] = arena_printf(&c->arena, "item %zu", i);
        c->pairs[2 * c->n_pairs + 1] = place;
        if (place == NULL) return false;
        corpus_place(t->corpus, it->item, place, PLACE_SIZE);
    }
    for (size_t i = 0; i < c->n; i++)
        if (c->spec[i].name == NULL) return false;
    for (size_t i = 0; i < 2 * c->n_pairs; i++)
        if (c->pairs[i] == NULL) return false;
    return true;
}

enum status run_batch_write(const struct trainer *t, const struct feed_batch *b, struct err *e)
{
    struct safetensors_writer w = { 0 };
    struct contents c = { .n = 0 };
    char name[64], *path;
    enum status st;

    snprintf(name, sizeof name, "failed-step%zu.safetensors", t->position.step + 1);
    path = path_join(t->config->output_dir, name);
    st = path != NULL && fill(&c, t, b) ? STATUS_OK : err_no_memory(e, "a micro-batch");
    if (st == STATUS_OK) st = safetensors_writer_open(&w, path, c.spec, c.n, c.pairs, c.n_pairs, e);
    for (size_t i = 0; i < c.n && st == STATUS_OK; i++)
        st = safetensors_writer_put(&w, c.data[i], c.bytes[i], e);
    if (st == STATUS_OK) st = safetensors_writer_commit(&w, e);
    safetensors_writer_abort(&w);
    arena_free(&c.arena);
    free(path);
    return st;
}
